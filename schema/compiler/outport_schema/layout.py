# SPDX-License-Identifier: Apache-2.0
"""What the generators of C and C++ share: which types are made, in which order, under which names."""

from __future__ import annotations

from typing import Dict, List, Set

from . import document, names
from .model import (AlternateType, ArrayType, Branch, Builtin, Command, EnumType, Event, Member, Model,
                    StructType, Type, UnionType, UserType)
from .source import SchemaError

INTEGERS = {"int": "int64_t", "size": "uint64_t"} | {f"{u}int{b}": f"{u}int{b}_t" for u in ("", "u") for b in (8, 16, 32, 64)}


def wanted_types(model: Model) -> List[UserType]:
    """Own types and the imported ones that they use, without the bases that unions and structs dissolve."""
    used = document.used_types(model)
    return [made for name, made in model.types.items()
            if (not made.imported or name in used) and not _is_base_only(made)]


def _is_base_only(made: UserType) -> bool:
    return isinstance(made, StructType) and bool(made.implicit_for) and made.name.endswith("-base")


def type_names(model: Model) -> Dict[str, str]:
    """Schema name to name in C and C++: q_obj_block-export-del-arg → BlockExportDelArg."""
    out: Dict[str, str] = {}
    taken: Dict[str, str] = {}
    for made in wanted_types(model):
        implicit = isinstance(made, StructType) and made.implicit_for
        name = names.camel(str(implicit)) + "Arg" if implicit else names.identifier(made.name)
        if name in taken:
            raise SchemaError(made.where, f"'{made.name}' and '{taken[name]}' are both '{name}' in C")
        taken[name] = made.name
        out[made.name] = name
    return out


def is_open(made: Type) -> bool:
    """Extended by others while the program runs, so that generated code can't list its values."""
    return isinstance(made, (EnumType, UnionType)) and made.extensible


def members(made: UserType) -> List[Member]:
    assert isinstance(made, (StructType, UnionType))
    return made.all_members()


def maybe_absent(member: Member) -> bool:
    return (member.optional and member.default is None) or bool(member.cond)


def contained(made: Type) -> List[Type]:
    """Types that a value of this type holds inside itself, not behind an array."""
    if isinstance(made, (StructType, UnionType)):
        out = [m.type for m in made.all_members()]
        if isinstance(made, UnionType) and not made.extensible:
            out += [b.type for b in made.branches]
        return out
    if isinstance(made, AlternateType):
        return [b.type for b in made.alternatives]
    return []


class Order:
    """Definition order in which everything contained comes first; where that can't be, a pointer is used."""

    def __init__(self, types: List[UserType]):
        self.sorted: List[UserType] = []
        self.boxed: Set[tuple] = set()  # (name of container, name of type) that goes by pointer
        self._done: Set[str] = set()
        self._open: List[str] = []
        # A cycle is broken where it comes back to the type that is visited first: better in an alternate
        # than in a branch of a union, so unions come before structs.
        for made in sorted(types, key=lambda t: (not isinstance(t, EnumType), not isinstance(t, UnionType))):
            self._visit(made)

    def _visit(self, made: Type) -> None:
        if isinstance(made, Builtin) or made.name in self._done:
            return
        if isinstance(made, ArrayType):
            if made.element.name not in self._open:
                self._visit(made.element)
            return
        assert isinstance(made, UserType)
        self._open.append(made.name)
        for inner in contained(made):
            if inner.name in self._open:
                self.boxed.add((made.name, inner.name))
            else:
                self._visit(inner)
        self._open.pop()
        self._done.add(made.name)
        self.sorted.append(made)


def branch_types(made: UnionType) -> List[StructType]:
    """The different types of a union's branches, in order."""
    out: List[StructType] = []
    for branch in made.branches:
        assert isinstance(branch.type, StructType)
        if branch.type not in out:
            out.append(branch.type)
    return out


def enum_constants(made: EnumType) -> List[tuple]:
    """(word, identifier) of each value."""
    return [(v.name, names.identifier(v.name)) for v in made.values]


def roles(model: Model) -> Dict[str, Set[str]]:
    """Types that are read (arguments of commands, options) and that are written (results, events), and all
    that they contain."""
    out: Dict[str, Set[str]] = {"read": set(), "write": set()}

    def mark(made: Type, role: str) -> None:
        if made.name in out[role]:
            return
        out[role].add(made.name)
        for inner in document.references(made):
            mark(inner, role)

    tables: List = list(model.own(model.commands).values()) + list(model.own(model.events).values())
    for item in tables:
        if isinstance(item, Command) and not item.gen:
            continue  # its code is written by hand
        if item.arg:
            mark(item.arg, "read" if isinstance(item, Command) else "write")
        if isinstance(item, Command) and item.ret:
            mark(item.ret, "write")
    for option in model.own(model.options).values():
        mark(option.type, "read")
    return out
