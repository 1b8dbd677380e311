# SPDX-License-Identifier: Apache-2.0
"""Clients that write and read bytes, with no library between: a stream socket, and NBD on it by hand."""
import os
import socket
import struct

OPTION_MAGIC = 0x49484156454F5054
OPTION_REPLY_MAGIC = 0x3E889045565A9
EXPORT_NAME, ABORT, LIST, PEEK, STARTTLS, INFO, GO, STRUCTURED, LIST_META, SET_META = range(1, 11)
READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS = range(8)


class Stream:
    """A connection to a unix socket's path, or to a TCP address as a pair."""

    def __init__(self, where, timeout=60):
        tcp = isinstance(where, tuple)
        self.socket = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(where if tcp else os.fspath(where))

    def send(self, data):
        self.socket.sendall(data)

    def exactly(self, length):
        """So many bytes; EOFError when the other side closes before."""
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def rest(self):
        """All that comes until the other side closes, once nothing more is sent."""
        self.socket.shutdown(socket.SHUT_WR)
        data = b""
        try:
            while more := self.socket.recv(65536):
                data += more
        except ConnectionResetError:
            pass
        return data

    def close(self):
        self.socket.close()


def option(number, payload=b"", length=None):
    return struct.pack(">QII", OPTION_MAGIC, number, len(payload) if length is None else length) + payload


def text(value):
    return struct.pack(">I", len(value)) + value


def info(name, *wanted):
    return text(name) + struct.pack(f">H{len(wanted)}H", len(wanted), *wanted)


def meta(name, *queries):
    return text(name) + struct.pack(">I", len(queries)) + b"".join(map(text, queries))


def request(command, offset=0, length=0, flags=0, payload=b"", magic=0x25609513, cookie=7):
    return struct.pack(">IHHQQI", magic, flags, command, cookie, offset, length) + payload


class NbdStream(Stream):
    """One that has taken the greeting and sent its flags."""

    def __init__(self, where, flags=3):
        super().__init__(where)
        self.exactly(18)
        self.send(struct.pack(">I", flags))

    def option_reply(self):
        """(type, payload) of one answer to an option."""
        magic, _, kind, length = struct.unpack(">QIII", self.exactly(20))
        assert magic == OPTION_REPLY_MAGIC
        return kind, self.exactly(length)

    def ask(self, sent):
        """Sends an option; its replies up to the final one, or what came before the end of the connection, as text."""
        self.send(sent)
        replies = []
        try:
            while True:
                if sent[:8] == struct.pack(">Q", OPTION_MAGIC) and sent[11] == EXPORT_NAME:
                    return [self.rest().hex()]
                kind, payload = self.option_reply()
                replies.append(f"{kind:x} {payload.hex()}")
                if kind == 1 or kind >> 31:
                    return replies
        except (EOFError, ConnectionResetError):
            return [*replies, "end"]
