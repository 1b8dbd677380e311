# SPDX-License-Identifier: Apache-2.0
"""The words of FUSE exports, each by what a program that opens the file sees of it."""
import os

from support.fusetest import Mounting, can_mount, has_io_uring, set_io_uring, super_options
from used import Used


class Fuse(Mounting, Used):
    def mount(self, name="f0", **options):
        """An export of n0 with what it must have and these; the file."""
        self.require(can_mount(), "only root mounts without a helper")
        path = self.mountpoint(name)
        self.client.cmd("block-export-add", {"type": "fuse", "id": name, "node-name": "n0", "mountpoint": str(path),
                                             **{k.replace("_", "-"): v for k, v in options.items()}})
        return path

    def unmount(self, name="f0"):
        self.client.cmd("block-export-del", id=name)
        self.client.wait_event("BLOCK_EXPORT_DELETED", id=name)

    def test_mountpoint(self):
        image = self.image(data=b"data")
        self.add("file", "n0", filename=str(image))
        path = self.mount()
        self.assertEqual(path.read_bytes(), image.read_bytes())
        self.used("block-export-add", type="fuse", mountpoint=str(path))

    def test_growable(self):
        for growable, written in ((False, 512), (True, 1024)):
            image = self.image(size=4096)
            self.add("file", "n0", filename=str(image))
            path = self.mount(writable=True, growable=growable)
            fd = os.open(path, os.O_RDWR)
            try:
                self.assertEqual(os.pwrite(fd, b"g" * 1024, 4096 - 512), written)
            finally:
                os.close(fd)
            self.assertEqual(image.stat().st_size, 4096 - 512 + written)
            self.used("block-export-add", type="fuse", growable=growable)
            self.unmount()
            self.client.cmd("blockdev-del", node_name="n0")

    def test_allow_other(self):
        """As root, `auto` is `on`; what it falls back to without the right is test_fuse_user's."""
        self.add("null-co", "n0", size=4096)
        for number, (word, allowed) in enumerate((("off", False), ("on", True), ("auto", True))):
            path = self.mount(f"f{number}", allow_other=word)
            self.assertEqual("allow_other" in super_options(path), allowed)
            self.used("block-export-add", type="fuse", allow_other=word)

    def test_io_uring(self):
        """Where the kernel does not offer it, it can't be insisted on; where it does, `false` goes without it."""
        self.running = self.new_daemon().start("--trace", "fuse:debug")
        self.client = self.monitor(self.running)
        self.add("null-co", "n0", size=4096)
        if has_io_uring():
            set_io_uring(self, "N")
        self.mount("f0", io_uring="auto").read_bytes()
        with self.assertRaisesRegex(Exception, "FUSE over io_uring is not available here"):
            self.mount("f1", io_uring=True)
        self.used("block-export-add", type="fuse", io_uring=True)
        if has_io_uring():
            set_io_uring(self, "Y")
        for number, value in enumerate((False, True, "auto") if has_io_uring() else (False, "auto"), start=2):
            path = self.mount(f"f{number}", io_uring=value)
            path.read_bytes()
            # The log is written behind the back of who asks: what comes after it must be there too.
            self.unmount(f"f{number}")
            self.running.wait_stderr(f"'{path}' is unmounted")
            used = value is not False and has_io_uring()
            self.assertEqual(f"'{path}' is served by io_uring" in self.running.stderr(), used)
            self.used("block-export-add", type="fuse", io_uring=value)
