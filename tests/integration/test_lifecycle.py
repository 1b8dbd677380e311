# SPDX-License-Identifier: Apache-2.0
"""The life of an export, the defaults of its options by what a client sees, and the server around it."""
import errno
import socket
import threading

import nbd

from support import qmp
from support.nbdtest import NbdTest


class Deletion(NbdTest):
    def exports(self, client):
        return [e["id"] for e in client.cmd("query-block-exports")]

    def test_safe_is_refused_with_a_client(self):
        running = self.serve(self.image())
        client = self.monitor(running)
        handle = self.connect(running)
        self.assert_qmp_error("export 'e0' still in use", client, "block-export-del", {"id": "e0"})
        self.assertEqual(self.exports(client), ["e0"])
        self.assertEqual(bytes(handle.pread(512, 0)), bytes(512))
        handle.shutdown()

    def test_safe_without_a_client(self):
        running = self.serve(self.image())
        client = self.monitor(running)
        client.cmd("block-export-del", id="e0")
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        self.assertEqual(self.exports(client), [])
        client.cmd("blockdev-del", node_name="n0")

    def test_a_client_in_the_handshake_does_not_count(self):
        running = self.serve(self.image())
        client = self.monitor(running)
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(running.nbd_path))
            self.assertEqual(raw.recv(18, socket.MSG_WAITALL)[:8], b"NBDMAGIC")
            client.cmd("block-export-del", id="e0")
            client.wait_event("BLOCK_EXPORT_DELETED", id="e0")

    def test_hard_cuts_the_client(self):
        running = self.serve(self.image())
        client = self.monitor(running)
        handle = self.connect(running)
        client.cmd("block-export-del", id="e0", mode="hard")
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        with self.assertRaises(nbd.Error):
            handle.pread(512, 0)
        self.assertEqual(self.exports(client), [])
        self.assertEqual(len(client.events), 0, "the event must come once")
        client.cmd("block-export-add", {"type": "nbd", "id": "e0", "node-name": "n0"})

    def test_id_is_taken_until_deleted(self):
        """A hard deletion that has to wait for a request keeps the id and says so."""
        image = self.image()
        running = self.new_daemon()
        running.start("--blockdev", f"file,node-name=f0,filename={image}", "--blockdev", "x-fault,node-name=n0,file=f0",
                      *running.nbd_args(), "--export", "nbd,id=e0,node-name=n0,name=x,writable=on")
        client = self.monitor(running)
        client.cmd("x-fault-set", {"node-name": "n0", "rules": [{"op": "read", "action": "hold"}]})
        handle = self.connect(running)
        handle.aio_pread(nbd.Buffer(512), 0)
        while client.cmd("x-fault-query", node_name="n0")["held"] == 0:
            handle.poll(1)
        client.cmd("block-export-del", id="e0", mode="hard")
        self.assertTrue(client.cmd("query-block-exports")[0]["shutting-down"])
        self.assert_qmp_error("Export 'e0' is already shutting down", client, "block-export-del",
                              {"id": "e0", "mode": "hard"})
        self.assert_qmp_error("Block export id 'e0' is already in use", client, "block-export-add",
                              {"type": "nbd", "id": "e0", "node-name": "n0"})
        self.assertEqual(len(client.events), 0)
        client.cmd("x-fault-release", node_name="n0")
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        self.assertEqual(client.cmd("query-block-exports"), [])

    def test_shutdown_announces_each(self):
        running = self.serve(self.image(), flavour="outport")
        client = self.monitor(running)
        client.cmd("block-export-add", {"type": "nbd", "id": "e1", "node-name": "n0", "name": "y"})
        client.cmd("quit")
        seen = [client.wait_event("BLOCK_EXPORT_DELETED")["data"]["id"] for _ in range(2)]
        self.assertEqual(seen, ["e1", "e0"])
        self.assertEqual(running.wait(), 0)


