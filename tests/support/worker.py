# SPDX-License-Identifier: Apache-2.0
"""Runs one module of integration tests and prints one JSON line for each test; run.py starts it."""
import importlib
import json
import pathlib
import sys
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parent.parent


class Reporter(unittest.TestResult):
    """Turns each test's end into a line. A sub-test counts as a test of its own when it fails."""

    def __init__(self, out):
        super().__init__()
        self.out = out

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.state = "passed"
        self.detail = ""

    def stopTest(self, test):
        super().stopTest(test)
        name = test.id().replace(".", "/", 1)
        line = {"name": name, "state": self.state, "seconds": time.monotonic() - self.began, "detail": self.detail}
        self.out.write(json.dumps(line) + "\n")
        self.out.flush()

    def _bad(self, test, error):
        self.state = "failed"
        self.detail += self._exc_info_to_string(error, test)

    def addError(self, test, err):
        if not hasattr(self, "state") or not isinstance(test, unittest.TestCase):
            self.startTest(test)  # a fixture of the class or the module
            self._bad(test, err)
            self.stopTest(test)
        else:
            self._bad(test, err)

    def addFailure(self, test, err):
        self._bad(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.state = "failed"
            self.detail += f"{subtest}\n" + self._exc_info_to_string(err, test)

    def addSkip(self, test, reason):
        if self.state == "failed":
            return
        self.state, self.detail = "skipped", reason

    def addUnexpectedSuccess(self, test):
        self.state, self.detail = "failed", "unexpected success"


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main():
    module_name, patterns = sys.argv[1], sys.argv[2:]
    sys.path[:0] = [str(TESTS), str(TESTS / "integration")]
    module = importlib.import_module(module_name)
    tests = list(flatten(unittest.defaultTestLoader.loadTestsFromModule(module)))
    if patterns:
        tests = [t for t in tests if any(p in t.id().replace(".", "/", 1) for p in patterns)]
    out = sys.stdout
    sys.stdout = sys.stderr
    unittest.TestSuite(tests).run(Reporter(out))


if __name__ == "__main__":
    main()
