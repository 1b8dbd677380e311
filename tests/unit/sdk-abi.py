#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the ABI of the SDK's headers with the record of it: constants, and size, place and type of each member.

usage: sdk-abi.py SDK_FOLDER            compare with abi/MAJOR.MINOR.txt
       sdk-abi.py SDK_FOLDER --write    record what is there now

The record of a minor that has been released never changes, but that structs grow at their end within a major from 1 on.
"""

import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

STRUCT = re.compile(r"^struct (\w+) \{(.*?)^\};", re.S | re.M)
MEMBER = re.compile(r"\(\*(\w+)\)|(\w+)\s*(?:\[[^\]]*\])?$")
CONSTANT = re.compile(r"^#define (OUTPORT_\w+) (.+?)\s*$", re.M)


def plain(text):
    """Without comments, continued lines and the macros that say nothing about the layout."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S).replace("\\\n", " ")
    return re.sub(r"\s*OUTPORT_NOEXCEPT", "", text)


def members(body):
    """(name, declaration) of each."""
    for declaration in body.split(";"):
        declaration = " ".join(declaration.split())
        if declaration:
            match = MEMBER.search(declaration)
            yield match[1] or match[2], declaration


def described(include):
    """[(header, constants, structs)]; structs: [(name, [(member, declaration)])]."""
    for header in sorted((include / "outport").glob("*.h")):
        text = plain(header.read_text())
        constants = [(n, " ".join(v.split())) for n, v in CONSTANT.findall(text) if v.lstrip()[0] in '"(0123456789']
        yield header.name, constants, [(m[1], list(members(m[2]))) for m in STRUCT.finditer(text)]


def program(parts):
    lines = [f"#include <outport/{header}>" for header, _, _ in parts] + ["#include <stdio.h>", "int main(void) {"]
    for _, _, structs in parts:
        for name, fields in structs:
            lines.append(f'printf("%zu\\n", sizeof(struct {name}));')
            lines += [f'printf("%zu %zu\\n", offsetof(struct {name}, {field}), sizeof(((struct {name}*)0)->{field}));'
                      for field, _ in fields]
    return "\n".join(lines + ["return 0; }"])


def record(include):
    parts = list(described(include))
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder, "abi.c"), Path(folder, "abi")
        source.write_text(program(parts))
        subprocess.run(["gcc", "-std=c11", f"-I{include}", source, "-o", binary], check=True)
        numbers = iter(subprocess.run([binary], capture_output=True, text=True, check=True).stdout.splitlines())
    out = ["# What binaries rely on, header by header: constants; structs with their size; place, size and type of each member.",
           "# Written by tests/unit/sdk-abi.py."]
    for header, constants, structs in parts:
        out += ["", header] + [f"constant {name} {value}" for name, value in constants]
        for name, fields in structs:
            out.append(f"struct {name} {next(numbers)}")
            out += [f"  {next(numbers)} {declaration}" for _, declaration in fields]
    return "\n".join(out) + "\n"


def main():
    sdk = Path(sys.argv[1])
    now = record(sdk / "include")
    version = ".".join(re.search(rf"constant OUTPORT_ABI_{part} (\d+)", now)[1] for part in ("MAJOR", "MINOR"))
    recorded = sdk / "abi" / f"{version}.txt"
    if sys.argv[2:] == ["--write"]:
        recorded.write_text(now)
        return 0
    before = recorded.read_text() if recorded.exists() else ""
    if now == before:
        print(f"ABI {version}: {len(re.findall('^struct', now, re.M))} structs as recorded")
        return 0
    print("".join(difflib.unified_diff(before.splitlines(True), now.splitlines(True), str(recorded.name), "the headers")))
    print(f"the ABI {version} is not what {recorded} says: take the change back, or, while {version} is unreleased, name it in "
          "CHANGELOG.md and record it with sdk-abi.py --write")
    return 1


if __name__ == "__main__":
    sys.exit(main())
