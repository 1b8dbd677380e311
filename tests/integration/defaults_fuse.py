# SPDX-License-Identifier: Apache-2.0
"""The defaults of exports of type fuse, by what a program that opens the file sees."""
import errno
import os
import stat

from defaults import default

from support.fusetest import Mounting, can_mount, set_io_uring, super_options


class Fuse(Mounting):
    """Beside ServedTest, whose helpers it uses."""

    def mounted(self, node="n0", **more):
        """A FUSE export with nothing but what it must have."""
        self.require(can_mount(), "only root mounts without a helper")
        path = self.mountpoint(f"m-{node}")
        self.client.cmd("block-export-add", {"type": "fuse", "id": f"f-{node}", "node-name": node,
                                             "mountpoint": str(path), **more})
        return path

    def opened(self, path, flags=os.O_RDWR):
        fd = os.open(path, flags | os.O_CLOEXEC)
        self.addCleanup(os.close, fd)
        return fd

    @default("fuse.writable")
    def fuse_writable(self, value):
        self.null()
        path = self.mounted()
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600 if value else 0o400)
        with self.assertRaises(OSError) as caught:
            os.pwrite(self.opened(path), b"x", 0)
        self.assertEqual(caught.exception.errno, errno.EACCES)

    @default("fuse.growable", "BlockExportOptionsFuse.growable")
    def growable(self, value):
        self.add("file", "n0", filename=str(self.image(size=4096)))
        fd = self.opened(self.mounted(writable=True))
        self.assertEqual((os.pwrite(fd, b"x" * 1024, 4096 - 512), value), (512, False))

    @default("fuse.allow-other", "BlockExportOptionsFuse.allow-other")
    def allow_other(self, value):
        """`auto` is: where the system allows it, and to root it does."""
        self.null()
        self.assertIn("allow_other", super_options(self.mounted()))
        self.assertEqual(value, "auto")

    @default("fuse.writethrough")
    def fuse_writethrough(self, value):
        self.add("file", "f0", filename=str(self.image()))
        self.add("x-fault", "x0", file="f0")
        self.add("x-cache", "n0", file="x0")
        os.pwrite(self.opened(self.mounted(writable=True)), b"w" * 4096, 0)
        self.assertEqual(self.counts("x0")["flush"], int(value))

    @default("fuse.iothread")
    def fuse_main_loop(self, _):
        """The processor time of its requests is spent there."""
        self.null()
        fd = self.opened(self.mounted(writable=True))
        before = self.running.tasks()
        for _ in range(1000):
            os.pwrite(fd, b"x" * 4096, 0)
        after = self.running.tasks()
        self.assertEqual(max(after, key=lambda t: after[t][3] - before.get(t, (0, 0, 0, 0))[3]), self.running.pid)

    @default("fuse.fixed-iothread")
    def fuse_fixed_iothread(self, value):
        """Several threads are refused where it is set."""
        self.null()
        self.assertFalse(value)
        self.assertEqual(self.mounted(iothread=["t0", "t1"]).stat().st_size, 1 << 30)

    @default("fuse.io-uring")
    def fuse_io_uring(self, value):
        """Where the kernel offers it, else without."""
        self.running = self.new_daemon().start("--trace", "fuse:debug")
        self.client = self.monitor(self.running)
        self.assertIsNone(value)  # an alternate has none in the schema
        for node, word, way in (("n0", "N", "/dev/fuse"), ("n1", "Y", "io_uring")):
            set_io_uring(self, word)
            self.add("null-co", node)
            path = self.mounted(node)
            self.running.wait_stderr(f"'{path}' is served by {way}")
