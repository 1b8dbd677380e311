# SPDX-License-Identifier: Apache-2.0
"""A daemon with two I/O threads and a client of its monitor, nodes and exports added one by one, and what can be seen of
them from outside.
"""
import os
import select
import socket

from .nbdtest import NbdTest


class ServedTest(NbdTest):
    plugin_dirs = None  # all of them

    def setUp(self):
        super().setUp()
        self.running = self.new_daemon(plugin_dirs=self.plugin_dirs)
        self.running.start("--object", "iothread,id=t0", "--object", "iothread,id=t1")
        self.client = self.monitor(self.running)
        self.server_runs = False

    # --- nodes and exports ----------------------------------------------------------------------------------
    def add(self, driver, name, **options):
        self.client.cmd("blockdev-add", driver=driver, node_name=name, **options)

    def start_server(self, **options):
        path = str(self.running.nbd_path)
        self.client.cmd("nbd-server-start", {"addr": {"type": "unix", "data": {"path": path}}, **options})
        self.server_runs = True

    def export(self, node, **options):
        if not self.server_runs:
            self.start_server()
        self.client.cmd("block-export-add", {"type": "nbd", "id": f"e-{node}", "node-name": node, "writable": True,
                                             **options})

    def serve_node(self, node="n0", contexts=(), /, **options):
        """Starts the server if need be and exports the node, writable, under its own name; a client of it."""
        self.export(node, **options)
        return self.connect(self.running, options.get("name", node), contexts=contexts)

    def remove(self, node):
        self.client.cmd("block-export-del", {"id": f"e-{node}", "mode": "hard"})
        self.client.wait_event("BLOCK_EXPORT_DELETED", id=f"e-{node}")

    # --- looking from outside -------------------------------------------------------------------------------
    def counts(self, node):
        """How many requests of each operation came to an x-fault node."""
        return {c["op"]: c["count"] for c in self.client.cmd("x-fault-query", node_name=node)["counts"]}

    def open_flags(self, path):
        """The flags of the daemon's descriptor of that file."""
        fd = next(fd for fd, name in self.running.fds().items() if name == str(path))
        line = next(n for n in self.running.proc(f"fdinfo/{fd}").splitlines() if n.startswith("flags:"))
        return int(line.split()[1], 8)

    def sleeps(self, name):
        """How often the thread of that name gave its processor back to wait."""
        return next(task[1] for task in self.running.tasks().values() if task[0] == name)

    def assert_served_at_once(self, limit):
        """One more client waits in the backlog, while all that the main loop has to do is done, until another goes."""
        held = [self.silent() for _ in range(limit)]
        for one in held:
            self.assertEqual(one.recv(18, socket.MSG_WAITALL)[:8], b"NBDMAGIC")
        waiting = self.silent()
        self.turn()
        self.assertEqual(select.select([waiting], [], [], 0)[0], [])
        held.pop().close()
        self.assertEqual(waiting.recv(18, socket.MSG_WAITALL)[:8], b"NBDMAGIC")

    def silent(self, running=None):
        """An NBD client that connects and says nothing."""
        raw = socket.socket(socket.AF_UNIX)
        self.addCleanup(raw.close)
        raw.settimeout(60)
        raw.connect(str((running or self.running).nbd_path))
        return raw

    def pauses(self, milliseconds):
        """A function that takes at least so long, without a timer of ours: a read of a slow node, on the main loop."""
        name = f"pause{milliseconds}"
        self.add("null-co", name, size=4096, latency_ns=milliseconds * 1000000)
        handle = self.serve_node(name)
        return lambda: handle.pread(512, 0)

    def sleeps_during(self, use, **options):
        """How often an I/O thread with these options slept while a client of it did `use`."""
        self.client.cmd("object-add", qom_type="iothread", id="p", **options)
        self.add("null-co", "polled", size=4096)
        handle = self.serve_node("polled", iothread="p")
        before = self.sleeps("IO p")
        use(handle)
        slept = self.sleeps("IO p") - before
        handle.shutdown()
        self.remove("polled")
        self.client.cmd("blockdev-del", node_name="polled")
        self.client.cmd("object-del", id="p")
        return slept

    @staticmethod
    def statuses(handle, length=4096):
        """The flags of the extents at the start, in the context that the handle asked for."""
        found = []
        handle.block_status(length, 0, lambda name, offset, entries, error: found.extend(entries[1::2]) and 0)
        return found

    def turn(self, rounds=50):
        """So many turns of the main loop: whatever it had to do at once is done."""
        for _ in range(rounds):
            self.client.cmd("query-version")

    @staticmethod
    def is_hole(path, offset):
        with open(path, "rb") as image:
            return os.lseek(image.fileno(), offset, os.SEEK_HOLE) == offset

    def greets(self, family, address):
        """Whether an NBD server answers there."""
        with socket.socket(family) as raw:
            raw.settimeout(60)
            try:
                raw.connect(address)
            except OSError:
                return False
            return raw.recv(8) == b"NBDMAGIC"
