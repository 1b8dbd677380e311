# SPDX-License-Identifier: Apache-2.0
"""host_device on a loop device with blocks of 512 and of 4096 bytes: data, holes, sizes and locks."""
import random
import subprocess

import nbd

from support import qmp
from support.nbdtest import NbdTest
from test_locking import lock_bytes

SIZE = 8 << 20


class LoopDevice(NbdTest):
    def device(self, block):
        """(device, the file behind it), full of data."""
        behind = self.image(f"behind{len(list(self.tmp.glob('behind*')))}", size=SIZE, data=b"d" * SIZE)
        made = subprocess.run(["losetup", "-f", "--show", "-b", str(block), behind], capture_output=True, text=True,
                              check=False)
        self.require(made.returncode == 0, "no loop device is to be had")
        device = made.stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "-d", device], check=False)
        return device, behind

    def begin(self, block, node=",discard=unmap", flavour=None):
        device, behind = self.device(block)
        running = self.serve(device, driver="host_device", node=node, flavour=flavour)
        return running, self.connect(running, contexts=["base:allocation"]), device, behind

    def allocated(self, path):
        return path.stat().st_blocks * 512

    def check_data(self, block, node):
        """Any range may be written, whatever the device wants; what is beside it stays."""
        running, handle, _, behind = self.begin(block, node)
        self.assertEqual(handle.get_size(), SIZE)
        expected = bytearray(b"d" * SIZE)
        chance = random.Random(block)
        for _ in range(100):
            offset, length = chance.randrange(SIZE - 70000), chance.choice([1, 100, 512, 4096, 5000, 65536])
            data = chance.randbytes(length)
            handle.pwrite(data, offset)
            expected[offset:offset + length] = data
            around = max(0, offset - 600)
            self.assertEqual(bytes(handle.pread(length + 1200, around)), expected[around:around + length + 1200])
        handle.flush()
        self.assertEqual(behind.read_bytes(), expected)
        self.assertEqual(running.stop(), 0)

    def test_data_512(self):
        self.check_data(512, "")

    def test_data_4096(self):
        self.check_data(4096, "")

    def test_direct_512(self):
        self.check_data(512, ",cache.direct=on")

    def test_direct_4096(self):
        self.check_data(4096, ",cache.direct=on")

    def test_block_size_is_told(self):
        for block in (512, 4096):
            _, handle, _, _ = self.begin(block, ",cache.direct=on")
            self.assertEqual(handle.get_block_size(nbd.SIZE_MINIMUM), block)

    def check_holes(self, block, node):
        """A discard gives storage back, zeroes too where they may; neither touches what is beside the range."""
        _, handle, _, behind = self.begin(block, node)
        before = self.allocated(behind)
        handle.trim(1 << 20, 1 << 20)
        handle.flush()
        self.assertEqual(before - self.allocated(behind), 1 << 20)
        handle.zero(1 << 20, 4 << 20)
        handle.flush()
        self.assertEqual(before - self.allocated(behind), 2 << 20)
        handle.zero(100000, 6000100, nbd.CMD_FLAG_NO_HOLE)
        handle.flush()
        expected = bytearray(b"d" * SIZE)
        for first, length in ((1 << 20, 1 << 20), (4 << 20, 1 << 20), (6000100, 100000)):
            expected[first:first + length] = bytes(length)
        self.assertEqual(bytes(handle.pread(SIZE, 0)), expected)

    def test_holes_512(self):
        self.check_holes(512, ",discard=unmap")

    def test_holes_4096(self):
        self.check_holes(4096, ",discard=unmap")

    def test_holes_direct_4096(self):
        self.check_holes(4096, ",discard=unmap,cache.direct=on")

    def test_a_discard_is_ignored_by_default(self):
        _, handle, _, behind = self.begin(512, "")
        before = self.allocated(behind)
        handle.trim(1 << 20, 1 << 20)
        handle.flush()
        self.assertEqual(self.allocated(behind), before)

    def resized(self, flavour):
        """What block_resize says, and the size then."""
        device, _ = self.device(512)
        running = self.new_daemon(flavour)
        running.start("--blockdev", f"host_device,node-name=n0,filename={device}")
        client = self.monitor(running)
        said = []
        for size in (SIZE // 2, SIZE, 2 * SIZE):
            problem = None
            try:
                client.cmd("block_resize", node_name="n0", size=size)
            except qmp.QmpError as error:
                problem = error.desc
            said.append((size, problem, client.cmd("query-named-block-nodes")[0]["image"]["virtual-size"]))
        return said

    def test_resize(self):
        """A device keeps its size."""
        self.assertEqual(self.resized("outport"), [(SIZE // 2, None, SIZE), (SIZE, None, SIZE),
                                                   (2 * SIZE, "Cannot grow device files", SIZE)])

    def test_resize_as_in_qemu(self):
        self.require_oracle()
        self.assertEqual(self.resized("outport"), self.resized("qemu"))

    def test_resize_of_an_exported_device(self):
        """Asked for what it has, or for less, the device and its client stay as they are."""
        running, handle, _, _ = self.begin(512)
        client = self.monitor(running)
        client.cmd("block_resize", node_name="n0", size=SIZE // 2)
        self.assertEqual(bytes(handle.pread(512, SIZE - 512)), b"d" * 512)
        self.assertEqual(self.connect(running).get_size(), SIZE)

    def locks(self, flavour):
        """The bytes that are locked, and what a program that wants to change the size is told."""
        running, handle, device, _ = self.begin(512, "", flavour)
        held = lock_bytes(device)
        refused = self.tool("qemu-img", "resize", "-f", "raw", device, "4M", check=False).stderr
        handle.shutdown()
        with self.monitor(running) as client:
            client.cmd("block-export-del", id="e0", mode="hard")
            client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        return held, 'Failed to get "resize" lock' in refused, lock_bytes(device)

    def test_locks(self):
        """Who has the device open here is seen by others, as with a file."""
        held, refused, after = self.locks("outport")
        self.assertTrue(held and refused and not after, (held, refused, after))

    def test_locks_as_in_qemu(self):
        self.require_oracle()
        self.assertEqual(self.locks("outport"), self.locks("qemu"))
