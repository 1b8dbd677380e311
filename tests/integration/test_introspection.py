# SPDX-License-Identifier: Apache-2.0
"""Every command, member, value and event that introspection shows is used here once, by its effect. What a client sends
and gets is recorded, and in the end nothing that the schema has may be left over.
"""
import os
import shutil
import socket
import stat
import subprocess

import nbd

from support import daemon, nbdtest, qmp, walk
from support.nbdtest import NbdTest

# Shown, but not used here: why.
EXEMPT = {
    "query-qmp-schema returns[](builtin).json-type=array": "introspection can say it, but no builtin type is of that kind",
    "query-qmp-schema returns[](builtin).json-type=object": "the same",
    "query-qmp-schema returns[](builtin).json-type=number": "no type is a floating-point number",
    "query-qmp-schema returns[](builtin).json-type=null": "no type is null",
    "query-qmp-schema returns[](command).allow-oob": "no command may be executed out of band",
    "query-plugins returns[].unusable": "nbd.so works everywhere",
    "query-named-block-nodes returns[].image.format-specific(file).data.extent-size-hint": "only where the file system "
                                                                                         "has one (XFS)",
}


def drop_dirty(path):
    """Cuts the file off; how many bytes of it were dirty in the page cache, and now need not be written any more."""
    def cancelled():
        with open("/proc/self/io", encoding="ascii") as counters:
            return int(counters.read().rpartition("cancelled_write_bytes:")[2])
    before = cancelled()
    os.truncate(path, 0)
    return cancelled() - before


class Recorder(qmp.Qmp):
    """Notes every answered command and every event in the walk of its class."""

    walk = None

    def start(self, command, arguments=None, execute="execute"):
        self._last = (command, arguments or {})
        return super().start(command, arguments, execute)

    def finish(self, serial, timeout=None):
        command, arguments = self._last
        returned = super().finish(serial, timeout)
        if Recorder.walk:
            Recorder.walk.use_command(command, arguments, returned)
        return returned

    def wait_event(self, name, /, timeout=None, **data):
        event = super().wait_event(name, timeout, **data)
        Recorder.walk.use_event(event)
        return event


