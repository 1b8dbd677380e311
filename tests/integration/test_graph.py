# SPDX-License-Identifier: Apache-2.0
"""The graph changes under verified load from two loops: nothing is lost and nothing stands still."""
import json
import select

from support import qmp
from support.case import long_only
from support.nbdtest import NbdTest

SIZE = 96 << 20


class UnderLoad(NbdTest):
    def begin(self, *more, shrinks=()):
        """Two exports of one node, each on an iothread of its own, with a load on each."""
        image = self.image(size=2 * SIZE)
        running = self.new_daemon()
        running.start("--object", "iothread,id=t0", "--object", "iothread,id=t1",
                      "--blockdev", f"file,node-name=n0,filename={image},discard=unmap", *running.nbd_args(),
                      "--export", "nbd,id=e0,node-name=n0,name=x0,writable=on,iothread=t0",
                      "--export", "nbd,id=e1,node-name=n0,name=x1,writable=on,iothread=t1", *more)
        loads = [self.stress(running.uri(f"x{half}"), "--connections", 8, "--shared", 2, "--seed", half + 1,
                             "--base", half * SIZE, *shrinks) for half in range(2)]
        return running, self.monitor(running), loads

    def end(self, running, loads):
        every = [self.finish(load) for load in loads]
        for counted in every:
            print(json.dumps(counted))
            self.assertGreater(counted["writes"], 100)
            self.assertFalse(counted["lost"])
        self.assertEqual(running.stop(), 0)
        return every

    def filters(self, rounds):
        running, client, loads = self.begin()
        for number in range(rounds):
            name = f"flt{number % 3}"
            client.cmd("x-block-insert-filter", node_name=name, driver="x-fault", child="n0")
            if number % 10 == 0:
                # The load runs through it: its counters move.
                while not sum(c["count"] for c in client.cmd("x-fault-query", node_name=name)["counts"]):
                    pass
            client.cmd("x-block-remove-filter", node_name=name)
        self.end(running, loads)

    def test_filter_in_and_out(self):
        self.filters(200)

    def test_resize(self):
        running, client, loads = self.begin()
        for number in range(200):
            client.cmd("block_resize", node_name="n0", size=2 * SIZE + (number % 5) * 65536)
        self.end(running, loads)

    def test_shrink_into_the_load(self):
        """What lies beyond is refused, or zeroes once there is room again; a refused write is nowhere; and who is not
        beyond notices nothing."""
        shrunk = SIZE + (4 << 20)  # within the regions of the second load
        running, client, loads = self.begin(shrinks=["--shrinks-to", shrunk])
        for _ in range(150):
            client.cmd("block_resize", node_name="n0", size=shrunk)
            client.cmd("query-version")
            client.cmd("block_resize", node_name="n0", size=2 * SIZE)
            client.cmd("query-version")
        first, second = self.end(running, loads)
        self.assertEqual((first["refused"], first["cut_off"]), (0, 0))
        self.assertGreater(second["refused"], 100)
        self.assertGreater(second["cut_off"], 10)

    def test_both(self):
        running, client, loads = self.begin()
        for number in range(100):
            client.cmd("x-block-insert-filter", node_name="flt", driver="x-fault", child="n0")
            client.cmd("block_resize", node_name="n0", size=2 * SIZE + (number % 3) * 4096)
            client.cmd("x-block-remove-filter", node_name="flt")
        self.end(running, loads)

    def test_change_waits_for_requests_in_flight(self):
        """A change does not overtake a request that the filter holds, and both complete."""
        second = self.tmp / "second"
        running, client, loads = self.begin("--chardev", f"socket,id=c2,path={second},server=on,wait=off",
                                            "--monitor", "c2")
        client.cmd("x-block-insert-filter", node_name="flt", driver="x-fault", child="n0")
        client.cmd("x-fault-set", {"node-name": "flt", "rules": [{"op": "write", "action": "hold", "count": 5}]})
        with qmp.Qmp(second) as other:
            while other.cmd("x-fault-query", node_name="flt")["held"] < 5:
                pass
            serial = client.start("x-block-remove-filter", {"node-name": "flt"})
            # Once everything else is parked, reads as well, the counters stand still.
            counts = None
            while counts != (counts := other.cmd("x-fault-query", node_name="flt")["counts"]):
                pass
            self.assertEqual(other.cmd("x-fault-query", node_name="flt")["held"], 5)
            self.assertIn("flt", [n["node-name"] for n in other.cmd("query-named-block-nodes")])
            self.assertEqual(select.select([client.sock], [], [], 0)[0], [], "the change has overtaken them")
            other.cmd("x-fault-release", node_name="flt")
            client.finish(serial)
            self.assertNotIn("flt", [n["node-name"] for n in other.cmd("query-named-block-nodes")])
        client.cmd("x-block-insert-filter", node_name="after", driver="x-fault", child="n0")
        while sum(c["count"] for c in client.cmd("x-fault-query", node_name="after")["counts"]) < 2000:
            pass  # the load goes on
        self.end(running, loads)

    @long_only
    def test_long(self):
        self.filters(5000)
