# SPDX-License-Identifier: Apache-2.0
"""NBD clients that want to do harm: what they send ends a request or a connection, never the process, and what they do
not read keeps no export and no server from going.
"""
import random
import socket
import struct

import nbd

from support import wire
from support.case import SANITIZER
from support.nbdtest import NbdTest, free_port
from support.wire import BLOCK_STATUS, CACHE, FLUSH, READ, TRIM, WRITE, WRITE_ZEROES

REPLY = 0x67446698
EINVAL = 22


class Raw(wire.NbdStream):
    """A client whose connection ends with its test."""

    def __init__(self, case, where):
        super().__init__(where)
        case.addCleanup(self.close)

    def option(self, number, data=b"", length=None):
        self.send(wire.option(number, data, length))

    def choose(self, name=b"x"):
        self.option(1, name)
        self.exactly(10)
        return self

    def request(self, command, offset=0, length=0, flags=0, cookie=1, data=b""):
        self.send(wire.request(command, offset, length, flags, data, cookie=cookie))

    def reply(self):
        magic, error, cookie = struct.unpack(">IIQ", self.exactly(16))
        assert magic == REPLY
        return error, cookie

    def fill(self, data):
        """Sends until the other side takes no more, or has gone; how much went."""
        self.socket.settimeout(0.5)
        sent = 0
        try:
            while sent < len(data):
                sent += self.socket.send(data[sent:sent + 65536])
        except (TimeoutError, ConnectionError):
            pass
        return sent

    def ended(self):
        """Whether the connection ends, after whatever still comes."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        return True


class HostileTest(NbdTest):
    def assert_small(self, running, mebibytes):
        if not SANITIZER:
            self.assertLess(running.resident_kib(), mebibytes << 10)


class Hostile(HostileTest):
    def alive(self, running):
        client = Raw(self, running.nbd_path).choose()
        client.request(READ, 0, 512, cookie=99)
        self.assertEqual(client.reply(), (0, 99))
        self.assertEqual(client.exactly(512), b"d" * 512)

    def begin(self, **options):
        return self.serve(self.image(size=8 << 20, data=b"d" * 4096), **options)

    def test_lengths(self):
        """Every command with every length that has a bit at an edge; nothing is done, the connection stays in step."""
        running = self.begin()
        client = Raw(self, running.nbd_path).choose()
        cookie = 0
        for length in ((1 << 32) - 1, 1 << 31, (1 << 31) - 1, (32 << 20) + 1, (8 << 20) + 1):
            for offset in (0, 1, (8 << 20) - 1, 8 << 20, (1 << 64) - 1, (1 << 64) - length):
                for command in (READ, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS, 8, 50, 65535):
                    cookie += 1
                    client.request(command, offset, length, cookie=cookie)
                    error, answered = client.reply()
                    self.assertEqual(answered, cookie)
                    self.assertNotEqual(error, 0)
        self.alive(running)

    def test_a_write_too_long_ends_the_connection(self):
        running = self.begin()
        client = Raw(self, running.nbd_path).choose()
        client.request(WRITE, 0, (1 << 32) - 1, data=b"w" * 100)
        self.assertEqual(client.reply(), (EINVAL, 1))
        self.assertTrue(client.ended())
        self.alive(running)

    def test_refused_writes_do_not_come_out_of_step(self):
        running = self.begin()
        client = Raw(self, running.nbd_path).choose()
        for number in range(40):
            client.request(WRITE, 8 << 20, 100000, cookie=number, data=bytes(100000))
            self.assertEqual(client.reply()[1], number)
        client.request(READ, 0, 1, cookie=77)
        self.assertEqual((client.reply(), client.exactly(1)), ((0, 77), b"d"))

    def test_refused_writes_are_answered_when_they_are_here(self):
        """A client that is still sending takes an answer for one to somebody else's request."""
        running = self.begin()
        handle = self.connect(running)
        for _ in range(20):
            with self.assertRaises(nbd.Error) as caught:
                handle.pwrite(bytes(4 << 20), 32 << 20)
            self.assertEqual(caught.exception.errno, "ENOSPC", str(caught.exception))
        self.assertEqual(bytes(handle.pread(1, 0)), b"d")

    def test_options_without_end(self):
        """Options are asked by the thousand, and nobody reads the answers."""
        running = self.begin()
        flood = Raw(self, running.nbd_path)
        words = wire.option(3) * 200000
        self.assertLess(flood.fill(words), len(words), "somebody held back what cannot be delivered")
        self.assert_small(running, 64)
        self.alive(running)

    def test_long_options(self):
        running = self.begin()
        client = Raw(self, running.nbd_path)
        for number in (3, 5, 6, 7, 8, 9, 10, 99):
            client.option(number, bytes(1 << 20))
            self.assertGreaterEqual(client.option_reply()[0], 1 << 31)
        client.option(3, length=(32 << 20) + 1)
        self.assertTrue(client.ended())
        self.alive(running)

    def test_noise(self):
        """Random bytes after each stage."""
        running = self.begin()
        noise = random.Random(1)
        for number in range(200):
            client = Raw(self, running.nbd_path)
            if number % 3:
                client.option(8)
            if number % 3 == 2:
                client.option_reply()
                client.choose()
                client.send(struct.pack(">IHH", 0x25609513, noise.randrange(1 << 16), noise.randrange(9)))
            try:
                client.send(noise.randbytes(noise.randrange(1, 3000)))
                client.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            self.assertTrue(client.ended())
        self.alive(running)


