# SPDX-License-Identifier: Apache-2.0
"""The reference manual in Markdown, from the documentation comments."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterable, List, Optional

from . import rules
from .docs import Doc, Section
from .model import (AlternateType, ArrayType, Command, Condition, EnumType, Event, Extension, Feature, Member, Model,
                    Option, StructType, Type, UnionType)


class Manual:
    def __init__(self, model: Model):
        self._known = set(model.types) | set(model.commands) | set(model.events)
        self._own = set(model.own(model.types)) | set(model.own(model.commands)) | set(model.own(model.events))
        self._model = model

    def text(self) -> str:
        out: List[str] = []
        for item in self._model.order:
            out += self._free(item) if isinstance(item, Doc) else self._definition(item)
        return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip() + "\n"

    def _free(self, doc: Doc) -> List[str]:
        out = [f"{'#' * doc.heading_level} {doc.heading}", ""] if doc.heading else []
        for section in doc.sections:
            out += self._paragraphs(section.trimmed()) + [""]
        return out

    # Text.

    def _inline(self, line: str) -> str:
        """@name becomes code, and a link where this manual defines it."""
        def reference(match: "re.Match[str]") -> str:
            name = match.group(1)
            return f"[`{name}`](#{name})" if name in self._own else f"`{name}`"

        line = re.sub(r"(?<![\w`])@([A-Za-z_][A-Za-z0-9_-]*[A-Za-z0-9_]|[A-Za-z])", reference, line)
        return line.replace("``", "`")

    def _paragraphs(self, lines: List[str]) -> List[str]:
        """Ordinary text; an indented block after '::' is literal."""
        out: List[str] = []
        literal: Optional[List[str]] = None
        for line in lines:
            if literal is not None:
                if not line or line.startswith(" "):
                    literal.append(line)
                    continue
                out += _fence(literal) + [""]
                literal = None
            if line.endswith("::"):
                text = line[:-1] if line != "::" else ""
                out += [self._inline(text), ""] if text else []
                literal = []
                continue
            out.append(self._inline(line))
        return out + (_fence(literal) if literal else [])

    # Definitions.

    def _definition(self, made: Any) -> List[str]:
        doc: Optional[Doc] = made.doc
        if isinstance(made, Extension) and not doc:
            return []
        anchors = [f'<a id="{made.name}"></a>', ""] if hasattr(made, "name") else []
        out = anchors + [f"### {self._title(made)}", ""]
        if doc:
            out += self._sections(doc, ("text", "note", "warning", "admonition", "code-block"))
        out += self._members(made, doc)
        out += self._facts(made, doc)
        if doc:
            out += self._tagged(doc, "returns", "Returns") + self._tagged(doc, "errors", "Errors")
            out += self._sections(doc, ("qmp-example",))
            out += self._since(doc)
        return out

    def _title(self, made: Any) -> str:
        kind = {Command: "command", Event: "event", EnumType: "enum", StructType: "object", UnionType: "object",
                AlternateType: "alternate"}.get(type(made))
        if isinstance(made, Option):
            return f"`--{made.name}` (option)"
        if isinstance(made, Extension):
            return f"`{rules.made_name(made)}` (extended)"
        return f"`{made.name}` ({kind})"

    def _sections(self, doc: Doc, kinds: Iterable[str]) -> List[str]:
        out: List[str] = []
        for section in doc.sections:
            if section.kind not in kinds or not section.trimmed():
                continue
            if section.kind == "text":
                out += self._paragraphs(section.trimmed())
            elif section.kind in ("qmp-example", "code-block"):
                out += self._example(section)
            else:
                title = section.name if section.kind == "admonition" else "Note"
                out += [f"> **{title}:** {self._inline(' '.join(section.trimmed()))}"]
            out.append("")
        return out

    def _example(self, section: Section) -> List[str]:
        lines = section.trimmed()
        title = [line for line in lines if line.startswith(":title:")]
        body = lines[1:] if section.kind == "code-block" and lines[0] == section.lines[0] else lines
        heading = [f"{self._inline(title[0][len(':title:'):].strip())}:", ""] if title else []
        return heading + _fence([line for line in body if line not in title])

    def _tagged(self, doc: Doc, kind: str, title: str) -> List[str]:
        section = doc.one(kind)
        if not section:
            return []
        lines = [self._inline(line) for line in section.trimmed()]
        if lines and lines[0].startswith("- "):
            return [f"{title}:", ""] + lines + [""]
        return [f"{title}: " + " ".join(lines), ""]

    def _since(self, doc: Doc) -> List[str]:
        section = doc.one("since")
        return [f"Since {' '.join(section.trimmed())}.", ""] if section else []

    def _members(self, made: Any, doc: Optional[Doc]) -> List[str]:
        rows = self._rows(made)
        out: List[str] = []
        described = doc.members() if doc else {}
        if isinstance(made, StructType) and made.base:
            out.append(f"- the members of {self._type(made.base)}")
        if isinstance(made, UnionType) and made.base.implicit_for != made.name:
            out.append(f"- the members of {self._type(made.base)}")
        for name, facts in rows:
            section = described.get(name)
            text = self._inline(" ".join(section.trimmed())) if section else "not documented"
            out.append(f"- `{name}`{f' ({facts})' if facts else ''}: {text}")
        if isinstance(made, (Command, Event)) and made.arg and getattr(made.arg, "implicit_for", None) != made.name:
            out.append(f"- {'arguments' if isinstance(made, Command) else 'data'}: the members of {self._type(made.arg)}")
        if isinstance(made, Option):
            out.append(f"- value: the members of {self._type(made.type)}, as `--{made.name} {made.metavar or '...'}`")
        out += self._branches(made)
        return out + [""] if out else []

    def _branches(self, made: Any) -> List[str]:
        if isinstance(made, UnionType):
            tag = made.discriminator
            out = [f"- when `{tag}` is `{b.name}`{_condition(b.cond)}: the members of {self._type(b.type)}" for b in made.branches]
            return out + (["- for each value of its own, the members that a plugin adds"] if made.extensible else [])
        return []

    def _rows(self, made: Any) -> List[tuple]:
        """(name, facts) of what the documentation describes member by member."""
        if isinstance(made, (EnumType, Extension)):
            return [(v.name, _extra(v.cond, v.features)) for v in made.values]
        if isinstance(made, AlternateType):
            return [(b.name, self._type(b.type) + _condition(b.cond)) for b in made.alternatives]
        owner = made.base if isinstance(made, UnionType) else made if isinstance(made, StructType) else getattr(made, "arg", None)
        if not isinstance(owner, StructType) or (owner is not made and owner.implicit_for != made.name):
            return []
        return [(m.name, self._member(m)) for m in owner.own_members]

    def _member(self, member: Member) -> str:
        facts = [self._type(member.type)]
        if member.optional:
            facts.append("optional" if member.default is None else f"default `{json.dumps(member.default)}`")
        extra = _extra(member.cond, member.features)
        return ", ".join(facts + ([extra] if extra else []))

    def _type(self, made: Type) -> str:
        if isinstance(made, ArrayType):
            return f"array of {self._type(made.element)}"
        return f"[`{made.name}`](#{made.name})" if made.name in self._own else f"`{made.name}`"

    def _facts(self, made: Any, doc: Optional[Doc]) -> List[str]:
        out = []
        if made.cond:
            out += [f"Present if {_words(made.cond)}.", ""]
        described: Dict[str, Section] = doc.features() if doc else {}
        for name, section in described.items():
            out += [f"Feature `{name}`: {self._inline(' '.join(section.trimmed()))}", ""]
        if isinstance(made, Command) and made.ret and not (doc and doc.one("returns")):
            out += [f"Returns: {self._type(made.ret)}", ""]
        elif isinstance(made, Command) and made.ret:
            out += [f"Result type: {self._type(made.ret)}", ""]
        return out


def _fence(lines: List[str]) -> List[str]:
    while lines and not lines[0]:
        lines = lines[1:]
    while lines and not lines[-1]:
        lines = lines[:-1]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return ["```"] + [line[margin:] for line in lines] + ["```"]


def _words(cond: Condition) -> str:
    if isinstance(cond, dict):
        key, operand = next(iter(cond.items()))
        if key == "not":
            return f"not {_words(operand)}"
        return "(" + (" and " if key == "all" else " or ").join(_words(item) for item in operand) + ")"
    return f"`{cond}`"


def _condition(cond: Condition) -> str:
    return f" (if {_words(cond)})" if cond else ""


def _extra(cond: Condition, features: List[Feature]) -> str:
    return ", ".join(([f"if {_words(cond)}"] if cond else []) + [feature.name for feature in features])


def text(model: Model) -> str:
    return Manual(model).text()
