# SPDX-License-Identifier: Apache-2.0
"""Are the expressions well-formed, each taken alone? Also fills in long forms for short ones.

After this, builder may take the shape of every expression for granted; it only has to ask
whether the definitions fit each other.
"""

from __future__ import annotations

from typing import Any, Iterable, Tuple

from . import names
from .parser import Array, Expression, Object
from .source import SchemaError, Where

# kind: (keys that must be there, keys that may be there), beside the kind itself
KINDS = {
    "enum": (["data"], ["if", "features", "prefix", "extensible"]),
    "struct": (["data"], ["base", "if", "features"]),
    "union": (["base", "discriminator", "data"], ["if", "features", "extensible"]),
    "alternate": (["data"], ["if", "features"]),
    "command": ([], ["data", "returns", "boxed", "gen", "success-response", "allow-oob", "allow-preconfig",
                     "coroutine", "if", "features"]),
    "event": ([], ["data", "boxed", "if", "features"]),
    "fragment": ([], ["rank", "provides"]),
    "extend": (["data"], []),
    "option": (["data"], ["implied-key", "metavar", "if"]),
}
# Flags, and the only value that it makes sense to write.
_FLAGS = {"boxed": True, "gen": False, "success-response": False, "allow-oob": True, "allow-preconfig": True,
          "coroutine": True, "extensible": True}
RANK_LIMIT = 1 << 31


def check(expression: Expression) -> Tuple[str, str, Where]:
    """(kind, name, place) of the definition."""
    value = expression.value
    kinds = [kind for kind in KINDS if kind in value]
    if not kinds:
        raise SchemaError(expression.where, "expression has none of the keys " + _quoted(KINDS))
    kind = "extend" if "extend" in kinds else kinds[0]
    name = value[kind]
    if not isinstance(name, str):
        raise SchemaError(expression.where, f"'{kind}' must be followed by a name")
    where = expression.where.within(f"{kind} '{name}'")
    required, allowed = KINDS[kind]
    check_keys(value, where, "the definition", [kind] + required, allowed)
    for flag, only in _FLAGS.items():
        if flag in value and value[flag] is not only:
            raise SchemaError(where.at(value.lines[flag]), f"'{flag}' may only be {'true' if only else 'false'}")
    _check_doc(expression, kind, name, where)
    if "if" in value:
        check_condition(value["if"], where.at(value.lines["if"]))
    if "features" in value:
        value["features"] = check_features(value["features"], where.at(value.lines["features"]))
    globals()[f"_check_{kind}"](value, name, where, expression)
    return kind, name, where


def _quoted(keys: Iterable[str]) -> str:
    return ", ".join(f"'{key}'" for key in keys)


def check_keys(value: Object, where: Where, what: str, required: Iterable[str], allowed: Iterable[str]) -> None:
    for key in required:
        if key not in value:
            raise SchemaError(where, f"{what} misses key '{key}'")
    for key in value:
        if key not in required and key not in allowed:
            raise SchemaError(where.at(value.lines[key]), f"{what} has unknown key '{key}'")


def _check_doc(expression: Expression, kind: str, name: str, where: Where) -> None:
    documented = kind not in ("extend", "fragment")
    doc = expression.doc
    if doc and kind == "fragment":
        raise SchemaError(doc.where, "a fragment directive has no documentation of its own")
    if doc and doc.symbol != name:
        raise SchemaError(doc.where.at(doc.where.line + 1), f"documentation of '{doc.symbol}' stands before '{name}'")
    if not doc and documented and expression.pragma.doc_required:
        raise SchemaError(where, "documentation is missing")


def check_condition(condition: Any, where: Where) -> None:
    if isinstance(condition, str):
        if not names.is_condition(condition):
            raise SchemaError(where, f"'{condition}' is not a condition symbol (like CONFIG_NAME)")
        return
    if not isinstance(condition, Object):
        raise SchemaError(where, "'if' must be a string or an object")
    if len(condition) != 1 or next(iter(condition)) not in ("all", "any", "not"):
        raise SchemaError(where, "'if' object must have one of the keys 'all', 'any', 'not', and no other")
    key, operand = next(iter(condition.items()))
    if key == "not":
        check_condition(operand, where)
        return
    if not isinstance(operand, Array) or not operand:
        raise SchemaError(where, f"'{key}' in 'if' must be a list that is not empty")
    for item in operand:
        check_condition(item, where)


def check_features(features: Any, where: Where) -> Array:
    if not isinstance(features, Array):
        raise SchemaError(where, "'features' must be a list")
    out = Array(features.line)
    for item, line in zip(features, features.lines):
        at = where.at(line)
        long = _long_form(item, "name", at, "a feature", ["if"])
        if not isinstance(long["name"], str):
            raise SchemaError(at, "the name of a feature must be a string")
        if problem := names.name_problem(long["name"]):
            raise SchemaError(at, f"feature: {problem}")
        if any(other["name"] == long["name"] for other in out):
            raise SchemaError(at, f"feature '{long['name']}' is there twice")
        out.append(long)
        out.lines.append(line)
    return out


