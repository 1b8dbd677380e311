# SPDX-License-Identifier: Apache-2.0
"""The base of the integration tests: a folder of its own for each test, daemons that are ended with it, and checks
that none of them crashed or had a sanitizer complain.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from . import daemon, qmp

LONG = os.environ.get("OUTPORT_LONG", "") == "1"
SANITIZER = os.environ.get("OUTPORT_SANITIZER", "")
LIMIT_SECONDS = 600 if SANITIZER or LONG else 240  # a net, never a condition
COMPLAINTS = re.compile(r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|Assertion .* failed|terminate called")


def long_only(test):
    """A test for ./dev test --long alone; elsewhere it does not exist."""
    return test if LONG else None


class TimedOut(BaseException):
    """The test ran into the safety net."""


class OutportTest(unittest.TestCase):
    """setUp and the helpers; subclasses are named after their subject."""

    def run(self, result=None):
        def expired(*unused):
            raise TimedOut(f"{self.id()} ran longer than {LIMIT_SECONDS} s")

        old = signal.signal(signal.SIGALRM, expired)
        signal.alarm(LIMIT_SECONDS)
        try:
            return super().run(result)
        except TimedOut as error:
            result.addFailure(self, (TimedOut, error, error.__traceback__))
            self.doCleanups()
            return result
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, old)

    def setUp(self):
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="op-"))
        self.addCleanup(shutil.rmtree, self.tmp, ignore_errors=True)
        self._private = None

    @property
    def private(self):
        """A folder below the build folder, so that no folder on its way may be written to by others (plugins)."""
        if self._private is None:
            self._private = pathlib.Path(tempfile.mkdtemp(prefix="t-", dir=daemon.BUILD))
            self.addCleanup(shutil.rmtree, self._private, ignore_errors=True)
        return self._private

    def require(self, condition, reason):
        if not condition:
            self.skipTest(reason)

    def require_oracle(self):
        """The reference program in the version that is compared with."""
        program = daemon.oracle()
        self.require(program, "no qemu-storage-daemon to compare with")
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        self.require(" 10.0.2 " in version, f"compared is with 10.0.2, here is {version.splitlines()[0]}")

    # --- daemons --------------------------------------------------------------------------------------------
    def new_daemon(self, flavour="outport", **options):
        created = daemon.Daemon(self.tmp, flavour, **options)
        self.addCleanup(self._end, created)
        return created

    def daemon(self, *args, flavour="outport", monitor=True, **options):
        """A running daemon with a monitor."""
        return self.new_daemon(flavour, **options).start(*args, monitor=monitor)

    def _end(self, running):
        if running.process is None:
            return
        status = running.process.poll()
        if status is None and SANITIZER and running.flavour == "outport":
            running.send_signal(signal.SIGTERM)  # let the leak check run
            try:
                running.wait(30)
            except subprocess.TimeoutExpired:
                pass
        running.kill()
        text = running.stderr()
        complaint = COMPLAINTS.search(text)
        if complaint:
            self.fail(f"{running.program[0]} complained:\n{text[-6000:]}")
        if status is not None and status < 0 and status != -signal.SIGKILL:
            self.fail(f"{running.program[0]} died of signal {-status}:\n{text[-6000:]}")

    def monitor(self, running, **options):
        client = running.qmp(**options)
        self.addCleanup(client.close)
        return client

    # --- files and programs ---------------------------------------------------------------------------------
    def image(self, name="disk.img", size=1 << 20, data=None):
        path = self.tmp / name
        with open(path, "wb") as out:
            if data is not None:
                out.write(data)
            out.truncate(max(size, len(data or b"")))
        return path

    def tool(self, *command, check=True, **options):
        """Runs a client to its end; its output is in the failure's text."""
        done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", check=False, timeout=LIMIT_SECONDS, **options)  # nbdinfo may show what is in the image
        if check and done.returncode:
            self.fail(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def assert_qmp_error(self, pattern, client, command, arguments=None, error_class="GenericError"):
        """The command must fail with a description that is (or, for a compiled pattern, matches) this."""
        with self.assertRaises(qmp.QmpError) as caught:
            client.cmd(command, arguments)
        error = caught.exception
        self.assertEqual(error.error_class, error_class)
        if isinstance(pattern, re.Pattern):
            self.assertRegex(error.desc, pattern)
        else:
            self.assertEqual(error.desc, pattern)
        return error
