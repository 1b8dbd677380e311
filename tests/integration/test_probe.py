# SPDX-License-Identifier: Apache-2.0
"""The SDK as a stranger's plugin in C meets it: the test plugin `probe`, built from an installed SDK alone, in the real
daemon. Its export lets a test push any request of the block interface through the border.
"""
import errno
import struct
import threading

from support import daemon
from support.case import OutportTest
from support.wire import Stream

TYPE = "__org.outport_probe"
READ, WRITE, FLUSH, DISCARD, ZEROES, STATUS, CACHE, RESIZE, ALLOCATED = range(1000, 10000, 1000)
FUA, MAY_UNMAP, NO_FALLBACK = 1, 2, 4
MIB = 1 << 20


class Connection(Stream):
    """Speaks the protocol of tests/plugins/probe/probe.h."""

    cookie = 0

    def push(self, op, offset=0, length=0, flags=0, data=b""):
        self.cookie += 1
        self.send(struct.pack("<IIQQQ", op, flags, self.cookie, offset, length) + data)

    def receive(self):
        cookie, result, length = struct.unpack("<QiI", self.exactly(16))
        assert cookie == self.cookie
        return result, self.exactly(length)

    def ask(self, op, offset=0, length=0, flags=0, data=b""):
        """(result, data)"""
        self.push(op, offset, length, flags, data)
        return self.receive()

    def info(self):
        fields = struct.unpack("<IIQIIIIQQ", self.ask(0)[1])
        return dict(zip(("struct_size", "flags", "size", "request_size", "request_alignment", "memory_alignment",
                         "reserved", "optimal_transfer", "max_transfer"), fields))

    def extents(self, offset, length):
        result, data = self.ask(STATUS, offset, length)
        assert result == 0
        return [struct.unpack_from("<QQ", data, at) for at in range(0, len(data), 16)]


class ProbeTest(OutportTest):
    def setUp(self):
        super().setUp()
        self.folder = daemon.BUILD / "tests" / "plugins" / "probe"
        self.require((self.folder / "probe.so").exists(), "the test plugin was not built")
        self.count = 0

    def start(self, *args):
        running = self.daemon(*args, plugin_dirs=[self.folder])
        return running, self.monitor(running)

    def export(self, client, node="disk", name="e0", **more):
        path = self.tmp / f"{name}.sock"
        client.cmd("block-export-add", dict({"type": TYPE, "id": name, "node-name": node, "writable": True,
                                             "socket": {"type": "unix", "path": str(path)}}, **more))
        return path

    def connect(self, path):
        connection = Connection(path)
        self.addCleanup(connection.close)
        return connection

    def disk(self, size=MIB, data=None):
        return ["--blockdev", f"file,node-name=disk,filename={self.image(size=size, data=data)}"]


class Border(ProbeTest):
    def test_every_operation(self):
        _, client = self.start(*self.disk())
        probe = self.connect(self.export(client))
        info = probe.info()
        self.assertEqual((info["struct_size"], info["size"]), (48, MIB))
        self.assertGreaterEqual(info["request_size"], 72)
        data = bytes(range(256)) * 256
        self.assertEqual(probe.ask(WRITE, 1234, len(data), FUA, data), (0, b""))
        self.assertEqual(probe.ask(READ, 1234, len(data)), (0, data))
        self.assertEqual(probe.ask(FLUSH), (0, b""))
        self.assertEqual(probe.ask(ZEROES, 2000, 3000, MAY_UNMAP), (0, b""))
        self.assertEqual(probe.ask(READ, 2000, 3000), (0, bytes(3000)))
        self.assertEqual(probe.ask(READ, 1234, 766), (0, data[:766]))
        self.assertEqual(probe.ask(DISCARD, 0, 4096), (0, b""))
        self.assertEqual(probe.ask(CACHE, 0, 4096), (0, b""))
        extents = probe.extents(0, MIB)
        self.assertTrue(extents and sum(length for length, _ in extents) <= MIB)
        self.assertEqual(probe.ask(ALLOCATED)[0], 0)

    def test_what_is_refused(self):
        _, client = self.start(*self.disk())
        probe = self.connect(self.export(client))
        for op, offset, length, flags in (
                (READ, MIB, 1, 0), (READ, MIB - 1, 2, 0), (READ, (1 << 64) - 1, 2, 0), (4711, 0, 0, 0),
                (READ, 0, 512, FUA), (ZEROES, MIB, 1, 0), (READ, 0, 512, 1 << 20), (STATUS, MIB, 1, 0)):
            result, data = probe.ask(op, offset, length, flags)
            self.assertEqual((result, data), (-errno.EINVAL, b""), (op, offset, length, flags))
        self.assertEqual(probe.ask(READ, 0, 0), (0, b""), "length 0")
        read_only = self.connect(self.export(client, name="ro", writable=False))
        self.assertEqual(read_only.ask(WRITE, 0, 4, 0, b"data")[0], -errno.EROFS)
        self.assertEqual(read_only.ask(READ, 0, 4)[0], 0)

    def test_connections_on_several_loops(self):
        running, client = self.start(*self.disk(), "--object", "iothread,id=io0", "--object", "iothread,id=io1")
        path = self.export(client, iothread=["io0", "io1"])

        def work(index):
            probe = self.connect(path)
            for round_ in range(50):
                block = bytes([index, round_]) * 512
                assert probe.ask(WRITE, index * 4096, len(block), 0, block) == (0, b"")
                assert probe.ask(READ, index * 4096, len(block)) == (0, block)
                done[index] = round_ + 1

        done = [0] * 8
        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(done, [50] * 8)
        self.assert_qmp_error("object 'io0' is in use, can not be deleted", client, "object-del", {"id": "io0"})
        client.cmd("block-export-del", {"id": "e0", "mode": "hard"})
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        client.cmd("object-del", {"id": "io0"})
        self.assertEqual(running.stop(), 0)


