# SPDX-License-Identifier: Apache-2.0
"""A text as a C array, for embedding in a plugin or in the host."""

from __future__ import annotations

from typing import List, Tuple

# C11 promises no string literal above 4095 characters, so an array of numbers it is.
_PER_LINE = 20


def header(blobs: List[Tuple[str, str]]) -> str:
    lines = ["/* Made by the schema compiler. Do not edit. */", "#pragma once", "", "#include <stdint.h>", "",
             "#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    for name, text in blobs:
        lines += [f"#define {name}_length UINT64_C({len(text.encode())})",
                  f"extern const char {name}[{len(text.encode()) + 1}]; /* and a terminating zero */", ""]
    return "\n".join(lines + ["#ifdef __cplusplus", "}", "#endif", ""])


def source(blobs: List[Tuple[str, str]], header_name: str) -> str:
    out = ["/* Made by the schema compiler. Do not edit. */", f'#include "{header_name}"', ""]
    for name, text in blobs:
        data = text.encode()
        out.append(f"const char {name}[{len(data) + 1}] = {{")
        for start in range(0, len(data), _PER_LINE):
            out.append("    " + ", ".join(str(byte if byte < 128 else byte - 256) for byte in data[start:start + _PER_LINE]) + ",")
        out += ["    0};", ""]
    return "\n".join(out)
