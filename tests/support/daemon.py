# SPDX-License-Identifier: Apache-2.0
"""Starts outportd or qemu-storage-daemon, waits until it answers, and looks at the process from outside."""
import os
import pathlib
import select
import signal
import subprocess
import time

from . import qmp

BUILD = pathlib.Path(os.environ.get("OUTPORT_BUILD", "build")).resolve()
RELEASE = pathlib.Path(os.environ.get("OUTPORT_RELEASE", BUILD)).resolve()
SAFETY_SECONDS = 60


def oracle(program="qemu-storage-daemon"):
    """The reference program of that name, or None where it can't be had."""
    folder = os.environ.get("OUTPORT_ORACLE_BIN", "")
    path = pathlib.Path(folder) / program
    return path if folder and path.exists() else None


def outportd(build=None):
    return (build or BUILD) / "host" / "cli" / "outportd"


def support(program):
    return BUILD / "tests" / "support" / program


def plugin_folders(build=None):
    folder = (build or BUILD) / "plugins"
    return sorted({p.parent for p in folder.glob("*/*.so")})


def listening(path):
    """Whether something listens on that unix socket, from the kernel's own list."""
    for line in pathlib.Path("/proc/net/unix").read_text(errors="replace").splitlines():
        fields = line.split(None, 7)
        if len(fields) == 8 and fields[7] == str(path) and int(fields[3], 16) & 0x10000:
            return True
    return False


class DaemonFailed(Exception):
    """The daemon ended before it answered."""

    def __init__(self, status, stderr):
        super().__init__(f"status {status}: {stderr}")
        self.status = status
        self.stderr = stderr


class Daemon:
    """One daemon process. `flavour` is 'outport' or 'qemu'; folder holds its sockets and its stderr."""

    count = 0

    def __init__(self, folder, flavour="outport", *, build=None, plugin_dirs=None, env=None, wrapper=()):
        Daemon.count += 1
        self.folder = pathlib.Path(folder)
        self.flavour = flavour
        self.name = f"d{Daemon.count}"
        self.qmp_path = self.folder / f"{self.name}.qmp"
        self.nbd_path = self.folder / f"{self.name}.nbd"
        self.stderr_path = self.folder / f"{self.name}.err"
        self.env = dict(os.environ, **(env or {}))
        self.wrapper = list(wrapper)
        self.process = None
        if flavour == "qemu":
            program = oracle()
            if program is None:
                raise FileNotFoundError("no qemu-storage-daemon to compare with")
            self.program = [str(program)]
        else:
            self.program = [str(outportd(build))]
            folders = plugin_folders(build) if plugin_dirs is None else plugin_dirs
            for f in folders:
                self.program += ["--plugin-dir", str(f)]

    # --- starting and ending --------------------------------------------------------------------------------
    def monitor_args(self):
        return ["--chardev", f"socket,id=qmp,path={self.qmp_path},server=on,wait=off", "--monitor", "chardev=qmp"]

    def nbd_args(self, **options):
        extra = "".join(f",{k.replace('_', '-')}={v}" for k, v in options.items())
        return ["--nbd-server", f"addr.type=unix,addr.path={self.nbd_path}{extra}"]

    def start(self, *args, monitor=True, wait=True, stdin=subprocess.DEVNULL, stdout=None, stderr=None):
        """Starts with these arguments (and a monitor), and waits until the monitor answers."""
        # The monitor comes last: once it listens, all that stands before it is done.
        command = self.wrapper + self.program + [str(a) for a in args] + (self.monitor_args() if monitor else [])
        if self.flavour == "qemu" and monitor:
            command += ["--pidfile", str(self.folder / f"{self.name}.pid")]
        with open(self.stderr_path, "ab") as err:
            self.process = subprocess.Popen(command, stdin=stdin, stdout=stdout or err,
                                            stderr=err if stderr is None else stderr, env=self.env)
        if monitor and wait:
            self.wait_socket(self.qmp_path)
        if self.flavour == "qemu" and monitor and wait:
            self.wait_options()
        return self

    def wait_options(self):
        """Until all options are done. A client that comes earlier may be greeted twice by qemu-storage-daemon."""
        path = self.folder / f"{self.name}.pid"
        deadline = time.monotonic() + SAFETY_SECONDS
        while not (path.exists() and path.read_text().endswith("\n")):
            if self.process.poll() is not None:
                raise DaemonFailed(self.process.returncode, self.stderr())
            if time.monotonic() > deadline:
                raise TimeoutError("its pid file never came")
            os.sched_yield()

    def wait_socket(self, path):
        """Waits until the unix socket listens. Asks the kernel: a connection just to see would be a client to it."""
        deadline = time.monotonic() + SAFETY_SECONDS
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while not listening(path):
                if select.select([pidfd], [], [], 0.005)[0]:
                    raise DaemonFailed(self.process.wait(), self.stderr())
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path} never came up: {self.stderr()}")
        finally:
            os.close(pidfd)

    def run(self, *args, timeout=SAFETY_SECONDS, monitor=False):
        """Runs it to its end: (status, stdout, stderr)."""
        command = self.wrapper + self.program + (self.monitor_args() if monitor else []) + [str(a) for a in args]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.env,
                              timeout=timeout, check=False)
        return done.returncode, done.stdout, done.stderr

    def qmp(self, **options):
        return qmp.Qmp(self.qmp_path, **options)

    def uri(self, export):
        return f"nbd+unix:///{export}?socket={self.nbd_path}"

    def stderr(self):
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def wait_stderr(self, text):
        """Until that is in its standard error: its log is written behind its back."""
        deadline = time.monotonic() + SAFETY_SECONDS
        while text not in self.stderr():
            if time.monotonic() > deadline:
                raise TimeoutError(f"'{text}' never came: {self.stderr()}")
            os.sched_yield()

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=SAFETY_SECONDS):
        return self.process.wait(timeout)

    def stop(self):
        """SIGTERM and the status; for a test that wants to see a clean end."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # --- looking from outside -------------------------------------------------------------------------------
    @property
    def pid(self):
        return self.process.pid

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.pid}/{name}").read_text()

    def fds(self):
        """What each open descriptor points at."""
        found = {}
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                found[int(fd)] = os.readlink(f"/proc/{self.pid}/fd/{fd}")
            except FileNotFoundError:
                continue
        return found

    def mappings(self):
        return len(self.proc("maps").splitlines())

    def resident_kib(self):
        return next(int(line.split()[1]) for line in self.proc("status").splitlines() if line.startswith("VmRSS"))

    def tasks(self):
        """{tid: (name, voluntary switches, involuntary switches, nanoseconds on a processor)}"""
        found = {}
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            try:
                status = self.proc(f"task/{tid}/status")
                ran = int(self.proc(f"task/{tid}/schedstat").split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
            fields = dict(line.split(":", 1) for line in status.splitlines())
            found[int(tid)] = (fields["Name"].strip(), int(fields["voluntary_ctxt_switches"]),
                               int(fields["nonvoluntary_ctxt_switches"]), ran)
        return found
