#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each header of the SDK compiles alone, in every language and by every compiler that is here, without a warning.

usage: sdk-headers.py INCLUDE_FOLDER
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
    compiled, failed = 0, 0
    for headers, language, modes in plans:
        for compiler, standard in modes:
            if not shutil.which(compiler):
                print(f"skipped: no {compiler}")
                continue
            for header in headers:
                name = header.relative_to(include)
                complaint = compile_alone(compiler, standard, language, include, name)
                compiled += 1
                if complaint:
                    failed += 1
                    print(f"{name} with {compiler} -std={standard}:\n{complaint}")
    print(f"{len(c_headers) + len(cxx_headers)} headers, {compiled} compilations, {failed} failed")
    return 1 if failed or not c_headers else 0


if __name__ == "__main__":
    sys.exit(main())
