# SPDX-License-Identifier: Apache-2.0
"""On an NBD connection outportd answers as qemu-storage-daemon does: each option of the negotiation, well and badly
formed, and each command, good and refused. Bytes by hand, no client library.
"""
import struct

from support import daemon, differential
from support.nbdtest import NbdTest
from support.wire import (ABORT, BLOCK_STATUS, CACHE, DISC, EXPORT_NAME, FLUSH, GO, INFO, LIST, LIST_META, OPTION_MAGIC, PEEK,
                          READ, SET_META, STARTTLS, STRUCTURED, TRIM, WRITE, WRITE_ZEROES, NbdStream, info, meta, option,
                          request, text)

SIZE = 1 << 28


# name: the client's flags, then what is sent, each after the answer to the one before
OPTIONS = {
    "list": (3, option(LIST)), "list with payload": (3, option(LIST, b"x")),
    "abort": (3, option(ABORT)), "abort with payload": (3, option(ABORT, b"xx")),
    "starttls": (3, option(STARTTLS)), "starttls with payload": (3, option(STARTTLS, b"x")),
    "unknown": (3, option(99, b"abc" * 1000)), "zero": (3, option(0)), "peek": (3, option(PEEK)),
    "info": (3, option(INFO, info(b"x"))), "info of sizes": (3, option(INFO, info(b"x", 3))),
    "info of all": (3, option(INFO, info(b"x", 1, 3, 2, 99))), "go": (3, option(GO, info(b"x"))),
    "go of all": (3, option(GO, info(b"x", 1, 3))), "go elsewhere": (3, option(GO, info(b"nope"))),
    "long name": (3, option(GO, info(b"n" * 100))), "longest name": (3, option(GO, info(b"n" * 4096))),
    "too long name": (3, option(GO, info(b"n" * 4097))), "cut in the length": (3, option(GO, b"abc")),
    "cut before the infos": (3, option(GO, text(b"x"))), "cut in the infos": (3, option(GO, text(b"x") + b"\0\3\0\1")),
    "trailing bytes": (3, option(GO, info(b"x") + b"zz")), "nul in the name": (3, option(GO, info(b"x\0"))),
    "empty go": (3, option(GO)), "structured": (3, option(STRUCTURED)),
    "structured with payload": (3, option(STRUCTURED, b"x")),
    "structured twice": (3, option(STRUCTURED), option(STRUCTURED)),
    "structured go": (3, option(STRUCTURED), option(GO, info(b"x"))),
    "list contexts": (3, option(LIST_META, meta(b"x"))), "list base": (3, option(LIST_META, meta(b"x", b"base:"))),
    "list others": (3, option(LIST_META, meta(b"x", b"qemu:", b"z", b""))),
    "list one": (3, option(LIST_META, meta(b"x", b"base:allocation"))),
    "list of no export": (3, option(LIST_META, meta(b"nope"))), "list cut": (3, option(LIST_META)),
    "set too early": (3, option(SET_META, meta(b"x", b"base:allocation"))),
    "set": (3, option(STRUCTURED), option(SET_META, meta(b"x", b"base:allocation"))),
    "set group": (3, option(STRUCTURED), option(SET_META, meta(b"x", b"base:"))),
    "set nothing": (3, option(STRUCTURED), option(SET_META, meta(b"x"))),
    "set cut": (3, option(STRUCTURED), option(SET_META, text(b"x") + struct.pack(">I", 3) + text(b"base:"))),
    "set long": (3, option(STRUCTURED), option(SET_META, meta(b"x", b"q" * 5000, b"base:allocation"))),
    "set nul": (3, option(STRUCTURED), option(SET_META, meta(b"x", b"base:\0"))),
    "unknown client flags": (4,), "not fixed list": (0, option(LIST)), "not fixed": (0, option(EXPORT_NAME, b"x")),
    "with zeroes": (1, option(EXPORT_NAME, b"x")), "export name": (3, option(EXPORT_NAME, b"x")),
    "no such name": (3, option(EXPORT_NAME, b"zz")), "endless name": (3, option(EXPORT_NAME, b"n" * 5000)),
    "bad magic": (3, struct.pack(">QII", 1, LIST, 0)),
    "endless option": (3, struct.pack(">QII", OPTION_MAGIC, LIST, (32 << 20) + 1)),
}

