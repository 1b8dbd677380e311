# SPDX-License-Identifier: Apache-2.0
"""Runs the unit tests that meson knows and the modules of tests/integration, two at a time, counts single tests, and
ends with the line `N passed, N failed, N skipped`.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
COUNT = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
TAP = re.compile(r"(not )?ok\s+\d*\s*-?\s*([^#\n]*)(?:#\s*(\w+)\s*(.*))?$")
JOB_SECONDS = int(os.environ.get("OUTPORT_JOB_SECONDS", "3000"))  # a net


@dataclasses.dataclass
class Outcome:
    name: str
    state: str
    seconds: float = 0.0
    detail: str = ""


def run_command(command, env=None, cwd=None):
    """(status, output); the whole process group ends with it."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=env, cwd=cwd, text=True, errors="replace", start_new_session=True)
    try:
        output = process.communicate(timeout=JOB_SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output = process.communicate()[0] + f"\nended after {JOB_SECONDS} s"
    return process.returncode, output, time.monotonic() - began


def gtest_outcomes(test, env, patterns):
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = test["cmd"] + [f"--gtest_output=json:{report.name}"]
        if patterns:
            command.append("--gtest_filter=" + ":".join(f"*{p}*" for p in patterns))
        status, output, seconds = run_command(command, env, test["workdir"])
        try:
            suites = json.load(open(report.name))["testsuites"]
        except ValueError:
            suites = []
    found = []
    for suite in suites:
        for case in suite["testsuite"]:
            if case["status"] != "RUN":
                continue
            state = {"SKIPPED": "skipped"}.get(case["result"], "failed" if case.get("failures") else "passed")
            detail = "\n".join(f["failure"] for f in case.get("failures", []))
            name = f"{test['name']}/{case['classname']}.{case['name']}"
            found.append(Outcome(name, state, float(case["time"].rstrip("s")), detail))
    if status and not any(o.state == "failed" for o in found):
        found.append(Outcome(test["name"], "failed", seconds, f"status {status}\n{output[-6000:]}"))
    return found


def tap_outcomes(name, status, output, seconds):
    """One outcome for each line `ok` or `not ok`; what stands after a `not ok` is its reason."""
    found = []
    for line in output.splitlines():
        match = TAP.match(line)
        if match:
            state = "failed" if match[1] else "passed"
            if match[3]:
                state = "skipped" if match[3].upper() == "SKIP" else state
            found.append(Outcome(f"{name}/{match[2].strip()}", state, 0, match[4] or ""))
        elif found and not line.startswith("1.."):
            found[-1].detail += line + "\n"
    if not found or (status and not any(o.state == "failed" for o in found)):
        found.append(Outcome(name, "failed", seconds, f"status {status}\n{output[-6000:]}"))
    return found


def plain_outcomes(test, env):
    """A test that is one program: TAP, or counted by its last count line, else as one."""
    status, output, seconds = run_command(test["cmd"], env, test["workdir"])
    name = test["name"]
    if test["protocol"] == "tap":
        return tap_outcomes(name, status, output, seconds)
    counts = COUNT.findall(output)
    if not counts:
        state = {0: "passed", 77: "skipped"}.get(status, "failed")
        return [Outcome(name, state, seconds, output[-6000:])]
    passed, failed, skipped = (int(n or 0) for n in counts[-1])
    found = [Outcome(f"{name}/{i + 1}", "passed") for i in range(passed)]
    found += [Outcome(f"{name}/failed-{i + 1}", "failed", 0, output[-6000:] if i == 0 else "see above")
              for i in range(failed)]
    found += [Outcome(f"{name}/skipped-{i + 1}", "skipped", 0, output[-300:]) for i in range(skipped)]
    if status and not failed:
        found.append(Outcome(name, "failed", seconds, f"status {status}\n{output[-6000:]}"))
    return found


def select(jobs, patterns):
    """{job: what its tests' names must contain, any of}. A pattern JOB/TEST names one job; another one names the jobs
    that contain it, or, where there are none, tests in any job."""
    if not patterns:
        return {job: [] for job in jobs}
    chosen = {}
    for pattern in patterns:
        job, slash, inside = pattern.partition("/")
        if slash:
            found, words = [j for j in jobs if j == job], [inside] if inside else []
        else:
            found = [j for j in jobs if pattern in j]
            found, words = (found, []) if found else (jobs, [pattern])
        for each in found:
            chosen[each] = [] if not words or chosen.get(each) == [] else chosen.get(each, []) + words
    return chosen


def meson_tests(build):
    return json.loads(subprocess.check_output(["meson", "introspect", "--tests", build]))


def meson_jobs(listing, patterns):
    for test in listing:
        env = dict(os.environ, **test["env"])
        is_gtest = test["protocol"] == "gtest"
        inside = patterns.get(test["name"])
        if inside is None or (inside and not is_gtest):
            continue
        run = (lambda t=test, e=env, i=inside: gtest_outcomes(t, e, i)) if is_gtest else \
            (lambda t=test, e=env: plain_outcomes(t, e))
        yield test["name"], run


def module_outcomes(module, patterns):
    with tempfile.TemporaryFile("w+") as report:
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, str(TESTS / "support" / "worker.py"), module, *patterns],
                                   stdin=subprocess.DEVNULL, stdout=report, stderr=subprocess.PIPE, text=True,
                                   errors="replace", start_new_session=True)
        try:
            output = process.communicate(timeout=JOB_SECONDS)[1]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            output = process.communicate()[1]
        report.seek(0)
        found = [Outcome(**json.loads(line)) for line in report if line.startswith("{")]
    if process.returncode:
        seconds = time.monotonic() - began
        found.append(Outcome(module, "failed", seconds, f"status {process.returncode}\n{output[-6000:]}"))
    elif output.strip():
        print("\n".join(f"  {module}: {line}" for line in output.strip().splitlines()), flush=True)
    return found


