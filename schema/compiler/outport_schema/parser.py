# SPDX-License-Identifier: Apache-2.0
"""Tokens into expressions: nested dicts and lists that know the lines they came from.

Takes care of the directives that reach across files: include, import and pragma.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Set

from .docs import Doc
from .lexer import Lexer, Token
from .source import SchemaError, Where


_DEPTH_LIMIT = 64  # of braces and brackets in one expression


class Object(dict):
    """A JSON object with the line of each key (and of itself)."""

    def __init__(self, line: int):
        super().__init__()
        self.line = line
        self.lines: Dict[str, int] = {}


class Array(list):
    def __init__(self, line: int):
        super().__init__()
        self.line = line
        self.lines: List[int] = []


@dataclass
class Pragma:
    """What the pragma directives of one schema (a file, and what it includes) say."""

    doc_required: bool = False
    command_name_exceptions: Set[str] = field(default_factory=set)
    command_returns_exceptions: Set[str] = field(default_factory=set)
    documentation_exceptions: Set[str] = field(default_factory=set)
    member_name_exceptions: Set[str] = field(default_factory=set)


@dataclass
class Expression:
    """One top-level definition, with its documentation comment if it has one."""

    value: Object
    where: Where
    doc: Optional[Doc]
    pragma: Pragma
    imported: bool


class Schema:
    """All expressions of a file and of everything that it includes and imports, in order."""

    def __init__(self, path: str, import_dirs: List[str]):
        self.expressions: List[Expression] = []
        self.free_docs: List[Doc] = []
        self.order: List[object] = []  # expressions and free-form docs, as they come in the text
        self._import_dirs = import_dirs
        self._seen: Set[str] = set()
        self._reading: List[str] = []
        self.imports: List[str] = []
        self.read(path, None, Pragma(), imported=False)

    def read(self, path: str, parent: Optional[Where], pragma: Pragma, imported: bool) -> None:
        real = os.path.realpath(path)
        if real in self._reading:
            assert parent
            raise SchemaError(parent, f"'{path}' includes itself")
        if real in self._seen:
            return
        self._seen.add(real)
        try:
            with open(path, "rb") as stream:
                data = stream.read()
            text = data.decode("ascii")
        except OSError as error:
            raise SchemaError(parent or Where(path), f"can't read '{path}': {error.strerror}") from error
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise SchemaError(Where(path, line, parent), "schema files are ASCII") from error
        self._reading.append(real)
        _FileParser(self, path, text, Where(path, parent=parent), pragma, imported).run()
        self._reading.pop()

    def files(self) -> Set[str]:
        return self._seen

    def find_import(self, name: str, beside: str, where: Where) -> str:
        for folder in [os.path.dirname(beside)] + self._import_dirs:
            candidate = os.path.join(folder, name)
            if os.path.exists(candidate):
                return candidate
        raise SchemaError(where, f"can't find '{name}' to import")


class _FileParser:
    def __init__(self, schema: Schema, path: str, text: str, where: Where, pragma: Pragma, imported: bool):
        self._schema = schema
        self._path = path
        self._where = where
        self._pragma = pragma
        self._imported = imported
        self._tokens = Lexer(text, where).tokens()
        self._token: Token = next(self._tokens)
        self._doc: Optional[Doc] = None
        self._depth = 0

    def run(self) -> None:
        while self._token.kind != "end":
            if self._token.kind == "doc":
                self._drop_doc()
                self._take_doc()
            else:
                self._top_level()
        self._drop_doc()

    def _next(self) -> Token:
        token, self._token = self._token, next(self._tokens, self._token)
        return token

    def _expect(self, kind: str, what: str) -> Token:
        if self._token.kind != kind:
            raise SchemaError(self._where.at(self._token.line), f"expected {what}, found {self._token.describe()}")
        return self._next()

    # Documentation comments wait for the definition that follows.

    def _take_doc(self) -> None:
        token = self._next()
        doc = Doc(token.value, self._where.at(token.line))
        if doc.symbol:
            self._doc = doc
            return
        if not self._imported:
            self._schema.free_docs.append(doc)
            self._schema.order.append(doc)

    def _drop_doc(self) -> None:
        if self._doc:
            raise SchemaError(self._doc.where, f"documentation of '{self._doc.symbol}' is not followed by its definition")

    # Expressions.

    def _top_level(self) -> None:
        if self._token.kind != "{":
            raise SchemaError(self._where.at(self._token.line), f"expected '{{', found {self._token.describe()}")
        value = self._object()
        where = self._where.at(value.line)
        directive = next((k for k in ("include", "import", "pragma") if k in value), None)
        if directive:
            self._drop_doc()
            self._directive(directive, value, where)
            return
        expression = Expression(value, where, self._doc, self._pragma, self._imported)
        self._doc = None
        self._schema.expressions.append(expression)
        self._schema.order.append(expression)

    def _directive(self, kind: str, value: Object, where: Where) -> None:
        if len(value) != 1:
            raise SchemaError(where, f"directive '{kind}' stands alone in its object")
        argument = value[kind]
        if kind == "pragma":
            self._apply_pragma(argument, where)
            return
        if not isinstance(argument, str):
            raise SchemaError(where, f"value of '{kind}' must be a string")
        if kind == "include":
            path = os.path.join(os.path.dirname(self._path), argument)
            self._schema.read(path, where, self._pragma, self._imported)
        else:
            path = self._schema.find_import(argument, self._path, where)
            self._schema.imports.append(argument)
            self._schema.read(path, where, Pragma(), imported=True)

    def _apply_pragma(self, argument: Any, where: Where) -> None:
        if not isinstance(argument, Object):
            raise SchemaError(where, "value of 'pragma' must be an object")
        for name, value in argument.items():
            at = where.at(argument.lines[name])
            attribute = name.replace("-", "_")
            if "_" in name or not hasattr(self._pragma, attribute):
                raise SchemaError(at, f"unknown pragma '{name}'")
            if attribute == "doc_required":
                if not isinstance(value, bool):
                    raise SchemaError(at, f"pragma '{name}' must be true or false")
                self._pragma.doc_required = value
                continue
            if not isinstance(value, Array) or not all(isinstance(item, str) for item in value):
                raise SchemaError(at, f"pragma '{name}' must be a list of strings")
            getattr(self._pragma, attribute).update(value)

    def _value(self) -> Any:
        token = self._token
        if token.kind in "{[" and self._depth >= _DEPTH_LIMIT:
            raise SchemaError(self._where.at(token.line), "nested too deep")
        if token.kind == "{":
            return self._object()
        if token.kind == "[":
            return self._array()
        if token.kind in ("string", "bool", "number"):
            return self._next().value
        raise SchemaError(self._where.at(token.line), f"expected a value, found {token.describe()}")

    def _object(self) -> Object:
        self._depth += 1
        out = self._members(Object(self._next().line))
        self._depth -= 1
        return out

    def _members(self, out: Object) -> Object:
        if self._token.kind == "}":
            self._next()
            return out
        while True:
            key = self._expect("string", "string or '}'" if not out else "string")
            if key.value in out:
                raise SchemaError(self._where.at(key.line), f"key '{key.value}' is there twice")
            self._expect(":", "':'")
            out[key.value] = self._value()
            out.lines[key.value] = key.line
            if self._token.kind == "}":
                self._next()
                return out
            self._expect(",", "',' or '}'")

    def _array(self) -> Array:
        self._depth += 1
        out = self._elements(Array(self._next().line))
        self._depth -= 1
        return out

    def _elements(self, out: Array) -> Array:
        if self._token.kind == "]":
            self._next()
            return out
        while True:
            out.lines.append(self._token.line)
            out.append(self._value())
            if self._token.kind == "]":
                self._next()
                return out
            self._expect(",", "',' or ']'")
