# SPDX-License-Identifier: Apache-2.0
"""The rules for names, and what names become in C and C++."""

from __future__ import annotations

import re
from typing import Optional, Tuple

_PREFIX = r"__[A-Za-z0-9.-]+_"
_NAME = re.compile(rf"({_PREFIX})?([A-Za-z][A-Za-z0-9_-]*)")
_ENUM_NAME = re.compile(rf"({_PREFIX})?([A-Za-z0-9][A-Za-z0-9_-]*)")
_CONDITION = re.compile(rf"({_PREFIX})?[A-Z][A-Z0-9_]*")
_OPTION = re.compile(rf"({_PREFIX})?[a-z][a-z0-9]*(-[a-z0-9]+)*")
_CAMEL = re.compile(r"[A-Z][A-Za-z0-9]*")

# Words that mean something in C11 or C++23; such a name gets a trailing underscore.
_KEYWORDS = frozenset(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t
    char32_t class compl concept const consteval constexpr constinit const_cast continue co_await
    co_return co_yield decltype default delete do double dynamic_cast else enum explicit export
    extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq
    nullptr operator or or_eq private protected public register reinterpret_cast requires restrict
    return short signed sizeof static static_assert static_cast struct switch template this
    thread_local throw true try typedef typeid typename union unix linux unsigned using virtual
    void volatile wchar_t while xor xor_eq errno stdin stdout stderr assert""".split())


def split_prefix(name: str) -> Tuple[str, str]:
    """('__org.example_', 'thing') or ('', 'thing')."""
    match = re.match(_PREFIX, name)
    return (match.group(), name[match.end():]) if match else ("", name)


def has_prefix(name: str) -> bool:
    return bool(split_prefix(name)[0])


def name_problem(name: str, enum_value: bool = False) -> Optional[str]:
    """What is wrong with a name of any sort, or None."""
    match = (_ENUM_NAME if enum_value else _NAME).fullmatch(name)
    if not match:
        return f"'{name}' is not a valid name"
    if match.group(2).lower().startswith(("q_", "q-")):
        return f"'{name}' is reserved: names must not begin with 'q_'"
    return None


def is_condition(symbol: str) -> bool:
    return bool(_CONDITION.fullmatch(symbol))


def is_option(name: str) -> bool:
    return bool(_OPTION.fullmatch(name))


def is_camel_case(stem: str) -> bool:
    return bool(_CAMEL.fullmatch(stem))


def c_fold(name: str) -> str:
    """Names that become the same identifier fold to the same string."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def identifier(name: str) -> str:
    """A member or enum value as an identifier of C and C++."""
    prefix, stem = split_prefix(name)
    out = c_fold(prefix.strip("_") + "_" + stem if prefix else stem)
    if out[0].isdigit() or out in _KEYWORDS:
        out = f"{out}_" if not out[0].isdigit() else f"v{out}"
    return out


def upper_identifier(name: str) -> str:
    """An enum type as the prefix of its constants in C: BlockExportType → BLOCK_EXPORT_TYPE."""
    flat = c_fold(name).strip("_")
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", flat)
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", spaced)
    return spaced.upper()


def camel(name: str) -> str:
    """nbd-server-start → NbdServerStart, BLOCK_EXPORT_DELETED → BlockExportDeleted."""
    prefix, stem = split_prefix(name)
    words = [w for w in re.split(r"[-_.]", prefix.strip("_") + "-" + stem) if w]
    return "".join((w[0].upper() + (w[1:].lower() if w.isupper() and len(w) > 1 else w[1:])) for w in words)
