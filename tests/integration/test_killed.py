# SPDX-License-Identifier: Apache-2.0
"""Clients that die in the middle of anything, 1,000 times, leave nothing behind: no descriptor, no memory, no mapping,
no export that cannot be removed.
"""
import collections
import json

from support import daemon
from support.case import SANITIZER
from support.nbdtest import NbdTest


class Killed(NbdTest):
    ROUND, ROUNDS = 250, 4

    def kill_clients(self, running, count, where=None):
        done = self.tool(daemon.support("nbdkill"), "--to", where or f"unix:{running.nbd_path}", "--export", "x",
                         "--count", count, "--handshakes", 40)
        counted = json.loads(done.stdout)
        self.assertEqual(counted["killed"], count + 40)
        self.assertGreaterEqual(counted["least_in_flight"], 8)
        return counted["least_in_flight"]

    def settled(self, running):
        """Descriptors and mappings once every connection is gone, by the daemon's own word: a safe removal works."""
        client = self.monitor(running)
        while True:
            try:
                client.cmd("block-export-del", id="e0")
                break
            except Exception as error:  # noqa: B902 (still in use: a killed client's requests are not back yet)
                if "still in use" not in str(error):
                    raise
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        found = collections.Counter(v.split(":")[0] for v in running.fds().values())
        mappings, resident = running.mappings(), running.resident_kib()
        client.cmd("block-export-add", {"type": "nbd", "id": "e0", "node-name": "n0", "name": "x", "writable": True})
        client.close()
        return found, mappings, resident

    def check(self, image, node=""):
        """Pools may grow in one round or another, up to their bound; what leaks grows in each."""
        running = self.serve(image, node=node)
        least = self.kill_clients(running, 100)
        looks = [self.settled(running)]
        for _ in range(self.ROUNDS):
            least = min(least, self.kill_clients(running, self.ROUND))
            looks.append(self.settled(running))
        print(f"{self.ROUNDS * self.ROUND} clients killed, each with at least {least} requests in flight; descriptors "
              f"{dict(looks[-1][0])}, mappings {[l[1] for l in looks]}, resident KiB {[l[2] for l in looks]}")
        self.assertEqual(looks[0][0], looks[-1][0])
        if not SANITIZER:
            self.assertLessEqual(min(b[1] - a[1] for a, b in zip(looks, looks[1:])), 0)
            self.assertLess(min(b[2] - a[2] for a, b in zip(looks, looks[1:])), 64)
        handle = self.connect(running)
        handle.pwrite(b"a" * 4096, 0)
        self.assertEqual(bytes(handle.pread(4096, 0)), b"a" * 4096)
        handle.shutdown()
        self.assertEqual(running.stop(), 0)

    def test_file(self):
        self.check(self.image(size=64 << 20))

    def test_direct(self):
        self.check(self.image(size=64 << 20), node=",cache.direct=on")
