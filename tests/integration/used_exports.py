# SPDX-License-Identifier: Apache-2.0
"""The words of exports, of I/O threads and of the NBD server, each by what a client or the kernel sees of it."""
import contextlib
import os
import select
import socket
import stat

import nbd

from support import nbdtest
from used import Used

READS = 400


class Exports(Used):
    def test_common_options(self):
        self.add("null-co", "n0", size=4096)
        self.add("null-co", "n1", size=8192)
        self.start_server()
        self.client.cmd("block-export-add", {"type": "nbd", "id": "one", "node-name": "n0"})
        self.client.cmd("block-export-add", {"type": "nbd", "id": "two", "node-name": "n1", "writable": True})
        handle, other = self.connect(self.running, "n0"), self.connect(self.running, "n1")
        self.assertEqual((handle.get_size(), other.get_size()), (4096, 8192))
        self.used("block-export-add", type="nbd", id="one", node_name="n0")
        self.assertEqual((handle.is_read_only(), other.is_read_only()), (True, False))
        with self.assertRaises(nbd.Error):
            handle.pwrite(b"x" * 512, 0)
        other.pwrite(b"x" * 512, 0)
        self.used("block-export-add", writable=True)

    def test_name_and_description(self):
        self.add("null-co", "n0", size=4096)
        handle = self.serve_node("n0", name="other", description="a text")
        self.assertEqual((handle.get_size(), handle.get_export_description()), (4096, "a text"))
        with self.assertRaises(nbd.Error):
            self.connect(self.running, "n0")
        self.used("block-export-add", type="nbd", name="other", description="a text")

    def test_writethrough(self):
        """Each write brings a flush with it, where nothing below has FUA."""
        self.add("file", "f0", filename=str(self.image()))
        self.add("x-fault", "x0", file="f0")
        self.add("x-cache", "n0", file="x0")
        for name, through in (("off", False), ("on", True)):
            self.client.cmd("x-cache-power-loss", node_name="n0")
            handle = self.serve_node("n0", name=name, writethrough=through)
            before = self.counts("x0")["flush"]
            handle.pwrite(b"w" * 4096, 0)
            self.assertEqual(self.counts("x0")["flush"] - before, int(through))
            handle.shutdown()
            self.remove("n0")
        self.used("block-export-add", writethrough=True)

    def sleeping(self, use, threads=("IO t0", "IO t1")):
        """Which of the threads have waited for something meanwhile."""
        before = [self.sleeps(t) for t in threads]
        use()
        return [self.sleeps(t) > b for t, b in zip(threads, before)]

    def test_iothread(self):
        self.add("null-co", "n0", size=4096)
        single, both = self.serve_node("n0", name="single", iothread="t1"), []

        def read(*handles):
            for handle in handles:
                for _ in range(READS):
                    handle.pread(512, 0)
        self.assertEqual(self.sleeping(lambda: read(single)), [False, True])
        self.used("block-export-add", iothread="t1")
        self.client.cmd("block-export-add", {"type": "nbd", "id": "two", "node-name": "n0", "name": "two",
                                             "iothread": ["t0", "t1"]})
        both = [self.connect(self.running, "two") for _ in range(4)]
        self.assertEqual(self.sleeping(lambda: read(*both)), [True, True])
        self.used("block-export-add", iothread=["t0", "t1"])

    def test_fixed_iothread(self):
        """One thread can be kept, several can't."""
        self.add("null-co", "n0", size=4096)
        wanted = {"type": "nbd", "id": "e", "node-name": "n0", "fixed-iothread": True}
        self.start_server()
        self.assert_qmp_error("Cannot use fixed-iothread for a multi-threaded export", self.client, "block-export-add",
                              {**wanted, "iothread": ["t0", "t1"]})
        self.client.cmd("block-export-add", {**wanted, "iothread": "t0"})
        self.used("block-export-add", fixed_iothread=True)

    def test_removal(self):
        """Safe is refused while there is a client, who notices nothing; hard cuts it."""
        self.add("null-co", "n0", size=4096, latency_ns=200000000)
        handle = self.serve_node("n0")
        self.assert_qmp_error("export 'e-n0' still in use", self.client, "block-export-del", {"id": "e-n0", "mode": "safe"})
        handle.pread(512, 0)
        self.add("x-fault", "x0", file="n0")
        held = self.serve_node("x0")
        self.client.cmd("x-fault-set", {"node-name": "x0", "rules": [{"action": "hold"}]})
        held.aio_pread(nbd.Buffer(512), 0)
        while not self.client.cmd("x-fault-query", node_name="x0")["held"]:
            held.poll(1)
        self.client.cmd("block-export-del", {"id": "e-x0", "mode": "hard"})
        with contextlib.suppress(nbd.Error):
            while held.aio_in_flight():  # until it is cut
                held.poll(-1)
        self.assertTrue(held.aio_is_dead() or held.aio_is_closed())
        self.used("block-export-del", id="e-x0", mode="hard")
        self.client.cmd("x-fault-release", node_name="x0")
        self.happens("BLOCK_EXPORT_DELETED", id="e-x0")
        self.returns("query-block-exports", [{"id": "e-n0", "type": "nbd", "node-name": "n0", "shutting-down": False}],
                     self.client.cmd("query-block-exports"))
        handle.shutdown()
        self.client.cmd("block-export-del", {"id": "e-n0", "mode": "safe"})
        self.happens("BLOCK_EXPORT_DELETED", id="e-n0")
        self.used("block-export-del", id="e-n0", mode="safe")

    def test_removal_with_patience(self):
        """No new clients; the old ones go on, or are refused, and the export goes with the last of them."""
        self.add("null-co", "n0", size=4096)
        for mode, refused in (("hide", False), ("soft", True)):
            handle = self.serve_node("n0")
            self.client.cmd("block-export-del", {"id": "e-n0", "mode": mode})
            with self.assertRaises(nbd.Error):
                self.connect(self.running, "n0")
            with self.assertRaises(nbd.Error) if refused else contextlib.nullcontext():
                handle.pread(512, 0)
            self.assertEqual(list(self.client.events), [])
            handle.shutdown()
            self.happens("BLOCK_EXPORT_DELETED", id="e-n0")
            self.used("block-export-del", id="e-n0", mode=mode)

    def test_no_space(self):
        self.add("file", "f0", filename=str(self.image(data=b"d" * 65536)))
        self.add("x-fault", "n0", file="f0")
        handle = self.serve_node("n0")
        self.client.cmd("x-fault-set", {"node-name": "n0", "rules": [{"op": "write", "action": "error", "errno": 28}]})
        for _ in range(3):
            with self.assertRaises(nbd.Error):
                handle.pwrite(b"x" * 512, 0)
        self.happens("BLOCK_EXPORT_NO_SPACE", id="e-n0", node_name="n0")


