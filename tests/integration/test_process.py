# SPDX-License-Identifier: Apache-2.0
"""The process as its parent sees it: daemonizing, the pid file, signals, the texts of -h and -V, its sockets."""
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import time

import nbd

from support import daemon, differential, nbdtest, qmp
from support.case import COMPLAINTS, SANITIZER, OutportTest


def alive(pid):
    """Whether the process runs (a zombie does not)."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_gone(pid):
    deadline = time.monotonic() + 60
    while alive(pid):
        if time.monotonic() > deadline:
            raise AssertionError(f"{pid} does not end")
        os.sched_yield()


class Daemonize(OutportTest):
    def test_parent_ends_when_all_is_up(self):
        pidfile = self.tmp / "pid"
        running = self.new_daemon()
        status, out, err = running.run("--daemonize", "--pidfile", pidfile, "--blockdev", "null-co,node-name=n0",
                                       *running.nbd_args(), "--export", "nbd,id=e0,node-name=n0", monitor=True)
        self.assertEqual((status, out, err), (0, "", ""))
        pid = int(pidfile.read_text())
        self.addCleanup(lambda: alive(pid) and os.kill(pid, signal.SIGKILL))
        # All is there already: no waiting here.
        with running.qmp() as client:
            self.assertEqual([e["id"] for e in client.cmd("query-block-exports")], ["e0"])
        self.assertEqual(int(self.tool("nbdinfo", "--size", running.uri("n0")).stdout), 1 << 30)
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        self.assertEqual([os.readlink(f"/proc/{pid}/fd/{n}") for n in range(3)], ["/dev/null"] * 3)
        self.assertEqual(os.getsid(pid) == os.getsid(0), False)
        status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        self.assertEqual(status["Umask"].strip(), "0027")
        with running.qmp() as client:
            client.cmd("quit")
        wait_gone(pid)
        self.assertFalse(pidfile.exists())
        self.assertFalse(running.qmp_path.exists() or running.nbd_path.exists())

    def test_late_errors_reach_the_parent(self):
        running = self.new_daemon()
        pidfile = self.tmp / "pid"
        status, _, err = running.run("--daemonize", "--pidfile", pidfile, "--blockdev", "null-co,node-name=n0",
                                     "--export", "nbd,id=e0,node-name=n0")
        self.assertEqual(status, 1)
        self.assertIn("NBD server not running", err)
        self.assertFalse(pidfile.exists())

    def test_late_errors_are_out_before_the_parent_ends(self):
        """Who started it looks for the reason as soon as it has ended, while the log is written behind the back of all."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        os.set_blocking(reader, False)
        for _ in range(50):
            running = self.new_daemon()
            running.start("--daemonize", "--export", "nbd,id=e0,node-name=none", monitor=False, stderr=writer)
            self.assertEqual(running.wait(), 1)
            self.assertIn(b"none", os.read(reader, 65536))

    def test_relative_names(self):
        """They mean what they meant where the command was typed, though the daemon has gone to "/"."""
        folder = self.private
        (folder / "pl").mkdir()
        for name, source in (("pl/nbd.so", "plugins/nbd/nbd.so"), ("probe.so", "tests/plugins/probe/probe.so")):
            shutil.copy(daemon.BUILD / source, folder / name)
        (folder / "image").write_bytes(b"r" * 4096)
        running = self.new_daemon(plugin_dirs=["pl"], wrapper=["env", "-C", folder])
        status, _, err = running.run(
            "--daemonize", "--plugin", "./probe.so", "--pidfile", "pid", "--trace", "enable=*:info,file=log",
            "--chardev", "socket,id=c,path=qmp,server=on,wait=off", "--monitor", "c", "--nbd-server", "addr.type=unix,addr.path=nbd",
            "--blockdev", "file,node-name=n0,filename=image,auto-read-only=on", "--export", "nbd,id=e0,node-name=n0")
        self.assertEqual((status, err), (0, ""))
        pid = int((folder / "pid").read_text())
        self.addCleanup(lambda: alive(pid) and os.kill(pid, signal.SIGKILL))
        handle = nbd.NBD()
        with qmp.Qmp(folder / "qmp") as client:
            self.assertEqual({p["name"]: p["path"] for p in client.cmd("query-plugins")},
                             {"nbd": f"{folder}/pl/nbd.so", "probe": f"{folder}/./probe.so"})
            client.cmd("plugin-unload", name="probe")
            os.rename(folder / "probe.so", folder / "pl" / "probe.so")
            client.cmd("plugin-load", name="probe")
            client.cmd("block-export-add", {"type": "nbd", "id": "e1", "node-name": "n0", "name": "w", "writable": True})
            handle.connect_uri(f"nbd+unix:///w?socket={folder}/nbd")
            handle.pwrite(b"w" * 512, 512)
            handle.shutdown()
            client.cmd("quit")
        wait_gone(pid)
        self.assertEqual((folder / "image").read_bytes(), b"r" * 512 + b"w" * 512 + b"r" * 3072)
        self.assertEqual(sorted(p.name for p in folder.iterdir()), ["image", "log", "pl"])
        self.assertIn("loaded plugin 'probe'", (folder / "log").read_text())

    def test_iothreads_work_after_the_fork(self):
        running = self.new_daemon()
        pidfile = self.tmp / "pid"
        image = self.image(data=b"d" * 4096)
        status, _, err = running.run("--daemonize", "--pidfile", pidfile, "--object", "iothread,id=t0",
                                     "--blockdev", f"file,node-name=n0,filename={image}", *running.nbd_args(),
                                     "--export", "nbd,id=e0,node-name=n0,iothread=t0")
        self.assertEqual(status, 0, err)
        pid = int(pidfile.read_text())
        self.addCleanup(lambda: alive(pid) and os.kill(pid, signal.SIGKILL))
        self.tool("nbdcopy", running.uri("n0"), self.tmp / "out")
        self.assertEqual((self.tmp / "out").read_bytes(), image.read_bytes())
        os.kill(pid, signal.SIGTERM)
        wait_gone(pid)


