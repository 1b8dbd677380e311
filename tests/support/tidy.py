#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over the sources of the host, the plugins and the tests' helpers, as one build folder compiles them.

usage: tidy.py [--jobs N] BUILD_FOLDER [PATTERN...]

A file that was clean is not looked at again until its object file, which the build makes anew when any of its headers
changes, or .clang-tidy is newer than the mark of that. Unit tests are left to the compilers' warnings: gtest's macros
make most of what clang-tidy says about them, and they would double the time.
"""

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("host", "plugins", "tests/plugins", "tests/support", "tests/fuzz")


def wanted(build):
    """{source below the root: newest object file} of what is ours and compiled from the tree."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = Path(entry["directory"], entry["file"]).resolve()
        if not source.is_relative_to(ROOT) or source.is_relative_to(build):
            continue
        name = source.relative_to(ROOT)
        if any(name.is_relative_to(folder) for folder in FOLDERS):
            found[name] = Path(entry["directory"], entry["output"])
    return found


def is_clean(mark, made, rules):
    return mark.exists() and made.exists() and mark.stat().st_mtime > max(made.stat().st_mtime, rules.stat().st_mtime)


def check(build, name, mark):
    """clang-tidy's complaint about one file; empty: none."""
    command = ["clang-tidy-19", "-p", str(build), "--quiet", str(ROOT / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        return done.stdout or done.stderr
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("build", type=Path)
    parser.add_argument("patterns", nargs="*")
    args = parser.parse_args()
    build = args.build.resolve()
    began, failed, todo = time.time(), 0, []
    for name, made in sorted(wanted(build).items()):
        mark = build / "tidy" / (str(name) + ".clean")
        chosen = not args.patterns or any(p in str(name) for p in args.patterns)
        if chosen and not is_clean(mark, made, ROOT / ".clang-tidy"):
            todo.append((name, mark))
    with ThreadPoolExecutor(args.jobs) as pool:
        for (name, _), complaint in zip(todo, pool.map(lambda item: check(build, *item), todo)):
            if complaint:
                failed += 1
                print(f"{name}:\n{complaint}", flush=True)
    print(f"clang-tidy: {len(todo)} files looked at, {failed} with findings, {time.time() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
