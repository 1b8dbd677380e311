# SPDX-License-Identifier: Apache-2.0
"""Seeds that are bytes: what an NBD client sends, and shared objects of a few hundred bytes."""

import struct

OPTION_MAGIC = 0x49484156454F5054
REQUEST_MAGIC = 0x25609513
EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED, LIST_META, SET_META = 1, 2, 3, 5, 6, 7, 8, 9, 10
READ, WRITE, DISCONNECT, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)


def flags(value=3):
    return struct.pack(">I", value)


def option(number, payload=b"", length=None, magic=OPTION_MAGIC):
    return struct.pack(">QII", magic, number, len(payload) if length is None else length) + payload


def text(name):
    return struct.pack(">I", len(name)) + name


def info(name, *wanted):
    return text(name) + struct.pack(f">H{len(wanted)}H", len(wanted), *wanted)


def meta(name, *queries):
    return text(name) + struct.pack(">I", len(queries)) + b"".join(text(q) for q in queries)


def negotiations():
    ask = [option(STRUCTURED), option(SET_META, meta(b"a", b"base:allocation", b"base:", b"other:x"))]
    yield from (
        flags() + option(LIST) + option(INFO, info(b"a", 0, 1, 2, 3)) + option(GO, info(b"a", 1, 3)),
        flags() + b"".join(ask) + option(GO, info(b"a")), flags() + b"".join(ask) + option(EXPORT_NAME, b"a"),
        flags() + b"".join(ask) + option(GO, info(b"")), flags(1) + option(EXPORT_NAME, b""), flags(0) + option(EXPORT_NAME, b"a"),
        flags(0) + option(LIST), flags(8), flags() + option(EXPORT_NAME, b"none"), flags() + option(EXPORT_NAME, b"x" * 5000),
        flags() + option(STRUCTURED) + option(STRUCTURED) + option(STRUCTURED, b"x") + option(STARTTLS) + option(ABORT),
        flags() + option(99, b"abc") + option(LIST, b"x") + option(INFO, info(b"")) + option(INFO, info(b"", 3)) + option(ABORT),
        flags() + option(INFO, info(b"none")) + option(GO, b"") + option(GO, text(b"a")) + option(GO, info(b"a\0b")) + option(ABORT),
        flags() + option(GO, info(b"a", 1) + b"rest") + option(GO, struct.pack(">I", 5000) + b"x" * 100) + option(ABORT),
        flags() + option(LIST_META, meta(b"a")) + option(SET_META, meta(b"a")) + option(STRUCTURED) + option(LIST_META, meta(b"a")),
        flags() + option(STRUCTURED) + option(LIST_META, meta(b"a", b"base:", b"base:allocation")) + option(SET_META, meta(b"none")),
        flags() + option(STRUCTURED) + option(SET_META, text(b"a") + struct.pack(">II", 2, 9000)) + option(SET_META, meta(b"a", b"q" * 4090)),
        flags() + option(STRUCTURED) + option(SET_META, meta(b"a", b"base:allocation") + b"rest") + option(SET_META, text(b"a")),
        flags() + option(LIST, magic=1), flags() + option(LIST, length=1 << 30), flags() + option(GO, info(b"x" * 200)) + option(ABORT),
    )


def request(command, offset=0, length=512, flag=0, payload=b"", magic=REQUEST_MAGIC):
    return struct.pack(">IHHQQI", magic, flag, command, 0x0102030405060708, offset, length) + payload


def written(length, **more):
    return request(WRITE, length=length, payload=bytes(i * 7 & 255 for i in range(length)), **more)


def request_streams():
    mixed = b"".join((request(READ), written(512), request(FLUSH, length=0), request(TRIM), request(CACHE), request(ZEROES, flag=2),
                      request(STATUS, flag=8), written(100, offset=77), request(STATUS, length=0), request(READ, flag=4),
                      request(READ, length=1 << 26), request(READ, offset=1 << 40), request(FLUSH, length=0, flag=16), request(77),
                      request(TRIM, offset=2 ** 64 - 1), written(300, offset=1 << 63), written(20000), request(DISCONNECT)))
    for cut in ((0, 0), (6, 7), (255, 255), (16, 32)):
        for mode in range(16):
            yield bytes([*cut, 20, mode]) + mixed
    for length in (4000, 17000, 70000, 300000):
        for mode in (0, 8):
            yield bytes([255, 255, 30, mode]) + written(length) + written(5) + written(length) + request(DISCONNECT)
            yield bytes([9, 200, 30, mode]) + written(length) + written(0) + written(length, offset=1 << 31) + written(9)
    yield bytes([200, 200, 30, 0]) + request(WRITE, length=1 << 26) + b"x" * 64
    yield bytes([200, 200, 30, 0]) + request(READ, magic=1)
    yield bytes([200, 200, 30, 0]) + b"".join(written(16) for _ in range(200))


def note(name=b"Outport\0", kind=1, major=0, minor=1, plugin=b"x", version=b"1.0", licence=b"MIT", cut=0):
    description = struct.pack("<4I64s48s32s", major, minor, 0, 0, plugin, version, licence)
    description = description[:len(description) - cut]
    return struct.pack("<3I", len(name), len(description), kind) + name.ljust((len(name) + 3) & ~3, b"\0") + description


def elf(notes, machine=62, kind=3, entry=56, count=None, segments=None, align=4):
    """A file with a header, a note segment, and whatever else `segments` says: (type, offset, size)."""
    segments = [(4, None, len(notes))] + (segments or [])
    head = 64 + 56 * len(segments)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    out = ident + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, entry,
                              len(segments) if count is None else count, 0, 0, 0)
    for what, offset, size in segments:
        at = head if offset is None else offset
        out += struct.pack("<IIQQQQQQ", what, 4, at, at, at, size, size, align)
    return out + notes


def objects():
    other = note(name=b"GNU\0", kind=3)
    yield from (
        b"", b"\x7fELF", b"text\n", bytes(200), elf(note()), elf(other + note()), elf(other), elf(note() + note()), elf(note(), align=8),
        elf(note(major=1)), elf(note(minor=9)), elf(note(cut=8)), elf(note()[:-4]), elf(note(plugin=b"")), elf(note(plugin=b"y" * 64)),
        elf(note(version=b"\x01")), elf(note(plugin=b"../x")), elf(note(), machine=2), elf(note(), kind=2), elf(note(), entry=32),
        elf(note(), count=600), elf(note(), count=9), elf(note(), segments=[(1, 0, 1 << 20)]), elf(note(), segments=[(1, 1 << 40, 1)]),
        elf(note(), segments=[(1, 0, 64), (4, 1 << 40, 8)]), elf(note(), segments=[(4, 64, 1 << 20)]), elf(note(kind=2)), elf(b""),
    )


def harnesses():
    return {"nbd-negotiation": [bytes([6]) + seed for seed in negotiations()],
            "nbd-requests": list(request_streams()),
            "plugin-note": list(objects())}
