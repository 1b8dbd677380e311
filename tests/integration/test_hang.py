# SPDX-License-Identifier: Apache-2.0
"""Something hangs for ever: a file system, a name server, a back end. The monitors still answer, the I/O of other
exports goes on, and the process still ends.
"""
import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess

import nbd

import test_probe

from support import daemon, qmp
from support.nbdtest import NbdTest

MANY = 80
THREADS = 56  # that a host gives to such work at most: 8, and one more for each of 48 that hang


class HangTest(NbdTest):
    """A daemon with two monitors and an export whose I/O must go on."""

    def begin(self, *arguments, **options):
        running = self.new_daemon(**options)
        self.second = self.tmp / "second"
        image = self.image("good", data=b"g" * 4096)
        return running.start("--chardev", f"socket,id=c2,path={self.second},server=on,wait=off", "--monitor", "c2",
                             "--blockdev", f"file,node-name=good,filename={image}", *running.nbd_args(),
                             "--export", "nbd,id=eg,node-name=good,name=good", *arguments)

    def assert_alive(self, running):
        with qmp.Qmp(self.second) as other:
            self.assertIn("qemu", other.cmd("query-version"))
            self.assertGreaterEqual(len(other.cmd("query-block-exports")), 1)
        handle = self.connect(running, "good")
        for _ in range(100):
            self.assertEqual(bytes(handle.pread(4096, 0)), b"g" * 4096)
        self.tool("nbdinfo", "--map", running.uri("good"))  # hole look-ups run on blocking threads as well
        handle.shutdown()

    def assert_ends(self, running):
        running.send_signal(signal.SIGTERM)
        running.wait(60)  # a net; a stuck job must not delay it


class FileSystem(HangTest):
    def mount(self, *arguments):
        folder = self.tmp / "fs"
        folder.mkdir()
        process = subprocess.Popen([daemon.support("fusehang"), folder, *arguments], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.unmount, process, folder)
        line = process.stdout.readline().strip()
        self.require(line == "ready", "no FUSE on this machine")
        return process, folder

    @staticmethod
    def unmount(process, folder):
        process.communicate()
        subprocess.run(["umount", "-l", folder], stderr=subprocess.DEVNULL, check=False)

    def check(self, *arguments):
        fuse, folder = self.mount(*arguments)
        running = self.begin()
        client = self.monitor(running)
        client.start("blockdev-add", {"driver": "file", "node-name": "slow", "filename": str(folder / "a")})
        self.assertTrue(fuse.stdout.readline().startswith("waiting"))
        self.assert_alive(running)
        self.assert_ends(running)

    def test_open_hangs(self):
        self.check()

    def test_lookup_hangs(self):
        self.check("lookup")

    def test_plugin_folder_hangs(self):
        fuse, folder = self.mount()
        running = self.begin(plugin_dirs=[*daemon.plugin_folders(), folder])
        client = self.monitor(running)
        client.start("plugin-load", {"name": "slow"})
        self.assertTrue(fuse.stdout.readline().startswith("waiting"))
        self.assert_alive(running)
        with qmp.Qmp(self.second) as other:
            for command in ("plugin-load", "plugin-unload"):
                self.assert_qmp_error("Plugin 'slow' is being loaded", other, command, {"name": "slow"})
            self.assertEqual({p["name"] for p in other.cmd("query-plugins")}, {f.name for f in daemon.plugin_folders()})
        self.assert_ends(running)

    def test_path_of_a_plugin_hangs(self):
        fuse, folder = self.mount("lookup")
        running = self.begin("--allow-plugin-path")
        client = self.monitor(running)
        client.start("plugin-load", {"name": str(folder / "slow.so")})
        self.assertTrue(fuse.stdout.readline().startswith("waiting"))
        self.assert_alive(running)
        self.assert_ends(running)

    def test_more_than_there_are_threads(self):
        """What has no thread any more is refused and told what hangs. One monitor runs one command at a time, so each
        hanging open has a monitor of its own."""
        fuse, folder = self.mount("lookup")
        paths = [self.tmp / f"m{number}" for number in range(MANY)]
        extra = []
        for number, path in enumerate(paths):
            extra += ["--chardev", f"socket,id=m{number},path={path},server=on,wait=off", "--monitor", f"m{number}"]
        running = self.begin(*extra)
        waiting = self.enter(selectors.DefaultSelector())
        for number, path in enumerate(paths):
            other = self.enter(qmp.Qmp(path))
            serial = other.start("blockdev-add", {"driver": "file", "node-name": f"s{number}",
                                                  "filename": str(folder / f"f{number}")})
            waiting.register(other.sock, selectors.EVENT_READ, (other, serial))
        self.assertTrue(fuse.stdout.readline().startswith("waiting"))
        again = self.check_refusals(waiting, folder)
        self.assert_qmp_error(re.compile(rf"Too many operations hang: open of '{folder}/f\d+' \(.*\)"), again, "blockdev-add",
                              {"driver": "file", "node-name": "more", "filename": str(folder / "more")})
        self.assert_alive(running)
        self.assert_ends(running)

    def check_refusals(self, waiting, folder):
        """All but those that hang are refused, and nothing else is answered. Returns the monitor that was refused last."""
        refused = 0
        while refused < MANY - THREADS:
            ready = waiting.select(60)  # a net
            self.assertTrue(ready, f"{refused} are refused, the others still wait")
            for key, _ in ready:
                client, serial = key.data
                with self.assertRaises(qmp.QmpError) as caught:
                    client.finish(serial)
                self.assertRegex(caught.exception.desc, rf"^open of '{folder}/f\d+': too many operations hang")
                waiting.unregister(key.fileobj)
                refused += 1
        return client

    def enter(self, client):
        self.addCleanup(client.close)
        return client