class Objects(Used):
    """How long a thread polls before it sleeps is seen in how often it does sleep: not at all where what it waits for
    comes while it polls. The pauses between requests are those of a slow node on the main loop."""

    def test_object(self):
        self.client.cmd("object-add", qom_type="iothread", id="t2")
        self.assertIn("IO t2", [task[0] for task in self.running.tasks().values()])
        self.used("object-add", qom_type="iothread", id="t2")
        self.client.cmd("object-del", id="t2")
        self.assertNotIn("IO t2", [task[0] for task in self.running.tasks().values()])
        self.used("object-del", id="t2")

    def test_poll_max_and_grow(self):
        second, pause = 10**9, self.pauses(1)

        def read(handle):
            for _ in range(100):
                pause()
                handle.pread(512, 0)
        never, short, long = (self.sleeps_during(read, **options) for options in (
            {"poll_max_ns": 0}, {"poll_max_ns": second, "poll_grow": 1}, {"poll_max_ns": second, "poll_grow": 1000}))
        print(f"100 requests, sleeps: {never} without polling, {short} without growth, {long} with it")
        self.assertGreater(never, 80)
        self.assertLess(long, 30)
        self.used("object-add", qom_type="iothread", poll_max_ns=0)
        self.assertGreater(short, 80)
        self.used("object-add", qom_type="iothread", poll_grow=1)

    def test_poll_shrink(self):
        """Pauses longer than the bound shorten the polling: to nothing, or not at all where it is divided by one. Each
        costs one sleep, and the request after it another one where nothing is polled any more."""
        short, long = self.pauses(1), self.pauses(40)

        def sparse(handle):
            for pause in [short] * 4 + [long, short] * 20:
                pause()
                handle.pread(512, 0)
        kept, lost = (self.sleeps_during(sparse, poll_max_ns=20000000, poll_grow=1000, poll_shrink=s) for s in (1, 0))
        print(f"20 pauses, sleeps: {kept} where polling stays, {lost} where it ends")
        self.assertLess(kept, lost - 10)
        self.used("object-add", qom_type="iothread", poll_shrink=1)


