# SPDX-License-Identifier: Apache-2.0
"""Each export with no optional member, and each default by what a client sees. The list of defaults is not written here:
it is every member with a default in the schema documents (the host's and each plugin's), and every optional member of
each export type. Each needs a check below, which gets the default as the schema has it; one without a check fails.
"""
import json
import pathlib
import select
import socket
import stat
import statistics
import subprocess
import sys

import nbd

import defaults_fuse
from defaults import CHECKS, default

from support.case import SANITIZER
from support.nbdtest import free_port
from support.served import ServedTest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SECOND_NS = 10**9

# Without an effect that a client could see: why.
UNSEEN = {
    "BlockdevOptionsFile.aio": "all I/O goes through io_uring",
    "BlockdevOptionsFile.drop-cache": "it is for migration, which there is none of",
    "q_obj_query-named-block-nodes-arg.flat": "leaves out what would be said of backing images, which no driver has",
}

def documents():
    for path in sorted((TOP / "schema").glob("*.json")):
        if "'include'" in path.read_text() or "'fragment'" in path.read_text():
            command = [sys.executable, TOP / "schema/compiler/main.py", path, "--json", "-"]
            yield json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def members(types, name):
    """Those of a struct and its bases."""
    found = list(types[name].get("members", ()))
    return found + (members(types, types[name]["base"]) if "base" in types[name] else [])


def wanted():
    """{name: the default, None where the schema has none}"""
    types, branches = {}, []
    for document in documents():
        types.update(document["types"])
        branches += document.get("extends", {}).get("BlockExportOptions", ())
    common = types["BlockExportOptions"]["base"]
    found = {f"{kind}.{m['name']}": m["default"] for kind in types if kind != common
             for m in types[kind].get("members", ()) if "default" in m}
    for branch in branches:
        for m in members(types, common) + members(types, branch["type"]):
            if m.get("optional"):
                found[f"{branch['case']}.{m['name']}"] = m.get("default")
    return found