class NameServer(HangTest):
    def test_lookup_hangs(self):
        self.require(os.geteuid() == 0, "needs root for a mount namespace")
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        try:
            server.bind(("127.0.53.53", 53))
        except OSError as error:
            self.skipTest(f"port 53 of a loopback address: {error}")
        resolv = self.tmp / "resolv.conf"
        resolv.write_text("nameserver 127.0.53.53\noptions timeout:30 attempts:5\n")
        nsswitch = self.tmp / "nsswitch.conf"
        nsswitch.write_text("hosts: files dns\n")
        script = f"mount --bind {resolv} /etc/resolv.conf && mount --bind {nsswitch} /etc/nsswitch.conf && exec \"$@\""
        running = self.begin(wrapper=["unshare", "-m", "sh", "-c", script, "sh"],
                             plugin_dirs=[*daemon.plugin_folders(), daemon.BUILD / "tests" / "plugins" / "probe"])
        client = self.monitor(running)
        path = self.tmp / "probe"  # an export that does not end with the NBD server
        client.cmd("block-export-add", {"type": test_probe.TYPE, "id": "ep", "node-name": "good",
                                        "socket": {"type": "unix", "path": str(path)}})
        probe = test_probe.Connection(path)
        self.addCleanup(probe.close)
        client.cmd("nbd-server-stop")
        client.wait_event("BLOCK_EXPORT_DELETED", id="eg")
        client.start("nbd-server-start", {"addr": {"type": "inet", "data": {"host": "never.example", "port": "0"}}})
        server.settimeout(60)
        self.assertTrue(server.recv(512))  # it is asking now
        with qmp.Qmp(self.second) as other:
            self.assertIn("qemu", other.cmd("query-version"))
            other.cmd("blockdev-add", driver="null-co", node_name="another")
        for _ in range(100):
            self.assertEqual(probe.ask(test_probe.READ, 0, 4096), (0, b"g" * 4096))
        self.assertEqual(probe.extents(0, 4096)[0][0], 4096)  # looked up on a blocking thread
        self.assert_ends(running)


class BackEnd(HangTest):
    def test_removed_while_it_hangs(self):
        image = self.image("bad")
        running = self.begin("--blockdev", f"file,node-name=f0,filename={image}",
                             "--blockdev", "x-fault,node-name=bad,file=f0",
                             "--blockdev", "x-cache,node-name=cached,file=bad",  # takes back nothing from below
                             "--export", "nbd,id=eb,node-name=cached,name=bad,writable=on")
        client = self.monitor(running)
        client.cmd("x-fault-set", {"node-name": "bad", "rules": [{"action": "hold"}]})
        handle = self.connect(running, "bad", structured=False)
        for number in range(8):
            handle.aio_pread(nbd.Buffer(512), number * 512)
        while client.cmd("x-fault-query", node_name="bad")["held"] < 8:
            handle.poll(1)
        client.cmd("block-export-del", id="eb", mode="hard")
        self.assert_alive(running)
        self.assertEqual([e["id"] for e in client.cmd("query-block-exports")], ["eb", "eg"])
        client.cmd("x-fault-release", node_name="bad")
        client.wait_event("BLOCK_EXPORT_DELETED", id="eb")
        with contextlib.suppress(nbd.Error):
            handle.shutdown()
        self.assert_ends(running)
        self.assertEqual(running.process.returncode, 0)