class Server(Used):
    def served(self, addr, check, **options):
        self.client.cmd("nbd-server-start", {"addr": addr, **options})
        check()
        self.client.cmd("nbd-server-stop")

    def refused(self, pattern, **data):
        with self.assertRaisesRegex(Exception, pattern):
            self.client.cmd("nbd-server-start", {"addr": {"type": "inet", "data": data}})

    def test_unix(self):
        path, name = self.tmp / "s", f"outport-test-{os.getpid()}"
        data = {"path": str(path)}
        self.served({"type": "unix", "data": data},
                    lambda: self.assertTrue(stat.S_ISSOCK(path.stat().st_mode) and self.greets(socket.AF_UNIX, str(path))))
        self.used("nbd-server-start", addr={"type": "unix", "data": data})
        self.assertFalse(path.exists())
        self.used("nbd-server-stop")
        # An abstract name is in no folder, and where it is not tight it is as long as the address has room.
        long_name = b"\0" + name.encode().ljust(107, b"\0")
        for tight, there, not_there in ((True, b"\0" + name.encode(), long_name),
                                        (False, long_name, b"\0" + name.encode())):
            data = {"path": name, "abstract": True, "tight": tight}
            self.served({"type": "unix", "data": data},
                        lambda t=there, n=not_there: self.assertEqual(
                            [self.greets(socket.AF_UNIX, t), self.greets(socket.AF_UNIX, n)], [True, False]))
            self.used("nbd-server-start", addr={"type": "unix", "data": {"abstract": True, "tight": tight}})

    def test_fd(self):
        """Over QMP it can only be refused; on the command line it works."""
        self.assert_qmp_error("only QEMU supports file descriptor passing", self.client, "nbd-server-start",
                              {"addr": {"type": "fd", "data": {"str": "0"}}})
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        self.new_daemon().start("--nbd-server", "addr.type=fd,addr.str=0", stdin=listener)
        self.assertTrue(self.greets(socket.AF_INET, listener.getsockname()))
        self.used("nbd-server-start", addr={"type": "fd", "data": {"str": "0"}})

    def test_inet(self):
        port = str(nbdtest.free_port())
        data = {"host": "127.0.0.1", "port": port}
        self.served({"type": "inet", "data": data},
                    lambda: self.assertTrue(self.greets(socket.AF_INET, ("127.0.0.1", int(port)))))
        self.used("nbd-server-start", addr={"type": "inet", "data": data})
        local = {"host": "localhost", "port": port}
        self.served({"type": "inet", "data": local}, lambda: None)
        self.refused("address resolution failed for localhost", **local, numeric=True)
        self.used("nbd-server-start", addr={"type": "inet", "data": {"numeric": True}})
        self.refused("address resolution failed for 127.0.0.1", **data, ipv4=False)
        self.refused("address resolution failed for 127.0.0.1", **data, ipv6=True)
        self.refused("address resolution failed for ::1", host="::1", port=port, ipv4=True)
        self.refused("address resolution failed for ::1", host="::1", port=port, ipv6=False)
        self.served({"type": "inet", "data": {**data, "ipv4": True, "ipv6": False}},
                    lambda: self.assertTrue(self.greets(socket.AF_INET, ("127.0.0.1", int(port)))))
        self.used("nbd-server-start", addr={"type": "inet", "data": {"ipv4": True, "ipv6": False}})

    def test_to(self):
        """The first port that is free, in the range."""
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        data = {"host": "127.0.0.1", "port": str(port)}
        self.refused("Failed to", **data)
        last = min(port + 50, 65535)
        self.served({"type": "inet", "data": {**data, "to": last}},
                    lambda: self.assertTrue(any(self.greets(socket.AF_INET, ("127.0.0.1", p))
                                                for p in self.listening_ports() if port < p <= last)))
        self.used("nbd-server-start", addr={"type": "inet", "data": {"to": last}})

    def listening_ports(self):
        """Those of the daemon, by the inodes of its sockets."""
        inodes = {name[8:-1] for name in self.running.fds().values() if name.startswith("socket:[")}
        lines = [line.split() for line in self.running.proc("net/tcp").splitlines()[1:]]
        return [int(fields[1].partition(":")[2], 16) for fields in lines if fields[3] == "0A" and fields[9] in inodes]

    def test_max_connections(self):
        """The sixth waits in the backlog while all that the main loop has to do is done, until another one goes."""
        self.start_server(**{"max-connections": 5})
        self.assert_served_at_once(5)
        self.used("nbd-server-start", max_connections=5)

    def test_handshake_max_seconds(self):
        """A silent client is cut; where there is no bound, one that came before it is not."""
        other = self.new_daemon()
        other.start(*other.nbd_args(handshake_max_seconds=0))
        self.start_server(**{"handshake-max-seconds": 1})
        kept, cut = self.silent(other), self.silent()
        for one in (kept, cut):
            self.assertEqual(len(one.recv(18, socket.MSG_WAITALL)), 18)
        self.assertEqual(cut.recv(1), b"")
        self.assertEqual(select.select([kept], [], [], 0)[0], [])
        self.used("nbd-server-start", handshake_max_seconds=1)