class Unread(HostileTest):
    """Clients that ask for much and read nothing."""

    def begin(self, *places, export=""):
        port = free_port()
        image = self.image(size=64 << 20, data=b"d" * 4096)
        running = self.new_daemon()
        inet = f"addr.type=inet,addr.host=127.0.0.1,addr.port={port}"
        unix = f"addr.type=unix,addr.path={running.nbd_path}"
        running.start("--object", "iothread,id=t0", "--object", "iothread,id=t1",
                      "--blockdev", f"file,node-name=n0,filename={image}",
                      "--nbd-server", inet if "inet" in places else unix,
                      "--export", f"nbd,id=e0,node-name=n0,name=x,writable=on{export}")
        return running, ("127.0.0.1", port) if "inet" in places else running.nbd_path

    def stuffed(self, where):
        """A client with more asked for than fits any socket, which does not read."""
        client = Raw(self, where).choose()
        client.fill(b"".join(wire.request(READ, 0, 1 << 20, cookie=cookie)
                             for cookie in range(100000)))
        return client

    def check(self, *places, export=""):
        running, where = self.begin(*places, export=export)
        client = self.monitor(running)
        held = [self.stuffed(where) for _ in range(2)]
        held[1].socket.shutdown(socket.SHUT_WR)
        self.assert_small(running, 400)
        self.assert_qmp_error("export 'e0' still in use", client, "block-export-del", {"id": "e0"})
        client.cmd("block-export-del", id="e0", mode="hard")
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        for each in held:
            self.assertTrue(each.ended())

    def test_memory_is_shared(self):
        """A dozen of them get no more than what is each one's own and what all share; who asks for little is served."""
        running, where = self.begin()
        held = [self.stuffed(where) for _ in range(12)]
        small = Raw(self, where).choose()
        for cookie in range(100):
            small.request(READ, cookie * 512, 512, cookie=cookie)
            self.assertEqual(small.reply(), (0, cookie))
            small.exactly(512)
        self.assert_small(running, 128 + 13 * 4 + 40)
        for each in held:
            each.socket.close()
        while not SANITIZER and running.resident_kib() > 64 << 10:
            pass  # all of it is given back

    def test_hard_removal_unix(self):
        self.check()

    def test_hard_removal_tcp(self):
        self.check("inet")

    def test_hard_removal_on_two_loops(self):
        self.check(export=",iothread.0=t0,iothread.1=t1")

    def test_server_stop_in_every_stage(self):
        """Clients in the handshake, idle, in the middle of a payload, and with replies that nobody reads."""
        for export in ("", ",iothread.0=t0,iothread.1=t1"):
            running, where = self.begin(export=export)
            client = self.monitor(running)
            held = [Raw(self, where), Raw(self, where).choose(), Raw(self, where).choose(), self.stuffed(where)]
            held[0].option(7, b"\0\0\0\5x", length=12)
            held[2].request(WRITE, 0, 1 << 20, data=bytes(5000))
            client.cmd("nbd-server-stop")
            client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
            self.assertEqual(client.cmd("query-block-exports"), [])
            for each in held:
                self.assertTrue(each.ended())
            client.cmd("nbd-server-start", {"addr": {"type": "unix", "data": {"path": str(running.nbd_path)}}})
            client.cmd("block-export-add", {"type": "nbd", "id": "e0", "node-name": "n0", "name": "x"})
            Raw(self, running.nbd_path).choose()
            client.cmd("nbd-server-stop")
            client.cmd("plugin-unload", name="nbd")
