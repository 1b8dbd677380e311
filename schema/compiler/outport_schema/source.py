# SPDX-License-Identifier: Apache-2.0
"""Places in schema files, and the one error that names them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional


@dataclass(frozen=True)
class Where:
    """A line of a file, the definition that it belongs to, and the include chain above the file."""

    file: str
    line: int = 0
    parent: Optional["Where"] = None
    definition: str = ""

    def at(self, line: Optional[int]) -> "Where":
        return self if not line else replace(self, line=line)

    def within(self, definition: str) -> "Where":
        return replace(self, definition=definition)

    def chain(self) -> str:
        lines = []
        outer = self.parent
        while outer:
            lines.append(f"In file included from {outer.file}:{outer.line}:")
            outer = outer.parent
        return "".join(f"{line}\n" for line in reversed(lines))

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class SchemaError(Exception):
    """Something in a schema is wrong. str() is the whole text for the person who wrote it."""

    def __init__(self, where: Where, text: str):
        super().__init__(text)
        self.where = where
        self.text = text

    def __str__(self) -> str:
        context = f"In {self.where.definition}: " if self.where.definition else ""
        return f"{self.where.chain()}{self.where}: {context}{self.text}"