class Defaults(defaults_fuse.Fuse, ServedTest):
    """One test for each default is added below."""

    def nbd(self, node="n0", **more):
        """An NBD export with nothing but what it must have; a client of it."""
        if not self.server_runs:
            self.start_server()
        self.client.cmd("block-export-add", {"type": "nbd", "id": f"e-{node}", "node-name": node, **more})
        return self.connect(self.running, node, contexts=["base:allocation"])

    def null(self):
        self.add("null-co", "n0")

    # --- exports of type nbd --------------------------------------------------------------------------------
    @default("nbd.name")
    def name_is_the_node_name(self, _):
        self.null()
        self.nbd()
        self.assertIn('"export-name": "n0"', self.tool("nbdinfo", "--list", "--json", self.running.uri("")).stdout)

    @default("nbd.description")
    def no_description(self, _):
        self.null()
        with self.assertRaises(nbd.Error):  # none was sent
            self.nbd().get_export_description()

    @default("nbd.writable")
    def writable(self, value):
        self.null()
        handle = self.nbd()
        self.assertEqual(handle.is_read_only(), not value)
        with self.assertRaises(nbd.Error):
            handle.pwrite(b"x" * 512, 0)
        self.assertTrue(handle.can_flush() and handle.can_fua() and handle.can_df() and handle.can_multi_conn())
        self.assertFalse(handle.can_trim() or handle.can_zero() or handle.can_fast_zero())

    @default("nbd.writethrough")
    def writethrough(self, value):
        """By the flushes that a write brings with it, below a node without FUA."""
        self.add("file", "f0", filename=str(self.image()))
        self.add("x-fault", "x0", file="f0")
        self.add("x-cache", "n0", file="x0")
        self.nbd(writable=True).pwrite(b"w" * 4096, 0)
        self.assertEqual(self.counts("x0")["flush"], int(value))

    @default("nbd.iothread")
    def main_loop(self, _):
        """The processor time of its requests is spent there."""
        self.null()
        handle = self.nbd()
        before = self.running.tasks()
        for _ in range(2000):
            handle.pread(4096, 0)
        after = self.running.tasks()
        self.assertEqual(max(after, key=lambda t: after[t][3] - before.get(t, (0, 0, 0, 0))[3]), self.running.pid)

    @default("nbd.fixed-iothread")
    def fixed_iothread(self, value):
        """Several threads are refused where it is set."""
        self.null()
        self.assertFalse(value)
        self.assertEqual(self.nbd(iothread=["t0", "t1"]).get_size(), 1 << 30)

    @default("q_obj_block-export-del-arg.mode")
    def removal(self, value):
        self.null()
        handle = self.nbd()
        self.assertEqual(value, "safe")
        self.assert_qmp_error("export 'e-n0' still in use", self.client, "block-export-del", {"id": "e-n0"})
        handle.pread(512, 0)

    # --- the NBD server -------------------------------------------------------------------------------------
    @default("NbdServerOptionsBase.max-connections")
    def max_connections(self, value):
        """One more waits, while all that the main loop has to do is done, until another one goes."""
        self.start_server()
        self.assert_served_at_once(value)

    def test_max_connections_given(self):
        self.start_server(**{"max-connections": 3})
        self.assert_served_at_once(3)

    def test_one_connection_drops_multi_conn(self):
        self.null()
        self.start_server(**{"max-connections": 1})
        self.assertFalse(self.nbd().can_multi_conn())

    @default("NbdServerOptionsBase.handshake-max-seconds")
    def handshake_max_seconds(self, value):
        """Of three silent clients, the one whose bound is shorter is cut before, the one whose is longer is not yet."""
        clients = []
        for seconds in (value + 3, None, value - 3):
            running = self.new_daemon()
            running.start(*running.nbd_args(**({} if seconds is None else {"handshake_max_seconds": seconds})))
            clients.append(self.silent(running))
        for one in clients:
            self.assertEqual(len(one.recv(18, socket.MSG_WAITALL)), 18)
        cut = []
        while len(cut) < 2:
            for one in select.select([c for c in clients if c not in cut], [], [], 60)[0]:
                self.assertEqual(one.recv(1), b"")
                cut.append(one)
        self.assertEqual(cut, [clients[2], clients[1]])

    @default("InetSocketAddress.numeric")
    def numeric(self, value):
        self.client.cmd("nbd-server-start", {"addr": {"type": "inet", "data": {"host": "localhost",
                                                                               "port": str(free_port())}}})
        self.assertFalse(value)

    @default("UnixSocketAddress.abstract")
    def abstract(self, value):
        self.start_server()
        self.assertEqual(stat.S_ISSOCK(self.running.nbd_path.stat().st_mode), not value)

    @default("UnixSocketAddress.tight")
    def tight(self, value):
        name = str(self.tmp / "abstract")
        self.client.cmd("nbd-server-start", {"addr": {"type": "unix", "data": {"path": name, "abstract": True}}})
        self.assertEqual(self.greets(socket.AF_UNIX, b"\0" + name.encode()), value)

    # --- nodes ----------------------------------------------------------------------------------------------
    @default("BlockdevOptionsNull.size")
    def null_size(self, value):
        for driver in ("null-co", "null-aio"):
            self.add(driver, driver)
            self.assertEqual(self.nbd(driver).get_size(), value)

    @default("BlockdevOptionsNull.latency-ns")
    def null_latency(self, value):
        """As the node describes itself: with a latency it would name it."""
        self.null()
        self.assertEqual(self.client.cmd("query-named-block-nodes")[0]["file"], "null-co://")
        self.assertEqual(value, 0)

    @default("BlockdevOptionsNull.read-zeroes")
    def null_read_zeroes(self, value):
        self.null()
        self.assertEqual([bool(flags & nbd.STATE_ZERO) for flags in self.statuses(self.nbd())], [value])

    @default("BlockdevOptionsFile.locking")
    def locking(self, value):
        """`auto` is: where the file system can."""
        image = self.image()
        self.add("file", "n0", filename=str(image))
        self.nbd()
        with open("/proc/locks", encoding="ascii") as locks:
            self.assertIn(f":{image.stat().st_ino} ", locks.read())
        self.assertEqual(value, "auto")

    @default("BlockdevOptionsRaw.offset")
    def raw_offset(self, value):
        image = self.image(size=1 << 20, data=b"".join(bytes([n]) * 512 for n in range(256)))
        self.add("raw", "n0", file={"driver": "file", "filename": str(image)})
        handle = self.nbd()
        self.assertEqual((handle.get_size(), bytes(handle.pread(1, 0))), (1 << 20, bytes([value // 512])))

    @default("q_obj_BlockdevOptions-base.detect-zeroes")
    def detect_zeroes(self, value):
        """By what arrives below."""
        self.add("file", "f0", filename=str(self.image()))
        self.add("x-fault", "x0", file="f0")
        self.add("raw", "n0", file="x0")
        self.nbd(writable=True).pwrite(bytes(4096), 0)
        seen = self.counts("x0")
        self.assertEqual((seen["write"], seen["write-zeroes"]), (1, 0) if value == "off" else (0, 1))

    def test_discard_is_ignored(self):
        image = self.image(size=1 << 20, data=b"d" * (1 << 20))
        self.add("file", "n0", filename=str(image))
        handle = self.nbd(writable=True)
        before = image.stat().st_blocks
        handle.trim(1 << 20, 0)
        handle.flush()
        self.assertEqual(image.stat().st_blocks, before)
        self.assertEqual(bytes(handle.pread(4096, 0)), b"d" * 4096)

    # --- the drivers for tests ------------------------------------------------------------------------------
    def faulty(self, **rule):
        self.add("file", "f0", filename=str(self.image()))
        self.add("x-fault", "n0", file="f0")
        self.client.cmd("x-fault-set", {"node-name": "n0", "rules": [{"op": "read", **rule}]})
        return self.nbd()

    @default("XFaultRule.errno")
    def fault_errno(self, value):
        with self.assertRaises(nbd.Error) as caught:
            self.faulty(action="error").pread(512, 0)
        self.assertEqual(caught.exception.errnum, value)

    @default("XFaultRule.offset")
    def fault_offset(self, value):
        handle = self.faulty(action="error", length=512)
        handle.pread(512, value + 512)
        with self.assertRaises(nbd.Error):
            handle.pread(512, value)

    @default("XFaultRule.skip")
    def fault_skip(self, value):
        handle = self.faulty(action="error", count=1)
        for _ in range(value):
            handle.pread(512, 0)
        with self.assertRaises(nbd.Error):
            handle.pread(512, 0)

    @default("BlockdevOptionsXFault.align")
    def fault_align(self, value):
        """An odd request arrives as it was asked for."""
        self.add("null-co", "below")
        self.add("x-fault", "n0", file="below")
        self.nbd().pread(100, 1)
        counts = {c["op"]: c["bytes"] for c in self.client.cmd("x-fault-query", node_name="n0")["counts"]}
        self.assertEqual((counts["read"], value), (100, 1))

    @default("XFaultRule.latency-ns")
    def fault_latency(self, value):
        """It comes through, and by the same timers as one that is told to wait for nothing."""
        self.assertEqual((len(self.faulty(action="delay").pread(512, 0)), value), (512, 0))

    # --- objects and monitors -------------------------------------------------------------------------------
    @default("IothreadProperties.poll-max-ns")
    def poll_max(self, value):
        """Shorter than a pause of milliseconds, after which the thread always sleeps. Longer than the moment between two
        requests of a busy client, so that it seldom does; seen as soon as nothing else has the processors for a second."""
        pause = self.pauses(value // 1000000 + 1)

        def paused(handle):
            for _ in range(100):
                pause()
                handle.pread(512, 0)
        self.assertGreater(self.sleeps_during(paused), 80)
        if SANITIZER:
            return  # no client is busy enough for a server that is so slow

        def busy(_):
            self.load(self.running, "--requests", 500, export="polled")
        seen = attempts = 0
        while seen < 2:
            self.assertLess(attempts, 20, "it does not poll by default")
            attempts += 1
            pairs = [(self.sleeps_during(busy), self.sleeps_during(busy, poll_max_ns=0)) for _ in range(21)]
            polling, never = (statistics.median(one) for one in zip(*pairs))
            print(f"500 requests of a busy client, sleeps: {polling}, without polling {never}")
            seen += polling < never * 0.6

    @default("IothreadProperties.poll-grow")
    def poll_grow(self, _):
        """Polling gets longer until it is long enough."""
        pause = self.pauses(1)

        def paused(handle):
            for _ in range(100):
                pause()
                handle.pread(512, 0)
        self.assertLess(self.sleeps_during(paused, poll_max_ns=SECOND_NS), 50)

    @default("IothreadProperties.poll-shrink")
    def poll_shrink(self, _):
        """One pause beyond the bound ends it: then the next request costs a sleep as well."""
        short, long = self.pauses(1), self.pauses(40)

        def sparse(handle):
            for pause in [short] * 4 + [long, short] * 20:
                pause()
                handle.pread(512, 0)
        self.assertGreater(self.sleeps_during(sparse, poll_max_ns=20000000, poll_grow=1000), 34)

    def greeting(self, *options):
        """All that a monitor says unasked, up to the answer to a command."""
        path = self.tmp / "second"
        running = self.daemon("--chardev", f"socket,id=c,path={path},server=on,wait=off",
                              "--monitor", ",".join(("chardev=c", *options)))
        running.wait_socket(path)
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(60)
            raw.connect(str(path))
            raw.sendall(b'{"execute":"qmp_capabilities","id":"end"}')
            said = b""
            while b'"end"' not in said:
                said += raw.recv(65536)
        return said

    @default("MonitorOptions.mode")
    def monitor_mode(self, value):
        self.assertIn(b'"QMP"', self.greeting())
        self.assertEqual(value, "control")

    @default("MonitorOptions.pretty")
    def monitor_pretty(self, value):
        lines = self.greeting().splitlines()
        self.assertEqual(lines[0] == b"{", value)
        self.assertEqual(self.greeting("pretty=on").splitlines()[0], b"{")

    # --- the list -------------------------------------------------------------------------------------------
    def test_each_export_type_is_known_here(self):
        """A type that introspection shows has its members in the list."""
        schema = {e["name"]: e for e in self.client.cmd("query-qmp-schema")}
        options = schema[schema["block-export-add"]["arg-type"]]
        for variant in options["variants"]:
            optional = {m["name"] for m in options["members"] + schema[variant["type"]]["members"] if "default" in m}
            listed = {n.partition(".")[2] for n in wanted() if n.startswith(variant["case"] + ".")}
            self.assertEqual(optional, listed, variant["case"])

    def test_each_default_has_a_check(self):
        every = wanted()
        print(f"{len(every)} defaults, {len(set(every) & set(UNSEEN))} of them without an effect that a client could see")
        self.assertEqual(sorted(set(every) - set(CHECKS) - set(UNSEEN)), [], "no check")
        self.assertEqual(sorted((set(CHECKS) | set(UNSEEN)) - set(every)), [], "a check of no default")
        self.assertEqual(sorted(set(CHECKS) & set(UNSEEN)), [], "a check of what can't be seen")


def add_tests():
    for name, value in wanted().items():
        if name in CHECKS:
            setattr(Defaults, f"test_{name}", lambda self, n=name, v=value: CHECKS[n](self, v))


add_tests()