def _long_form(item: Any, key: str, where: Where, what: str, optional: Iterable[str]) -> Object:
    """'x' or {'name': 'x', …} as the latter; conditions and features in it are checked."""
    if isinstance(item, (str, Array)):
        out = Object(where.line)
        out[key] = item
        out.lines[key] = where.line
        return out
    if not isinstance(item, Object):
        raise SchemaError(where, f"{what} must be a string or an object")
    check_keys(item, where, what, [key], optional)
    if "if" in item:
        check_condition(item["if"], where.at(item.lines["if"]))
    if "features" in item:
        item["features"] = check_features(item["features"], where.at(item.lines["features"]))
    return item


def _check_type_ref(ref: Any, where: Where, what: str, arrays: bool = True) -> None:
    if isinstance(ref, str):
        return
    if not isinstance(ref, Array):
        raise SchemaError(where, f"{what} must name a type")
    if not arrays:
        raise SchemaError(where, f"{what} must not be an array")
    if len(ref) != 1 or not isinstance(ref[0], str):
        raise SchemaError(where, f"{what}: an array type holds the name of one type")


def _check_type_name(name: str, where: Where) -> None:
    if problem := names.name_problem(name):
        raise SchemaError(where, problem)
    stem = names.split_prefix(name)[1]
    if not names.is_camel_case(stem):
        raise SchemaError(where, "type names are CamelCase")
    if stem.endswith("List"):
        raise SchemaError(where, "type names ending with 'List' are reserved")


def _check_members(members: Any, where: Where, what: str, upper_allowed: bool) -> None:
    if not isinstance(members, Object):
        raise SchemaError(where, f"{what} must be an object")
    for key in list(members):
        at = where.at(members.lines[key])
        name = key[1:] if key.startswith("*") else key
        check_member_name(name, at, "member", upper_allowed)
        if name != key and name in members:
            raise SchemaError(at, f"member '{name}' is there twice")
        long = _long_form(members[key], "type", at, f"member '{name}'", ["if", "features", "default"])
        _check_type_ref(long["type"], at, f"type of member '{name}'")
        if "default" in long and name == key:
            raise SchemaError(at, f"member '{name}' has a default, but is not optional")
        members[key] = long


def check_member_name(name: str, where: Where, what: str, exempt: bool) -> None:
    if problem := names.name_problem(name):
        raise SchemaError(where, f"{what}: {problem}")
    stem = names.split_prefix(name)[1]
    if stem == "u" or stem.startswith(("has-", "has_")):
        raise SchemaError(where, f"{what} name '{name}' is reserved")
    if exempt:
        return
    if stem != stem.lower():
        raise SchemaError(where, f"{what} name '{name}' must be lower case")
    if "_" in stem:
        raise SchemaError(where, f"{what} name '{name}' must use '-' instead of '_'")


def _exempt(expression: Expression, name: str) -> bool:
    return name in expression.pragma.member_name_exceptions


def enum_values(data: Any, where: Where, exempt: bool) -> None:
    if not isinstance(data, Array):
        raise SchemaError(where, "'data' must be a list")
    for index, item in enumerate(data):
        at = where.at(data.lines[index])
        if not isinstance(item, (str, Object)):
            raise SchemaError(at, "an enum value must be a string or an object")
        long = _long_form(item, "name", at, "an enum value", ["if", "features"])
        if not isinstance(long["name"], str):
            raise SchemaError(at, "the name of an enum value must be a string")
        if problem := names.name_problem(long["name"], enum_value=True):
            raise SchemaError(at, f"enum value: {problem}")
        stem = names.split_prefix(long["name"])[1]
        if not exempt and (stem != stem.lower() or "_" in stem):
            raise SchemaError(at, f"enum value '{long['name']}' must be lower case and use '-' instead of '_'")
        data[index] = long


def _check_enum(value: Object, name: str, where: Where, expression: Expression) -> None:
    _check_type_name(name, where)
    if not isinstance(value.get("prefix", ""), str):
        raise SchemaError(where.at(value.lines["prefix"]), "'prefix' must be a string")
    enum_values(value["data"], where.at(value.lines["data"]), _exempt(expression, name))


def _check_struct(value: Object, name: str, where: Where, expression: Expression) -> None:
    _check_type_name(name, where)
    if not isinstance(value.get("base", ""), str):
        raise SchemaError(where.at(value.lines["base"]), "'base' must name a struct")
    _check_members(value["data"], where.at(value.lines["data"]), "'data'", _exempt(expression, name))


