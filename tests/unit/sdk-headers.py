#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each header of the SDK compiles alone, in every language and by both compilers, without a warning.

usage: sdk-headers.py INCLUDE_FOLDER

Writes TAP, a line for each compiler and language; one whose compiler is missing is skipped.
"""

import shutil
import subprocess
import sys
from pathlib import Path

C_MODES = [("gcc", "c11"), ("gcc", "c17"), ("clang-19", "c11"), ("clang-19", "c17")]
CXX_MODES = [("g++", "c++17"), ("g++", "c++20"), ("clang++-19", "c++17"), ("clang++-19", "c++20")]
# The C++ layer is for C++23 alone.
LAYER_MODES = [("g++", "c++23"), ("clang++-19", "c++23")]
FLAGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]


def compile_alone(compiler, standard, language, include, header):
    """The compiler's complaint about one file that includes `header` alone, twice; empty: none."""
    line = f"#include <{header}>\n"
    command = [compiler, f"-std={standard}", *FLAGS, f"-I{include}", "-x", language, "-"]
    done = subprocess.run(command, input=line * 2, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def main():
    include = Path(sys.argv[1])
    c_headers = sorted(include.glob("outport/**/*.h"))
    cxx_headers = sorted(include.glob("outport/**/*.hpp"))
    plans = [(c_headers, "c", C_MODES), (c_headers, "c++", CXX_MODES), (cxx_headers, "c++", LAYER_MODES)]
    if not c_headers or not cxx_headers:
        print("1..1\nnot ok 1 - there are headers")
        return 1
    print(f"1..{sum(len(modes) for _, _, modes in plans)}")
    number, failed = 0, False
    for headers, language, modes in plans:
        for compiler, standard in modes:
            number += 1
            title = f"{number} - {'C++ layer' if headers is cxx_headers else 'C headers'} as {standard} by {compiler}"
            if not shutil.which(compiler):
                print(f"ok {title} # SKIP no {compiler}")
                continue
            names = [header.relative_to(include) for header in headers]
            complaints = [c for c in (compile_alone(compiler, standard, language, include, n) for n in names) if c]
            failed = failed or bool(complaints)
            print("\n".join([("not " if complaints else "") + f"ok {title}"] + complaints))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
