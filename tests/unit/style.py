#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Style that a test can hold: sizes of files and functions, the borders between folders, leftovers.

Usage: style.py SOURCE-ROOT. Writes TAP, one line for each rule. Exemptions stand in style-exemptions beside this file, one a
line: RULE PATH REASON. An exemption that is no longer needed fails, so the list stays short.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

FILE_LIMIT = 500
FUNCTION_LIMIT = 70
CODE = {".c", ".h", ".cpp", ".hpp", ".py", ".sh", ".build"}
CXX = {".c", ".h", ".cpp", ".hpp"}


def walked(root):
    """The files of a tree without git's folder, or on a machine without git: all but what is made there."""
    for folder, inside, names in os.walk(root):
        top = folder == root
        inside[:] = sorted(n for n in inside if n not in (".git", ".ccache", ".cache", "__pycache__")
                           and not (top and n.startswith("build")))
        yield from (Path(folder, n) for n in sorted(names))


def tracked(root):
    try:
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, check=False).stdout.decode()
    except OSError:  # no git
        listed = ""
    paths = [Path(root, n) for n in listed.split("\0") if n]
    return [p for p in paths or walked(root) if p.is_file()]


def without_literals(text):
    """C++ text with comments and literals blanked, line structure kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^(\n]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def functions(text):
    """(line, length) of each outermost brace block that is a function body."""
    scopes = []
    blank = without_literals(text)
    line, last = 1, 0
    for index, char in enumerate(blank):
        if char == "\n":
            line += 1
        elif char == "{":
            head = blank[last:index].strip()
            scope = bool(re.search(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$", head)) or head.endswith("=") or head == ""
            scopes.append((scope, line, head))
            last = index + 1
        elif char == "}" and scopes:
            scope, begin, head = scopes.pop()
            if not scope and ")" in head and all(s[0] for s in scopes):
                yield begin, line - begin + 1
            last = index + 1
        elif char == ";":
            last = index + 1


def rule_file_length(root, path, text):
    count = text.count("\n")
    if path.suffix in CODE and count > FILE_LIMIT:
        yield f"{count} lines, the limit is {FILE_LIMIT}"


def rule_function_length(root, path, text):
    if path.suffix in CXX:
        for line, length in functions(text):
            if length > FUNCTION_LIMIT:
                yield f"line {line}: a function of {length} lines, the limit is {FUNCTION_LIMIT}"


def rule_licence(root, path, text):
    if path.suffix in CODE and "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text.split("\n")[:3]) and text.strip():
        yield "no SPDX line in the first three lines"


def rule_plugin_border(root, path, text):
    where = path.relative_to(root).parts[0]
    if where in ("plugins", "sdk"):
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r'#include\s*[<"](\.\./)*host/', line):
                yield f"line {number}: the SDK is the only border, but this includes the host"


def rule_unfinished(root, path, text):
    if path.suffix in CODE and path.name != Path(__file__).name:
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                yield f"line {number}: a mark of unfinished work"


def rule_no_sleep_in_tests(root, path, text):
    if path.relative_to(root).parts[0] == "tests" and path.name != Path(__file__).name:
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r"sleep_for|usleep\(|time\.sleep|^\s*sleep\s", line) and path.suffix in CODE | {""}:
                yield f"line {number}: a sleep is no synchronisation"


def rule_pragma_once(root, path, text):
    if path.suffix == ".hpp" and "#pragma once" not in text:
        yield "no #pragma once"


RULES = [rule_file_length, rule_function_length, rule_licence, rule_plugin_border, rule_unfinished, rule_no_sleep_in_tests,
         rule_pragma_once]


def read_exemptions(path):
    exempt = {}
    for line in path.read_text().split("\n"):
        if line.strip() and not line.startswith("#"):
            rule, name, reason = line.split(None, 2)
            exempt[(rule, name)] = reason
    return exempt


def main(root):
    exempt = read_exemptions(Path(__file__).with_name("style-exemptions"))
    used, failed = set(), False
    texts = []
    for path in tracked(root):
        try:
            texts.append((path, path.read_text()))
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    print(f"1..{len(RULES) + 1}")
    for number, rule in enumerate(RULES, 1):
        name = rule.__name__.removeprefix("rule_").replace("_", "-")
        problems = []
        for path, text in texts:
            relative = str(path.relative_to(root))
            found = [f"# {relative}: {problem}" for problem in rule(root, path, text)]
            if found and (name, relative) in exempt:
                used.add((name, relative))
            else:
                problems += found
        failed |= bool(problems)
        print("\n".join([f"{'not ok' if problems else 'ok'} {number} - {name}"] + problems))
    stale = [f"# {rule} {name}" for rule, name in exempt if (rule, name) not in used]
    print("\n".join([f"{'not ok' if stale else 'ok'} {len(RULES) + 1} - every exemption is still needed"] + stale))
    return 1 if failed or stale else 0


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1]).resolve())))
