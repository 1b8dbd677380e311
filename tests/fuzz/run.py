#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzzers of a build folder; `./dev fuzz` calls it.

usage: run.py fuzz BUILD SECONDS [NAME...]      looks for bugs, for so long with each; what it found stays in BUILD/found
       run.py planted BUILD SECONDS [NAME...]   each must find the bug of a build with -Dplanted-bugs=true in that time
       run.py coverage BUILD [NAME...]          lines that the seeds alone reach, of the parser that each is for, in a build
                                                with -Db_coverage=true; less than 80 % is a failure
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# What each harness is for.
PARSERS = {"json-stream": ["host/schema/json-lexer.cpp", "host/schema/json-parser.cpp", "host/schema/utf8.cpp"],
           "keyval": ["host/schema/keyval.cpp", "host/qmp/chardev.cpp"],
           "nbd-negotiation": ["plugins/nbd/negotiation.cpp", "plugins/nbd/negotiation-options.cpp"],
           "nbd-requests": ["plugins/nbd/receiver.cpp", "plugins/nbd/request.cpp"],
           "plugin-note": ["host/plugin/note.cpp"],
           "schema-document": ["host/schema/document.cpp", "host/schema/document-parts.cpp", "host/schema/merger.cpp",
                               "host/schema/merger-check.cpp"]}
WANTED = 80
LINES = re.compile(r"File '([^']*)'\nLines executed:([0-9.]+)% of (\d+)")


def program(build, name):
    return build / "tests/fuzz" / f"fuzz-{name}"


def seeds(build, name):
    return build / "tests/fuzz/seeds" / name


def fuzz(build, name, seconds, found):
    """libFuzzer's status and words. New inputs are kept in the build folder, for the next time."""
    grown = build / "grown" / name
    for folder in (grown, found):
        folder.mkdir(parents=True, exist_ok=True)
    command = [program(build, name), f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=4096", "-print_final_stats=1",
               f"-artifact_prefix={found}/{name}-", "-use_value_profile=1", "-max_len=8192"]
    words = Path(__file__).with_name(f"{name}.dict")
    command += ([f"-dict={words}"] if words.exists() else []) + [grown, seeds(build, name)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def look_for_bugs(build, names, seconds):
    failed = 0
    for name in names:
        status, words = fuzz(build, name, seconds, build / "found")
        runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", words)
        print(f"{name}: {runs.group(1) if runs else '?'} inputs in {seconds} s{', FAILED' if status else ''}", flush=True)
        if status:
            failed += 1
            print(words[-6000:])
    return failed


def find_planted(build, names, seconds):
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as found:
            shutil.rmtree(build / "grown" / name, ignore_errors=True)
            status, words = fuzz(build, name, seconds, Path(found))
        runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", words)
        after = f"after {runs.group(1)} inputs" if runs else ""
        print(f"{name}: {'found ' + after if status else f'NOT FOUND in {seconds} s'}", flush=True)
        failed += not status
    return failed


def covered(build, name):
    """{source: (lines reached, lines)} after the seeds alone."""
    for old in build.rglob("*.gcda"):
        old.unlink()
    subprocess.run([program(build, name), seeds(build, name)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    counted = {}
    for data in build.rglob("*.gcda"):
        said = subprocess.run(["gcov", "-n", data.resolve()], cwd=build, capture_output=True, text=True, check=False).stdout
        for file, percent, lines in LINES.findall(said):
            source = next((p for p in PARSERS[name] if file.endswith("/" + p) and data.name.startswith(Path(p).name)), None)
            if source:
                counted[source] = (round(float(percent) * int(lines) / 100), int(lines))
    return counted


def coverage(build, names):
    failed = 0
    for name in names:
        counted = covered(build, name)
        reached, lines = (sum(pair[i] for pair in counted.values()) for i in (0, 1))
        enough = set(counted) == set(PARSERS[name]) and 100 * reached >= WANTED * lines
        parts = ", ".join(f"{source} {100 * r / n:.0f} %" for source, (r, n) in sorted(counted.items()))
        print(f"{name}: {100 * reached / max(lines, 1):.0f} % of {lines} lines ({parts}){'' if enough else ', NOT ENOUGH'}", flush=True)
        failed += not enough
    return failed


def main():
    mode, build = sys.argv[1], Path(sys.argv[2])
    rest = sys.argv[3:]
    seconds = rest.pop(0) if mode != "coverage" else None
    unknown = set(rest) - set(PARSERS)
    if unknown:
        print(f"no such fuzzer: {' '.join(sorted(unknown))}; there are {' '.join(sorted(PARSERS))}", file=sys.stderr)
        return 1
    names = rest or sorted(PARSERS)
    os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    if mode == "coverage":
        failed = coverage(build, names)
    else:
        failed = (look_for_bugs if mode == "fuzz" else find_planted)(build, names, seconds)
    print(f"{len(names) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
