# SPDX-License-Identifier: Apache-2.0
"""Clients that die in the middle of anything, 1,000 times, leave nothing behind: no descriptor, no memory, no mapping,
no export that cannot be removed.
"""
import collections
import json
import struct

from support import daemon
from support.case import SANITIZER
from support.nbdtest import NbdTest, free_port

LATE_NS = 200000000  # after which what a client asked for is answered; it is dead by then


class Killed(NbdTest):
    ROUND, ROUNDS, MOST_ROUNDS = 250, 4, 12

    def kill_clients(self, where, count):
        done = self.tool(daemon.support("nbdkill"), "--to", where, "--export", "x", "--count", count, "--handshakes", 40,
                         "--together", 16)
        counted = json.loads(done.stdout)
        self.assertEqual(counted["killed"], count + 40)
        self.assertGreaterEqual(counted["least_in_flight"], 8)
        return counted["least_in_flight"]

    def settled(self, running):
        """Descriptors and mappings once every connection is gone, by the daemon's own word: a safe removal works."""
        client = self.monitor(running)
        while True:
            try:
                client.cmd("block-export-del", id="e0")
                break
            except Exception as error:  # noqa: B902 (still in use: a killed client's requests are not back yet)
                if "still in use" not in str(error):
                    raise
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        found = collections.Counter(v.split(":")[0] for v in running.fds().values())
        look = found, running.mappings(), running.resident_kib(), self.blocks()
        client.cmd("block-export-add", {"type": "nbd", "id": "e0", "node-name": "n0", "name": "x", "writable": True,
                                        **self.export})
        client.close()
        return look

    def blocks(self):
        """How many blocks of the heap are in use, by a preloaded library; the leak sanitizer looks by itself."""
        return 0 if SANITIZER else struct.unpack_from("<q", self.counts_path.read_bytes(), 48)[0]

    def begin(self, node, server, more):
        """An export whose reads, writes and flushes are answered late; not by the disk, whose pace is not looked at."""
        image = self.image(size=64 << 20)
        self.counts_path = self.tmp / "counts"
        preload = {"LD_PRELOAD": str(daemon.support("countalloc.so")), "OUTPORT_COUNTALLOC": str(self.counts_path)}
        running = self.new_daemon(env={} if SANITIZER else preload)
        running.start("--object", "iothread,id=t0", "--object", "iothread,id=t1",
                      "--blockdev", f"file,node-name=f0,filename={image},cache.no-flush=on{node}",
                      "--blockdev", "x-fault,node-name=n0,file=f0", "--nbd-server", server or running.nbd_args()[1],
                      "--export", f"nbd,id=e0,node-name=n0,name=x,writable=on{more}")
        rules = [{"op": op, "action": "delay", "latency-ns": LATE_NS} for op in ("read", "write", "flush")]
        with running.qmp() as client:
            client.cmd("x-fault-set", {"node-name": "n0", "rules": rules})
        return running

    @staticmethod
    def grew(looks):
        """Whether there were more mappings, or more memory, after each round. A sanitizer keeps what was given back."""
        return not SANITIZER and any(all(b[what] > a[what] for a, b in zip(looks, looks[1:])) for what in (1, 2))

    def check(self, node="", server="", where="", more="", **export):
        """Pools may grow in one round or another, up to their bound; what leaks grows in each."""
        self.export = export
        running = self.begin(node, server, more)
        where = where or f"unix:{running.nbd_path}"
        least = self.kill_clients(where, 100)
        looks = [self.settled(running)]
        while len(looks) <= self.ROUNDS or (self.grew(looks) and len(looks) <= self.MOST_ROUNDS):
            least = min(least, self.kill_clients(where, self.ROUND))
            looks.append(self.settled(running))
        print(f"{(len(looks) - 1) * self.ROUND} clients killed, each with at least {least} requests in flight; descriptors "
              f"{dict(looks[-1][0])}, mappings {[l[1] for l in looks]}, resident KiB {[l[2] for l in looks]}, "
              f"blocks of the heap {[l[3] for l in looks]}")
        self.assertEqual(looks[0][0], looks[-1][0])
        self.assertLess(looks[-1][3] - looks[0][3], self.ROUND // 10, "some block is left for each of many clients")
        self.assertFalse(self.grew(looks), looks)
        with running.qmp() as client:
            client.cmd("x-fault-set", {"node-name": "n0", "rules": []})
        self.load(running, "--requests", 100, "--op", "mixed", where=where)
        self.assertEqual(running.stop(), 0)

    def test_file(self):
        self.check()

    def test_direct(self):
        self.check(node=",cache.direct=on")

    def test_tcp_on_two_threads(self):
        port = free_port()
        self.check(server=f"addr.type=inet,addr.host=127.0.0.1,addr.port={port}", where=f"tcp:127.0.0.1:{port}",
                   more=",iothread.0=t0,iothread.1=t1", iothread=["t0", "t1"])