class FailedStart(OutportTest):
    """Whatever was begun before the start failed is taken back: status 1, a message, no file, no crash."""

    def assert_fails(self, message, *arguments, wrapper=()):
        running = self.new_daemon(wrapper=wrapper)
        pidfile = self.tmp / "pid"
        status, _, err = running.run("--pidfile", pidfile, *arguments, monitor=True)
        self.assertEqual(status, 1, err)
        self.assertRegex(err, message)
        self.assertIsNone(COMPLAINTS.search(err), err)
        self.assertFalse(pidfile.exists() or running.qmp_path.exists() or running.nbd_path.exists(), err)

    def everything(self):
        path = self.tmp / "nbd"
        return ["--object", "iothread,id=t0", "--blockdev", f"file,node-name=f0,filename={self.image()}",
                "--blockdev", "raw,node-name=n0,file=f0", "--nbd-server", f"addr.type=unix,addr.path={path}",
                "--export", "nbd,id=e0,node-name=n0,iothread=t0", "--chardev",
                f"socket,id=c1,path={self.tmp}/c1,server=on,wait=off", "--monitor", "c1"]

    def test_a_device_in_the_way(self):
        """/dev/null as the name of a pid file or a socket: nobody may take it from the system."""
        self.require(os.geteuid() == 0, "only root makes devices")
        device = self.tmp / "null"
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        for message, words in ((f"cannot create PID file: '{device}' is no regular file", ["--pidfile", device]),
                               (f"Failed to bind socket to {device}: Address already in use",
                                ["--chardev", f"socket,id=c,path={device},server=on,wait=off", "--monitor", "c"])):
            status, _, err = self.new_daemon().run(*words)
            self.assertEqual(status, 1, err)
            self.assertIn(message, err)
            self.assertTrue(stat.S_ISCHR(device.stat().st_mode))

    def test_after_each_option(self):
        everything = self.everything()
        for count in range(0, len(everything) + 1, 2):
            with self.subTest(everything[:count][-2:]):
                self.assert_fails("node-name|driver", *everything[:count], "--blockdev", "bad")
                self.assertFalse((self.tmp / "nbd").exists() or (self.tmp / "c1").exists())

    def test_the_last_step(self):
        """The pid file, when all the rest is there and served."""
        self.assert_fails("cannot create PID file", *self.everything(), "--pidfile", self.tmp / "none" / "pid")

    def test_a_plugin_that_was_named(self):
        self.assert_fails("plugin 'none' is not found", "--plugin", "none")

    def test_descriptors_run_out(self):
        """At every step at which one can be missing."""
        self.require(not SANITIZER, "the sanitizer needs descriptors of its own")
        everything = [*self.everything(), "--blockdev", "bad"]
        for limit in range(4, 48):
            with self.subTest(limit):
                self.assert_fails(".", *everything, wrapper=["prlimit", f"--nofile={limit}:{limit}"])
                self.assertFalse((self.tmp / "nbd").exists() or (self.tmp / "c1").exists())


