# SPDX-License-Identifier: Apache-2.0
"""Loops of an export: one name, a list of names, and how evenly they are used."""
import threading

from support.nbdtest import NbdTest


class IoThreads(NbdTest):
    def begin(self, export, *more):
        running = self.new_daemon()
        return running.start("--object", "iothread,id=t0", "--object", "iothread,id=t1", *more,
                             "--blockdev", "null-co,node-name=n0,read-zeroes=on", *running.nbd_args(),
                             "--export", f"nbd,id=e0,node-name=n0,name=x,writable=on{export}")

    def busy(self, running, connections=8, requests=80000):
        """{thread name: its share of the processor time} while connections read."""
        before = running.tasks()
        self.load(running, "--connections", connections, "--depth", 8, "--requests", requests)
        after = running.tasks()
        spent = {after[t][0] + ("" if t != running.pid else "(main)"): after[t][3] - before.get(t, (0, 0, 0, 0))[3]
                 for t in after}
        total = sum(spent.values())
        return {name: ns / total for name, ns in spent.items()}

    def test_list_spreads_over_both(self):
        running = self.begin(",iothread.0=t0,iothread.1=t1")
        shares = self.busy(running)
        print(shares)
        above = [name for name, share in shares.items() if share > 0.25]
        self.assertEqual(len(above), 2, shares)
        self.assertFalse(any("main" in name for name in above), shares)

    def test_single(self):
        running = self.begin(",iothread=t1")
        shares = self.busy(running)
        self.assertEqual(len([s for s in shares.values() if s > 0.8]), 1, shares)
        self.assertLess(next(s for n, s in shares.items() if "main" in n), 0.2)

    def test_errors(self):
        running = self.begin("")
        client = self.monitor(running)
        add = {"type": "nbd", "id": "e1", "node-name": "n0", "name": "y"}
        self.assert_qmp_error('iothread "nope" not found', client, "block-export-add", {**add, "iothread": "nope"})
        self.assert_qmp_error('iothread "nope" not found', client, "block-export-add", {**add, "iothread": ["t0", "nope"]})
        self.assert_qmp_error("The set of I/O threads must not be empty", client, "block-export-add",
                              {**add, "iothread": []})
        self.assert_qmp_error("Cannot use fixed-iothread for a multi-threaded export", client, "block-export-add",
                              {**add, "iothread": ["t0", "t1"], "fixed-iothread": True})
        client.cmd("block-export-add", {**add, "iothread": "t0", "fixed-iothread": True})

    def test_in_use_is_not_deleted(self):
        running = self.begin(",iothread=t0")
        client = self.monitor(running)
        self.assert_qmp_error("object 't0' is in use, can not be deleted", client, "object-del", {"id": "t0"})
        client.cmd("object-del", id="t1")
        client.cmd("block-export-del", id="e0")
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        client.cmd("object-del", id="t0")

    def test_come_and_go_under_load(self):
        """Threads are made and deleted while another export works."""
        running = self.begin(",iothread=t0")
        client = self.monitor(running)
        worker = threading.Thread(target=self.load, args=(running, "--depth", 8, "--requests", 150000))
        worker.start()
        for number in range(50):
            client.cmd("object-add", qom_type="iothread", id=f"x{number}")
            client.cmd("block-export-add", {"type": "nbd", "id": f"e{number + 1}", "node-name": "n0",
                                            "name": f"y{number}", "iothread": f"x{number}"})
            client.cmd("block-export-del", id=f"e{number + 1}")
            client.wait_event("BLOCK_EXPORT_DELETED", id=f"e{number + 1}")
            client.cmd("object-del", id=f"x{number}")
        worker.join()


class Fairness(NbdTest):
    """A small client beside eight big ones on the same loop."""

    def begin(self):
        running = self.new_daemon()
        return running.start("--blockdev", "null-co,node-name=n0,read-zeroes=on", *running.nbd_args(),
                             "--export", "nbd,id=e0,node-name=n0,name=x")

    def test_p99_ratio_is_printed(self):
        """The small client begins when each big one has been answered, and ends before they are told to."""
        running = self.begin()
        small = ("--depth", 1, "--block", 4096, "--requests", 3000)
        alone = self.load(running, *small)
        big = self.load_until_told(running, "--connections", 8, "--depth", 4, "--block", 1 << 20, "--op", "read")
        beside = self.load(running, *small)
        self.assertIsNone(big.poll(), "the big ones ended before the small one did")
        served = self.tell(big)
        self.assertGreater(served["requests"], 8 * 4, "the big ones had nothing but what was under way already")
        print(f"p99 of a 4 KiB client beside eight of 1 MiB: {beside['p99_us'] / alone['p99_us']:.1f} times alone "
              f"({beside['p99_us']:.0f} us to {alone['p99_us']:.0f} us; {served['mib_s']:.0f} MiB/s of theirs meanwhile)")
