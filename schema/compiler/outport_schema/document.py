# SPDX-License-Identifier: Apache-2.0
"""The JSON document of sdk/SCHEMA-FRAGMENT.md: what the host loads and a plugin carries."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Set

from .model import (AlternateType, ArrayType, Branch, Builtin, Command, EnumType, EnumValue, Event, Feature,
                    Member, Model, Option, StructType, Type, UnionType, UserType)

FORMAT = 1


def _without_empty(entry: Dict[str, Any]) -> Dict[str, Any]:
    """Absent, false and empty say the same, so they are left out (but "members" and "values" of a type stay)."""
    keep = ("members", "values", "branches", "default")
    return {k: v for k, v in entry.items() if k in keep and v is not None or v not in (None, False, [], {}, "")}


def _features(features: Iterable[Feature]) -> List[Any]:
    return [{"name": f.name, "if": f.cond} if f.cond else f.name for f in features]


def value_entry(value: EnumValue) -> Dict[str, Any]:
    return _without_empty({"name": value.name, "if": value.cond, "features": _features(value.features)})


def branch_entry(branch: Branch, key: str) -> Dict[str, Any]:
    return _without_empty({key: branch.name, "type": branch.type.name, "if": branch.cond})


def member_entry(member: Member) -> Dict[str, Any]:
    return _without_empty({"name": member.name, "type": member.type.name, "optional": member.optional,
                           "default": member.default, "if": member.cond, "features": _features(member.features)})


def typedef(made: UserType) -> Dict[str, Any]:
    if isinstance(made, EnumType):
        entry: Dict[str, Any] = {"kind": "enum", "values": [value_entry(v) for v in made.values],
                                 "extensible": made.extensible}
    elif isinstance(made, StructType):
        entry = {"kind": "struct", "base": made.base.name if made.base else None,
                 "members": [member_entry(m) for m in made.own_members]}
    elif isinstance(made, UnionType):
        entry = {"kind": "union", "base": made.base.name, "discriminator": made.discriminator,
                 "branches": [branch_entry(b, "case") for b in made.branches], "extensible": made.extensible}
    else:
        assert isinstance(made, AlternateType)
        entry = {"kind": "alternate", "alternatives": [branch_entry(b, "name") for b in made.alternatives]}
    entry["if"] = made.cond
    entry["features"] = _features(made.features)
    return _without_empty(entry)


def command_entry(command: Command) -> Dict[str, Any]:
    return _without_empty({
        "arg": command.arg.name if command.arg else None, "boxed": command.boxed,
        "ret": command.ret.name if command.ret else None, "if": command.cond,
        "features": _features(command.features), "allow-oob": command.allow_oob,
        "allow-preconfig": command.allow_preconfig, "coroutine": command.coroutine,
    }) | ({} if command.success_response else {"success-response": False})


def event_entry(event: Event) -> Dict[str, Any]:
    return _without_empty({"arg": event.arg.name if event.arg else None, "boxed": event.boxed, "if": event.cond,
                           "features": _features(event.features)})


def option_entry(option: Option) -> Dict[str, Any]:
    assert option.type
    text = option.doc.summary() if option.doc else ""
    return _without_empty({"name": option.name, "type": option.type.name, "implied-key": option.implied_key,
                           "metavar": option.metavar, "help": text, "if": option.cond})


def references(made: Type) -> List[Type]:
    """The types that a type needs, in the order of its text."""
    if isinstance(made, ArrayType):
        return [made.element]
    if isinstance(made, StructType):
        return ([made.base] if made.base else []) + [m.type for m in made.own_members]
    if isinstance(made, UnionType):
        return [made.base] + [b.type for b in made.branches]
    if isinstance(made, AlternateType):
        return [b.type for b in made.alternatives]
    return []


def used_types(model: Model) -> Dict[str, UserType]:
    """The imported types that this fragment refers to, also through others, in source order."""
    wanted: Set[str] = set()

    def want(made: Type) -> None:
        if isinstance(made, Builtin) or made.name in wanted:
            return
        wanted.add(made.name)
        for other in references(made):
            want(other)

    for made in model.own(model.types).values():
        want(made)
    for extension in model.extensions:
        for branch in extension.branches:
            want(branch.type)
    for table in (model.commands, model.events, model.options):
        for item in model.own(table).values():
            for made in (getattr(item, "arg", None), getattr(item, "ret", None), getattr(item, "type", None)):
                if made:
                    want(made)
    return {name: made for name, made in model.types.items() if made.imported and name in wanted}


def _extends(model: Model) -> Dict[str, List[Any]]:
    out: Dict[str, List[Any]] = {}
    for extension in model.extensions:
        assert extension.target
        entries = out.setdefault(extension.target.name, [])
        entries += [value_entry(v) for v in extension.values]
        entries += [branch_entry(b, "case") for b in extension.branches]
    return out


def _docs(model: Model) -> Dict[str, str]:
    out = {}
    for table in (model.types, model.commands, model.events):
        for name, item in model.own(table).items():
            if item.doc and item.doc.summary():
                out[name] = item.doc.summary()
    return out


def document(model: Model) -> Dict[str, Any]:
    entry = {
        "fragment": model.fragment, "rank": model.rank, "provides": model.provides,
        "uses": {name: typedef(made) for name, made in used_types(model).items()},
        "types": {name: typedef(made) for name, made in model.own(model.types).items()},
        "extends": _extends(model),
        "commands": {name: command_entry(c) for name, c in model.own(model.commands).items()},
        "events": {name: event_entry(e) for name, e in model.own(model.events).items()},
        "options": [option_entry(o) for o in model.own(model.options).values()],
        "docs": _docs(model),
    }
    return {"format": FORMAT} | _without_empty(entry)


def text(model: Model) -> str:
    return json.dumps(document(model), separators=(",", ":"), ensure_ascii=True)


def pretty(model: Model) -> str:
    return json.dumps(document(model), indent=1, ensure_ascii=True) + "\n"