REQUESTS = {
    "read": request(READ, 4096, 16), "read nothing": request(READ, 0, 0), "read past the end": request(READ, SIZE, 1),
    "read wrapping": request(READ, (1 << 64) - 1, 2), "read too long": request(READ, 0, 33 << 20),
    "read with fua": request(READ, 0, 16, 1), "read unfragmented": request(READ, 0, 16, 4),
    "write": request(WRITE, 0, 2, 0, b"\0\0"), "write nothing": request(WRITE, 0, 0),
    "write past the end": request(WRITE, SIZE - 1, 2, 0, b"ab"), "write with a flag": request(WRITE, 0, 2, 2, b"ab"),
    "write too long": request(WRITE, 0, 33 << 20), "flush": request(FLUSH, 0, 0), "flush of a range": request(FLUSH, 0, 9),
    "flush past the end": request(FLUSH, SIZE, 1), "flush with a flag": request(FLUSH, 0, 0, 2),
    "trim": request(TRIM, 4096, 4096), "trim nothing": request(TRIM, 4096, 0), "trim past the end": request(TRIM, SIZE, 1),
    "zeroes": request(WRITE_ZEROES, 0, 4096), "zeroes of nothing": request(WRITE_ZEROES, 0, 0),
    "zeroes past the end": request(WRITE_ZEROES, SIZE - 1, 2), "zeroes without a hole": request(WRITE_ZEROES, 0, 512, 3),
    "cache": request(CACHE, 0, 4096), "cache too much": request(CACHE, 0, 33 << 20),
    "status": request(BLOCK_STATUS, 0, 4096), "status of one": request(BLOCK_STATUS, 0, 65536, 8),
    "status of nothing": request(BLOCK_STATUS, 0, 0), "status with a flag": request(BLOCK_STATUS, 0, 65536, 2),
    "unknown command": request(50, 0, 0), "bad magic": request(READ, 0, 0, magic=1), "disconnect": b"",
}


class Differential(NbdTest):
    def setUp(self):
        super().setUp()
        self.require(daemon.oracle(), "no qemu-storage-daemon to compare with")
        self.both = []
        for flavour in ("outport", "qemu"):
            running = self.new_daemon(flavour)
            running.start("--blockdev", f"null-co,node-name=n0,size={SIZE},read-zeroes=on",
                          "--nbd-server", f"addr.type=unix,addr.path={running.nbd_path}",
                          "--export", "nbd,id=e0,node-name=n0,name=x,description=about x,writable=on")
            self.both.append(running)

    def test_options(self):
        comparison = differential.Comparison("NBD options")
        for name, (flags, *options) in OPTIONS.items():
            answers = []
            for running in self.both:
                wire = NbdStream(running.nbd_path, flags)
                answers.append([wire.ask(sent) for sent in options] or [wire.rest().hex()])
                wire.close()
            comparison.take("negotiation", name, *answers)
        comparison.verdict(self)

    def test_requests(self):
        comparison = differential.Comparison("NBD requests")
        for mode in ("simple", "structured", "with context"):
            for name, sent in REQUESTS.items():
                comparison.take(mode, name, *[self.answer(running, mode, sent) for running in self.both])
        comparison.verdict(self)

    def answer(self, running, mode, sent):
        wire = NbdStream(running.nbd_path)
        if mode != "simple":
            wire.ask(option(STRUCTURED))
        if mode == "with context":
            wire.ask(option(SET_META, meta(b"x", b"base:allocation")))
        wire.ask(option(GO, info(b"x")))
        wire.send(sent + request(DISC, 0, 0))
        try:
            return wire.rest().hex()
        finally:
            wire.close()
