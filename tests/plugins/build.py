#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the plugins that exist to be tested with, as a third party would: from an installed SDK and nothing else.

usage: build.py SOURCE_FOLDER BUILD_FOLDER OUTPUT_FOLDER STAMP COMPILER…
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-D_GNU_SOURCE", "-O2", "-g"]

COMMAND = ['-DFAKE_COMMAND="__org.outport_fake-version"']
DOCUMENT = ['-DFAKE_SCHEMA=DOCUMENT(ID, "__org.outport_fake-version")']
TYPE = ['-DFAKE_TYPE="__org.outport_" ID', "-DFAKE_SCHEMA=TYPE_DOCUMENT"]

# file name: flags. The ids are the names, but for what is said in the flags.
FAKES = {
    "fake-good": [],
    "fake-no-symbol": ["-DDEFECT_NO_SYMBOL"],
    "fake-no-note": ["-DDEFECT_NO_NOTE"],
    "fake-two-notes": ["-DDEFECT_TWO_NOTES"],
    "fake-bad-note": ['-DNOTE_ID="not a name"'],
    "fake-major": ["-DFAKE_MAJOR=OUTPORT_ABI_MAJOR+7"],
    "fake-minor": ["-DFAKE_MINOR=OUTPORT_ABI_MINOR+7"],
    "fake-short": ["-DSYMBOL_SIZE=56"],
    "fake-long": ["-DSYMBOL_SIZE=4096"],
    "fake-no-init": ["-DFAKE_INIT=NULL"],
    "fake-no-fini": ["-DFAKE_FINI=NULL"],
    "fake-mismatch": ['-DSYMBOL_VERSION="9.9"'],
    "fake-init-fails": ["-DDEFECT_INIT_FAILS", *DOCUMENT],
    "fake-no-handler": DOCUMENT,
    "fake-two-handlers": ["-DDEFECT_HANDLER_TWICE", *COMMAND, *DOCUMENT],
    "fake-other-command": ["-DDEFECT_OTHER_COMMAND", *COMMAND, *DOCUMENT],
    "fake-bad-json": ['-DFAKE_SCHEMA="{\\"format\\": 1,"'],
    "fake-bad-schema": ['-DFAKE_SCHEMA="{\\"format\\": 1, \\"fragment\\": \\"fake-bad-schema\\", \\"types\\": 7}"'],
    "fake-other-fragment": [*COMMAND, '-DFAKE_SCHEMA=DOCUMENT("somebody", "__org.outport_fake-version")'],
    "fake-unprefixed": ['-DFAKE_COMMAND="fake-version"', '-DFAKE_SCHEMA=DOCUMENT(ID, "fake-version")'],
    "fake-clash-host": ['-DFAKE_COMMAND="query-version"', '-DFAKE_SCHEMA=DOCUMENT(ID, "query-version")'],
    "fake-clash-a": [*COMMAND, *DOCUMENT],
    "fake-clash-b": [*COMMAND, *DOCUMENT],
    "fake-other-name": ['-DNOTE_ID="somebody"'],
    "fake-busy": ["-DFAKE_BUSY"],
    "fake-scripted": ["-DFAKE_SCRIPTED", *TYPE],
    "fake-type-good": TYPE,
    "fake-type-short": ["-DTYPE_SIZE=32", *TYPE],
    "fake-type-null": ["-DTYPE_CREATE=NULL", *TYPE],
    "fake-type-flags": ["-DTYPE_FLAGS=0x8000", *TYPE],
    "fake-type-modes": ["-DTYPE_MODES=OUTPORT_KNOWS_HARD", *TYPE],
    "fake-type-undeclared": ['-DFAKE_TYPE="__org.outport_other"', "-DFAKE_SCHEMA=TYPE_DOCUMENT"],
    "fake-type-missing": ["-DFAKE_SCHEMA=TYPE_DOCUMENT"],
}
VERSIONS = {"1.0": "version-1", "2.0": "version-2", "3.0": "version-3"}