class PidFile(OutportTest):
    def test_mode_content_lock(self):
        pidfile = self.tmp / "pid"
        running = self.daemon("--pidfile", pidfile)
        with self.monitor(running) as client:
            client.cmd("query-version")
        self.assertEqual(pidfile.read_text(), f"{running.pid}\n")
        self.assertEqual(stat.S_IMODE(pidfile.stat().st_mode), 0o600)
        status, _, err = self.new_daemon().run("--pidfile", pidfile)
        self.assertEqual(status, 1)
        self.assertIn("Cannot lock pid file: Resource temporarily unavailable", err)
        self.assertEqual(pidfile.read_text(), f"{running.pid}\n")
        self.assertEqual(running.stop(), 0)
        self.assertFalse(pidfile.exists())

    def test_last_one_wins(self):
        running = self.daemon("--pidfile", self.tmp / "a", "--pidfile", self.tmp / "b")
        with self.monitor(running) as client:
            client.cmd("query-version")
        self.assertEqual(sorted(p.name for p in self.tmp.iterdir() if p.name in "ab"), ["b"])


class Signals(OutportTest):
    def test_each_ends_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(number):
                running = self.new_daemon()
                running.start("--blockdev", "null-co,node-name=n0", *running.nbd_args(),
                              "--export", "nbd,id=e0,node-name=n0")
                client = self.monitor(running)
                running.send_signal(number)
                client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
                self.assertEqual(running.wait(), 0)
                self.assertFalse(running.qmp_path.exists() or running.nbd_path.exists())

    def test_sigpipe_is_survived(self):
        running = self.daemon()
        running.send_signal(signal.SIGPIPE)
        self.assertIn("qemu", self.monitor(running).cmd("query-version"))

    def test_quit(self):
        running = self.daemon()
        self.assertEqual(self.monitor(running).cmd("quit"), {})
        self.assertEqual(running.wait(), 0)


