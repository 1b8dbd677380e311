# SPDX-License-Identifier: Apache-2.0
"""A daemon that is killed under load, and a new one on the same mountpoint: nothing stale, nothing lost."""
import os
import random
import signal

from support.aioload import BLOCK, Load
from support.case import LONG
from support.fusetest import both_transports
from integration.test_fuse_mount import MountTest

KILLS = 100 if LONG else 10  # in each of two tests
HELD = 8
BLOCKS = 512  # of each of two processes


class Killed(MountTest):
    def start(self, path):
        self.running = self.new_daemon()
        self.running.start("--blockdev", f"file,node-name=n0,filename={self.disk}",
                           "--blockdev", "x-fault,node-name=f0,file=n0", *self.export_args(path, node="f0"))

    def once(self, path, seed):
        """Two processes write; some time 8 requests are held, while the second goes on, and then comes the end."""
        self.start(path)
        rng = random.Random(seed)
        rule = {"op": "write", "action": "hold", "skip": rng.randrange(40, 600), "count": HELD}
        loads = [Load(i * BLOCKS, BLOCKS, seed + i) for i in range(2)]
        with self.running.qmp() as client:
            client.cmd("x-fault-set", {"node-name": "f0", "rules": [rule]})
            pids = [self.child(lambda l=load: l.run(path)) for load in loads]
            while (held := client.cmd("x-fault-query", node_name="f0")["held"]) < HELD:
                pass
        self.running.send_signal(signal.SIGKILL)
        for pid in pids:
            self.assertGreater(self.status_of(pid), 0)
        self.running.wait()
        self.start(path)  # which opens the image first, perhaps below the dead mount
        fd = os.open(path, os.O_RDONLY)
        written = sum(load.verify(fd) for load in loads)
        os.close(fd)
        self.assertGreater(written, 0)
        self.assertEqual(self.running.stop(), 0)
        self.assert_nothing_left(path, running=False)
        with open(self.disk, "rb") as disk:
            for load in loads:
                load.verify(disk.fileno())
        return held

    def many(self, over_itself):
        least = HELD * 100
        for seed in range(KILLS):
            self.disk = self.image(f"disk{seed}", size=2 * BLOCKS * BLOCK)
            path = self.disk if over_itself else self.mountpoint()
            least = min(least, self.once(path, seed * 10))
            self.disk.unlink()
        print(f"{KILLS} daemons killed, each with at least {least} requests in flight")

    def test_mountpoint(self):
        self.many(False)

    def test_over_itself(self):
        self.many(True)


both_transports(globals())