def _check_union(value: Object, name: str, where: Where, expression: Expression) -> None:
    _check_type_name(name, where)
    if not isinstance(value["base"], str):
        _check_members(value["base"], where.at(value.lines["base"]), "'base'", _exempt(expression, name))
    if not isinstance(value["discriminator"], str):
        raise SchemaError(where.at(value.lines["discriminator"]), "'discriminator' must name a member")
    union_branches(value["data"], where.at(value.lines["data"]), "branch", arrays=False)
    if not value["data"] and "extensible" not in value:
        raise SchemaError(where, "a union must have a branch, unless it is extensible")


def union_branches(data: Any, where: Where, what: str, arrays: bool) -> None:
    if not isinstance(data, Object):
        raise SchemaError(where, "'data' must be an object")
    for key in data:
        at = where.at(data.lines[key])
        if problem := names.name_problem(key, enum_value=what == "branch"):
            raise SchemaError(at, f"{what}: {problem}")
        data[key] = _long_form(data[key], "type", at, f"{what} '{key}'", ["if"])
        _check_type_ref(data[key]["type"], at, f"type of {what} '{key}'", arrays)


def _check_alternate(value: Object, name: str, where: Where, _: Expression) -> None:
    _check_type_name(name, where)
    union_branches(value["data"], where.at(value.lines["data"]), "alternative", arrays=True)
    if not value["data"]:
        raise SchemaError(where, "an alternate must have an alternative")


def _check_arguments(value: Object, name: str, where: Where, expression: Expression) -> None:
    data = value.get("data")
    if isinstance(data, Array):
        raise SchemaError(where.at(value.lines["data"]), "'data' must not be an array")
    if "boxed" in value and not isinstance(data, str):
        raise SchemaError(where.at(value.lines["boxed"]), "'boxed' needs 'data' that names a type")
    if data is not None and not isinstance(data, str):
        _check_members(data, where.at(value.lines["data"]), "'data'", _exempt(expression, name))


def _check_command(value: Object, name: str, where: Where, expression: Expression) -> None:
    if problem := names.name_problem(name):
        raise SchemaError(where, problem)
    stem = names.split_prefix(name)[1]
    if name not in expression.pragma.command_name_exceptions:
        if stem != stem.lower():
            raise SchemaError(where, "command names are lower case")
        if "_" in stem:
            raise SchemaError(where, "command names use '-' instead of '_'")
    _check_arguments(value, name, where, expression)
    if "returns" in value:
        _check_type_ref(value["returns"], where.at(value.lines["returns"]), "'returns'")
    if "coroutine" in value and "allow-oob" in value:
        raise SchemaError(where, "'allow-oob' and 'coroutine' exclude each other")


def _check_event(value: Object, name: str, where: Where, expression: Expression) -> None:
    if problem := names.name_problem(name):
        raise SchemaError(where, problem)
    stem = names.split_prefix(name)[1]
    if stem != stem.upper() or "-" in stem:
        raise SchemaError(where, "event names are upper case and use '_' instead of '-'")
    _check_arguments(value, name, where, expression)


def _check_fragment(value: Object, name: str, where: Where, _: Expression) -> None:
    if problem := names.name_problem(name):
        raise SchemaError(where, problem)
    if not names.is_option(names.split_prefix(name)[1]):
        raise SchemaError(where, "a fragment's name is lower case, words separated by '-'")
    if name == "base":
        raise SchemaError(where, "the name 'base' is the host's own")
    rank = value.get("rank", 0)
    if not isinstance(rank, int) or isinstance(rank, bool) or not 0 < value.get("rank", 1) < RANK_LIMIT:
        raise SchemaError(where.at(value.lines["rank"]), "'rank' must be a positive integer")
    provides = value.get("provides", [])
    if not isinstance(provides, Array if "provides" in value else list):
        raise SchemaError(where.at(value.lines["provides"]), "'provides' must be a list of condition symbols")
    for symbol in provides:
        if not isinstance(symbol, str) or not names.is_condition(symbol):
            raise SchemaError(where.at(value.lines["provides"]), f"'{symbol}' is not a condition symbol")


def _check_extend(value: Object, _: str, where: Where, expression: Expression) -> None:
    data, at = value["data"], where.at(value.lines["data"])
    if isinstance(data, Array):
        enum_values(data, at, _exempt(expression, value["extend"]))
    else:
        union_branches(data, at, "branch", arrays=False)
    if not data:
        raise SchemaError(at, "'data' is empty")


def _check_option(value: Object, name: str, where: Where, _: Expression) -> None:
    if not names.is_option(name):
        raise SchemaError(where, "an option's name is lower case, words separated by '-', without leading '--'")
    for key in ("data", "implied-key", "metavar"):
        if not isinstance(value.get(key, ""), str):
            raise SchemaError(where.at(value.lines[key]), f"'{key}' must be a string")
