# SPDX-License-Identifier: Apache-2.0
"""Nobody takes the lines of the log: standard error is a pipe that is full, or the log file is one. What the daemon
serves goes on, and the process ends.
"""
import fcntl
import os
import signal
import socket

from support.nbdtest import NbdTest

BAD_FLAGS = b"\xff" * 4
QUEUED = 1024  # lines that wait to be written, at most


class Log(NbdTest):
    def setUp(self):
        super().setUp()
        self.reader = None

    def fill(self, path):
        """Until the kernel takes no more byte. The descriptor is our own, so that theirs stays one that waits."""
        writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        size = 4096
        while size:
            try:
                os.write(writer, b"." * size)
            except BlockingIOError:
                size //= 2
        os.close(writer)

    def full_pipe(self):
        self.reader, writer = os.pipe()
        self.addCleanup(os.close, self.reader)
        self.addCleanup(os.close, writer)
        self.fill(f"/proc/self/fd/{writer}")
        return writer

    def begin(self, stderr, trace="*:debug"):
        running = self.new_daemon()
        return running.start("--trace", trace, "--blockdev", "null-co,node-name=n0,read-zeroes=on", *running.nbd_args(),
                             "--export", "nbd,id=e0,node-name=n0,name=x", stderr=stderr)

    def make_lines(self, running, count):
        """Each is a client whose negotiation fails."""
        for _ in range(count):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(60)
                client.connect(str(running.nbd_path))
                client.sendall(BAD_FLAGS)
                while client.recv(4096):
                    pass

    def check(self, running):
        self.make_lines(running, 5)
        with running.qmp() as client:
            self.assertIn("qemu", client.cmd("query-version"))
        handle = self.connect(running)
        self.assertEqual(bytes(handle.pread(4096, 0)), bytes(4096))
        handle.shutdown()
        running.send_signal(signal.SIGTERM)
        self.assertEqual(running.wait(), 0)

    def test_standard_error_is_full(self):
        self.check(self.begin(self.full_pipe()))

    def test_log_file_is_full(self):
        path = self.tmp / "log"
        os.mkfifo(path)
        self.reader = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, self.reader)
        self.fill(path)
        self.check(self.begin(None, f"enable=*:debug,file={path}"))

    def test_start_fails_while_it_is_full(self):
        running = self.new_daemon()
        running.start("--blockdev", "file,node-name=n0,filename=/none", monitor=False, stderr=self.full_pipe())
        self.assertEqual(running.wait(), 1)

    def test_lines_are_dropped_and_counted(self):
        writer = self.full_pipe()
        running = self.begin(writer)
        self.make_lines(running, QUEUED + 10)
        running.send_signal(signal.SIGTERM)
        text = b""
        while b"they came faster" not in text:
            text += os.read(self.reader, 65536)
        self.assertRegex(text, rb"outportd: warning: [1-9]\d* line\(s\) of the log are missing here")
        self.assertEqual(running.wait(), 0)

    def test_lines_of_the_end_are_written(self):
        path = self.tmp / "log"
        running = self.begin(None, f"enable=*:debug,file={path}")
        self.make_lines(running, 100)
        self.assertEqual(running.stop(), 0)
        self.assertEqual(path.read_text().count("negotiation failed"), 100)
