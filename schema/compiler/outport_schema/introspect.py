# SPDX-License-Identifier: Apache-2.0
"""The answer of query-qmp-schema, for conditions that are given. The host makes the same at run time."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Set

from .conditions import holds
from .model import (AlternateType, ArrayType, Builtin, Command, Definition, EnumType, Event, Feature, Member, Model,
                    StructType, Type, UnionType)

EMPTY = StructType("q_empty", Definition())  # stands for "no arguments" and "no result"


class Introspection:
    def __init__(self, model: Model, defined: Set[str], unmask: bool):
        self._model = model
        self._defined = defined | set(model.provides)
        self._unmask = unmask
        self._names: Dict[str, str] = {}
        self._queue: List[Type] = []
        self._out: List[Dict[str, Any]] = []

    def entities(self) -> List[Dict[str, Any]]:
        """Commands and events by name, then types in the order in which they are first used."""
        for command in self._shown(self._model.commands):
            self._command(command)
        for event in self._shown(self._model.events):
            self._event(event)
        while self._queue:
            self._type(self._queue.pop(0))
        return self._out

    def _shown(self, table: Dict[str, Any]) -> List[Any]:
        return [item for item in table.values() if holds(item.cond, self._defined)]

    def _keep(self, items: Iterable[Any]) -> List[Any]:
        return [item for item in items if holds(item.cond, self._defined)]

    def _emit(self, name: str, meta: str, content: Dict[str, Any], features: Iterable[Feature]) -> None:
        entry = {"name": name, "meta-type": meta} | content
        self._out.append(entry | self._features(features))

    def _features(self, features: Iterable[Feature]) -> Dict[str, Any]:
        kept = [feature.name for feature in self._keep(features)]
        return {"features": kept} if kept else {}

    def _use(self, made: Type) -> str:
        """The name by which the answer refers to a type; asks for its description at first use."""
        if isinstance(made, Builtin) and made.json_type == "int":
            made = Builtin("int", "int")
        if made.name not in self._names:
            self._names[made.name] = self._masked(made)
            self._queue.append(made)
        return self._names[made.name]

    def _masked(self, made: Type) -> str:
        if isinstance(made, ArrayType):
            return f"[{self._use(made.element)}]"
        if isinstance(made, Builtin) or self._unmask:
            return made.name
        return str(sum(1 for name in self._names.values() if name.isdigit()))

    def _command(self, command: Command) -> None:
        content = {"arg-type": self._use(command.arg or EMPTY), "ret-type": self._use(command.ret or EMPTY)}
        oob = {"allow-oob": True} if command.allow_oob else {}
        self._emit(command.name, "command", content | oob, command.features)

    def _event(self, event: Event) -> None:
        self._emit(event.name, "event", {"arg-type": self._use(event.arg or EMPTY)}, event.features)

    def _type(self, made: Type) -> None:
        name = self._names[made.name]
        if isinstance(made, Builtin):
            self._emit(name, "builtin", {"json-type": made.json_type}, [])
        elif isinstance(made, ArrayType):
            self._emit(name, "array", {"element-type": self._use(made.element)}, [])
        elif isinstance(made, EnumType):
            values = self._keep(made.values + [v for e in self._model.extensions if e.target is made for v in e.values])
            content = {"members": [{"name": v.name} | self._features(v.features) for v in values],
                       "values": [v.name for v in values]}
            self._emit(name, "enum", content, made.features)
        elif isinstance(made, AlternateType):
            content = {"members": [{"type": self._use(b.type)} for b in self._keep(made.alternatives)]}
            self._emit(name, "alternate", content, made.features)
        else:
            assert isinstance(made, (StructType, UnionType))
            content = {"members": [self._member(m) for m in self._keep(made.all_members())]}
            if isinstance(made, UnionType):
                content |= self._variants(made)
            self._emit(name, "object", content, made.features)

    def _member(self, member: Member) -> Dict[str, Any]:
        default: Dict[str, Any] = {"default": None} if member.optional else {}
        return {"name": member.name, "type": self._use(member.type)} | default | self._features(member.features)

    def _variants(self, made: UnionType) -> Dict[str, Any]:
        """Every value of the tag has a variant, if only an empty one."""
        branches = self._keep(made.branches + [b for e in self._model.extensions if e.target is made
                                               for b in e.branches])
        by_case = {branch.name: branch.type for branch in branches}
        enum = made.tag().type
        assert isinstance(enum, EnumType)
        values = enum.values + [v for e in self._model.extensions if e.target is enum for v in e.values]
        empty = [v.name for v in self._keep(values) if v.name not in by_case]
        variants = [{"case": case, "type": self._use(branch)} for case, branch in by_case.items()]
        variants += [{"case": case, "type": self._use(EMPTY)} for case in empty]
        return {"tag": made.discriminator, "variants": variants}


def text(model: Model, defined: Set[str], unmask: bool) -> str:
    return json.dumps(Introspection(model, defined, unmask).entities(), indent=1) + "\n"
