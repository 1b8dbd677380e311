# SPDX-License-Identifier: Apache-2.0
"""Seeds that are requests of FUSE, little-endian: a byte of the harness, a header, and what follows it."""

import struct

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT = 1, 2, 3, 4, 14, 15, 16, 17, 18, 20, 25, 26
INTERRUPT, FALLOCATE, LSEEK, BATCH_FORGET = 36, 43, 46, 42


def request(op, body=b"", cut=0, length=None, node=1):
    total = 40 + len(body) if length is None else length
    return bytes([cut]) + struct.pack("<IIQQIIIHH", total, op, 7, node, 0, 0, 1, 0, 0) + body


def read(offset, size):
    return struct.pack("<QQIIQII", 1, offset, size, 0, 0, 0, 0)


def requests():
    yield from (
        request(LOOKUP, b"name\0"), request(FORGET, bytes(8)), request(GETATTR, bytes(16)), request(GETATTR, bytes(8)),
        request(SETATTR, struct.pack("<II", 8, 0) + bytes(80)), request(OPEN, bytes(8)), request(READ, read(4096, 65536)),
        request(READ, read(1 << 63, 1)), request(READ, read((1 << 63) - 1, 1)), request(READ, read(0, 0)),
        request(WRITE, read(0, 4) + b"data"), request(WRITE, read(0, 5) + b"data"), request(WRITE, read(1 << 63, 4) + b"data"),
        request(WRITE, bytes(20)), request(STATFS), request(RELEASE, bytes(24)), request(FSYNC, bytes(16)), request(FLUSH, bytes(24)),
        request(INIT, struct.pack("<IIII", 7, 41, 65536, 0x73FFFFFB) + bytes(48)), request(INIT, struct.pack("<IIII", 7, 28, 0, 0)),
        request(INIT, struct.pack("<IIII", 8, 0, 0, 0)), request(INIT, struct.pack("<II", 7, 41)), request(INTERRUPT, bytes(8)),
        request(FALLOCATE, struct.pack("<QQQII", 1, 0, 4096, 3, 0)), request(LSEEK, struct.pack("<QQII", 1, 0, 3, 0)),
        request(BATCH_FORGET, bytes(8)), request(0), request(9999, b"x" * 40), request(GETATTR, bytes(16), length=1 << 20),
        request(GETATTR, bytes(16), length=8), request(READ, read(0, 1), cut=8), bytes(20))


def harnesses():
    return {"fuse-requests": list(requests())}
