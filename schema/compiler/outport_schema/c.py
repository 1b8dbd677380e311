# SPDX-License-Identifier: Apache-2.0
"""C11 types over values that the host has validated: a header and a source file.

Nothing is allocated: strings and arrays are borrowed from the tree, and what would make a type contain itself
stays a value that is read when it is needed.
"""

from __future__ import annotations

from typing import List

from . import layout, names
from .cxx import literal, quoted
from .model import AlternateType, ArrayType, Builtin, EnumType, Member, Model, Type, UnionType, UserType

_BUILTIN = {"number": "double", "bool": "bool"} | layout.INTEGERS
_STRING = "struct outport_schema_string"
_VALUE = "const struct outport_value*"
_API = "const struct outport_values_api* api"
_KINDS = {"boolean": "BOOL", "string": "STRING", "array": "ARRAY", "object": "OBJECT", "null": "NULL"}

_SHARED = '''#ifndef OUTPORT_SCHEMA_STRING
#define OUTPORT_SCHEMA_STRING
/* Text that belongs to the tree; null when it is absent. */
struct outport_schema_string {
    const char* data;
    uint64_t length;
};
#endif
'''

_SUPPORT = '''
#define MAYBE_UNUSED __attribute__((unused))

typedef const struct outport_values_api* Api;
typedef const struct outport_value* Value;

static MAYBE_UNUSED Value find(Api api, Value object, const char* name) {
    return api->member(object, name, strlen(name));
}

static MAYBE_UNUSED bool has_kind(Api api, Value value, uint32_t kind) {
    return value && api->kind(value) == kind;
}

static MAYBE_UNUSED bool read_string(Api api, Value value, struct outport_schema_string* out) {
    if (!has_kind(api, value, OUTPORT_VALUE_STRING)) return false;
    out->data = api->get_string(value, &out->length);
    return true;
}

static MAYBE_UNUSED bool is_word(Api api, Value value, const char* word) {
    struct outport_schema_string text;
    return read_string(api, value, &text) && text.length == strlen(word) &&
           memcmp(text.data, word, text.length) == 0;
}

static MAYBE_UNUSED bool read_bool(Api api, Value value, bool* out) {
    if (!has_kind(api, value, OUTPORT_VALUE_BOOL)) return false;
    *out = api->get_bool(value) != 0;
    return true;
}

static MAYBE_UNUSED bool read_number(Api api, Value value, double* out) {
    if (!has_kind(api, value, OUTPORT_VALUE_NUMBER) && !has_kind(api, value, OUTPORT_VALUE_INT) &&
        !has_kind(api, value, OUTPORT_VALUE_UINT))
        return false;
    *out = api->get_number(value);
    return true;
}

static MAYBE_UNUSED bool read_int(Api api, Value value, int64_t low, int64_t high, int64_t* out) {
    if (!has_kind(api, value, OUTPORT_VALUE_INT)) return false;
    *out = api->get_int(value);
    return *out >= low && *out <= high;
}

static MAYBE_UNUSED bool read_uint(Api api, Value value, uint64_t high, uint64_t* out) {
    if (has_kind(api, value, OUTPORT_VALUE_INT) ? api->get_int(value) < 0
                                                : !has_kind(api, value, OUTPORT_VALUE_UINT))
        return false;
    *out = api->get_uint(value);
    return *out <= high;
}
'''


