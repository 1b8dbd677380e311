# SPDX-License-Identifier: Apache-2.0
"""Expressions into the model: looks up names, resolves references. Rules between definitions are in rules."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from . import expr, names, rules, visibility
from .docs import Doc
from .model import (BUILTINS, AlternateType, ArrayType, Branch, Command, Definition, EnumType, EnumValue, Event,
                    Extension, Feature, Member, Model, Option, StructType, Type, UnionType, UserType)
from .parser import Array, Expression, Object, Schema
from .source import SchemaError, Where

Checked = Tuple[Expression, str, str, Where]


class Builder:
    def __init__(self, schema: Schema, exempt_names: Optional[Dict[str, Any]]):
        self._schema = schema
        self._exempt = exempt_names
        self._checked: List[Checked] = [(e, *expr.check(e)) for e in schema.expressions]
        self.model = Model()
        self._folded: Dict[str, Tuple[str, Where]] = {}
        self._objects: Dict[int, Any] = {}

    def build(self) -> Model:
        for item in self._checked:
            if item[1] == "fragment":
                self._fragment(*item)
        for item in self._checked:
            if item[1] in ("enum", "struct", "union", "alternate"):
                self._declare_type(*item)
        for item in self._checked:
            if item[1] != "fragment":
                getattr(self, f"_{item[1]}")(*item)
        rules.check(self.model, {id(e): e for e in self._schema.expressions}, self._objects)
        visibility.check(self.model)
        self._order()
        if self.model.fragment != "base" and self._exempt is not None:
            rules.check_prefixes(self.model, self._exempt)
        return self.model

    # Names.

    def _claim(self, name: str, kind: str, where: Where) -> None:
        if name in BUILTINS:
            raise SchemaError(where, f"'{name}' is a built-in type")
        folded = names.c_fold(name)
        if folded in self._folded:
            other, there = self._folded[folded]
            how = "is defined already" if other == f"{kind} '{name}'" else f"clashes with {other}"
            raise SchemaError(where, f"{kind} '{name}' {how}, at {there}")
        self._folded[folded] = (f"{kind} '{name}'", where)

    def _info(self, expression: Expression, where: Where) -> Definition:
        value = expression.value
        return Definition(where, expression.doc, value.get("if"), self._features(value), expression.imported)

    def _features(self, value: Object) -> List[Feature]:
        return [Feature(f["name"], f.get("if")) for f in value.get("features", [])]

    def _type(self, ref: Any, where: Where, what: str) -> Type:
        if isinstance(ref, Array):
            return self._array(self._type(ref[0], where, what))
        found = BUILTINS.get(ref) or self.model.types.get(ref)
        if not found:
            raise SchemaError(where, f"{what} uses unknown type '{ref}'")
        return found

    def _array(self, element: Type) -> ArrayType:
        return ArrayType(f"[{element.name}]", element)

    # Types are declared first, so that definitions may refer to later ones.

    def _declare_type(self, expression: Expression, kind: str, name: str, where: Where) -> None:
        self._claim(name, "type", where)
        info = self._info(expression, where)
        made = {"enum": EnumType, "struct": StructType, "union": UnionType, "alternate": AlternateType}[kind](name, info)
        if kind == "union" and not isinstance(expression.value["base"], str):
            self._implicit(f"q_obj_{name}-base", info, name)
        self.model.types[name] = made
        self._objects[id(expression)] = made

    def _implicit(self, name: str, info: Definition, owner: str) -> StructType:
        plain = Definition(info.where, None, info.cond, [], info.imported)
        made = StructType(name, plain)
        made.implicit_for = owner
        self.model.types[name] = made
        return made

    def _values(self, data: Array, where: Where) -> List[EnumValue]:
        return [EnumValue(item["name"], where.at(line), item.get("if"), self._features(item))
                for item, line in zip(data, data.lines)]

    def _members(self, data: Object, where: Where) -> List[Member]:
        out = []
        for key, value in data.items():
            at = where.at(data.lines[key])
            name = key.lstrip("*")
            member = Member(name, self._type(value["type"], at, f"member '{name}'"), at, key.startswith("*"),
                            value.get("default"), value.get("if"), self._features(value))
            if "default" in value:
                rules.check_default(member, at)
            out.append(member)
        return out

    def _enum(self, expression: Expression, _: str, name: str, where: Where) -> None:
        made = self.model.types[name]
        assert isinstance(made, EnumType)
        made.values = self._values(expression.value["data"], where)
        made.prefix = expression.value.get("prefix")
        made.extensible = "extensible" in expression.value

    def _struct(self, expression: Expression, _: str, name: str, where: Where) -> None:
        made, value = self.model.types[name], expression.value
        assert isinstance(made, StructType)
        if "base" in value:
            made.base = self._struct_ref(value["base"], where.at(value.lines["base"]), "base")
        made.own_members = self._members(value["data"], where)

    def _struct_ref(self, name: str, where: Where, what: str) -> StructType:
        found = self._type(name, where, what)
        if not isinstance(found, StructType):
            raise SchemaError(where, f"{what}: '{name}' is not a struct")
        return found

    def _union(self, expression: Expression, _: str, name: str, where: Where) -> None:
        made, value = self.model.types[name], expression.value
        assert isinstance(made, UnionType)
        if isinstance(value["base"], str):
            made.base = self._struct_ref(value["base"], where.at(value.lines["base"]), "base")
        else:
            base = self.model.types[f"q_obj_{name}-base"]
            assert isinstance(base, StructType)
            base.own_members = self._members(value["base"], where)
            made.base = base
        made.discriminator = value["discriminator"]
        made.extensible = "extensible" in value
        made.branches = self._branches(value["data"], where)

    def _branches(self, data: Object, where: Where) -> List[Branch]:
        out = []
        for name, value in data.items():
            at = where.at(data.lines[name])
            out.append(Branch(name, self._struct_ref(value["type"], at, f"branch '{name}'"), at,
                              value.get("if")))
        return out

    def _alternate(self, expression: Expression, _: str, name: str, where: Where) -> None:
        made, data = self.model.types[name], expression.value["data"]
        assert isinstance(made, AlternateType)
        for key, value in data.items():
            at = where.at(data.lines[key])
            made.alternatives.append(Branch(key, self._type(value["type"], at, f"alternative '{key}'"), at,
                                            value.get("if")))

    # Commands, events, options.

    def _argument(self, value: Object, name: str, where: Where, info: Definition) -> Optional[Type]:
        data = value.get("data")
        if not data:
            return None
        if isinstance(data, Object):
            made = self._implicit(f"q_obj_{name}-arg", info, name)
            made.own_members = self._members(data, where)
            return made
        at = where.at(value.lines["data"])
        found = self._type(data, at, "'data'")
        if not isinstance(found, (StructType, UnionType)):
            raise SchemaError(at, f"'data' '{data}' is neither a struct nor a union")
        if isinstance(found, UnionType) and "boxed" not in value:
            raise SchemaError(at, f"'data' '{data}' is a union, which needs 'boxed': true")
        return found

    def _command(self, expression: Expression, _: str, name: str, where: Where) -> None:
        self._claim(name, "command", where)
        value, info = expression.value, self._info(expression, where)
        ret = None
        if "returns" in value:
            at = where.at(value.lines["returns"])
            ret = self._type(value["returns"], at, "'returns'")
            inner = ret.element if isinstance(ret, ArrayType) else ret
            exempt = name in expression.pragma.command_returns_exceptions
            if not exempt and not isinstance(inner, (StructType, UnionType)):
                raise SchemaError(at, f"'returns' must be a struct, a union or an array of such, not '{inner.name}'")
        command = Command(**vars(info), name=name, arg=self._argument(value, name, where, info), ret=ret,
                          boxed="boxed" in value, gen="gen" not in value,
                          success_response="success-response" not in value, allow_oob="allow-oob" in value,
                          allow_preconfig="allow-preconfig" in value, coroutine="coroutine" in value)
        self.model.commands[name] = command
        self._objects[id(expression)] = command

    def _event(self, expression: Expression, _: str, name: str, where: Where) -> None:
        self._claim(name, "event", where)
        value, info = expression.value, self._info(expression, where)
        event = Event(**vars(info), name=name, arg=self._argument(value, name, where, info), boxed="boxed" in value)
        self.model.events[name] = event
        self._objects[id(expression)] = event

    def _option(self, expression: Expression, _: str, name: str, where: Where) -> None:
        value = expression.value
        if name in self.model.options:
            raise SchemaError(where, f"option '{name}' is defined already")
        at = where.at(value.lines["data"])
        found = self._type(value["data"], at, "'data'")
        if not isinstance(found, (StructType, UnionType)):
            raise SchemaError(at, f"'data' '{value['data']}' is neither a struct nor a union")
        option = Option(**vars(self._info(expression, where)), name=name, type=found,
                        implied_key=value.get("implied-key"), metavar=value.get("metavar"))
        self.model.options[name] = option
        self._objects[id(expression)] = option

    # Fragments.

    def _fragment(self, expression: Expression, _: str, name: str, where: Where) -> None:
        if expression.imported:
            raise SchemaError(where, "a fragment can't be imported, only what the host offers")
        if self.model.fragment != "base":
            raise SchemaError(where, "a schema holds one fragment directive only")
        self.model.fragment, self.model.where = name, where
        self.model.rank = expression.value.get("rank")
        self.model.provides = list(expression.value.get("provides", []))

    def _extend(self, expression: Expression, _: str, name: str, where: Where) -> None:
        if self.model.fragment == "base":
            raise SchemaError(where, "'extend' needs a 'fragment' directive in the schema")
        target, data = self.model.types.get(name), expression.value["data"]
        if not target:
            raise SchemaError(where, f"unknown type '{name}'")
        if not target.imported:
            raise SchemaError(where, f"'{name}' belongs to this schema, write it there")
        extension = Extension(**vars(self._info(expression, where)), target=target)
        if isinstance(target, EnumType) and isinstance(data, Array):
            extension.values = self._values(data, where)
        elif isinstance(target, UnionType) and isinstance(data, Object):
            extension.branches = self._branches(data, where)
        else:
            raise SchemaError(where, f"'data' must be a list for an enum, an object for a union; '{name}' differs")
        if not target.extensible:
            raise SchemaError(where, f"'{name}' is not extensible")
        self.model.extensions.append(extension)
        self._objects[id(expression)] = extension

    def _order(self) -> None:
        for item in self._schema.order:
            if isinstance(item, Doc):
                self.model.order.append(item)
            elif not item.imported and id(item) in self._objects:
                self.model.order.append(self._objects[id(item)])
