# SPDX-License-Identifier: Apache-2.0
"""Stamped writes to a file, several in flight at once: by the kernel's own asynchronous calls, since a file system takes
only one write at a time that somebody waits for in a system call.
"""
import ctypes
import mmap
import os
import platform
import random
import struct

from . import stamps

BLOCK = 4096
DEPTH = 16
_IOCB = struct.Struct("<QIiHhIQQqQII")
_EVENT = struct.Struct("<QQqq")
_PWRITE = 1
_SETUP, _GETEVENTS, _SUBMIT = {"x86_64": (206, 208, 209)}.get(platform.machine(), (0, 4, 2))
_syscall = ctypes.CDLL(None, use_errno=True).syscall


def _call(*arguments):
    result = _syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Load:
    """One process that writes the blocks [first, first + count). What it knows of each is in shared memory, so that it
    outlives the process: the number that was acknowledged last, and the one that was submitted last.
    """

    def __init__(self, first, count, seed):
        self.first, self.count, self.seed = first, count, seed
        self.known = mmap.mmap(-1, 16 * count)

    def get(self, block):
        return struct.unpack_from("<QQ", self.known, 16 * (block - self.first))

    def run(self, path, rounds=None, flush_every=4):
        """In the process: until something fails, or so many batches."""
        fd = os.open(path, os.O_RDWR | os.O_DIRECT)
        context = ctypes.c_ulong(0)
        _call(_SETUP, DEPTH, ctypes.byref(context))
        memory = mmap.mmap(-1, DEPTH * BLOCK)
        at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        rng = random.Random(self.seed)
        number = done = 0
        while rounds is None or done < rounds:
            blocks = rng.sample(range(self.first, self.first + self.count), DEPTH)
            iocbs, pointers = (ctypes.c_char * (64 * DEPTH))(), (ctypes.c_void_p * DEPTH)()
            for i, block in enumerate(blocks):
                number += 1
                memory[i * BLOCK:(i + 1) * BLOCK] = stamps.make(block * BLOCK, number, BLOCK)
                _IOCB.pack_into(iocbs, 64 * i, i, 0, 0, _PWRITE, 0, fd, at + i * BLOCK, BLOCK, block * BLOCK, 0, 0, 0)
                pointers[i] = ctypes.addressof(iocbs) + 64 * i
                struct.pack_into("<Q", self.known, 16 * (block - self.first) + 8, number)
            self.batch(context, pointers, blocks, number - DEPTH + 1)
            done += 1
            if done % flush_every == 0:
                os.fsync(fd)
        os.close(fd)

    def batch(self, context, pointers, blocks, first_number):
        _call(_SUBMIT, context, DEPTH, pointers)
        events = (ctypes.c_char * (32 * DEPTH))()
        got = 0
        while got < DEPTH:
            got += (now := _call(_GETEVENTS, context, 1, DEPTH - got, events, ctypes.c_void_p()))
            for k in range(now):
                i, _, result, _ = _EVENT.unpack_from(events, 32 * k)
                if result != BLOCK:
                    raise OSError(-result if result < 0 else 5, "a write failed")
                struct.pack_into("<Q", self.known, 16 * (blocks[i] - self.first), first_number + i)

    def verify(self, fd):
        """Each block holds what was acknowledged last, or what was submitted after it. How many were written."""
        written = 0
        for block in range(self.first, self.first + self.count):
            acknowledged, submitted = self.get(block)
            found = stamps.sequence_of(block * BLOCK, os.pread(fd, BLOCK, block * BLOCK))
            if found not in (acknowledged, submitted):
                raise AssertionError(f"block {block} holds {found}: acknowledged was {acknowledged}, submitted {submitted}")
            written += acknowledged > 0
        return written