class Sdk:
    """An SDK that `meson install` has put into a folder of its own."""

    def __init__(self, build, stage):
        shutil.rmtree(stage, ignore_errors=True)
        meson = [shutil.which("meson"), "install", "--no-rebuild", "--quiet", "--tags", "devel", "--destdir", stage]
        subprocess.run(meson, cwd=build, check=True, stdout=subprocess.DEVNULL)
        self.file = next(Path(stage).glob("**/outport-sdk.pc"))
        prefix = next(line for line in self.file.read_text().splitlines() if line.startswith("prefix="))
        self.prefix = str(stage) + prefix.removeprefix("prefix=")

    def check_abi(self):
        """The pkg-config file says the version that the headers say."""
        text = (Path(self.prefix) / "include/outport/abi.h").read_text(encoding="utf-8")
        numbers = [re.search(rf"#define OUTPORT_ABI_{part} (\d+)u", text)[1] for part in ("MAJOR", "MINOR")]
        if self.variable("abi") != [".".join(numbers)]:
            sys.exit(f"outport-sdk.pc says ABI {self.variable('abi')}, abi.h says {numbers}")

    def ask(self, *question):
        environment = dict(os.environ, PKG_CONFIG_PATH=str(self.file.parent))
        command = ["pkg-config", f"--define-variable=prefix={self.prefix}", *question, "outport-sdk"]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()

    def variable(self, name):
        return self.ask(f"--variable={name}")


def compile_plugin(sdk, compiler, sources, output, flags=(), include=()):
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [*compiler, *WARNINGS, *sdk.ask("--cflags"), *sdk.variable("plugin_cflags"),
               *[f"-I{folder}" for folder in include], *flags, *map(str, sources), "-o", str(output) + ".new",
               *sdk.variable("plugin_ldflags")]
    subprocess.run(command, check=True)
    os.replace(str(output) + ".new", output)


def build_probe(sdk, compiler, source, output):
    made = output / "probe.made"
    made.mkdir(parents=True, exist_ok=True)
    files = [made / name for name in ("probe-types.h", "probe-types.c", "probe-document.h", "probe-document.c")]
    options = [word for pair in zip(("--c-header", "--c-source", "--blob-header", "--blob-source"), files) for word in pair]
    compiler_of_schemas = sdk.variable("schemacompiler")
    subprocess.run([sys.executable, *compiler_of_schemas, source / "probe/probe.json", *options,
                    "--symbol", "probe_document"], check=True)
    sources = [source / "probe" / name for name in ("probe.c", "export.c", "connection.c")] + [files[1], files[3]]
    compile_plugin(sdk, compiler, sources, output / "probe" / "probe.so", include=[made, source / "probe"])


def build_fakes(sdk, compiler, source, output):
    for name, flags in FAKES.items():
        defines = [f"-DFAKE_ID={name}", f"-DFAKE_NAME={name.replace('-', '_')}", *flags]
        compile_plugin(sdk, compiler, [source / "fake.c"], output / "fakes" / f"{name}.so", defines)
    for version, folder in VERSIONS.items():
        defines = ["-DFAKE_ID=fake-version", "-DFAKE_NAME=fake_version", f'-DFAKE_VERSION="{version}"', *COMMAND, *DOCUMENT]
        compile_plugin(sdk, compiler, [source / "fake.c"], output / folder / "fake-version.so", defines)
    # Its symbol is in a library that it is linked with, not its own.
    good = output / "fakes" / "fake-good.so"
    defines = ["-DFAKE_ID=fake-borrowed", "-DFAKE_NAME=fake_borrowed", "-DDEFECT_NO_SYMBOL"]
    compile_plugin(sdk, compiler, [source / "fake.c"], output / "fakes" / "fake-borrowed.so",
                   [*defines, "-Wl,--no-as-needed", f"-Wl,-rpath,{good.parent}", f"-L{good.parent}", "-l:fake-good.so"])


def main():
    source, build, output, stamp = map(Path, sys.argv[1:5])
    compiler = sys.argv[5:]
    output.mkdir(parents=True, exist_ok=True)
    sdk = Sdk(build.resolve(), str(output.resolve() / "sdk"))
    sdk.check_abi()
    build_probe(sdk, compiler, source, output.resolve())
    build_fakes(sdk, compiler, source, output.resolve())
    (output / "list.json").write_text(json.dumps(sorted(FAKES)), encoding="utf-8")
    stamp.write_text("built\n", encoding="utf-8")


if __name__ == "__main__":
    main()