class Texts(OutportTest):
    def test_version(self):
        for option in ("-V", "--version"):
            status, out, err = self.new_daemon().run(option)
            self.assertEqual((status, err), (0, ""))
            self.assertRegex(out, r"^outportd \S*\d+\.\d+\.\d+|^outportd version \d+\.\d+\.\d+")

    def test_version_under_the_other_name(self):
        side = differential.Side(self, "outport").make()
        _, out, _ = side.run("--version")
        self.assertRegex(out.splitlines()[0], r"^qemu-storage-daemon version 10\.0\.2 \(.*outport.*\)$")

    def test_help_lists_every_option(self):
        for option in ("-h", "--help"):
            status, out, err = self.new_daemon().run(option)
            self.assertEqual((status, err), (0, ""))
            for name in ("blockdev", "chardev", "daemonize", "export", "help", "monitor", "nbd-server", "object", "pidfile",
                         "version", "plugin", "plugin-dir", "socket-mode", "socket-group"):
                self.assertIn(f"--{name}", out)

    def test_help_without_the_plugin(self):
        empty = self.private / "none"
        empty.mkdir()
        status, out, _ = self.new_daemon(plugin_dirs=[empty]).run("--help")
        self.assertEqual(status, 0)
        self.assertNotIn("--nbd-server", out)

    def test_version_over_qmp(self):
        running = self.daemon()
        client = self.monitor(running)
        version = client.cmd("query-version")
        self.assertEqual(version["qemu"], {"major": 10, "minor": 0, "micro": 2})
        self.assertRegex(version["package"], r"^outport \d+\.\d+\.\d+")
        self.assertEqual(client.greeting["QMP"]["version"], version)


class Sockets(OutportTest):
    def test_mode(self):
        running = self.daemon()
        self.assertEqual(stat.S_IMODE(running.qmp_path.stat().st_mode), 0o600)

    def test_mode_given(self):
        running = self.daemon("--socket-mode", "0660")
        self.assertEqual(stat.S_IMODE(running.qmp_path.stat().st_mode), 0o660)

    def test_stdio_monitor(self):
        running = self.new_daemon()
        command = [*running.program, "--chardev", "stdio,id=c", "--monitor", "c"]
        done = subprocess.run(command, input='{"execute":"qmp_capabilities"}{"execute":"quit"}', capture_output=True,
                              text=True, timeout=60, check=False)
        lines = done.stdout.splitlines()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(lines[0].startswith('{"QMP"'))
        self.assertEqual(lines[1:3], ['{"return": {}}', '{"return": {}}'])

    def test_tcp_monitor(self):

        port = nbdtest.free_port()
        self.daemon("--chardev", f"socket,id=t,host=127.0.0.1,port={port},server=on,wait=off", "--monitor", "t")
        with qmp.Qmp(("127.0.0.1", port)) as client:
            self.assertIn("qemu", client.cmd("query-version"))

    def test_pretty(self):
        running = self.daemon("--chardev", f"socket,id=p,path={self.tmp}/p,server=on,wait=off",
                              "--monitor", "chardev=p,pretty=on")
        del running
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(f"{self.tmp}/p")
            raw.settimeout(60)
            self.assertEqual(raw.recv(13, socket.MSG_WAITALL), b'{\r\n    "QMP":')

    def test_lines_end_as_theirs(self):
        running = self.daemon()
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(running.qmp_path))
            raw.settimeout(60)
            greeting = b""
            while b"\n" not in greeting:
                greeting += raw.recv(4096)
            self.assertTrue(greeting.endswith(b"}\r\n"))
            self.assertEqual(greeting.count(b"\n"), 1)


class Names(OutportTest):
    def test_options_by_prefix_and_equals(self):
        running = self.new_daemon()
        running.start("--blockd", "null-co,node-name=n0", f"--nbd-serv=addr.type=unix,addr.path={running.nbd_path}",
                      "--exp=nbd,id=e0,node-name=n0")
        self.assertEqual(len(self.monitor(running).cmd("query-block-exports")), 1)

    def test_json_values(self):
        running = self.new_daemon()
        running.start("--blockdev", '{"driver": "null-co", "node-name": "n0", "size": 4096}',
                      "--nbd-server", '{"addr": {"type": "unix", "path": "%s"}}' % running.nbd_path,
                      "--export", "{'type': 'nbd', 'id': 'e0', 'node-name': 'n0', 'name': 'a,b'}")
        self.assertEqual(int(self.tool("nbdinfo", "--size", running.uri("a,b")).stdout), 4096)


