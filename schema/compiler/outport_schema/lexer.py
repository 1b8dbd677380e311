# SPDX-License-Identifier: Apache-2.0
"""Text of a schema file into tokens. Documentation comments are tokens of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator, List

from .source import SchemaError, Where

PUNCTUATION = "{}[]:,"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Token:
    kind: str  # one of PUNCTUATION, "string", "bool", "number", "doc", "end"
    value: Any
    line: int

    def describe(self) -> str:
        if self.kind == "end":
            return "end of file"
        if self.kind == "doc":
            return "documentation comment"
        if self.kind == "string":
            return f"string '{self.value}'"
        if self.kind == "bool":
            return "true" if self.value else "false"
        return f"'{self.value}'"


class Lexer:
    def __init__(self, text: str, where: Where):
        self._text = text
        self._where = where
        self._pos = 0
        self._line = 1

    def tokens(self) -> Iterator[Token]:
        while True:
            self._skip_blank()
            if self._pos >= len(self._text):
                yield Token("end", None, self._line)
                return
            char = self._text[self._pos]
            if char == "#":
                if self._line_text().rstrip() == "##" and self._at_line_start():
                    yield self._doc()
                else:
                    self._skip_comment()
            elif char in PUNCTUATION:
                self._pos += 1
                yield Token(char, char, self._line)
            elif char == "'":
                yield self._string()
            else:
                yield self._word_or_number(char)

    def _fail(self, text: str) -> SchemaError:
        return SchemaError(self._where.at(self._line), text)

    def _skip_blank(self) -> None:
        while self._pos < len(self._text) and self._text[self._pos] in " \n\r":
            if self._text[self._pos] == "\n":
                self._line += 1
            self._pos += 1
        if self._pos < len(self._text) and self._text[self._pos] == "\t":
            raise self._fail("tab character, use spaces")

    def _line_text(self) -> str:
        end = self._text.find("\n", self._pos)
        return self._text[self._pos:] if end < 0 else self._text[self._pos:end]

    def _at_line_start(self) -> bool:
        return self._pos == 0 or self._text[self._pos - 1] == "\n"

    def _skip_comment(self) -> None:
        line = self._line_text()
        if line.startswith("##") and line.rstrip() != "##" and self._at_line_start():
            raise self._fail("junk after '##' at start of documentation comment")
        self._pos += len(line)

    def _doc(self) -> Token:
        """The lines between two lines of '##', without their '#'."""
        start = self._line
        lines: List[str] = []
        while True:
            self._pos += len(self._line_text()) + 1
            self._line += 1
            if self._pos >= len(self._text):
                raise self._fail("documentation comment has no end ('##')")
            line = self._line_text().rstrip()
            if line == "##":
                self._pos += len(self._line_text())
                return Token("doc", lines, start)
            if line.startswith("##"):
                raise self._fail("junk after '##' at end of documentation comment")
            if not line.startswith("#"):
                raise self._fail("documentation comment must end with '##'")
            if line != "#" and not line.startswith("# "):
                raise self._fail("missing space after '#' in documentation comment")
            lines.append(line[2:])

    def _string(self) -> Token:
        out = []
        self._pos += 1
        while True:
            char = self._text[self._pos] if self._pos < len(self._text) else "\n"
            if char == "\n":
                raise self._fail("string has no end (')")
            self._pos += 1
            if char == "'":
                return Token("string", "".join(out), self._line)
            if char == "\\":
                if self._text[self._pos:self._pos + 1] != "\\":
                    raise self._fail("only '\\\\' may follow a backslash in a string")
                self._pos += 1
            elif not 32 <= ord(char) < 127:
                raise self._fail("strings may contain printable ASCII only")
            out.append(char)

    def _word_or_number(self, char: str) -> Token:
        number = _NUMBER.match(self._text, self._pos)
        if number:
            self._pos = number.end()
            text = number.group()
            return Token("number", float(text) if "." in text else int(text), self._line)
        word = _WORD.match(self._text, self._pos)
        if word and word.group() in ("true", "false"):
            self._pos = word.end()
            return Token("bool", word.group() == "true", self._line)
        if char == '"':
            raise self._fail("strings are written in single quotes")
        raise self._fail(f"stray '{word.group() if word else char}'")
