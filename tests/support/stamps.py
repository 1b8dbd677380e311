# SPDX-License-Identifier: Apache-2.0
"""Stamped blocks: each carries its address, a sequence number and a checksum, so that a block that is lost, old,
torn or in the wrong place is told from a good one. nbdstress.cpp writes the same format.
"""
import struct
import zlib

MAGIC = b"OUTPSTMP"
HEADER = struct.Struct("<8sQQII")  # magic, address, sequence, length, checksum over all with this field zero
MIX = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def make(address, sequence, length):
    """The stamped block of that length (at least 32 bytes)."""
    word = struct.pack("<Q", (address * MIX ^ (sequence * MIX & MASK) >> 7 ^ sequence) & MASK)
    fill = (word * (length // 8 + 1))[: length - HEADER.size]
    plain = HEADER.pack(MAGIC, address, sequence, length, 0) + fill
    return HEADER.pack(MAGIC, address, sequence, length, zlib.crc32(plain)) + fill


def sequence_of(address, data):
    """The sequence number of the block, 0 for one never written; raises ValueError for a bad one."""
    data = bytes(data)
    if not any(data):
        return 0
    magic, where, sequence, length, _ = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ValueError(f"block {address:#x}: no stamp: {data[:32].hex()}")
    if where != address:
        raise ValueError(f"block {address:#x}: holds the stamp of {where:#x}")
    if length != len(data) or make(address, sequence, length) != data:
        raise ValueError(f"block {address:#x}: torn (sequence {sequence})")
    return sequence


class Keeper:
    """Remembers, for each block, what was acknowledged and what was submitted after that."""

    def __init__(self, length):
        self.length = length
        self.acknowledged = {}
        self.submitted = {}
        self.next = 0

    def submit(self, address):
        """(sequence, data) of the next write there."""
        self.next += 1
        self.submitted.setdefault(address, []).append(self.next)
        return self.next, make(address, self.next, self.length)

    def acknowledge(self, address, sequence):
        if sequence > self.acknowledged.get(address, 0):
            self.acknowledged[address] = sequence
            self.submitted[address] = [s for s in self.submitted[address] if s > sequence]

    def check(self, address, data):
        """The block must hold what was last acknowledged, or something submitted later."""
        found = sequence_of(address, data)
        least = self.acknowledged.get(address, 0)
        if found != least and found not in self.submitted.get(address, ()):
            raise ValueError(f"block {address:#x}: holds {found}, acknowledged {least}, "
                             f"submitted later {self.submitted.get(address)}")
