# SPDX-License-Identifier: Apache-2.0
"""What a schema is made of, once it has been read: plain objects that refer to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Union

from .docs import Doc
from .source import Where

Condition = Union[str, dict, None]


@dataclass
class Feature:
    name: str
    cond: Condition = None


@dataclass(eq=False)
class Type:
    name: str

    # What a value of the type is in JSON; the alternates' rule goes by it.
    def json_kind(self) -> str:
        raise NotImplementedError

    @property
    def doc_name(self) -> str:
        return self.name


@dataclass(eq=False)
class Builtin(Type):
    json_type: str
    minimum: Optional[int] = None
    maximum: Optional[int] = None

    def json_kind(self) -> str:
        return {"int": "number"}.get(self.json_type, self.json_type)


@dataclass(eq=False)
class ArrayType(Type):
    element: Type

    def json_kind(self) -> str:
        return "array"

    @property
    def doc_name(self) -> str:
        return f"array of {self.element.doc_name}"


@dataclass(eq=False)
class Definition:
    """Common to everything with a name of its own at top level."""

    where: Where = field(default_factory=lambda: Where("<built-in>"))
    doc: Optional[Doc] = None
    cond: Condition = None
    features: List[Feature] = field(default_factory=list)
    imported: bool = False


@dataclass
class Member:
    name: str
    type: Type
    where: Where
    optional: bool = False
    default: Any = None
    cond: Condition = None
    features: List[Feature] = field(default_factory=list)


@dataclass
class EnumValue:
    name: str
    where: Where
    cond: Condition = None
    features: List[Feature] = field(default_factory=list)


@dataclass
class Branch:
    """Of a union (name is a value of the discriminator) or of an alternate."""

    name: str
    type: Type
    where: Where
    cond: Condition = None


class UserType(Type, Definition):
    def __init__(self, name: str, info: Definition):
        Type.__init__(self, name)
        Definition.__init__(self, **vars(info))


class EnumType(UserType):
    def __init__(self, name: str, info: Definition):
        super().__init__(name, info)
        self.values: List[EnumValue] = []
        self.prefix: Optional[str] = None
        self.extensible = False

    def json_kind(self) -> str:
        return "string"


class StructType(UserType):
    def __init__(self, name: str, info: Definition):
        super().__init__(name, info)
        self.base: Optional[StructType] = None
        self.own_members: List[Member] = []
        self.implicit_for: Optional[str] = None  # the command, event or union that it belongs to

    def json_kind(self) -> str:
        return "object"

    def all_members(self) -> List[Member]:
        return (self.base.all_members() if self.base else []) + self.own_members


class UnionType(UserType):
    def __init__(self, name: str, info: Definition):
        super().__init__(name, info)
        self.base: StructType
        self.discriminator = ""
        self.branches: List[Branch] = []
        self.extensible = False

    def json_kind(self) -> str:
        return "object"

    def all_members(self) -> List[Member]:
        return self.base.all_members()

    def tag(self) -> Member:
        return next(m for m in self.all_members() if m.name == self.discriminator)


class AlternateType(UserType):
    def __init__(self, name: str, info: Definition):
        super().__init__(name, info)
        self.alternatives: List[Branch] = []

    def json_kind(self) -> str:
        return "alternate"


@dataclass(eq=False)
class Command(Definition):
    name: str = ""
    arg: Optional[Type] = None
    boxed: bool = False
    ret: Optional[Type] = None
    gen: bool = True
    success_response: bool = True
    allow_oob: bool = False
    allow_preconfig: bool = False
    coroutine: bool = False


@dataclass(eq=False)
class Event(Definition):
    name: str = ""
    arg: Optional[Type] = None
    boxed: bool = False


@dataclass(eq=False)
class Option(Definition):
    name: str = ""
    type: Optional[Type] = None
    implied_key: Optional[str] = None
    metavar: Optional[str] = None


@dataclass(eq=False)
class Extension(Definition):
    """Values or branches that a fragment adds to an extensible type of another file."""

    target: Optional[UserType] = None
    values: List[EnumValue] = field(default_factory=list)
    branches: List[Branch] = field(default_factory=list)


@dataclass
class Model:
    fragment: str = "base"
    where: Where = field(default_factory=lambda: Where("<no fragment>"))  # of the fragment directive
    rank: Optional[int] = None
    provides: List[str] = field(default_factory=list)
    types: Dict[str, UserType] = field(default_factory=dict)  # in source order, imported ones too
    commands: Dict[str, Command] = field(default_factory=dict)
    events: Dict[str, Event] = field(default_factory=dict)
    options: Dict[str, Option] = field(default_factory=dict)
    extensions: List[Extension] = field(default_factory=list)
    order: List[object] = field(default_factory=list)  # definitions and free-form Docs, for the manual

    def own(self, table: Dict[str, Any]) -> Dict[str, Any]:
        return {name: item for name, item in table.items() if not item.imported}


def _builtins() -> Dict[str, Builtin]:
    out = {"str": Builtin("str", "string"), "number": Builtin("number", "number"),
           "bool": Builtin("bool", "boolean"), "null": Builtin("null", "null"), "any": Builtin("any", "value"),
           "int": Builtin("int", "int", -(1 << 63), (1 << 63) - 1),
           "size": Builtin("size", "int", 0, (1 << 64) - 1)}
    for bits in (8, 16, 32, 64):
        out[f"int{bits}"] = Builtin(f"int{bits}", "int", -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        out[f"uint{bits}"] = Builtin(f"uint{bits}", "int", 0, (1 << bits) - 1)
    return out


BUILTINS = _builtins()