class Every(NbdTest):
    """The tests of one class run in the order of their names, in one process; the last looks at what is left."""

    ran = 0

    def setUp(self):
        super().setUp()
        self.running = self.new_daemon()
        self.running.start("--object", "iothread,id=t0", "--object", "iothread,id=t1")
        self.client = Recorder(self.running.qmp_path, enable=["oob"] if Every.ran == 0 else None)
        self.addCleanup(self.client.close)
        if Recorder.walk is None:
            schema = self.client.cmd("query-qmp-schema")
            Recorder.walk = walk.Walk(schema)
            Recorder.walk.use_command("qmp_capabilities", {"enable": ["oob"]}, {})
        Every.ran += 1

    def serve_node(self, node="n0", /, **options):
        """Starts the server if need be and exports the node, writable, under its own name."""
        if not getattr(self, "server_runs", False):
            path = str(self.running.nbd_path)
            self.client.cmd("nbd-server-start", {"addr": {"type": "unix", "data": {"path": path}}})
            self.server_runs = True
        self.client.cmd("block-export-add", {"type": "nbd", "id": f"e-{node}", "node-name": node, "writable": True,
                                             **options})
        return self.connect(self.running, options.get("name", node))

    def add(self, driver, name, **options):
        self.client.cmd("blockdev-add", driver=driver, node_name=name, **options)

    # --- queries --------------------------------------------------------------------------------------------
    def test_queries(self):
        client = self.client
        self.assertEqual(client.cmd("query-version")["qemu"]["major"], 10)
        commands = {c["name"] for c in client.cmd("query-commands")}
        self.assertEqual(commands, set(Recorder.walk.commands))
        client.cmd("query-qmp-schema")
        self.assertEqual(client.cmd("query-plugins")[0]["name"], "nbd")

    def test_quit(self):
        self.client.cmd("quit")
        self.assertEqual(self.running.wait(), 0)

    # --- nodes ----------------------------------------------------------------------------------------------
    def test_null_drivers(self):
        for driver in ("null-co", "null-aio"):
            name = driver.replace("-", "")
            self.add(driver, name, size=65536, latency_ns=1000, read_zeroes=True)
            handle = self.serve_node(name)
            self.assertEqual((handle.get_size(), bytes(handle.pread(512, 0))), (65536, bytes(512)))
            handle.shutdown()

    def file_options(self):
        return {"locking": ["auto", "on", "off"], "aio": ["threads", "native", "io_uring"],
                "detect-zeroes": ["off", "on", "unmap"], "discard": ["unmap", "ignore"]}

    def test_file_options(self):
        """Each value of each option of a file in turn; what each does is read from the file, the kernel or the node."""
        path = self.image(size=1 << 20, data=b"d" * (1 << 20))
        for option, values in self.file_options().items():
            for value in values:
                with self.subTest(f"{option}={value}"):
                    more = {"cache": {"direct": True, "no-flush": False}} if value == "native" else {}
                    if value == "unmap":
                        more["discard"] = "unmap"
                    self.check_file(path, {option: value, "read-only": False, "auto-read-only": False,
                                           "force-share": False, "drop-cache": True, **more}, option, value)

    def check_file(self, path, options, option, value):
        self.client.cmd("blockdev-add", {"driver": "file", "node-name": "f0", "filename": str(path), **options})
        handle = self.serve_node("f0")
        handle.pwrite(bytes(65536), 0)
        handle.pwrite(b"d" * 65536, 65536)
        handle.trim(65536, 131072)
        handle.flush()
        node, = self.client.cmd("query-named-block-nodes", flat=True)
        self.assertEqual(node["cache"]["direct"], value == "native")
        if option == "detect-zeroes":
            self.assertEqual(node["detect_zeroes"], value)
            self.assertEqual(self.is_hole(path, 0), value == "unmap")
        if option == "discard":
            self.assertEqual(self.is_hole(path, 131072), value == "unmap")
        if option == "locking":
            locked = f":{os.stat(path).st_ino} " in open("/proc/locks").read()
            self.assertEqual(locked, value != "off")
        handle.shutdown()
        self.client.cmd("block-export-del", {"id": "e-f0", "mode": "safe"})
        self.client.wait_event("BLOCK_EXPORT_DELETED")
        self.client.cmd("blockdev-del", node_name="f0")
        with open(path, "r+b") as out:
            out.write(b"d" * (1 << 20))

    @staticmethod
    def is_hole(path, offset):
        with open(path, "rb") as image:
            return os.lseek(image.fileno(), offset, os.SEEK_HOLE) == offset

    def test_read_only(self):
        path = self.image(data=b"d" * 512)
        path.chmod(0o444)
        self.add("file", "ro", filename=str(path), read_only=True, force_share=True)
        self.add("file", "auto", filename=str(path), read_only=True, auto_read_only=True)
        self.assertEqual({n["node-name"]: n["ro"] for n in self.client.cmd("query-named-block-nodes")},
                         {"ro": True, "auto": True})
        self.assert_qmp_error("Cannot export read-only node as writable", self.client, "block-export-add",
                              {"type": "nbd", "id": "e", "node-name": "ro", "writable": True})

    def test_cache_no_flush(self):
        """What was written and flushed is still dirty in the page cache."""
        for number, no_flush in enumerate((False, True)):
            path = self.image(f"i{number}", size=1 << 20)
            self.add("file", f"f{number}", filename=str(path), cache={"no-flush": no_flush, "direct": False})
            handle = self.serve_node(f"f{number}")
            handle.pwrite(b"x" * (1 << 20), 0)
            handle.flush()
            self.assertEqual(self.client.cmd("query-named-block-nodes")[0]["cache"]["no-flush"], no_flush)
            self.assertEqual(drop_dirty(path) > 0, no_flush)

    def test_raw(self):
        path = self.image(size=1 << 20, data=bytes(4096) + b"r" * 8192)
        self.add("raw", "r0", file={"driver": "file", "filename": str(path)}, offset=4096, size=8192)
        handle = self.serve_node("r0")
        self.assertEqual((handle.get_size(), bytes(handle.pread(8192, 0))), (8192, b"r" * 8192))

    def test_host_device(self):
        path = self.image(size=1 << 20, data=b"h" * 512)
        made = subprocess.run(["losetup", "-f", "--show", path], capture_output=True, text=True, check=False)
        device = made.stdout.strip()
        if made.returncode == 0:
            self.addCleanup(subprocess.run, ["losetup", "-d", device], check=False)
        else:
            device = "/dev/zero"  # a character device is one too
        self.add("host_device", "h0", filename=device, read_only=True)
        self.assertEqual(self.client.cmd("query-named-block-nodes")[0]["drv"], "host_device")

    def test_resize(self):
        self.add("file", "f0", filename=str(self.image()))
        self.client.cmd("block_resize", node_name="f0", size=2 << 20)
        self.assertEqual(self.client.cmd("query-named-block-nodes")[0]["image"]["virtual-size"], 2 << 20)

    # --- drivers for tests ----------------------------------------------------------------------------------
    def test_faults(self):
        self.add("file", "f0", filename=str(self.image(data=b"d" * 65536)), discard="unmap")
        self.add("x-fault", "n0", file="f0", discard="unmap")
        handle = self.serve_node("n0")
        uses = {"read": lambda: handle.pread(512, 4096), "write": lambda: handle.pwrite(b"x" * 512, 4096),
                "flush": handle.flush, "discard": lambda: handle.trim(4096, 4096),
                "write-zeroes": lambda: handle.zero(4096, 4096)}
        for op, use in uses.items():
            rule = {"op": op, "action": "error", "errno": 28, "count": 1}
            if op != "flush":
                rule.update({"offset": 4096, "length": 512})
            self.client.cmd("x-fault-set", {"node-name": "n0", "rules": [rule]})
            with self.assertRaises(nbd.Error, msg=op):
                use()
            use()
        rules = [{"op": "read", "action": "delay", "latency-ns": 1000000, "count": 1},
                 {"op": "block-status", "action": "error"}]
        self.client.cmd("x-fault-set", {"node-name": "n0", "rules": rules})
        self.assertEqual(len(handle.pread(512, 0)), 512)
        self.client.cmd("x-fault-set", {"node-name": "n0", "rules": [{"op": "write", "action": "short", "errno": 5}]})
        with self.assertRaises(nbd.Error):
            handle.pwrite(b"s" * 8192, 0)
        self.assertEqual(bytes(handle.pread(8192, 0))[:4096], b"s" * 4096)
        self.client.cmd("x-fault-set", {"node-name": "n0", "rules": [{"op": "read", "action": "hold"}]})
        handle.aio_pread(nbd.Buffer(512), 0)
        while not self.client.cmd("x-fault-query", node_name="n0")["held"]:
            handle.poll(1)
        self.client.cmd("x-fault-set", {"node-name": "n0", "rules": []})
        self.client.cmd("x-fault-release", node_name="n0")
        while handle.aio_in_flight():
            handle.poll(-1)

    def test_power_loss(self):
        self.add("file", "f0", filename=str(self.image()))
        self.add("x-cache", "n0", file="f0")
        handle = self.serve_node("n0")
        handle.pwrite(b"x" * 4096, 0)
        self.client.cmd("x-cache-power-loss", node_name="n0")
        self.assertEqual(bytes(handle.pread(4096, 0)), bytes(4096))

    def test_filters(self):
        self.add("file", "f0", filename=str(self.image()))
        handle = self.serve_node("f0")
        self.client.cmd("x-block-insert-filter", node_name="flt", driver="x-fault", child="f0")
        handle.pread(512, 0)
        counts = {c["op"]: c["count"] for c in self.client.cmd("x-fault-query", node_name="flt")["counts"]}
        self.assertEqual(counts["read"], 1)
        self.client.cmd("x-block-remove-filter", node_name="flt")
        self.assertEqual(len(self.client.cmd("query-named-block-nodes")), 1)

    # --- exports and objects --------------------------------------------------------------------------------
    def test_export_options(self):
        self.add("null-co", "n0", size=4096)
        handle = self.serve_node("n0", name="other", description="a text", iothread="t0", writethrough=True,
                                 **{"fixed-iothread": True})
        self.assertEqual(handle.get_export_description(), "a text")
        self.client.cmd("block-export-add", {"type": "nbd", "id": "two", "node-name": "n0", "name": "two",
                                             "iothread": ["t0", "t1"]})
        exports = {e["id"]: e for e in self.client.cmd("query-block-exports")}
        self.assertEqual(exports["two"]["node-name"], "n0")
        self.client.cmd("block-export-del", id="e-n0", mode="hard")
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="e-n0")
        self.client.cmd("nbd-server-stop")
        self.client.wait_event("BLOCK_EXPORT_DELETED", id="two")

    def test_no_space(self):
        self.add("file", "f0", filename=str(self.image(data=b"d" * 65536)))
        self.add("x-fault", "n0", file="f0")
        handle = self.serve_node("n0")
        self.client.cmd("x-fault-set", {"node-name": "n0", "rules": [{"op": "write", "action": "error", "errno": 28}]})
        for _ in range(3):
            with self.assertRaises(nbd.Error):
                handle.pwrite(b"x" * 512, 0)
        event = self.client.wait_event("BLOCK_EXPORT_NO_SPACE", id="e-n0")
        self.assertEqual(event["data"]["node-name"], "n0")

    def test_objects(self):
        self.client.cmd("object-add", {"qom-type": "iothread", "id": "t2", "poll-max-ns": 0, "poll-grow": 2,
                                       "poll-shrink": 2})
        self.assertIn("t2", str(self.running.tasks()))
        self.client.cmd("object-del", id="t2")
        self.assertNotIn("t2", str(self.running.tasks()))

    def test_plugins(self):
        self.client.cmd("plugin-unload", name="nbd")
        self.client.wait_event("PLUGIN_UNLOADED", name="nbd")
        self.client.cmd("query-plugins")
        broken = self.private / "nbd.so"
        shutil.copyfile(daemon.BUILD / "plugins/nbd/nbd.so", broken)
        broken.chmod(0o666)
        other = self.daemon(plugin_dirs=[self.private])
        with Recorder(other.qmp_path) as client:
            self.assertIn("written", client.cmd("query-plugins")[0]["reason"])
        self.client.cmd("plugin-load", name="nbd")
        self.client.wait_event("PLUGIN_LOADED", name="nbd")

    # --- the server's addresses -----------------------------------------------------------------------------
    def served(self, addr, check, **options):
        self.client.cmd("nbd-server-start", {"addr": addr, **options})
        check()
        self.client.cmd("nbd-server-stop")

    def greets(self, family, address):
        with socket.socket(family) as raw:
            raw.settimeout(60)
            raw.connect(address)
            self.assertEqual(raw.recv(8), b"NBDMAGIC")

    def test_addresses(self):
        port = nbdtest.free_port()
        self.served({"type": "inet", "data": {"host": "127.0.0.1", "port": str(port), "numeric": True, "to": port + 9,
                                              "ipv4": True, "ipv6": False}},
                    lambda: self.greets(socket.AF_INET, ("127.0.0.1", port)),
                    **{"max-connections": 5, "handshake-max-seconds": 0})
        path = self.tmp / "s"
        self.served({"type": "unix", "data": {"path": str(path), "abstract": False}},
                    lambda: self.assertTrue(stat.S_ISSOCK(path.stat().st_mode)))
        name = f"outport-test-{os.getpid()}"
        self.served({"type": "unix", "data": {"path": name, "abstract": True, "tight": True}},
                    lambda: self.greets(socket.AF_UNIX, b"\0" + name.encode()))
        self.assert_qmp_error("only QEMU supports file descriptor passing", self.client, "nbd-server-start",
                              {"addr": {"type": "fd", "data": {"str": "x"}}})
        # Over QMP it can only be refused; on the command line it works.
        Recorder.walk.use_command("nbd-server-start", {"addr": {"type": "fd", "data": {"str": "x"}}}, {})

    # --- the end --------------------------------------------------------------------------------------------
    def test_zz_nothing_is_left(self):
        tests = [n for n in dir(self) if n.startswith("test_")]
        self.assertEqual(Every.ran, len(tests), "this looks at what all the others did: run them together")
        unused = Recorder.walk.unused()
        left = [path for path in unused if path not in EXEMPT]
        print(f"introspection: {len(Recorder.walk.wanted)} words, {len(left)} not used")
        self.assertFalse(left, "\n".join(left))
        self.assertEqual([path for path in EXEMPT if path not in unused], [], "exempted for nothing")
