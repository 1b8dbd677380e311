# SPDX-License-Identifier: Apache-2.0
"""hide and soft: no new clients, the old ones go on or are refused, and the export goes with the last of them."""
import errno
import os

import nbd

from support.fusetest import FuseTest, both_transports, mounts
from support.nbdtest import NbdTest


class OfNbd(NbdTest):
    def begin(self, mode):
        self.running = self.serve(self.image(data=b"data"))
        self.client = self.monitor(self.running)
        self.handle = self.connect(self.running)
        self.client.cmd("block-export-del", id="e0", mode=mode)
        self.assertTrue(self.client.cmd("query-block-exports")[0]["shutting-down"])
        self.assertEqual(list(self.client.events), [])
        with self.assertRaises(nbd.Error):
            self.connect(self.running)
        lister = nbd.NBD()
        lister.set_opt_mode(True)
        lister.connect_uri(self.running.uri(""))
        names = []
        lister.opt_list(lambda name, description: names.append(name) or 0)
        self.assertEqual(names, [])
        lister.opt_abort()

    def test_hide(self):
        self.begin("hide")
        self.handle.pwrite(b"more", 4096)
        self.assertEqual(bytes(self.handle.pread(4, 0)), b"data")
        self.handle.shutdown()
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        self.assertEqual(self.client.cmd("query-block-exports"), [])

    def test_soft(self):
        self.begin("soft")
        for request in (lambda: self.handle.pread(4, 0), lambda: self.handle.pwrite(b"no", 0),
                        lambda: self.handle.pwrite(bytes(1 << 20), 0), self.handle.flush):
            with self.assertRaises(nbd.Error) as caught:
                request()
            self.assertEqual(caught.exception.errno, "ESHUTDOWN", str(caught.exception))
        self.handle.shutdown()
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")

    def test_hard_follows(self):
        for mode in ("hide", "soft"):
            self.begin(mode)
            for other in ("safe", "hide", "soft"):
                self.assert_qmp_error("Export 'e0' is already shutting down", self.client, "block-export-del",
                                      {"id": "e0", "mode": other})
            self.client.cmd("block-export-del", id="e0", mode="hard")
            self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
            self.assertEqual(list(self.client.events), [])
            with self.assertRaises(nbd.Error):
                self.handle.pread(4, 0)

    def test_without_a_client(self):
        for mode in ("hide", "soft"):
            running = self.serve(self.image())
            client = self.monitor(running)
            client.cmd("block-export-del", id="e0", mode=mode)
            client.wait_event("BLOCK_EXPORT_DELETED", id="e0")


class OfFuse(FuseTest):
    def begin(self, mode):
        self.serve(self.image(data=b"data"))
        self.client = self.monitor(self.running)
        self.fd = self.open(os.O_RDWR | os.O_DIRECT if mode == "soft" else os.O_RDWR)
        self.client.cmd("block-export-del", id="e0", mode=mode)
        while str(self.file) in mounts():
            self.client.cmd("query-version")
        self.assertEqual(os.stat(self.file).st_size, 0)  # the file that was covered
        self.assertTrue(self.client.cmd("query-block-exports")[0]["shutting-down"])
        self.assertEqual(list(self.client.events), [])

    def test_hide(self):
        self.begin("hide")
        os.pwrite(self.fd, b"more", 4096)
        self.assertEqual(os.pread(self.fd, 4, 0), b"data")
        os.close(self.fd)
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        self.assertEqual((self.tmp / "disk.img").read_bytes()[4096:4100], b"more")

    def test_soft(self):
        self.begin("soft")
        for request in (lambda: os.pread(self.fd, 4096, 0), lambda: os.ftruncate(self.fd, 4096),
                        lambda: os.fsync(self.fd)):
            with self.assertRaises(OSError) as caught:
                request()
            self.assertEqual(caught.exception.errno, errno.ESHUTDOWN)
        self.close(self.fd)
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")

    def test_hard_follows(self):
        for mode in ("hide", "soft"):
            self.begin(mode)
            self.client.cmd("block-export-del", id="e0", mode="hard")
            self.client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
            self.assertEqual(list(self.client.events), [])
            with self.assertRaises(OSError):
                os.ftruncate(self.fd, 4096)
            self.running.stop()

    def test_hard_with_an_open_file(self):
        for mode in ("hard", "safe"):  # as in QEMU, an open file is no reason to refuse
            self.serve(self.image())
            client = self.monitor(self.running)
            fd = self.open()
            client.cmd("block-export-del", id="e0", mode=mode)
            client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
            with self.assertRaises(OSError):
                os.ftruncate(fd, 4096)
            self.assertNotIn(str(self.file), mounts())
            self.running.stop()

    def test_unmounted_by_somebody(self):
        """The export goes, with the last open file where it is done lazily."""
        for lazily in (False, True):
            self.serve(self.image(data=b"data"))
            client = self.monitor(self.running)
            fd = self.open() if lazily else None
            self.tool("umount", *(["-l"] if lazily else []), self.file)
            if lazily:
                self.assertEqual(os.pread(fd, 4, 0), b"data")
                self.assertEqual(client.cmd("query-block-exports")[0]["shutting-down"], False)
                self.close(fd)
            client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
            self.assertNotIn(str(self.file), mounts())
            client.cmd("block-export-add", {"type": "fuse", "id": "e0", "node-name": "n0", "mountpoint": str(self.file)})
            self.assertEqual(self.file.read_bytes()[:4], b"data")
            self.assertEqual(self.running.stop(), 0)
            self.assertNotIn(str(self.file), mounts())


both_transports(globals())
