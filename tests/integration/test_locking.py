# SPDX-License-Identifier: Apache-2.0
"""Image locks agree with QEMU's: who has the image open for writing here is seen there, and the other way round."""
import fcntl
import os
import struct

from support.daemon import DaemonFailed
from support.nbdtest import NbdTest


def lock_bytes(path):
    """[(byte, kind)] of the locks on the file, from the kernel's list."""
    status = os.stat(path)
    found = set()
    with open("/proc/locks") as locks:
        for line in locks:
            fields = line.split()
            if fields[1] == "->":
                continue
            inode = int(fields[5].split(":")[2])
            if inode == status.st_ino:
                found |= set(range(int(fields[6]), int(fields[7]) + 1))
    return sorted(found)


class Locks(NbdTest):
    def test_foreign_resize_is_refused(self):
        image = self.image()
        running = self.serve(image)
        done = self.tool("qemu-img", "resize", "-f", "raw", image, "2M", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r'Failed to get "(write|resize)" lock')
        self.assertEqual(image.stat().st_size, 1 << 20)
        with self.monitor(running) as client:
            client.cmd("block-export-del", id="e0")
            client.wait_event("BLOCK_EXPORT_DELETED")
            client.cmd("blockdev-del", node_name="n0")
        self.tool("qemu-img", "resize", "-f", "raw", image, "2M")

    def test_read_only_export_too(self):
        image = self.image()
        running = self.new_daemon()
        running.start("--blockdev", f"file,node-name=n0,filename={image}", *running.nbd_args(),
                      "--export", "nbd,id=e0,node-name=n0")
        done = self.tool("qemu-img", "resize", "-f", "raw", image, "2M", check=False)
        self.assertRegex(done.stderr, r'Failed to get "(write|resize)" lock')

    def test_bytes_held(self):
        image = self.image()
        running = self.new_daemon()
        running.start("--blockdev", f"file,node-name=n0,filename={image}", *running.nbd_args())
        client = self.monitor(running)
        self.assertEqual(lock_bytes(image), [], "a node without a user holds none")
        client.cmd("block-export-add", {"type": "nbd", "id": "ro", "node-name": "n0", "name": "ro"})
        self.assertEqual(lock_bytes(image), [100, 203])
        client.cmd("block-export-add", {"type": "nbd", "id": "rw", "node-name": "n0", "name": "rw", "writable": True})
        self.assertEqual(lock_bytes(image), [100, 101, 203])
        for name in ("rw", "ro"):
            client.cmd("block-export-del", id=name)
            client.wait_event("BLOCK_EXPORT_DELETED", id=name)
        self.assertEqual(lock_bytes(image), [])

    def test_locking_off(self):
        image = self.image()
        self.serve(image, node=",locking=off")
        self.assertEqual(lock_bytes(image), [])

    def test_two_daemons_share_an_image(self):
        image = self.image()
        one = self.serve(image)
        two = self.serve(image)
        handle, other = self.connect(one), self.connect(two)
        handle.pwrite(b"s" * 512, 0)
        self.assertEqual(bytes(other.pread(512, 0)), b"s" * 512)

    def hold(self, image, byte):
        """What QEMU does to say that it does not share a permission: a shared lock on one byte."""
        fd = os.open(image, os.O_RDWR)
        self.addCleanup(os.close, fd)
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0))

    def test_unshared_write_is_seen(self):
        image = self.image()
        self.hold(image, 201)
        running = self.new_daemon()
        with self.assertRaises(DaemonFailed) as caught:
            running.start("--blockdev", f"file,node-name=n0,filename={image}", *running.nbd_args(),
                          "--export", "nbd,id=e0,node-name=n0,writable=on")
        self.assertIn('Failed to get "write" lock', caught.exception.stderr)
        running = self.new_daemon()
        running.start("--blockdev", f"file,node-name=n0,filename={image}", *running.nbd_args(),
                      "--export", "nbd,id=e0,node-name=n0")  # reading is shared

    def test_a_held_resize_is_seen(self):
        image = self.image()
        self.hold(image, 103)
        running = self.new_daemon()
        with self.assertRaises(DaemonFailed) as caught:
            running.start("--blockdev", f"file,node-name=n0,filename={image}", *running.nbd_args(),
                          "--export", "nbd,id=e0,node-name=n0,writable=on")
        self.assertIn('Failed to get shared "resize" lock', caught.exception.stderr)

    def test_resize_under_a_foreign_export_is_refused(self):
        self.require_oracle()
        image = self.image()
        self.serve(image, flavour="qemu")
        running = self.daemon("--blockdev", f"file,node-name=n0,filename={image}")
        client = self.monitor(running)
        self.assert_qmp_error('Failed to get "resize" lock', client, "block_resize", {"node-name": "n0", "size": 2 << 20})
        self.assertEqual(image.stat().st_size, 1 << 20)
