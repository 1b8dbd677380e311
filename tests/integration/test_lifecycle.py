# SPDX-License-Identifier: Apache-2.0
"""The life of an export, and the monitors that rule it."""
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
        # What x-cache has asked for below is not taken back.
        running.start("--blockdev", f"file,node-name=f0,filename={image}", "--blockdev", "x-fault,node-name=n0,file=f0",
                      "--blockdev", "x-cache,node-name=c0,file=n0",
                      *running.nbd_args(), "--export", "nbd,id=e0,node-name=c0,name=x,writable=on")
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
                              {"type": "nbd", "id": "e0", "node-name": "c0"})
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
