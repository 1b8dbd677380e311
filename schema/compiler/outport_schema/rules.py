# SPDX-License-Identifier: Apache-2.0
"""Rules between definitions: clashing members, discriminators, alternates, prefixes, documentation."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List, Optional, Set

from . import names
from .model import (AlternateType, ArrayType, Branch, Builtin, Command, EnumType, EnumValue, Event, Extension,
                    Feature, Member, Model, Option, StructType, Type, UnionType, UserType)
from .parser import Expression
from .source import SchemaError, Where

SPECIAL_FEATURES = ("deprecated", "unstable")


def check(model: Model, expressions: Dict[int, Expression], objects: Dict[int, Any]) -> None:
    for made in list(model.types.values()):
        if isinstance(made, StructType):
            _check_struct(made)
    for made in list(model.types.values()):
        if isinstance(made, EnumType):
            _check_enum(made.values, made.where, made.name)
        elif isinstance(made, UnionType):
            _check_union(made)
        elif isinstance(made, AlternateType):
            _check_alternate(made)
        _no_special(made.features, made.where)
    _check_extensions(model)
    for option in model.options.values():
        _check_option(option)
    for key, made in objects.items():
        expression = expressions[key]
        if made.doc:
            _check_doc(made, expression)


def _no_special(features: Iterable[Feature], where: Where) -> None:
    for feature in features:
        if feature.name in SPECIAL_FEATURES:
            raise SchemaError(where, f"feature '{feature.name}' is not for types")


def check_default(member: Member, where: Where) -> None:
    """The default must be a value that the type allows."""
    made, value = member.type, member.default
    problem = f"default {_show(value)} of member '{member.name}' is no value of type '{made.name}'"
    if isinstance(made, Builtin) and made.name in ("bool", "str", "number") or made.json_kind() == "number":
        if not _fits_builtin(made, value):
            raise SchemaError(where, problem)
    elif isinstance(made, EnumType):
        # The values may not be known yet, so that rules.check asks again.
        if not isinstance(value, str):
            raise SchemaError(where, problem)
    else:
        raise SchemaError(where, f"member '{member.name}' of type '{made.name}' can't have a default")


def _fits_builtin(made: Builtin, value: Any) -> bool:
    if made.name == "bool":
        return isinstance(value, bool)
    if made.name == "str":
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if made.name == "number":
        return True
    return isinstance(value, int) and (made.minimum or 0) <= value <= (made.maximum or 0)


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}'" if isinstance(value, str) else str(value) if isinstance(value, (int, float)) else "(not a scalar)"


def _check_struct(made: StructType) -> None:
    seen: Set[str] = set()
    outer: Optional[StructType] = made
    while outer:
        if outer.name in seen:
            raise SchemaError(made.where, f"struct '{made.name}' is its own base")
        seen.add(outer.name)
        outer = outer.base
    _check_unique(made.all_members(), made.own_members)
    _check_contains_itself(made, made, set())
    for member in made.own_members:
        if isinstance(member.type, EnumType) and member.default is not None:
            if member.default not in [v.name for v in member.type.values]:
                raise SchemaError(member.where, f"default '{member.default}' of member '{member.name}' "
                                                f"is no value of type '{member.type.name}'")


def _check_unique(members: List[Member], blame: List[Member]) -> None:
    folded: Dict[str, Member] = {}
    for member in members:
        key = names.c_fold(member.name)
        if key in folded:
            other = folded[key]
            at = member if member in blame else other
            raise SchemaError(at.where, f"member '{member.name}' clashes with member '{other.name}'"
                                        f"{_origin(other, blame)}")
        folded[key] = member


def _origin(other: Member, blame: List[Member]) -> str:
    return "" if other in blame else " of the base"


def _check_contains_itself(outermost: StructType, made: StructType, seen: Set[str]) -> None:
    """A mandatory member of its own type has no finite value."""
    if made.name in seen:
        return
    seen.add(made.name)
    for member in made.all_members():
        if member.type is outermost and not member.optional:
            raise SchemaError(outermost.where, f"struct '{outermost.name}' contains itself")
        if isinstance(member.type, StructType) and not member.optional:
            _check_contains_itself(outermost, member.type, seen)


def _check_enum(values: List[EnumValue], where: Where, name: str) -> None:
    folded: Dict[str, EnumValue] = {}
    for value in values:
        key = names.c_fold(value.name)
        if key in folded:
            other = folded[key].name
            text = "is there twice" if other == value.name else f"clashes with value '{other}'"
            raise SchemaError(value.where, f"value '{value.name}' {text}")
        folded[key] = value


def _check_union(made: UnionType) -> None:
    tag = next((m for m in made.all_members() if m.name == made.discriminator), None)
    if not tag:
        raise SchemaError(made.where, f"discriminator '{made.discriminator}' is not a member of the base")
    if not isinstance(tag.type, EnumType):
        raise SchemaError(made.where, f"discriminator '{tag.name}' must be of an enum type, not '{tag.type.name}'")
    if tag.optional:
        raise SchemaError(made.where, f"discriminator '{tag.name}' must not be optional")
    if tag.cond:
        raise SchemaError(made.where, f"discriminator '{tag.name}' must not be conditional")
    if made.extensible and not tag.type.extensible:
        raise SchemaError(made.where, f"an extensible union needs an extensible enum, '{tag.type.name}' is none")
    _check_branches(made, made.branches, [v.name for v in tag.type.values], tag.type.name)


def _check_branches(made: UnionType, branches: List[Branch], values: List[str], enum: str) -> None:
    for branch in branches:
        if branch.name not in values:
            raise SchemaError(branch.where, f"branch '{branch.name}' is no value of enum '{enum}'")
        assert isinstance(branch.type, StructType)
        common = {names.c_fold(m.name) for m in made.all_members()}
        for member in branch.type.all_members():
            if names.c_fold(member.name) in common:
                raise SchemaError(branch.where, f"member '{member.name}' of branch '{branch.name}' "
                                                "clashes with a member of the base")


def _check_alternate(made: AlternateType) -> None:
    used: Dict[str, str] = {}
    folded: Set[str] = set()
    for branch in made.alternatives:
        if names.c_fold(branch.name) in folded:
            raise SchemaError(branch.where, f"alternative '{branch.name}' clashes with another")
        folded.add(names.c_fold(branch.name))
        kind = branch.type.json_kind()
        if kind in ("alternate", "value"):
            raise SchemaError(branch.where, f"alternative '{branch.name}' can't be of type '{branch.type.name}'")
        for clash in _looks_like(branch.type):
            if clash in used:
                raise SchemaError(branch.where, f"alternative '{branch.name}' can't be told "
                                                f"from alternative '{used[clash]}'")
        used[kind] = branch.name
    strings = [b for b in made.alternatives if b.type.json_kind() == "string"]
    for branch in made.alternatives:
        # In key=value form every scalar is a string.
        if strings and branch.type.json_kind() in _looks_like(strings[0].type) and branch is not strings[0]:
            raise SchemaError(branch.where, f"alternative '{branch.name}' can't be told "
                                            f"from alternative '{strings[0].name}'")


def _looks_like(made: Type) -> Set[str]:
    """The kinds of JSON value that a value of this type could be taken for, also when written as text."""
    kind = made.json_kind()
    out = {kind}
    if kind == "string" and isinstance(made, EnumType):
        for value in made.values:
            if value.name in ("on", "off", "yes", "no", "true", "false", "y", "n"):
                out.add("boolean")
            if re.match(r"[-+0-9.]", value.name):
                out.add("number")
    elif kind == "string":
        out |= {"boolean", "number"}
    return out


def _check_extensions(model: Model) -> None:
    added: Dict[str, List[EnumValue]] = {}
    for extension in model.extensions:
        target = extension.target
        if isinstance(target, EnumType):
            values = added.setdefault(target.name, list(target.values))
            values += extension.values
            _check_enum(values, extension.where, target.name)
    for extension in model.extensions:
        target = extension.target
        if not isinstance(target, UnionType):
            continue
        enum = target.tag().type
        assert isinstance(enum, EnumType)
        values = added.get(enum.name, enum.values)
        _check_branches(target, extension.branches, [v.name for v in values], enum.name)
        taken = {branch.name for branch in target.branches}
        for branch in extension.branches:
            if branch.name in taken:
                raise SchemaError(branch.where, f"union '{target.name}' has a branch '{branch.name}' already")


def _check_option(option: Option) -> None:
    if option.implied_key is None:
        return
    assert isinstance(option.type, (StructType, UnionType))
    member = next((m for m in option.type.all_members() if m.name == option.implied_key), None)
    if not member:
        raise SchemaError(option.where, f"'implied-key' '{option.implied_key}' is not a member of '{option.type.name}'")
    if member.type.json_kind() != "string":
        raise SchemaError(option.where, f"'implied-key' '{option.implied_key}' must be a string or an enum")


def _check_doc(made: Any, expression: Expression) -> None:
    members, features = documented(made)
    complete = expression.pragma.doc_required and made_name(made) not in expression.pragma.documentation_exceptions
    kind = "command" if isinstance(made, Command) else "event" if isinstance(made, Event) else "type"
    made.doc.check(members, features, complete, kind, bool(getattr(made, "ret", None)))


def made_name(made: Any) -> str:
    return made.target.name if isinstance(made, Extension) else made.name


def documented(made: Any) -> Any:
    """(names of members, names of features) that the documentation of a definition describes."""
    features = [f.name for f in made.features]
    if isinstance(made, EnumType):
        return [v.name for v in made.values], features + _inner_features(made.values)
    if isinstance(made, Extension):
        return [v.name for v in made.values] + [b.name for b in made.branches], _inner_features(made.values)
    if isinstance(made, AlternateType):
        return [b.name for b in made.alternatives], features
    if isinstance(made, StructType):
        return [m.name for m in made.own_members], features + _inner_features(made.own_members)
    if isinstance(made, UnionType):
        own = made.base.own_members if made.base.implicit_for == made.name else []
        return [m.name for m in own], features + _inner_features(own)
    if isinstance(made, (Command, Event)):
        own = made.arg.own_members if isinstance(made.arg, StructType) and made.arg.implicit_for == made.name else []
        return [m.name for m in own], features + _inner_features(own)
    return [], features


def _inner_features(items: Iterable[Any]) -> List[str]:
    out: List[str] = []
    for item in items:
        out += [f.name for f in item.features if f.name not in out]
    return out


def check_prefixes(model: Model, exempt: Dict[str, Any]) -> None:
    """What a plugin brings carries a downstream prefix, unless the list of exemptions has it."""
    def need(table: str, name: str, where: Where, what: str) -> None:
        if not names.has_prefix(name) and name not in exempt.get(table, []):
            raise SchemaError(where, f"{what} '{name}' needs a downstream prefix, __RFQDN_{name}")

    for kind, table in (("types", model.types), ("commands", model.commands), ("events", model.events)):
        for name, made in model.own(table).items():
            if not getattr(made, "implicit_for", None):
                need(kind, name, made.where, kind[:-1])
    for symbol in model.provides:
        need("conditions", symbol, model.where, "condition")
    for extension in model.extensions:
        for value in extension.values:
            need("values", value.name, value.where, "value")