class Life(ProbeTest):
    def test_safe_and_hard(self):
        _, client = self.start(*self.disk())
        probe = self.connect(self.export(client))
        probe.info()
        self.assert_qmp_error("export 'e0' still in use", client, "block-export-del", {"id": "e0"})
        self.assertEqual(probe.ask(READ, 0, 1)[0], 0)
        client.cmd("block-export-del", {"id": "e0", "mode": "hard"})
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        with self.assertRaises((EOFError, ConnectionError, BrokenPipeError)):
            probe.ask(READ, 0, 1)
        self.assertFalse((self.tmp / "e0.sock").exists())
        client.cmd("blockdev-del", {"node-name": "disk"})

    def test_faults(self):
        running, client = self.start(*self.disk())
        arguments = {"type": TYPE, "id": "e0", "node-name": "disk", "socket": {"type": "unix", "path": str(self.tmp / "s")}}
        self.assert_qmp_error("the test wants no export", client, "block-export-add", dict(arguments, fault="create"))
        self.assert_qmp_error("the test wants no start", client, "block-export-add", dict(arguments, fault="start"))
        nowhere = {"type": "unix", "path": str(self.tmp / "none" / "s")}
        error = f"Failed to bind socket to {nowhere['path']}: No such file or directory"
        self.assert_qmp_error(error, client, "block-export-add", dict(arguments, socket=nowhere))
        self.assertEqual(client.cmd("query-block-exports"), [])
        # One that ends by itself, without space.
        client.cmd("block-export-add", dict(arguments, fault="end"))
        client.wait_event("BLOCK_EXPORT_NO_SPACE", id="e0")
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        # One that never starts is taken back on another monitor's word.
        client.start("block-export-add", dict(arguments, fault="hang-start"))
        self.assertEqual(running.stop(), 0)

    def test_what_hangs_is_named_at_the_end(self):
        running, client = self.start(*self.disk(), "--shutdown-timeout", "1")
        client.cmd("block-export-add", {"type": TYPE, "id": "stuck", "node-name": "disk", "fault": "hang-stop",
                                        "socket": {"type": "unix", "path": str(self.tmp / "s")}})
        self.assertEqual(running.stop(), 1)
        self.assertIn(f"stuck ({TYPE})", running.stderr())


class Commands(ProbeTest):
    def test_answers(self):
        _, client = self.start()
        text = "Grüße, \"Welt\" \u0001"
        answer = {"text": text, "length": len(text.encode()), "delay": 0}
        self.assertEqual(client.cmd("__org.outport_probe-echo", {"text": text}), answer)
        self.assertEqual(client.cmd("__org.outport_probe-echo", {"text": text, "delay-ms": 1}), answer | {"delay": 0.001})
        self.assertEqual(client.cmd("__org.outport_probe-block"), {})
        self.assert_qmp_error("nothing is held", client, "__org.outport_probe-release")
        self.assert_qmp_error("Parameter 'text' is missing", client, "__org.outport_probe-echo")

    def test_an_answer_that_does_not_fit_is_logged(self):
        running, client = self.start()
        client.cmd("__org.outport_probe-echo", {"text": "x", "wrong": True})
        running.wait_stderr("does not fit its schema")

    def test_a_call_whose_monitor_goes(self):
        running, client = self.start("--chardev", f"socket,id=c2,path={self.tmp / 'second'},server=on,wait=off",
                                     "--monitor", "chardev=c2")
        second = client.__class__(self.tmp / "second")
        second.start("__org.outport_probe-hold")
        second.close()
        client.wait_event("__org.outport_PROBE_SAID", text="cancelled")
        self.assert_qmp_error("nothing is held", client, "__org.outport_probe-release")
        self.assertEqual(running.stop(), 0)

    def test_unload(self):
        running, client = self.start(*self.disk())
        self.export(client)
        self.assert_qmp_error("Plugin 'probe' is in use by export 'e0'", client, "plugin-unload", {"name": "probe"})
        client.cmd("block-export-del", {"id": "e0"})
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        client.cmd("__org.outport_probe-busy", {"busy": True})
        self.assert_qmp_error("Plugin 'probe' is in use by a test that said so", client, "plugin-unload", {"name": "probe"})
        client.cmd("__org.outport_probe-busy", {"busy": False})
        client.cmd("__org.outport_probe-linger", {"on": True})
        self.assert_qmp_error("Plugin 'probe' is in use by 1 operation(s) of event loops that have not come back", client,
                              "plugin-unload", {"name": "probe"})
        client.cmd("__org.outport_probe-linger", {"on": False})
        client.cmd("plugin-unload", {"name": "probe"})
        client.wait_event("PLUGIN_UNLOADED")
        self.assert_qmp_error("The command __org.outport_probe-block has not been found", client,
                              "__org.outport_probe-block", error_class="CommandNotFound")
        client.cmd("plugin-load", {"name": "probe"})
        client.wait_event("PLUGIN_LOADED")
        self.assertEqual(client.cmd("__org.outport_probe-block"), {})
        self.assertEqual(running.stop(), 0)

    def test_the_option(self):
        running = self.new_daemon(plugin_dirs=[self.folder])
        running.start("--__org.outport_probe-greeting", "hello from the command line")
        running.wait_stderr("hello from the command line")
        status, out, _ = self.new_daemon(plugin_dirs=[self.folder]).run("--help")
        self.assertEqual(status, 0)
        self.assertIn("--__org.outport_probe-greeting", out)