class Generator:
    def __init__(self, model: Model, prefix: str):
        self._prefix = prefix
        self._names = layout.type_names(model)
        self._order = layout.Order(layout.wanted_types(model))
        self._types = [made for made in self._order.sorted if not (isinstance(made, EnumType) and made.extensible)]
        self._fragment = model.fragment

    def name(self, made: Type) -> str:
        return self._prefix + self._names[made.name]

    def constant(self, made: Type, identifier: str) -> str:
        chosen = made.prefix if isinstance(made, EnumType) else None
        stem = chosen or names.upper_identifier(self._prefix + self._names[made.name])
        return f"{stem}_{identifier.strip('_').upper()}"

    def _by_value(self, container: UserType, made: Type) -> bool:
        """Whether the member is held as what it is; else as a value to be read later."""
        return not (isinstance(made, ArrayType) or made.name in ("any", "null")
                    or (container.name, made.name) in self._order.boxed)

    def spell(self, container: UserType, made: Type) -> str:
        if not self._by_value(container, made):
            return _VALUE
        if made.name == "str" or (isinstance(made, EnumType) and made.extensible):
            return _STRING
        if isinstance(made, Builtin):
            return _BUILTIN[made.name]
        return f"{'enum' if isinstance(made, EnumType) else 'struct'} {self.name(made)}"

    # The header.

    def header(self) -> str:
        out = [f"/* Made by the schema compiler from '{self._fragment}'. Do not edit. */", "#pragma once", "",
               "#include <stdbool.h>", "#include <stdint.h>", "", "#include <outport/values.h>", "",
               "#ifdef __cplusplus", 'extern "C" {', "#endif", "", _SHARED]
        for made in self._types:
            out += self._declare(made) + [""]
        out += ["/* False when the value is not one of the type, which can't be for what the host has validated. */"]
        for made in self._types:
            if isinstance(made, EnumType):
                out.append(f"const char* {self.name(made)}_str(enum {self.name(made)} value);")
            out.append(f"bool {self.name(made)}_read({_API}, {_VALUE} value, {self._spell_own(made)}* out);")
        return "\n".join(out + ["", "#ifdef __cplusplus", "}", "#endif", ""])

    def _spell_own(self, made: UserType) -> str:
        return f"{'enum' if isinstance(made, EnumType) else 'struct'} {self.name(made)}"

    def _declare(self, made: UserType) -> List[str]:
        summary = made.doc.summary() if made.doc else ""
        out = [f"/* {made.name}: {summary.replace('*/', '* /')} */" if summary else f"/* {made.name} */"]
        out.append(self._spell_own(made) + " {")
        if isinstance(made, EnumType):
            return out + [f"    {self.constant(made, identifier)}," for _, identifier in layout.enum_constants(made)] + ["};"]
        if isinstance(made, AlternateType):
            return out + self._declare_alternate(made) + ["};"]
        for member in layout.members(made):
            out += self._declare_member(made, member)
        if isinstance(made, UnionType) and made.extensible:
            out.append("    /* The members of a branch are beside these: read the same value as the type of the branch. */")
        elif isinstance(made, UnionType):
            out.append("    union {")
            out += [f"        {self.spell(made, b.type)} {names.identifier(b.name)};" for b in made.branches]
            out.append(f"    }} u; /* goes by {names.identifier(made.discriminator)} */")
        if len(out) == 2:
            out.append("    char unused;")
        return out + ["};"]

    def _declare_member(self, made: UserType, member: Member) -> List[str]:
        identifier = names.identifier(member.name)
        spelled = self.spell(made, member.type)
        if spelled == _VALUE:
            what = f"{member.type.doc_name}{', null when absent' if layout.maybe_absent(member) else ''}"
            return [f"    {spelled} {identifier}; /* {what} */"]
        present = [f"    bool has_{identifier};"] if layout.maybe_absent(member) else []
        return present + [f"    {spelled} {identifier};"]

    def _declare_alternate(self, made: AlternateType) -> List[str]:
        out = ["    uint32_t kind; /* OUTPORT_VALUE_…, UINT told as INT */", "    union {"]
        for branch in made.alternatives:
            out.append(f"        {self.spell(made, branch.type)} {names.identifier(branch.name)};")
        return out + ["    } u;"]

    # The source.

    def source(self, header_name: str) -> str:
        out = [f"/* Made by the schema compiler from '{self._fragment}'. Do not edit. */", f'#include "{header_name}"',
               "", "#include <string.h>", _SUPPORT]
        for made in self._types:
            out += self._define(made)
        return "\n".join(out)

    def _define(self, made: UserType) -> List[str]:
        head = f"bool {self.name(made)}_read({_API}, {_VALUE} value, {self._spell_own(made)}* out) {{"
        if isinstance(made, EnumType):
            return self._define_enum(made, head)
        out = [head, "    memset(out, 0, sizeof *out);"]
        if isinstance(made, AlternateType):
            return out + self._read_alternate(made)
        out.append("    if (!has_kind(api, value, OUTPORT_VALUE_OBJECT)) return false;")
        if layout.members(made):
            out.append(f"    Value item;")
        for member in layout.members(made):
            out += self._read_member(made, member)
        if isinstance(made, UnionType) and not made.extensible:
            out += self._read_branches(made)
        return out + ["    return true;", "}", ""]

    def _define_enum(self, made: EnumType, head: str) -> List[str]:
        constants = layout.enum_constants(made)
        out = [f"const char* {self.name(made)}_str(enum {self.name(made)} value) {{", "    switch (value) {"]
        out += [f'    case {self.constant(made, identifier)}: return "{word}";' for word, identifier in constants]
        out += ["    }", "    return NULL;", "}", "", head]
        out += [f'    if (is_word(api, value, "{word}")) return *out = {self.constant(made, identifier)}, true;'
                for word, identifier in constants]
        return out + ["    return false;", "}", ""]

    def _read_member(self, made: UserType, member: Member) -> List[str]:
        identifier = names.identifier(member.name)
        out = [f'    item = find(api, value, "{member.name}");']
        if not self._by_value(made, member.type):
            check = [] if layout.maybe_absent(member) else ["    if (!item) return false;"]
            return out + check + [f"    out->{identifier} = item;"]
        reading = self._read_into(member.type, "item", f"out->{identifier}")
        if not (member.optional or member.cond):
            return out + [f"    {line}" for line in reading]
        out += ["    if (item) {"] + [f"        {line}" for line in reading]
        if layout.maybe_absent(member):
            return out + [f"        out->has_{identifier} = true;", "    }"]
        return out + ["    } else {"] + [f"        {line}" for line in self._set_default(member, f"out->{identifier}")] + ["    }"]

    def _set_default(self, member: Member, target: str) -> List[str]:
        made, value = member.type, member.default
        if isinstance(made, EnumType) and not made.extensible:
            return [f"{target} = {self.constant(made, names.identifier(value))};"]
        if isinstance(value, str):
            return [f"{target}.data = {quoted(value)};", f"{target}.length = {len(value)};"]
        assert isinstance(made, Builtin)
        return [f"{target} = {literal(made, value)};"]

    def _read_into(self, made: Type, value: str, target: str) -> List[str]:
        def attempt(call: str) -> str:
            return f"if (!{call}) return false;"

        if made.name == "str" or (isinstance(made, EnumType) and made.extensible):
            return [attempt(f"read_string(api, {value}, &{target})")]
        if isinstance(made, UserType):
            return [attempt(f"{self.name(made)}_read(api, {value}, &{target})")]
        assert isinstance(made, Builtin)
        if made.name in ("bool", "number"):
            return [attempt(f"read_{made.name}(api, {value}, &{target})")]
        spelled = _BUILTIN[made.name]
        bound = spelled.upper().replace("_T", "")
        if spelled.startswith("u"):
            return ["{", f"    uint64_t wide;", "    " + attempt(f"read_uint(api, {value}, {bound}_MAX, &wide)"),
                    f"    {target} = ({spelled})wide;", "}"]
        return ["{", f"    int64_t wide;", "    " + attempt(f"read_int(api, {value}, {bound}_MIN, {bound}_MAX, &wide)"),
                f"    {target} = ({spelled})wide;", "}"]

    def _read_branches(self, made: UnionType) -> List[str]:
        tag, enum = f"out->{names.identifier(made.discriminator)}", made.tag().type
        assert isinstance(enum, EnumType)
        out: List[str] = []
        for branch in made.branches:
            target = f"out->u.{names.identifier(branch.name)}"
            if enum.extensible:
                condition = f'is_word(api, find(api, value, "{made.discriminator}"), "{branch.name}")'
            else:
                condition = f"{tag} == {self.constant(enum, names.identifier(branch.name))}"
            if self._by_value(made, branch.type):
                out.append(f"    if ({condition}) return {self.name(branch.type)}_read(api, value, &{target});")
            else:
                out.append(f"    if ({condition}) {target} = value;")
        return out

    def _read_alternate(self, made: AlternateType) -> List[str]:
        out = ["    if (!value) return false;", "    out->kind = api->kind(value);",
               "    if (out->kind == OUTPORT_VALUE_UINT) out->kind = OUTPORT_VALUE_INT;", "    switch (out->kind) {"]
        for branch in made.alternatives:
            kind, target = branch.type.json_kind(), f"out->u.{names.identifier(branch.name)}"
            labels = ["INT"] + (["NUMBER"] if branch.type.name == "number" else []) if kind == "number" else [_KINDS[kind]]
            out += [f"    case OUTPORT_VALUE_{label}:" for label in labels]
            if self._by_value(made, branch.type):
                out += [f"        {line}" for line in self._read_into(branch.type, "value", target)]
            else:
                out.append(f"        {target} = value;")
            out.append("        return true;")
        return out + ["    default: return false;", "    }", "}", ""]


def header(model: Model, prefix: str) -> str:
    return Generator(model, prefix).header()


def source(model: Model, prefix: str, header_name: str) -> str:
    return Generator(model, prefix).source(header_name)
