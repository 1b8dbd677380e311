# SPDX-License-Identifier: Apache-2.0
"""Nothing that was acknowledged is lost when the process dies, and nothing that was flushed when the power goes.
The load writes stamps over many connections, aligned and not, in regions of their own and one in common.
"""
import signal

import nbd

from support.case import long_only
from support.nbdtest import NbdTest

SIZE = 80 << 20  # 64 regions of 1 MiB and the common one


class Load(NbdTest):
    """64 connections at once, to the end."""

    def check(self, node="", ops=40000, **options):
        image = self.image(size=SIZE)
        running = self.serve(image, node=",discard=unmap" + node, **options)
        counted = self.finish(self.stress(running.uri("x"), "--ops", ops), stop=False)
        self.assertEqual(counted["wrong"], 0)
        for kind in ("reads", "writes", "fua", "zeroes", "flushes"):
            self.assertGreater(counted[kind], 100, kind)

    def test_page_cache(self):
        self.check()

    def test_direct(self):
        self.check(node=",cache.direct=on", ops=15000)

    def test_two_threads(self):
        image = self.image(size=SIZE)
        running = self.new_daemon(self.flavour)
        running.start("--object", "iothread,id=t0", "--object", "iothread,id=t1",
                      "--blockdev", f"file,node-name=n0,filename={image},discard=unmap", *running.nbd_args(),
                      "--export", "nbd,id=e0,node-name=n0,name=x,writable=on,iothread.0=t0,iothread.1=t1")
        self.finish(self.stress(running.uri("x"), "--ops", 40000), stop=False)

    @long_only
    def test_long(self):
        self.check(ops=2000000)


class Killed(NbdTest):
    """SIGKILL under load: what was acknowledged is there."""

    def once(self, seed, node=""):
        image = self.image(size=SIZE)
        running = self.serve(image, node=",discard=unmap" + node)
        state = self.tmp / "state"
        load = self.stress(running.uri("x"), "--state", state, "--survive-loss", "--seed", seed)
        self.wait_for_writes(running, image)
        running.send_signal(signal.SIGKILL)
        running.wait()
        counted = self.finish(load, stop=False)
        print(f"killed with {counted['in_flight']} requests in flight, after {counted['writes']} writes")
        self.assertTrue(counted["lost"])
        self.assertGreaterEqual(counted["in_flight"], 8)
        again = self.serve(image)
        found = self.verify(again.uri("x"), state)
        self.assertGreater(found["written"], 50)

    def wait_for_writes(self, running, image):
        """Until the image has some data, so that the kill comes in the middle."""
        while image.stat().st_blocks * 512 < 4 << 20:
            if running.process.poll() is not None:
                self.fail("the daemon ended by itself")

    def test_page_cache(self):
        for seed in (1, 2, 3):
            self.once(seed)

    def test_direct(self):
        self.once(4, ",cache.direct=on")


