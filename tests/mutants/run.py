# SPDX-License-Identifier: Apache-2.0
"""Breaks the code on purpose: each *.patch here changes a few lines and names, in a line `Test:`, the test that must then
fail, and must pass without it. Works on a copy of the tree in build-mutants/, builds only what that test needs, and takes the change back.

usage: run.py [N | --all | NAME...]     N of them are chosen by the day
"""
import datetime
import functools
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
AREA = TOP / "build-mutants"
SOURCE = AREA / "source"
BUILD = SOURCE / "build"  # as ./dev has it, so that ccache knows what is compiled
COUNT = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)


class Mutant:
    """One patch and the test that has to notice it."""

    def __init__(self, path):
        self.name = path.stem
        self.path = path
        text = path.read_text()
        self.test = re.search(r"^Test: (\S+)$", text, re.M)[1]
        self.files = re.findall(r"^\+\+\+ b/(\S+)", text, re.M)


def names_of_tree():
    """The files that make up the tree; where it is no git tree, all but what is made there."""
    listed = subprocess.run(["git", "-C", TOP, "ls-files", "-co", "--exclude-standard", "-z"], check=False,
                            capture_output=True, text=True)
    if listed.returncode == 0:
        return {n for n in listed.stdout.split("\0") if n}
    names = set()
    for folder, inside, files in os.walk(TOP):
        inside[:] = [n for n in inside if n not in (".git", ".ccache", ".cache", "__pycache__")
                     and not (pathlib.Path(folder) == TOP and n.startswith("build"))]
        names.update(str(pathlib.Path(folder, n).relative_to(TOP)) for n in files)
    return names


def copy_tree():
    """The tree as it is here now, without touching what has not changed, so that little is built again."""
    wanted = {n for n in names_of_tree() if (TOP / n).is_file()}
    for name in wanted:
        target = SOURCE / name
        data = (TOP / name).read_bytes()
        if not target.exists() or target.read_bytes() != data:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(TOP / name, target)
            shutil.copymode(TOP / name, target)
    for path in [p for p in SOURCE.rglob("*") if p.is_file() and BUILD not in p.parents]:
        if str(path.relative_to(SOURCE)) not in wanted and "__pycache__" not in path.parts:
            path.unlink()


def run(command, **options):
    return subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **options)


def prepare():
    AREA.mkdir(exist_ok=True)
    copy_tree()
    os.environ["CCACHE_NOHASHDIR"] = "1"
    os.environ["OUTPORT_JOB_SECONDS"] = "120"  # a test that stands still has noticed as well
    os.environ["CCACHE_BASEDIR"] = str(SOURCE)
    if not (BUILD / "build.ninja").exists():
        done = run(["meson", "setup", BUILD, SOURCE, "-Dtest-drivers=true"])
        if done.returncode:
            raise SystemExit(done.stdout)


def targets_for(test):
    """What ninja has to make for the test."""
    name = test.split("/")[0]
    if name.startswith("test_"):
        return ["host/cli/outportd", "plugins/nbd/nbd.so", "plugins/fuse/fuse.so", "tests/plugins/test-plugins.stamp"] + \
            [f"tests/support/{p}" for p in ("nbdload", "nbdstress", "nbdkill", "nbdfloor", "fusehang", "countalloc.so")]
    listing = json.loads(subprocess.check_output(["meson", "introspect", "--tests", BUILD]))
    command = next(t["cmd"] for t in listing if t["name"] == name)
    plugins = ["tests/plugins/test-plugins.stamp"] if name in ("unit-plugin-host", "unit-plugin-image", "unit-export") else []
    return plugins + [os.path.relpath(c, BUILD) for c in command if c.startswith(str(BUILD) + "/")]


def built_and_run(test):
    """(what went wrong before the test could run, its counts, its output)"""
    built = run(["ninja", "-C", BUILD, *targets_for(test)])
    if built.returncode:
        return f"it does not build:\n{built.stdout[-3000:]}", None, built.stdout
    tested = run([sys.executable, SOURCE / "tests/support/run.py", "--build", BUILD, test if "/" in test else test + "/"])
    counts = COUNT.findall(tested.stdout)
    if not counts or not sum(map(int, counts[-1])):
        return f"no test {test} ran:\n{tested.stdout[-3000:]}", None, tested.stdout
    return None, [int(n) for n in counts[-1]], tested.stdout


@functools.cache
def control(test):
    """None when the test passes as the tree is: only then does its failure say something. Once for each test."""
    problem, counts, output = built_and_run(test)
    if problem is None and (counts[1] or not counts[0]):
        problem = f"{test} does not pass without it either:\n{output[-3000:]}"
    return problem and f"the control run: {problem}"


def judge(mutant):
    """None when the test noticed; else what went wrong."""
    problem = control(mutant.test)
    if problem:
        return problem
    whole = {name: (SOURCE / name).read_bytes() for name in mutant.files}
    patch = ["patch", "-p1", "--no-backup-if-mismatch", "-d", SOURCE, "-i", mutant.path]
    done = run([*patch, "--forward", "-r", "-"])
    try:
        if done.returncode:
            return f"the patch no longer applies:\n{done.stdout}"
        problem, counts, _ = built_and_run(mutant.test)
        return problem or (None if counts[1] else f"{mutant.test} passes all the same")
    finally:
        for name, data in whole.items():
            (SOURCE / name).write_bytes(data)


def choose(arguments):
    every = [Mutant(p) for p in sorted(HERE.glob("*.patch"))]
    if arguments == ["--all"]:
        return every
    if arguments and not arguments[0].isdigit():
        return [m for m in every if any(a in m.name for a in arguments)]
    count = int(arguments[0]) if arguments else 4
    random.Random(datetime.date.today().toordinal()).shuffle(every)
    return every[:count]


def main():
    prepare()
    bad = 0
    chosen = choose(sys.argv[1:])
    for mutant in chosen:
        problem = judge(mutant)
        bad += problem is not None
        print(f"mutant {mutant.name}: " + (problem or f"noticed by {mutant.test}"), flush=True)
    print(f"{len(chosen) - bad} passed, {bad} failed, 0 skipped")
    return 1 if bad or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
