#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each plugin exports one symbol, outport_plugin, and wants none of the host's.

usage: sdk-symbols.py BUILD_FOLDER
"""

import subprocess
import sys
from pathlib import Path


def names(path, *options):
    lines = subprocess.run(["nm", "-D", *options, path], capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(line.split()[-1].split("@")[0] for line in lines if line.strip())


def complaints(path):
    defined = names(path, "--defined-only")
    if defined != ["outport_plugin"]:
        yield f"exports {', '.join(defined[:5]) or 'nothing'}"
    wanted = [name for name in names(path, "--undefined-only") if "outport" in name]
    if wanted:
        yield f"wants {', '.join(wanted[:5])}"


def main():
    build = Path(sys.argv[1])
    without = {"fake-no-symbol.so", "fake-borrowed.so"}
    plugins = [path for folder in ("plugins/*", "tests/plugins/*") for path in sorted(build.glob(f"{folder}/*.so"))
               if path.name not in without]
    wrong = [f"{path.relative_to(build)}: {text}" for path in plugins for text in complaints(path)]
    # The rule must be able to fail: these two do lack the symbol.
    for path in build.glob("tests/plugins/fakes/fake-no-symbol.so"):
        if not list(complaints(path)):
            wrong.append(f"{path.name}: nothing found wrong with it")
    print("\n".join([*wrong, f"{len(plugins)} plugins, {len(wrong)} complaints"]))
    return 1 if wrong or not plugins else 0


if __name__ == "__main__":
    sys.exit(main())
