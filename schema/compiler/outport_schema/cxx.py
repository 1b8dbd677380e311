# SPDX-License-Identifier: Apache-2.0
"""C++ types over values that the host has validated: a header and a source file."""

from __future__ import annotations

from typing import List

from . import layout, names
from .cxx_support import SUPPORT
from .model import AlternateType, ArrayType, Builtin, EnumType, Member, Model, StructType, Type, UnionType, UserType

_BUILTIN = {"str": "std::string", "number": "double", "bool": "bool", "null": "std::nullptr_t",
            "any": "const outport_value*"} | layout.INTEGERS
_API = "const outport_values_api* api"
_READ = f"[[nodiscard]] bool read({_API}, const outport_value* value, {{}}& out)"
_WRITE = f"void write({_API}, outport_writer* writer, const {{}}& value)"
_KINDS = {"boolean": "BOOL", "string": "STRING", "array": "ARRAY", "object": "OBJECT", "null": "NULL"}


class Generator:
    def __init__(self, model: Model, namespace: str):
        self._namespace = namespace
        self._names = layout.type_names(model)
        self._order = layout.Order(layout.wanted_types(model))
        self._types = [made for made in self._order.sorted if not (isinstance(made, EnumType) and made.extensible)]
        self._written = layout.roles(model)["write"]
        self._fragment = model.fragment

    def name(self, made: Type) -> str:
        return self._names[made.name]

    def spell(self, made: Type) -> str:
        """The C++ type of a value."""
        if isinstance(made, Builtin):
            return _BUILTIN[made.name]
        if isinstance(made, ArrayType):
            return f"std::vector<{self.spell(made.element)}>"
        if isinstance(made, EnumType) and made.extensible:
            return "std::string"
        return self.name(made)

    def held(self, container: UserType, made: Type) -> str:
        if (container.name, made.name) in self._order.boxed:
            return f"std::shared_ptr<const {self.name(made)}>"
        return self.spell(made)

    def field(self, container: UserType, member: Member) -> str:
        spelled = self.held(container, member.type)
        boxed = spelled.startswith("std::shared_ptr")
        if layout.maybe_absent(member) and not boxed:
            return f"std::optional<{spelled}> {names.identifier(member.name)};"
        return f"{spelled} {names.identifier(member.name)}{self._initial(member, spelled)};"

    def _initial(self, member: Member, spelled: str) -> str:
        made, value = member.type, member.default
        if isinstance(made, EnumType) and not made.extensible:
            return f" = {self.name(made)}::{names.identifier(value)}" if value is not None else " = {}"
        if spelled in ("std::string",):
            return f" = {quoted(value)}" if value else ""
        if isinstance(made, Builtin):
            if value is None:
                return " = {}"
            return " = " + literal(made, value)
        return ""

    # The header.

    def header(self) -> str:
        out = [f"// Made by the schema compiler from '{self._fragment}'. Do not edit.",
               "// Values of the schema's types. Thread-safe as any value is: a function touches its arguments only.",
               "#pragma once", "",
               "#include <cstddef>", "#include <cstdint>", "#include <memory>", "#include <optional>",
               "#include <string>", "#include <string_view>", "#include <variant>", "#include <vector>", "",
               "#include <outport/values.h>", "", f"namespace {self._namespace} {{", ""]
        out += [f"struct {self.name(made)};" for made in self._types if not isinstance(made, EnumType)] + [""]
        for made in self._types:
            out += self._declare(made) + [""]
        out += ["// read() is false when the value is not one of the type; that can't be for what the host has",
                "// validated. write() writes one value to the writer's place."]
        for made in self._types:
            spelled = self.name(made)
            out.append(_READ.format(spelled) + ";")
            if made.name in self._written:
                out.append(_WRITE.format(spelled) + ";")
        return "\n".join(out + ["", f"}} // namespace {self._namespace}", ""])

    def _declare(self, made: UserType) -> List[str]:
        summary = made.doc.summary() if made.doc else ""
        out = [f"// {made.name}: {summary}" if summary else f"// {made.name}"]
        spelled = self.name(made)
        if isinstance(made, EnumType):
            values = ", ".join(identifier for _, identifier in layout.enum_constants(made))
            return out + [f"enum class {spelled} : uint32_t {{ {values} }};",
                          f"std::string_view to_string({spelled} value);",
                          f"[[nodiscard]] bool from_string(std::string_view text, {spelled}& out);"]
        out.append(f"struct {spelled} {{")
        if isinstance(made, AlternateType):
            out.append(f"    std::variant<{self._alternatives(made)}> value;")
            return out + ["};"]
        out += [f"    {self.field(made, member)}" for member in layout.members(made)]
        if isinstance(made, UnionType) and made.extensible:
            out.append("    // A branch's members are beside these: read the same value as the type of the branch.")
        elif isinstance(made, UnionType):
            branches = ", ".join(["std::monostate"] + [self.held(made, b) for b in layout.branch_types(made)])
            out.append(f"    std::variant<{branches}> u; // goes by {names.identifier(made.discriminator)}")
        return out + ["};"]

    def _alternatives(self, made: AlternateType) -> str:
        return ", ".join(self.held(made, branch.type) for branch in made.alternatives)

    # The source.

    def source(self, header_name: str) -> str:
        out = [f"// Made by the schema compiler from '{self._fragment}'. Do not edit.",
               f'#include "{header_name}"', "", "#include <concepts>", "#include <utility>", "",
               f"namespace {self._namespace} {{", "namespace {", ""]
        for made in self._types:
            if made.name in self._written and isinstance(made, (StructType, UnionType)):
                out.append(f"void put_members({_API}, outport_writer* writer, const {self.name(made)}& value);")
        out += [SUPPORT, "} // namespace", ""]
        for made in self._types:
            out += self._define(made)
        return "\n".join(out + [f"}} // namespace {self._namespace}", ""])

    def _define(self, made: UserType) -> List[str]:
        if isinstance(made, EnumType):
            return self._define_enum(made)
        if isinstance(made, AlternateType):
            return self._read_alternate(made) + self._write_alternate(made)
        return self._read_object(made) + self._write_object(made)

    def _define_enum(self, made: EnumType) -> List[str]:
        spelled, constants = self.name(made), layout.enum_constants(made)
        out = [f"std::string_view to_string({spelled} value) {{", "    switch (value) {"]
        out += [f'    case {spelled}::{identifier}: return "{word}";' for word, identifier in constants]
        out += ["    }", "    return {};", "}", "",
                f"bool from_string([[maybe_unused]] std::string_view text, [[maybe_unused]] {spelled}& out) {{"]
        out += [f'    if (text == "{word}") return out = {spelled}::{identifier}, true;' for word, identifier in constants]
        out += ["    return false;", "}", "",
                f"bool read({_API}, const outport_value* value, {spelled}& out) {{",
                "    std::string_view text;", "    return get_text(api, value, text) && from_string(text, out);", "}", ""]
        if made.name in self._written:
            out += [_WRITE.format(spelled) + " { put_text(api, writer, to_string(value)); }", ""]
        return out

    def _read_object(self, made: UserType) -> List[str]:
        out = [f"bool read({_API}, const outport_value* value, {self.name(made)}& out) {{",
               "    out = {};", "    if (!is_object(api, value)) return false;"]
        for member in layout.members(made):
            how = "get_maybe" if member.optional or member.cond else "get"
            out.append(f'    if (!{how}(api, value, "{member.name}", out.{names.identifier(member.name)})) return false;')
        if isinstance(made, UnionType) and not made.extensible:
            return out + self._read_branches(made)
        return out + ["    return true;", "}", ""]

    def _read_branches(self, made: UnionType) -> List[str]:
        enum = made.tag().type
        assert isinstance(enum, EnumType)
        out = [f"    switch (out.{names.identifier(made.discriminator)}) {{"] if not enum.extensible else []
        tag = f"out.{names.identifier(made.discriminator)}"
        for branch in made.branches:
            held = self.held(made, branch.type)
            call = "read_boxed" if held.startswith("std::shared_ptr") else "read"
            action = f"return {call}(api, value, out.u.emplace<{held}>());"
            if enum.extensible:
                out.append(f'    if ({tag} == "{branch.name}") {action}')
            else:
                out.append(f"    case {self.name(enum)}::{names.identifier(branch.name)}: {action}")
        if not enum.extensible:
            named = {branch.name for branch in made.branches}
            out += [f"    case {self.name(enum)}::{names.identifier(v.name)}: break;" for v in enum.values
                    if v.name not in named] + ["    }"]
        return out + ["    out.u = std::monostate{};", "    return true;", "}", ""]

    def _write_object(self, made: UserType) -> List[str]:
        if made.name not in self._written:
            return []
        spelled = self.name(made)
        out = ["namespace {", f"void put_members([[maybe_unused]] {_API}, [[maybe_unused]] outport_writer* writer,",
               f"                 [[maybe_unused]] const {spelled}& value) {{"]
        for member in layout.members(made):
            out.append(f'    put(api, writer, "{member.name}", value.{names.identifier(member.name)});')
        if isinstance(made, UnionType) and not made.extensible:
            out.append("    std::visit([&](const auto& branch) { put_branch(api, writer, branch); }, value.u);")
        return out + ["}", "} // namespace", "", _WRITE.format(spelled) + " {",
                      "    api->begin_object(writer);", "    put_members(api, writer, value);",
                      "    api->end(writer);", "}", ""]

    def _read_alternate(self, made: AlternateType) -> List[str]:
        out = [f"bool read({_API}, const outport_value* value, {self.name(made)}& out) {{",
               "    if (!value) return false;", "    switch (api->kind(value)) {"]
        for branch in made.alternatives:
            kind = branch.type.json_kind()
            labels = ["INT", "UINT"] + (["NUMBER"] if branch.type.name == "number" else []) if kind == "number" else [_KINDS[kind]]
            held = self.held(made, branch.type)
            call = "read_boxed" if held.startswith("std::shared_ptr") else "read"
            out += [f"    case OUTPORT_VALUE_{label}:" for label in labels]
            out.append(f"        return {call}(api, value, out.value.emplace<{held}>());")
        return out + ["    default: return false;", "    }", "}", ""]

    def _write_alternate(self, made: AlternateType) -> List[str]:
        if made.name not in self._written:
            return []
        return [_WRITE.format(self.name(made)) + " {",
                "    std::visit([&](const auto& held) { write(api, writer, held); }, value.value);", "}", ""]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(made: Builtin, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if made.name == "number":
        return repr(float(value))  # type: ignore[arg-type]
    if value == -(1 << 63):
        return "INT64_MIN"
    assert isinstance(value, int)
    return f"UINT64_C({value})" if value > (1 << 63) - 1 else f"INT64_C({value})" if abs(value) >= 1 << 31 else str(value)


def header(model: Model, namespace: str) -> str:
    return Generator(model, namespace).header()


def source(model: Model, namespace: str, header_name: str) -> str:
    return Generator(model, namespace).source(header_name)
