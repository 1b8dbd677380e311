# SPDX-License-Identifier: Apache-2.0
"""What is in flight when a client is cut, or goes, is taken back."""
import fcntl
import struct
import termios

import nbd

from support import qmp
from support.nbdtest import NbdTest


class Cancelled(NbdTest):
    """What is in flight when its client goes is not carried out, unless it has begun to be."""

    def begin(self, export=""):
        """A node that holds what is asked of it, and one below that counts what it passes on."""
        self.disk = self.image(size=1 << 20)
        running = self.new_daemon()
        running.start("--chardev", f"socket,id=c2,path={self.tmp}/second,server=on,wait=off", "--monitor", "c2",
                      "--blockdev", f"file,node-name=f0,filename={self.disk}", "--blockdev", "x-fault,node-name=low,file=f0",
                      "--blockdev", "x-fault,node-name=n0,file=low", *running.nbd_args(),
                      "--export", f"nbd,id=e0,node-name=n0,name=x,writable=on{export}")
        return running, self.monitor(running), self.connect(running)

    def write(self, client, handle, first, count, arrived):
        """Sends writes and waits until the node has seen, or (past its count) the server has received them."""
        for number in range(first, first + count):
            handle.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"w" * 512)), number * 512)
        while handle.aio_get_direction() & nbd.AIO_DIRECTION_WRITE:
            handle.poll(1)
        while struct.unpack("i", fcntl.ioctl(handle.aio_get_fd(), termios.TIOCOUTQ, bytes(4)))[0]:
            pass  # not read yet
        while self.writes(client, "n0") < arrived:
            pass

    def writes(self, client, node):
        return next(c["count"] for c in client.cmd("x-fault-query", node_name=node)["counts"] if c["op"] == "write")

    def hold(self, client, **more):
        client.cmd("x-fault-set", {"node-name": "n0", "rules": [{"op": "write", "action": "hold", **more}]})

    def check(self, client, event="e0"):
        """Nothing comes back to life when the node lets go."""
        client.cmd("x-fault-release", node_name="n0")
        if event:
            client.wait_event("BLOCK_EXPORT_DELETED", id=event)
        self.assertEqual(self.writes(client, "low"), 0)
        self.assertEqual(client.cmd("x-fault-query", node_name="n0")["held"], 0)
        self.assertEqual(self.disk.read_bytes(), bytes(1 << 20))

    def check_hard_removal(self, option):
        running, client, handle = self.begin(option)
        self.hold(client)
        self.write(client, handle, 0, 100, 100)
        client.cmd("block-export-del", id="e0", mode="hard")
        self.check(client)
        self.assertEqual(self.writes(client, "n0"), 100)
        self.assertEqual(running.stop(), 0)

    def test_hard_removal(self):
        self.check_hard_removal("")

    def test_hard_removal_with_writethrough(self):
        self.check_hard_removal(",writethrough=on")

    def test_hard_removal_while_the_graph_changes(self):
        """One write holds up the change; those that came after it never reach a node."""
        running, client, handle = self.begin()
        self.hold(client, count=1)
        self.write(client, handle, 0, 1, 1)
        with qmp.Qmp(self.tmp / "second") as other:
            serial = other.start("x-block-insert-filter", {"node-name": "flt", "driver": "x-fault", "child": "n0"})
            while "holds back new requests" not in running.stderr():
                pass
            self.write(client, handle, 1, 100, 1)
            client.cmd("block-export-del", id="e0", mode="hard")
            self.check(client)
            other.finish(serial)
            self.assertEqual(self.writes(client, "n0"), 1)
            self.assertEqual(self.writes(client, "flt"), 0)
        self.assertEqual(running.stop(), 0)

    def test_server_stop(self):
        running, client, handle = self.begin()
        self.hold(client)
        self.write(client, handle, 0, 100, 100)
        with qmp.Qmp(self.tmp / "second") as other:
            serial = other.start("nbd-server-stop")
            while any(not e["shutting-down"] for e in client.cmd("query-block-exports")):
                pass
            self.check(client)
            other.finish(serial)
        self.assertEqual(running.stop(), 0)

    def test_client_is_gone(self):
        running, client, handle = self.begin()
        self.hold(client)
        self.write(client, handle, 0, 100, 100)
        del handle
        while client.cmd("x-fault-query", node_name="n0")["held"]:
            pass
        client.cmd("block-export-del", id="e0")  # nobody is there any more
        self.check(client)
        self.assertEqual(running.stop(), 0)
