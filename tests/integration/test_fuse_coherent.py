# SPDX-License-Identifier: Apache-2.0
"""What one export of a node has written, the others show: by descriptors and mappings that were open before, too."""
import mmap
import os
import random

import nbd

from support.fusetest import FuseTest, both_transports
from integration.test_fuse_file import KEEP_SIZE, PUNCH_HOLE, fallocate

SIZE = 1 << 20
PAGE = 4096


class Coherent(FuseTest):
    iothreads = ()

    def both(self, *nodes, node="n0", nbd_node="n0", image=None, **options):
        """A node by FUSE and by NBD; self.fd and self.map are open before anything is written."""
        self.disk = image or self.image(size=SIZE, data=b"old!" * (SIZE // 4))
        self.file = self.mountpoint()
        threads = [word for name in self.iothreads for word in ("--object", f"iothread,id={name}")]
        if self.iothreads:
            options["iothread"] = self.iothreads[0]
        self.running = self.new_daemon()
        self.running.start(*threads, "--blockdev", f"file,node-name=n0,filename={self.disk},discard=unmap", *nodes,
                           *self.running.nbd_args(), *self.export_args(self.file, node=node, id="f0", **options),
                           "--export", f"nbd,id=e0,node-name={nbd_node},name=x,writable=on"
                           + (f",iothread={self.iothreads[-1]}" if self.iothreads else ""))
        self.client = nbd.NBD()
        self.client.connect_uri(self.running.uri("x"))
        self.fd = self.open()
        self.map = mmap.mmap(self.fd, SIZE // 2, prot=mmap.PROT_READ)
        self.addCleanup(self.map.close)
        self.assertEqual(self.map[:], os.pread(self.fd, SIZE // 2, 0))  # all of it is kept now

    def test_nbd_writes(self):
        self.both()
        rng = random.Random(1)
        for _ in range(200):
            offset, data = rng.randrange(SIZE // 2 - 20_000), rng.randbytes(rng.choice((1, 512, 4096, 20_000)))
            self.client.pwrite(data, offset)
            self.assertEqual(os.pread(self.fd, len(data), offset), data)
            self.assertEqual(self.map[offset:offset + len(data)], data)

    def test_nbd_zeroes_and_trims(self):
        self.both()
        self.client.zero(64 << 10, 4096)
        self.assertEqual(self.map[4096:4096 + (64 << 10)], bytes(64 << 10))
        self.client.trim(64 << 10, 128 << 10)
        seen = self.client.pread(64 << 10, 128 << 10)
        self.assertEqual(self.map[128 << 10:192 << 10], seen)

    def test_fuse_writes(self):
        self.both()
        rng = random.Random(2)
        for _ in range(100):
            offset, data = rng.randrange(SIZE // 2), rng.randbytes(rng.choice((1, 512, 20_000)))
            os.pwrite(self.fd, data, offset)
            self.assertEqual(self.client.pread(len(data), offset), data)
        fallocate(self.fd, PUNCH_HOLE | KEEP_SIZE, 0, 64 << 10)
        self.assertEqual(self.client.pread(64 << 10, 0), bytes(64 << 10))

    def test_mapped_stores_beside(self):
        """The kernel writes a dirty page whole, so the two keep to pages of their own (as the manual says)."""
        self.both()
        with mmap.mmap(self.fd, SIZE // 2) as shared:
            for page in range(0, 64, 2):
                shared[page * PAGE:page * PAGE + 6] = b"mapped"
                self.client.pwrite(b"by nbd", (page + 1) * PAGE)
                self.assertEqual(shared[(page + 1) * PAGE:(page + 1) * PAGE + 6], b"by nbd")
                self.assertEqual(shared[page * PAGE:page * PAGE + 6], b"mapped")
            shared.flush()
        self.assertEqual(self.client.pread(6, 0), b"mapped")

    def test_offset_in_between(self):
        """The range is translated: FUSE shows a window of what NBD writes, and the other way round."""
        self.both("--blockdev", "raw,node-name=r0,file=n0,offset=65536", node="r0")
        self.client.pwrite(b"shifted", 65536 + 1000)
        self.assertEqual(self.map[1000:1007], b"shifted")
        self.client.pwrite(b"before it", 0)
        os.pwrite(self.fd, b"back", 2000)
        self.assertEqual(self.client.pread(4, 65536 + 2000), b"back")

    def test_nbd_on_the_window(self):
        # Read-only: a window forbids that what is below it is resized.
        self.both("--blockdev", "raw,node-name=r0,file=n0,offset=65536", nbd_node="r0", writable="off")
        self.client.pwrite(b"shifted", 1000)
        self.assertEqual(self.map[65536 + 1000:65536 + 1007], b"shifted")

    def test_two_mounts(self):
        self.both()
        other = self.mountpoint("other")
        client = self.monitor(self.running)
        client.cmd("block-export-add", {"type": "fuse", "id": "f1", "node-name": "n0", "mountpoint": str(other),
                                        "writable": True})
        fd = self.open(path=other)
        os.pread(fd, SIZE // 2, 0)
        os.pwrite(self.fd, b"from the first", 5000)
        self.assertEqual(os.pread(fd, 14, 5000), b"from the first")
        os.pwrite(fd, b"from the other", 9000)
        self.assertEqual(self.map[9000:9014], b"from the other")

    def test_three_mounts(self):
        self.both()
        client = self.monitor(self.running)
        others = []
        for number in (1, 2):
            path = self.mountpoint(f"other{number}")
            client.cmd("block-export-add", {"type": "fuse", "id": f"f{number}", "node-name": "n0", "mountpoint": str(path),
                                            "writable": True})
            others.append(self.open(path=path))
            os.pread(others[-1], SIZE // 2, 0)
        for offset in range(0, SIZE // 2, 50_000):
            self.client.pwrite(b"for all", offset)
            for fd in (self.fd, *others):
                self.assertEqual(os.pread(fd, 7, offset), b"for all")

    def test_resize_is_seen(self):
        self.both()
        client = self.monitor(self.running)
        client.cmd("block_resize", node_name="n0", size=2 * SIZE)
        self.assertEqual(os.fstat(self.fd).st_size, 2 * SIZE)
        client.cmd("block_resize", node_name="n0", size=SIZE // 2)
        self.assertEqual(os.fstat(self.fd).st_size, SIZE // 2)
        client.cmd("block_resize", node_name="n0", size=SIZE)
        self.assertEqual(os.pread(self.fd, 100, SIZE - 100), bytes(100))

    def test_truncate_is_seen(self):
        self.both()
        os.ftruncate(self.fd, SIZE // 2)
        with self.assertRaises(nbd.Error):
            self.client.pread(512, SIZE - 512)
        again = nbd.NBD()
        again.connect_uri(self.running.uri("x"))
        self.assertEqual(again.get_size(), SIZE // 2)
        again.shutdown()

    def test_removal_under_writes(self):
        """The mount goes while NBD writes are under way; they complete."""
        self.both()
        client = self.monitor(self.running)
        pending = [self.client.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(os.urandom(4096))), i * 4096)
                   for i in range(64)]
        client.cmd("block-export-del", id="f0", mode="hard")
        for cookie in pending:
            while not self.client.aio_command_completed(cookie):
                self.client.poll(-1)
        client.wait_event("BLOCK_EXPORT_DELETED", id="f0")


class CoherentOverLoops(Coherent):
    iothreads = ("t0", "t1")


both_transports(globals())
