# SPDX-License-Identifier: Apache-2.0
"""A FUSE export beside an ordinary file: the same 10,000 random operations give the same answers. The order is that
of a seed, which a failure prints.
"""
import os
import random

from support.case import LONG
from support.fusetest import FuseTest, both_transports
from integration.test_fuse_file import KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, fallocate

OPERATIONS = 10_000
LARGEST = 2 << 20
SECTOR = 512  # the size of a node is a multiple of it


def attempt(function, *args):
    try:
        return function(*args)
    except OSError as error:
        return f"errno {error.errno}"


class Compare(FuseTest):
    def operation(self, rng, size):
        """(name, function(fd) -> answer)"""
        offset, length = rng.randrange(LARGEST), rng.choice((1, 100, 4096, 40_000, 300_000))
        kind = rng.choice(("read", "read", "write", "write", "write", "truncate", "punch", "zero", "zero-keep", "plain",
                           "keep", "data", "hole", "size", "sync"))
        aligned = offset // SECTOR * SECTOR
        if kind == "read":
            return kind, offset, length, lambda fd: os.pread(fd, length, offset)
        if kind == "write":
            end = (offset + length + SECTOR - 1) // SECTOR * SECTOR
            data = rng.randbytes(end - offset if offset + length > size else length)
            return kind, offset, len(data), lambda fd: os.pwrite(fd, data, offset)
        if kind == "truncate":
            return kind, aligned, 0, lambda fd: os.ftruncate(fd, aligned)
        modes = {"punch": PUNCH_HOLE | KEEP_SIZE, "zero": ZERO_RANGE, "zero-keep": ZERO_RANGE | KEEP_SIZE, "plain": 0,
                 "keep": KEEP_SIZE}
        if kind in modes:
            end = (offset + length + SECTOR - 1) // SECTOR * SECTOR
            if kind in ("zero-keep", "keep", "punch"):
                # An ordinary file remembers storage beyond its end, a node does not.
                end = min(end, size)
                if end <= offset:
                    return "size", 0, 0, lambda fd: os.fstat(fd).st_size
            return kind, offset, end - offset, lambda fd: fallocate(fd, modes[kind], offset, end - offset)
        if kind in ("data", "hole"):
            whence = os.SEEK_DATA if kind == "data" else os.SEEK_HOLE
            return kind, offset, 0, lambda fd: os.lseek(fd, offset, whence)
        if kind == "sync":
            return kind, 0, 0, lambda fd: os.fsync(fd)
        return kind, 0, 0, lambda fd: os.fstat(fd).st_size

    def compare(self, seed):
        rng = random.Random(seed)
        self.serve(self.image(size=1 << 20), growable="on")
        plain = self.image("plain", size=1 << 20)
        ours, theirs = self.open(), self.open(path=plain)
        # Whether storage that nothing was written to counts as data hangs on what is cached of it, so where holes are
        # is asked of the image itself.
        below = self.open(os.O_RDONLY, self.tmp / "disk.img")
        last = []
        for number in range(OPERATIONS):
            name, offset, length, function = self.operation(rng, os.fstat(theirs).st_size)
            last = last[-8:] + [f"{number} {name} {offset}+{length}"]
            got = attempt(function, ours)
            wanted = attempt(function, below if name in ("data", "hole") else theirs)
            if got != wanted:
                show = (lambda x: x if not isinstance(x, bytes) else f"{len(x)} bytes")
                self.fail(f"seed {seed}: {show(got)} instead of {show(wanted)} after " + "; ".join(last))
        self.assertEqual(os.fstat(ours).st_size, os.fstat(theirs).st_size)
        self.assertEqual(os.pread(ours, 2 * LARGEST, 0), os.pread(theirs, 2 * LARGEST, 0))

    def test_random_operations(self):
        for seed in range(1, 6 if LONG else 2):
            with self.subTest(seed=seed):
                self.compare(seed)
                self.running.stop()


both_transports(globals())
