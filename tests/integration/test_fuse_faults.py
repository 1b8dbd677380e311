# SPDX-License-Identifier: Apache-2.0
"""A back end that is slow, reorders, holds requests or fails below a FUSE export."""
import errno
import mmap
import os
import signal

from support.aioload import BLOCK, Load
from support.fusetest import both_transports
from integration.test_fuse_file import KEEP_SIZE, PUNCH_HOLE, fallocate
from integration.test_fuse_mount import MountTest

MS = 1000000


class Faults(MountTest):
    more = {}

    def begin(self, *rules, **options):
        super().begin("--blockdev", "x-fault,node-name=f0,file=n0", **options)
        self.export(**{"node-name": "f0", **self.more})
        self.rules(*rules)

    def rules(self, *rules):
        self.client.cmd("x-fault-set", {"node-name": "f0", "rules": list(rules)})

    # --- wrong order, long waits --------------------------------------------------------------------------------
    def check_writers(self, *rules, rounds=24):
        self.begin(*rules, data=b"", size=4 * 256 * BLOCK)
        loads = [Load(i * 256, 256, i) for i in range(4)]
        pids = {self.child(lambda l=load: l.run(self.file, rounds)) for load in loads}
        while pids:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid in pids:
                pids.remove(pid)
                self.assertEqual(status, 0)
            self.client.cmd("x-fault-release", node_name="f0")  # the last of those that wait for a next one
        self.rules()
        fd = self.open(os.O_RDONLY)
        for load in loads:
            self.assertGreater(load.verify(fd), 100)
            for block in range(load.first, load.first + load.count):
                self.assertEqual(*load.get(block))
        with open(self.disk, "rb") as disk:
            for load in loads:
                load.verify(disk.fileno())

    def test_reordered_writes(self):
        self.check_writers({"op": "write", "action": "reorder"})

    def test_slow_flush(self):
        self.check_writers({"op": "flush", "action": "delay", "latency-ns": 30 * MS}, {"op": "write", "action": "delay",
                           "latency-ns": MS})

    def test_reads_in_any_order(self):
        data = b"".join(i.to_bytes(4, "little") * (BLOCK // 4) for i in range(256))
        self.begin({"op": "read", "action": "delay", "latency-ns": 3 * MS, "count": 20}, {"op": "read", "action": "reorder"},
                   data=data)
        pids = {self.child(lambda k=k: [self.compare(data, (k * 31 + i * 17) % 256) for i in range(256)])
                for k in range(8)}
        while pids:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid in pids:
                pids.remove(pid)
                self.assertEqual(status, 0)
            self.client.cmd("x-fault-release", node_name="f0")

    def compare(self, data, block):
        fd = os.open(self.file, os.O_RDONLY)
        if os.pread(fd, BLOCK, block * BLOCK) != data[block * BLOCK:(block + 1) * BLOCK]:
            raise OSError(errno.EILSEQ, "other data")
        os.close(fd)

    # --- errors -------------------------------------------------------------------------------------------------
    def test_no_space(self):
        self.begin({"op": "write", "action": "error", "errno": errno.ENOSPC, "count": 1})
        fd = self.open()
        with self.assertRaises(OSError) as caught:
            os.pwrite(fd, b"x" * BLOCK, 0)
        self.assertEqual(caught.exception.errno, errno.ENOSPC)
        self.assertEqual(self.client.wait_event("BLOCK_EXPORT_NO_SPACE")["data"]["id"], "e0")
        self.assertEqual(os.pwrite(fd, b"x" * BLOCK, 0), BLOCK)

    def test_errors(self):
        self.begin()
        fd = self.open()
        for number, seen in ((errno.EIO, errno.EIO), (errno.EPERM, errno.EPERM), (errno.EDQUOT, errno.EDQUOT),
                             (errno.EPIPE, errno.EIO), (errno.EAGAIN, errno.EIO)):
            self.rules({"op": "write", "action": "error", "errno": number, "count": 1})
            with self.assertRaises(OSError) as caught:
                os.pwrite(fd, b"x" * BLOCK, 0)
            self.assertEqual(caught.exception.errno, seen)
        self.rules({"op": "flush", "action": "error", "errno": errno.EIO, "count": 1})
        with self.assertRaises(OSError) as caught:
            os.fsync(fd)
        self.assertEqual(caught.exception.errno, errno.EIO)
        os.fsync(fd)

    def test_half_a_read(self):
        self.begin({"op": "read", "action": "short", "count": 1}, data=b"data" * 4096)
        fd = self.open(os.O_RDONLY | os.O_DIRECT)
        with self.assertRaises(OSError) as caught:
            os.preadv(fd, [mmap.mmap(-1, BLOCK)], 0)
        self.assertEqual(caught.exception.errno, errno.EIO)
        page = mmap.mmap(-1, BLOCK)
        self.assertEqual((os.preadv(fd, [page], 0), page[:]), (BLOCK, b"data" * 1024))

    # --- programs that are killed -------------------------------------------------------------------------------
    # The kernel passes a signal on (INTERRUPT) for what a system call waits for. It reads pages ahead without such a wait,
    # and waits for direct I/O whatever comes.
    CALLS = {"write": lambda fd: os.pwrite(fd, b"x" * BLOCK, 0), "flush": os.fsync,
             "block-status": lambda fd: os.lseek(fd, 0, os.SEEK_DATA),
             "write-zeroes": lambda fd: fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, BLOCK)}

    def call_on(self, processor, call):
        os.sched_setaffinity(0, {processor})
        call(os.open(self.file, os.O_RDWR))

    def test_killed_while_it_waits(self):
        """On every processor, since each may be another loop's."""
        self.begin()
        for op, call in self.CALLS.items():
            for processor in sorted(os.sched_getaffinity(0)) * 3:
                self.hold(op)
                pid = self.child(lambda p=processor, c=call: self.call_on(p, c))
                self.wait_held(1)
                self.rules()  # a close flushes
                os.kill(pid, signal.SIGKILL)
                self.assertEqual(self.status_of(pid), -signal.SIGKILL)  # and nothing was released
                while self.client.cmd("x-fault-query", node_name="f0")["held"]:
                    pass
        self.assertEqual(self.file.read_bytes()[BLOCK:2 * BLOCK], bytes(BLOCK))

    def test_killed_while_it_reads(self):
        self.begin({"op": "read", "action": "hold"})
        pids = [self.child(lambda i=i: os.pread(os.open(self.file, os.O_RDONLY), 1, i << 18)) for i in range(4)]
        self.wait_held(1)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            self.assertEqual(self.status_of(pid), -signal.SIGKILL)
        self.rules()
        self.client.cmd("x-fault-release", node_name="f0")
        self.assertEqual(self.file.read_bytes()[:4], b"data")


class FaultsOnTwoLoops(Faults):
    more = {"iothread": ["t0", "t1"]}


both_transports(globals())
