# SPDX-License-Identifier: Apache-2.0
"""Documentation comments: lines into sections, and the check that they fit their definition."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Optional

from .source import SchemaError, Where

_SYMBOL = re.compile(r"@([^:\s]+):(.*)")
_TAG = re.compile(r"(Returns|Errors|Since|Notes?|TO[D]O|Examples?):(?:\s+(.*)|)$")
_HEADING = re.compile(r"(=+)\s+(.*)")
_DIRECTIVE = re.compile(r"\.\.\s+([a-z-]+)::(?:\s+(.*)|)$")
_DIRECTIVES = ("note", "warning", "admonition", "qmp-example", "code-block")
_VERSION = re.compile(r"[0-9]+\.[0-9]+(\.[0-9]+)?")


@dataclass
class Section:
    kind: str  # text, member, feature, returns, errors, since, note, todo, or a directive's name
    name: str
    line: int
    lines: List[str] = field(default_factory=list)

    def trimmed(self) -> List[str]:
        lines = list(self.lines)
        while lines and not lines[-1]:
            lines.pop()
        while lines and not lines[0]:
            lines.pop(0)
        return lines


class Doc:
    """One documentation comment: of a definition (symbol is set) or free-form text."""

    def __init__(self, lines: List[str], where: Where):
        self.where = where
        self.symbol: Optional[str] = None
        self.heading: Optional[str] = None
        self.heading_level = 0
        self.sections: List[Section] = []
        self._in_features = False
        body = list(enumerate(lines, where.line + 1))
        first = body[0][1] if body else ""
        if match := _SYMBOL.match(first):
            self._take_symbol(match)
        elif match := _HEADING.match(first):
            self.heading_level, self.heading = len(match.group(1)), match.group(2)
        else:
            body.insert(0, (where.line, ""))
        self._parse(body[1:])

    def members(self) -> Dict[str, Section]:
        return {s.name: s for s in self.sections if s.kind == "member"}

    def features(self) -> Dict[str, Section]:
        return {s.name: s for s in self.sections if s.kind == "feature"}

    def one(self, kind: str) -> Optional[Section]:
        return next((s for s in self.sections if s.kind == kind), None)

    def summary(self) -> str:
        """The first paragraph of the overview, on one line, without the markup of references."""
        for section in self.sections:
            if section.kind == "text" and section.trimmed():
                paragraph = "\n".join(section.trimmed()).split("\n\n")[0]
                return re.sub(r"@(?=[A-Za-z_])", "", " ".join(paragraph.split()))
        return ""

    def _fail(self, line: int, text: str) -> SchemaError:
        where = self.where.at(line)
        return SchemaError(where.within(f"documentation of '{self.symbol}'") if self.symbol else where, text)

    def _take_symbol(self, match: "re.Match[str]") -> None:
        if match.group(2).strip():
            raise self._fail(self.where.line + 1, "the line that names the definition must end with ':'")
        self.symbol = match.group(1)

    def _parse(self, body: List) -> None:
        current = Section("text", "", self.where.line + 1)
        self.sections.append(current)
        after_blank = True
        for line, text in body:
            if not text:
                current.lines.append("")
                after_blank = True
                continue
            started = self._start(line, text, after_blank, current) if self.symbol else None
            if started:
                current = started
                self.sections.append(current)
            else:
                current = self._continue(line, text, after_blank, current)
            after_blank = False
        self._check_text()

    def _start(self, line: int, text: str, after_blank: bool, current: Section) -> Optional[Section]:
        """A new section if this line begins one."""
        if text == "Features:":
            self._need_blank(line, "Features:", after_blank)
            self._in_features = True
            return Section("features", "", line)
        if match := _SYMBOL.match(text):
            return self._start_member(line, match)
        if match := _TAG.match(text):
            self._need_blank(line, match.group(1) + ":", after_blank)
            self._in_features = False
            return self._start_tag(line, match)
        if (match := _DIRECTIVE.match(text)) and current.kind != "features":
            if match.group(1) not in _DIRECTIVES:
                raise self._fail(line, f"unknown directive '.. {match.group(1)}::'")
            self._need_blank(line, f".. {match.group(1)}::", after_blank)
            kind, rest = match.group(1), match.group(2) or ""
            return Section(kind, rest, line) if kind == "admonition" else Section(kind, "", line, [rest])
        return None

    def _start_member(self, line: int, match: "re.Match[str]") -> Section:
        kind = "feature" if self._in_features else "member"
        name = match.group(1)
        if any(s.kind == kind and s.name == name for s in self.sections):
            raise self._fail(line, f"'@{name}:' is there twice")
        if match.group(2) and not match.group(2).startswith(" "):
            raise self._fail(line, f"a blank must follow '@{name}:'")
        return Section(kind, name, line, [match.group(2).strip()])

    def _start_tag(self, line: int, match: "re.Match[str]") -> Section:
        tag, rest = match.group(1), (match.group(2) or "").strip()
        if tag.startswith("Example"):
            raise self._fail(line, f"'{tag}:' is not used any more, write '.. qmp-example::'")
        kind = "note" if tag.startswith("Note") else tag.lower()
        if kind in ("returns", "errors", "since") and self.one(kind):
            raise self._fail(line, f"'{tag}:' is there twice")
        return Section(kind, tag, line, [rest])

    def _need_blank(self, line: int, what: str, after_blank: bool) -> None:
        if not after_blank:
            raise self._fail(line, f"a blank line must precede '{what}'")

    def _continue(self, line: int, text: str, after_blank: bool, current: Section) -> Section:
        indent = len(text) - len(text.lstrip())
        if current.kind == "features":
            raise self._fail(line, "'Features:' must be followed by '@NAME:' lines")
        need = {"text": 0}.get(current.kind, 3 if current.kind in _DIRECTIVES else 4)
        if indent >= need or not self.symbol:
            current.lines.append(text[need:] if self.symbol else text)
            return current
        if indent or not after_blank:
            raise self._fail(line, f"unexpected indentation (this text needs at least {need} spaces)")
        self._in_features = False
        section = Section("text", "", line, [text])
        self.sections.append(section)
        return section

    def _check_text(self) -> None:
        for section in self.sections:
            if section.kind in ("member", "feature") and not section.trimmed():
                raise self._fail(section.line, f"text is missing after '@{section.name}:'")
            if section.kind in ("returns", "errors", "since", "note") and not section.trimmed():
                raise self._fail(section.line, f"text is missing after '{section.name}:'")
            if section.kind == "since" and not _VERSION.fullmatch(" ".join(section.trimmed())):
                raise self._fail(section.line, "'Since:' must be followed by a version (X.Y or X.Y.Z)")
        heading = self.one("features")
        if heading and not self.features():
            raise self._fail(heading.line, "'Features:' must be followed by '@NAME:' lines")

    # The fit with the definition.

    def check(self, members: Iterable[str], features: Iterable[str], complete: bool, kind: str,
              has_return: bool) -> None:
        known, known_features = list(members), list(features)
        self._check_names(self.members(), known, "member", complete)
        self._check_names(self.features(), known_features, "feature", True)
        returns, errors = self.one("returns"), self.one("errors")
        if returns and kind != "command":
            raise self._fail(returns.line, "'Returns:' fits commands only")
        if returns and not has_return:
            raise self._fail(returns.line, "'Returns:', but the command returns nothing")
        if errors and kind != "command":
            raise self._fail(errors.line, "'Errors:' fits commands only")

    def _check_names(self, have: Dict[str, Section], known: List[str], what: str, complete: bool) -> None:
        for name, section in have.items():
            if name not in known:
                raise self._fail(section.line, f"documented {what} '{name}' does not exist")
        missing = [name for name in known if name not in have]
        if missing and complete:
            raise self._fail(self.where.line + 1, f"{what} '{missing[0]}' is not documented")
