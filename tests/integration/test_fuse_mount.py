# SPDX-License-Identifier: Apache-2.0
"""The life of a mount: where one cannot be, how it ends, and that nothing of it is left behind."""
import errno
import mmap
import os
import pathlib
import resource
import signal
import subprocess

from support.case import SANITIZER
from support.fusetest import FuseTest, both_transports, mounts, set_io_uring

RECORDS = pathlib.Path("/run/outport/fuse")
SIZE = 1 << 20
GONE = (errno.EIO, errno.ENOTCONN, errno.ECONNABORTED, errno.ESHUTDOWN)


class MountTest(FuseTest):
    """A daemon with node n0, and exports made by hand."""

    def begin(self, *args, data=b"data", size=SIZE):
        self.disk = self.image(data=data, size=size)
        self.running = self.new_daemon()
        self.running.start("--trace", "*:info", "--object", "iothread,id=t0", "--object", "iothread,id=t1",
                           "--blockdev", f"file,node-name=n0,filename={self.disk},discard=unmap", *args)
        self.client = self.monitor(self.running)
        self.file = self.mountpoint()

    def arguments(self, path=None, **more):
        return {"type": "fuse", "id": "e0", "node-name": "n0", "mountpoint": str(path or self.file), "writable": True,
                "io-uring": self.ring, **more}

    def export(self, path=None, **more):
        self.client.cmd("block-export-add", self.arguments(path, **more))

    def refused(self, text, path, **more):
        self.assert_qmp_error(text, self.client, "block-export-add", self.arguments(path, **more))
        self.assert_nothing_left(path)

    def assert_nothing_left(self, path=None, running=True):
        """No mount, no record, no open device; and the daemon lives."""
        path = path or self.file
        self.assertNotIn(str(path), mounts())
        for record in RECORDS.iterdir():
            try:
                self.assertNotIn(str(path), record.read_text())
            except FileNotFoundError:  # another test's
                pass
        if running:
            self.assertEqual([n for n in self.running.fds().values() if "fuse" in n or str(self.file) in n], [])
            self.client.cmd("query-version")

    def gone(self):
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        self.assert_nothing_left()

    def wait_held(self, number, node="f0"):
        while self.client.cmd("x-fault-query", node_name=node)["held"] < number:
            pass

    def hold(self, op, **more):
        self.client.cmd("x-fault-set", {"node-name": "f0", "rules": [{"op": op, "action": "hold", **more}]})

    def child(self, work):
        """A process that does `work` and says so by its status: 0, or an errno."""
        pid = os.fork()
        if pid == 0:
            try:
                work()
                os._exit(0)
            except OSError as error:
                os._exit(error.errno)
            finally:
                os._exit(255)

        def reap():
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass

        self.addCleanup(reap)
        return pid

    def status_of(self, pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Refusals(MountTest):
    def setUp(self):
        super().setUp()
        self.begin()

    def test_does_not_exist(self):
        path = self.tmp / "absent"
        self.refused(f"Failed to stat '{path}': No such file or directory", path)

    def test_directory(self):
        path = self.tmp / "folder"
        path.mkdir()
        self.refused(f"'{path}' is not a regular file", path)

    def test_not_a_file(self):
        path = self.tmp / "pipe"
        os.mkfifo(path)
        self.refused(f"'{path}' is not a regular file", path)

    def test_of_another_export(self):
        self.export()
        self.assert_qmp_error(f"There already is a FUSE export on '{self.file}'", self.client, "block-export-add",
                              self.arguments(id="e1"))
        other = self.tmp / "link"
        other.symlink_to(self.file)
        self.assert_qmp_error(f"'{other}' is a mount point already", self.client, "block-export-add",
                              self.arguments(other, id="e1"))
        self.assertEqual(self.file.read_bytes()[:4], b"data")
        self.client.cmd("block-export-del", id="e0")
        self.gone()

    def test_mount_point(self):
        path = self.mountpoint("bound")
        subprocess.run(["mount", "--bind", self.disk, path], check=True)
        self.assert_qmp_error(f"'{path}' is a mount point already", self.client, "block-export-add", self.arguments(path))
        subprocess.run(["umount", path], check=True)
        self.assert_nothing_left(path)

    def test_the_path_is_free_again(self):
        for more in ({}, {"iothread": "t0"}, {"iothread": ["t0", "t1"]}):
            self.export(**more)
            self.assertEqual(self.file.read_bytes()[:4], b"data")
            self.client.cmd("block-export-del", id="e0")
            self.gone()


class Stale(MountTest):
    def test_a_living_one_stays(self):
        """Others that start meanwhile find its record, and leave it alone."""
        self.begin()
        self.export()
        self.daemon("--blockdev", "null-co,node-name=n0")
        self.assertIn(str(self.file), mounts())
        self.assertEqual(self.file.read_bytes()[:4], b"data")
        self.client.cmd("block-export-del", id="e0")
        self.gone()


class Failures(MountTest):
    """A start that fails after the mount was made."""

    def test_without_the_parameter(self):
        set_io_uring(self, "N")
        self.begin()
        for more in ({}, {"iothread": ["t0", "t1"]}):
            self.refused("FUSE over io_uring is not available here", None, **more | {"io-uring": True})
        self.export(**{"io-uring": "auto"})
        self.assertEqual(self.file.read_bytes()[:4], b"data")

    def test_no_memory(self):
        """For the requests' buffers, some 64 MiB of addresses, when the mount has been made."""
        self.require(not SANITIZER, "a sanitizer needs the addresses itself")
        self.begin()
        used = int(self.running.proc("statm").split()[0]) * resource.getpagesize()
        for more in ({}, {"iothread": ["t0", "t1"]}):
            resource.prlimit(self.running.pid, resource.RLIMIT_AS, (used + (48 << 20), resource.RLIM_INFINITY))
            self.refused("No memory for the requests of a FUSE export", None, **more)
            resource.prlimit(self.running.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.export()
        self.assertEqual(self.file.read_bytes()[:4], b"data")

    def test_on_the_command_line(self):
        """The process does not start, and nothing stays mounted."""
        disk, path = self.image(), self.mountpoint()
        status, _, text = self.new_daemon().run("--blockdev", f"file,node-name=n0,filename={disk}",
                                                *self.export_args(path), *self.export_args(path, id="e1"))
        self.assertEqual(status, 1, text)
        self.assertIn("There already is a FUSE export on", text)
        self.file = path
        self.assert_nothing_left(running=False)


class OverItself(MountTest):
    """The image's own name is the place of the mount."""

    def test_plain(self):
        self.begin(data=b"image")
        self.export(self.disk)
        with open(self.disk, "r+b", buffering=0) as file:
            self.assertEqual(file.read(5), b"image")
            file.seek(0)
            file.write(b"IMAGE")
        self.client.cmd("block-export-del", id="e0")
        self.gone()
        self.assertEqual(self.disk.read_bytes()[:5], b"IMAGE")
        self.assertEqual(self.running.stop(), 0)

    def test_offset(self):
        self.begin("--blockdev", "raw,node-name=r0,file=n0,offset=65536", data=b"a" * 65536 + b"b" * 65536)
        self.export(self.disk, **{"node-name": "r0"})
        self.assertEqual(os.stat(self.disk).st_size, SIZE - 65536)
        self.assertEqual(self.disk.read_bytes()[:65537], b"b" * 65536 + b"\0")
        with open(self.disk, "r+b", buffering=0) as file:
            file.write(b"new")
        self.assertEqual(self.running.stop(), 0)
        self.assert_nothing_left(self.disk, running=False)
        self.assertEqual(self.disk.read_bytes()[65535:65540], b"anewb")

    def test_end_of_the_process(self):
        self.begin(data=b"image")
        self.export(self.disk)
        fd = self.open(path=self.disk)
        os.pwrite(fd, b"IMAGE", 0)
        self.assertEqual(self.running.stop(), 0)
        self.assert_nothing_left(self.disk, running=False)
        self.assertEqual(self.disk.read_bytes()[:5], b"IMAGE")


class OwnExportBelow(MountTest):
    """A node whose file is an export of this process: what waits for it waits on the pool."""

    def below(self):
        self.begin(*self.nbd())
        self.export()
        self.client.cmd("blockdev-add", {"driver": "file", "node-name": "n1", "filename": str(self.file),
                                         "locking": "off"})
        self.client.cmd("block-export-add", {"type": "nbd", "id": "e1", "node-name": "n1", "name": "x", "writable": True})

    def nbd(self):
        self.socket = self.tmp / "nbd"
        return ["--nbd-server", f"addr.type=unix,addr.path={self.socket}"]

    def io(self, *commands, check=True):
        words = [w for c in commands for w in ("-c", c)]
        return self.tool("qemu-io", "-f", "raw", *words, f"nbd+unix:///x?socket={self.socket}", check=check)

    def test_use_and_removal(self):
        self.below()
        self.io("write -P 7 4096 65536", "flush", "read -P 7 4096 65536", "discard 0 4096")
        self.assertEqual(self.disk.read_bytes()[4096:4096 + 65536], b"\7" * 65536)
        self.client.cmd("block-export-del", id="e1", mode="hard")
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e1")
        self.client.cmd("blockdev-del", node_name="n1")
        self.client.cmd("block-export-del", id="e0")
        self.gone()
        self.assertEqual(self.running.stop(), 0)

    def test_removed_from_under_it(self):
        self.below()
        self.client.cmd("block-export-del", id="e0", mode="hard")
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        done = self.io("read 0 4096", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.client.cmd("query-version")
        self.assertEqual(self.running.stop(), 0)
        self.assert_nothing_left(running=False)

    def test_killed(self):
        """Closing its descriptor of the mount waits for nobody: a process that dies could not answer."""
        self.below()
        self.io("write -P 7 0 65536")
        threads = [f"/proc/{self.running.pid}/task/{tid}" for tid in self.running.tasks()]
        self.running.kill()
        while any(os.path.exists(t) for t in threads):
            os.sched_yield()
        self.daemon("--blockdev", "null-co,node-name=n0")
        self.assert_nothing_left(running=False)

    def test_end_of_the_process_in_use(self):
        self.below()
        load = subprocess.Popen(["qemu-img", "bench", "-f", "raw", "-w", "-c", "100000000", "-d", "16",
                                 f"nbd+unix:///x?socket={self.socket}"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        before = self.disk.stat().st_mtime_ns
        while self.disk.stat().st_mtime_ns == before:
            self.client.cmd("query-version")
        self.assertEqual(self.running.stop(), 0)
        self.assert_nothing_left(running=False)


class FromOutside(MountTest):
    """Somebody unmounts it."""

    def ended(self):
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        self.assert_nothing_left()
        self.running.wait_stderr("export 'e0' has ended: it was unmounted")
        self.assertEqual(self.client.cmd("query-block-exports"), [])

    def test_umount(self):
        self.begin()
        for more in ({}, {"iothread": ["t0", "t1"]}):
            self.export(**more)
            self.assertEqual(self.file.read_bytes()[:4], b"data")
            subprocess.run(["umount", self.file], check=True)
            self.ended()

    def test_lazily_with_an_open_file(self):
        self.begin()
        self.export()
        fd = self.open()
        subprocess.run(["umount", "-l", self.file], check=True)
        os.pwrite(fd, b"more", 4096)  # that one goes on
        os.close(fd)
        self.ended()
        self.assertEqual(self.disk.read_bytes()[4096:4100], b"more")

    def test_another_mount_in_its_place(self):
        """What is there then is not ours to take down."""
        self.begin()
        self.export()
        fd = self.open()
        subprocess.run(["umount", "-l", self.file], check=True)
        subprocess.run(["mount", "--bind", self.disk, self.file], check=True)
        self.client.cmd("block-export-del", id="e0", mode="hard")
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        with self.assertRaises(OSError):
            os.ftruncate(fd, 4096)
        self.assertIn(str(self.file), mounts())
        subprocess.run(["umount", self.file], check=True)
        self.assert_nothing_left()


    def test_covered(self):
        """It can't be taken down while something lies over it; the next start does it."""
        self.begin()
        self.export()
        subprocess.run(["mount", "--bind", self.disk, self.file], check=True)
        self.client.cmd("block-export-del", id="e0")
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        self.running.wait_stderr("something else is mounted over it")
        subprocess.run(["umount", self.file], check=True)
        self.assertIn(str(self.file), mounts())
        self.daemon("--blockdev", "null-co,node-name=n0")
        self.assert_nothing_left()
        self.assertEqual(os.stat(self.file).st_size, 0)


class Ends(MountTest):
    """Removal and SIGTERM, whatever clients have open."""

    def faulty(self):
        self.begin("--blockdev", "x-fault,node-name=f0,file=n0")
        self.export(**{"node-name": "f0"})

    def both_ends(self, prepare):
        for removal in (True, False):
            with self.subTest(removal=removal):
                self.faulty()
                check = prepare()
                if removal:
                    self.client.cmd("block-export-del", id="e0", mode="hard")
                    self.gone()
                else:
                    self.assertEqual(self.running.stop(), 0)
                    self.assert_nothing_left(running=False)
                check()
                if removal:
                    self.assertEqual(self.running.stop(), 0)

    def test_open_file(self):
        def prepare():
            fd = self.open()

            def check():
                with self.assertRaises(OSError):
                    os.ftruncate(fd, 4096)
                self.close(fd)
            return check
        self.both_ends(prepare)

    def test_mapping(self):
        def prepare():
            fd = self.open()
            shared = mmap.mmap(fd, SIZE)
            shared[0:4] = b"DATA"
            os.close(fd)
            return shared.close
        self.both_ends(prepare)

    def test_held_requests(self):
        def prepare():
            self.hold("read")
            waiting = [self.child(lambda i=i: os.pread(os.open(self.file, os.O_RDONLY), 4096, i << 17)) for i in range(4)]
            self.wait_held(4)

            def check():
                for pid in waiting:
                    self.assertIn(self.status_of(pid), GONE)
            return check
        self.both_ends(prepare)

    def test_held_write(self):
        def prepare():
            self.hold("write")
            waiting = self.child(lambda: os.pwrite(os.open(self.file, os.O_RDWR), b"x" * 4096, 0))
            self.wait_held(1)
            return lambda: self.assertIn(self.status_of(waiting), GONE)
        self.both_ends(prepare)


class Programs(MountTest):
    """What expects a file."""

    def test_foreign_resize_is_refused(self):
        self.begin()
        self.export(**({"growable": True}))
        done = self.tool("qemu-img", "resize", "-f", "raw", self.disk, "2M", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('Failed to get "resize" lock', done.stderr)
        self.assertEqual(self.disk.stat().st_size, SIZE)

    def test_file_system(self):
        self.begin(size=64 << 20, data=b"")
        self.export()
        for option in ("--direct-io=off", "--direct-io=on"):
            made = subprocess.run(["losetup", "-f", "--show", option, self.file], capture_output=True, text=True, check=False)
            self.require(made.returncode == 0, "no loop device is to be had")
            device = made.stdout.strip()
            self.addCleanup(subprocess.run, ["losetup", "-d", device], check=False, stderr=subprocess.DEVNULL)
            self.tool("mkfs.ext4", "-q", "-F", device)
            folder = self.tmp / "fs"
            folder.mkdir(exist_ok=True)
            subprocess.run(["mount", device, folder], check=True)
            try:
                wanted = {}
                for number in range(40):
                    wanted[number] = os.urandom(1000 * number + 7)
                    (folder / f"f{number}").write_bytes(wanted[number])
                os.sync()
                self.query_in_sqlite(folder / "base")
                for number, data in wanted.items():
                    self.assertEqual((folder / f"f{number}").read_bytes(), data)
            finally:
                subprocess.run(["umount", folder], check=True)
            self.tool("e2fsck", "-f", "-n", device)
            subprocess.run(["losetup", "-d", device], check=True)
            self.tool("e2fsck", "-f", "-n", self.file)
        self.client.cmd("block-export-del", id="e0")
        self.gone()
        self.tool("e2fsck", "-f", "-n", self.disk)

    def query_in_sqlite(self, path):
        import sqlite3
        base = sqlite3.connect(path)
        base.execute("pragma journal_mode=wal")
        base.execute("create table t (n integer, s text)")
        for number in range(100):
            base.execute("insert into t values (?, ?)", (number, "x" * number))
            base.commit()
        self.assertEqual(base.execute("select sum(n), count(*) from t").fetchone(), (4950, 100))
        self.assertEqual(base.execute("pragma integrity_check").fetchone(), ("ok",))
        base.close()

    def test_copies(self):
        data = bytearray(8 << 20)
        data[1 << 20:2 << 20] = os.urandom(1 << 20)
        data[5 << 20:(5 << 20) + 12345] = os.urandom(12345)
        self.begin(size=8 << 20, data=b"")
        with open(self.disk, "r+b") as out:
            for start, length in ((1 << 20, 1 << 20), (5 << 20, 12345)):
                out.seek(start)
                out.write(data[start:start + length])
        self.export()
        copy = self.tmp / "copy"
        self.tool("cp", "--sparse=always", self.file, copy)
        self.assertEqual(copy.read_bytes(), bytes(data))
        self.assertLess(copy.stat().st_blocks * 512, 3 << 20)
        self.tool("cp", "--sparse=auto", self.file, copy)
        self.assertEqual(copy.read_bytes(), bytes(data))
        for more in ((), ("iflag=direct",)):
            self.tool("dd", f"if={self.file}", f"of={copy}", "bs=1M", *more)
            self.assertEqual(copy.read_bytes(), bytes(data))
        self.tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", self.file, self.tmp / "copy.qcow2")
        self.tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", self.file, self.tmp / "copy.qcow2")
        self.assertIn("virtual size: 8 MiB", self.tool("qemu-img", "info", self.file).stdout)
        other = self.tmp / "other"
        other.write_bytes(os.urandom(8 << 20))
        self.tool("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", other, self.file)
        self.assertEqual(self.disk.read_bytes(), other.read_bytes())
        self.tool("dd", f"if={copy}", f"of={self.file}", "bs=64k", "conv=notrunc,fsync", "oflag=direct")
        self.assertEqual(self.disk.read_bytes(), bytes(data))


both_transports(globals())