class Defaults(NbdTest):
    """Each export with no optional member at all."""

    def start(self, **server):
        image = self.image(size=1 << 20, data=b"d" * 4096)
        running = self.new_daemon(self.flavour)
        running.start("--blockdev", f"file,node-name=n0,filename={image}", *running.nbd_args(**server))
        client = self.monitor(running)
        client.cmd("block-export-add", {"type": "nbd", "id": "e0", "node-name": "n0"})
        return running, client

    def test_nbd_name_is_the_node_name(self):
        running, _ = self.start()
        listed = self.tool("nbdinfo", "--list", "--json", running.uri(""))
        self.assertIn('"export-name": "n0"', listed.stdout)
        self.assertNotIn("description", listed.stdout.replace('"description": ""', ""))

    def test_nbd_is_read_only(self):
        running, _ = self.start()
        handle = self.connect(running, "n0")
        self.assertTrue(handle.is_read_only())
        with self.assertRaises(nbd.Error) as caught:
            handle.pwrite(b"x" * 512, 0)
        self.assertIn(caught.exception.errnum, (errno.EPERM, errno.EINVAL))
        self.assertEqual(bytes(handle.pread(1, 0)), b"d")

    def test_nbd_flags(self):
        running, _ = self.start()
        handle = self.connect(running, "n0")
        self.assertTrue(handle.can_flush() and handle.can_fua() and handle.can_df() and handle.can_multi_conn())
        self.assertFalse(handle.can_trim() or handle.can_zero() or handle.can_fast_zero())

    def test_nbd_runs_on_the_main_loop(self):
        running, _ = self.start()
        handle = self.connect(running, "n0")
        before = running.tasks()
        for _ in range(2000):
            handle.pread(4096, 0)
        after = running.tasks()
        busiest = max(after, key=lambda t: after[t][3] - before.get(t, (0, 0, 0, 0))[3])
        self.assertEqual(busiest, running.pid)

    def test_deletion_mode_is_safe(self):
        running, client = self.start()
        handle = self.connect(running, "n0")
        self.assert_qmp_error("export 'e0' still in use", client, "block-export-del", {"id": "e0"})
        handle.shutdown()

    def test_max_connections_is_100(self):
        running, _ = self.start()
        self.check_limit(running, 100)

    def check_limit(self, running, limit):
        held = [self.greeted(running) for _ in range(limit)]
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(running.nbd_path))
            waiting.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                waiting.recv(1)
            held.pop().close()
            waiting.settimeout(60)
            self.assertEqual(waiting.recv(8), b"NBDMAGIC")
        for each in held:
            each.close()

    def greeted(self, running):
        raw = socket.socket(socket.AF_UNIX)
        self.addCleanup(raw.close)
        raw.connect(str(running.nbd_path))
        raw.settimeout(60)
        self.assertEqual(raw.recv(18, socket.MSG_WAITALL)[:8], b"NBDMAGIC")
        return raw

    def test_max_connections_given(self):
        running, _ = self.start(max_connections=3)
        self.check_limit(running, 3)

    def test_one_connection_drops_multi_conn(self):
        running, _ = self.start(max_connections=1)
        self.assertFalse(self.connect(running, "n0").can_multi_conn())

    def test_null_is_a_gibibyte(self):
        running = self.new_daemon(self.flavour)
        running.start("--blockdev", "null-co,node-name=n0", "--blockdev", "null-aio,node-name=n1", *running.nbd_args(),
                      "--export", "nbd,id=e0,node-name=n0", "--export", "nbd,id=e1,node-name=n1")
        for name in ("n0", "n1"):
            self.assertEqual(self.connect(running, name).get_size(), 1 << 30)

    def test_discard_is_ignored(self):
        image = self.image(size=1 << 20, data=b"d" * (1 << 20))
        running = self.serve(image)
        handle = self.connect(running)
        before = image.stat().st_blocks
        handle.trim(1 << 20, 0)
        handle.flush()
        self.assertEqual(image.stat().st_blocks, before)
        self.assertEqual(bytes(handle.pread(4096, 0)), b"d" * 4096)

    def test_raw_passes_everything_through(self):
        image = self.image(size=1 << 20, data=b"d" * 4096)
        running = self.new_daemon(self.flavour)
        running.start("--blockdev", f"raw,node-name=r0,file.driver=file,file.filename={image}", *running.nbd_args(),
                      "--export", "nbd,id=e0,node-name=r0")
        handle = self.connect(running, "r0")
        self.assertEqual((handle.get_size(), bytes(handle.pread(4, 0))), (1 << 20, b"dddd"))


class Monitors(NbdTest):
    def test_many_at_once(self):
        """Two monitors, each with a client; an event reaches both."""
        running = self.new_daemon(self.flavour)
        second = self.tmp / "second"
        running.start("--chardev", f"socket,id=c2,path={second},server=on,wait=off", "--monitor", "c2",
                      "--blockdev", "null-co,node-name=n0", *running.nbd_args(), "--export", "nbd,id=e0,node-name=n0")
        one, two = self.monitor(running), qmp.Qmp(second)
        self.addCleanup(two.close)
        one.cmd("block-export-del", id="e0")
        one.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        two.wait_event("BLOCK_EXPORT_DELETED", id="e0")

    def test_commands_of_two_monitors_interleave(self):
        running = self.new_daemon(self.flavour)
        second = self.tmp / "second"
        running.start("--chardev", f"socket,id=c2,path={second},server=on,wait=off", "--monitor", "c2")

        def add_many(path, prefix):
            with qmp.Qmp(path) as client:
                for number in range(100):
                    client.cmd("blockdev-add", driver="null-co", node_name=f"{prefix}{number}")
        threads = [threading.Thread(target=add_many, args=(p, n)) for p, n in ((running.qmp_path, "a"), (second, "b"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.monitor(running).cmd("query-named-block-nodes")), 200)