class PowerLoss(NbdTest):
    """x-cache keeps what is not flushed in memory only: it goes with the process, or when told."""

    def start(self, image, export=""):
        running = self.new_daemon()
        return running.start("--blockdev", f"file,node-name=f0,filename={image},discard=unmap",
                             "--blockdev", "x-cache,node-name=n0,file=f0,discard=unmap", *running.nbd_args(),
                             "--export", f"nbd,id=e0,node-name=n0,name=x,writable=on{export}")

    def test_under_load(self):
        for seed in (1, 2):
            image = self.image(size=SIZE)
            running = self.start(image)
            state = self.tmp / "state"
            load = self.stress(running.uri("x"), "--state", state, "--survive-loss", "--seed", seed)
            while image.stat().st_blocks * 512 < 2 << 20:
                self.assertIsNone(running.process.poll())
            running.send_signal(signal.SIGKILL)
            running.wait()
            counted = self.finish(load, stop=False)
            print(f"power lost with {counted['in_flight']} requests in flight, after {counted['writes']} writes")
            self.assertGreaterEqual(counted["in_flight"], 8)
            again = self.serve(image)
            self.verify(again.uri("x"), state, "durable")

    def lose(self, running):
        with running.qmp() as client:
            client.cmd("x-cache-power-loss", node_name="n0")

    def test_unflushed_is_lost(self):
        """The proof that the driver does what the other tests rely on."""
        running = self.start(self.image(size=1 << 20))
        handle = self.connect(running)
        handle.pwrite(b"a" * 4096, 0)
        self.assertEqual(bytes(handle.pread(4096, 0)), b"a" * 4096)
        self.lose(running)
        self.assertEqual(bytes(handle.pread(4096, 0)), bytes(4096))
        handle.shutdown()

    def test_flushed_stays(self):
        running = self.start(self.image(size=1 << 20))
        handle = self.connect(running)
        handle.pwrite(b"a" * 4096, 0)
        handle.flush()
        handle.pwrite(b"b" * 4096, 4096)
        self.lose(running)
        self.assertEqual(bytes(handle.pread(8192, 0)), b"a" * 4096 + bytes(4096))
        handle.shutdown()

    def test_a_flush_covers_other_connections(self):
        running = self.start(self.image(size=1 << 20))
        one, two = self.connect(running), self.connect(running)
        self.assertTrue(one.can_multi_conn())
        one.pwrite(b"a" * 4096, 0)
        two.flush()
        self.lose(running)
        self.assertEqual(bytes(one.pread(4096, 0)), b"a" * 4096)

    def test_fua_stays(self):
        running = self.start(self.image(size=1 << 20, data=b"z" * 65536))
        handle = self.connect(running)
        # The power goes after each: what one of them flushes must not save another.
        handle.pwrite(b"a" * 4096, 0, nbd.CMD_FLAG_FUA)
        self.lose(running)
        handle.zero(4096, 8192, nbd.CMD_FLAG_FUA)
        self.lose(running)
        handle.pwrite(b"c" * 1000, 16384 + 100, nbd.CMD_FLAG_FUA)
        self.lose(running)
        self.assertEqual(bytes(handle.pread(4096, 0)), b"a" * 4096)
        self.assertEqual(bytes(handle.pread(4096, 8192)), bytes(4096))
        self.assertEqual(bytes(handle.pread(1002, 16384 + 99)), b"z" + b"c" * 1000 + b"z")

    def test_writethrough_stays(self):
        running = self.start(self.image(size=1 << 20, data=b"z" * 65536), export=",writethrough=on")
        handle = self.connect(running)
        handle.pwrite(b"a" * 4096, 0)
        self.lose(running)
        handle.zero(4096, 8192)
        self.lose(running)
        self.assertEqual(bytes(handle.pread(4096, 0)), b"a" * 4096)
        self.assertEqual(bytes(handle.pread(4096, 8192)), bytes(4096))


class Writethrough(NbdTest):
    """By the flushes that arrive below, since nothing below has FUA: it is a flush for x-fault."""

    def counts(self, running):
        with running.qmp() as client:
            info = client.cmd("x-fault-query", node_name="n0")
        return {c["op"]: c["count"] for c in info["counts"]}

    CHANGES = {"write": lambda handle, at: handle.pwrite(b"w" * 4096, at), "discard": lambda handle, at: handle.trim(4096, at),
               "write-zeroes": lambda handle, at: handle.zero(4096, at)}

    def flushes(self, writethrough):
        """{change: the flushes that ten of them bring below}"""
        image = self.image(size=1 << 20, data=b"z" * (1 << 20))
        running = self.new_daemon()
        running.start("--blockdev", f"file,node-name=f0,filename={image},discard=unmap",
                      "--blockdev", "x-fault,node-name=n0,file=f0,discard=unmap", *running.nbd_args(),
                      "--export", f"nbd,id=e0,node-name=n0,name=x,writable=on,writethrough={writethrough}")
        handle = self.connect(running)
        found = {}
        for change, do in self.CHANGES.items():
            before = self.counts(running)["flush"]
            for number in range(10):
                do(handle, number * 4096)
            found[change] = self.counts(running)["flush"] - before
        handle.shutdown()
        return found

    def test_on(self):
        self.assertEqual(self.flushes("on"), dict.fromkeys(self.CHANGES, 10))

    def test_off(self):
        self.assertEqual(self.flushes("off"), dict.fromkeys(self.CHANGES, 0))