def modules():
    return {path.stem: path for path in sorted((TESTS / "integration").glob("test_*.py"))}


def module_jobs(patterns):
    for name, path in modules().items():
        inside = patterns.get(name)
        if inside is None:
            continue
        text = path.read_text()
        if os.environ.get("OUTPORT_SANITIZER") and "\nSANITIZED = False" in text:
            print(f"  {name}: left out under a sanitizer", flush=True)
            continue
        alone = "\nALONE = True" in text
        yield path.stem, alone, (lambda m=path.stem, i=inside: module_outcomes(m, i))


def allowed_skips():
    allowed = {}
    for line in (TESTS / "allowed-skips").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(": ")
            allowed[name.strip()] = reason
    return allowed


class Report:
    """Collects outcomes; prints what is not plain success at once."""

    def __init__(self, verbose):
        self.all = []
        self.verbose = verbose
        self.allowed = allowed_skips()

    def take(self, outcomes):
        for outcome in outcomes:
            if outcome.state == "skipped" and not self.is_allowed(outcome.name):
                outcome.state = "failed"
                outcome.detail = f"skipped, and not in tests/allowed-skips: {outcome.detail}"
            self.all.append(outcome)
            if outcome.state == "failed":
                print(f"FAIL {outcome.name}\n{outcome.detail.rstrip()}\n", flush=True)
            elif outcome.state == "skipped":
                print(f"skip {outcome.name}: {outcome.detail.strip()}", flush=True)
            elif self.verbose:
                print(f"ok   {outcome.name} ({outcome.seconds:.1f} s)", flush=True)

    def is_allowed(self, name):
        return name in self.allowed or any(name.startswith(a[:-1]) for a in self.allowed if a.endswith("*"))

    def stage(self, title, jobs, workers):
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            for done in concurrent.futures.as_completed([pool.submit(job) for job in jobs]):
                self.take(done.result())
        print(f"stage {title}: {time.monotonic() - began:.0f} s", flush=True)

    def count(self, state):
        return sum(o.state == state for o in self.all)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--release")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    os.environ["OUTPORT_BUILD"] = os.path.abspath(options.build)
    os.environ["OUTPORT_RELEASE"] = os.path.abspath(options.release or options.build)
    os.environ["OUTPORT_LONG"] = "1" if options.long else ""
    report = Report(options.verbose)
    listing = meson_tests(options.build)
    chosen = select([t["name"] for t in listing] + list(modules()), options.patterns)
    integration = list(module_jobs(chosen))
    report.stage("unit tests", [run for _, run in meson_jobs(listing, chosen)], options.jobs)
    report.stage("integration tests", [run for _, alone, run in integration if not alone], options.jobs)
    report.stage("integration tests, one at a time", [run for _, alone, run in integration if alone], 1)
    for outcome in sorted(report.all, key=lambda o: -o.seconds)[:5]:
        print(f"slow: {outcome.name} {outcome.seconds:.1f} s")
    failed = report.count("failed")
    if not report.all:
        print("no test ran")
    print(f"{report.count('passed')} passed, {failed} failed, {report.count('skipped')} skipped", flush=True)
    return 1 if failed or not report.all else 0


if __name__ == "__main__":
    sys.exit(main())
