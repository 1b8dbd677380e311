# SPDX-License-Identifier: Apache-2.0
"""The words of block nodes, each by its effect: what the file, the kernel, the node below or a client sees of it."""
import fcntl
import os
import random
import struct
import subprocess

import nbd

from support import qmp
from used import Used

HOUR_NS = 3600 * 10**9


def drop_dirty(path):
    """Cuts the file off; how many bytes of it were dirty in the page cache, and now need not be written any more."""
    def cancelled():
        with open("/proc/self/io", encoding="ascii") as counters:
            return int(counters.read().rpartition("cancelled_write_bytes:")[2])
    before = cancelled()
    os.truncate(path, 0)
    return cancelled() - before


class Nodes(Used):
    def test_null_drivers(self):
        """Of two that are told to wait an hour and a millisecond, a client is kept waiting by the first alone."""
        for driver in ("null-co", "null-aio"):
            name = driver.replace("-", "")
            self.add(driver, f"{name}slow", size=65536, latency_ns=HOUR_NS)
            self.add(driver, f"{name}quick", size=1 << 20, latency_ns=1000000)
            slow, quick = self.serve_node(f"{name}slow"), self.serve_node(f"{name}quick")
            self.assertEqual((slow.get_size(), quick.get_size()), (65536, 1 << 20))
            self.used("blockdev-add", driver=driver, node_name=f"{name}slow", size=65536)
            slow.aio_pread(nbd.Buffer(512), 0)
            for _ in range(20):
                self.assertEqual(bytes(quick.pread(512, 0)), bytes(512))
            slow.poll(0)
            self.assertEqual(slow.aio_in_flight(), 1)
            self.used("blockdev-add", driver=driver, latency_ns=HOUR_NS)

    def test_null_read_zeroes(self):
        """By what a client is told of the area; what it reads is zeroes in any case."""
        for name, reads_zeroes in (("n0", True), ("n1", False)):
            self.add("null-co", name, read_zeroes=reads_zeroes)
            handle = self.serve_node(name, ["base:allocation"])
            self.assertEqual(self.statuses(handle), [nbd.STATE_HOLE | (nbd.STATE_ZERO if reads_zeroes else 0)])
        self.used("blockdev-add", driver="null-co", read_zeroes=True)

    # --- files ----------------------------------------------------------------------------------------------
    def file(self, name="f0", size=1 << 20, data=b"d" * (1 << 20), **options):
        """A node of an image of its own; the image."""
        path = self.image(name, size=size, data=data)
        self.add("file", name, filename=str(path), **options)
        return path

    def test_filename(self):
        path = self.file(data=b"name" * 128)
        self.assertEqual(bytes(self.serve_node("f0").pread(512, 0)), b"name" * 128)
        self.used("blockdev-add", driver="file", node_name="f0", filename=str(path))

    def test_cache_direct(self):
        for name, direct in (("f0", False), ("f1", True)):
            path = self.file(name, cache={"direct": direct})
            self.assertEqual(bool(self.open_flags(path) & os.O_DIRECT), direct)
        self.used("blockdev-add", driver="file", cache={"direct": True})

    def test_cache_no_flush(self):
        """What was written and flushed is still dirty in the page cache."""
        for name, no_flush in (("f0", False), ("f1", True)):
            path = self.file(name, cache={"no-flush": no_flush})
            handle = self.serve_node(name)
            handle.pwrite(b"x" * (1 << 20), 0)
            handle.flush()
            self.assertEqual(drop_dirty(path) > 0, no_flush)
        self.used("blockdev-add", driver="file", cache={"no-flush": True})

    def test_discard(self):
        for name, discard in (("f0", "ignore"), ("f1", "unmap")):
            path = self.file(name, discard=discard)
            self.serve_node(name).trim(65536, 131072)
            self.assertEqual(self.is_hole(path, 131072), discard == "unmap")
            self.used("blockdev-add", driver="file", discard=discard)

    def test_detect_zeroes(self):
        """A write of zeroes becomes a write-zeroes below, and a hole only where it may."""
        for name, detect in (("f0", "off"), ("f1", "on"), ("f2", "unmap")):
            path = self.file(name, discard="unmap")
            self.add("x-fault", f"{name}x", file=name, discard="unmap")
            self.add("raw", f"{name}r", file=f"{name}x", discard="unmap", detect_zeroes=detect)
            self.serve_node(f"{name}r").pwrite(bytes(65536), 0)
            seen = self.counts(f"{name}x")
            self.assertEqual((seen["write"], seen["write-zeroes"]), (1, 0) if detect == "off" else (0, 1))
            self.assertEqual(self.is_hole(path, 0), detect == "unmap")
            self.used("blockdev-add", driver="raw", detect_zeroes=detect)

    def test_locking(self):
        for name, locking in (("f0", "auto"), ("f1", "on"), ("f2", "off")):
            path = self.file(name, locking=locking)
            self.export(name)
            with open("/proc/locks", encoding="ascii") as locks:
                self.assertEqual(f":{path.stat().st_ino} " in locks.read(), locking != "off")
            self.used("blockdev-add", driver="file", locking=locking)

    def test_aio(self):
        """Both answers are of the option alone; which of the other two is named makes no difference here."""
        path = self.image()
        self.assert_qmp_error("aio=native was specified, but it requires cache.direct=on, which was not specified.",
                              self.client, "blockdev-add", {"driver": "file", "node-name": "f0", "filename": str(path),
                                                            "aio": "native"})
        self.used("blockdev-add", driver="file", aio="native")
        for number, aio in enumerate(("native", "threads", "io_uring")):
            self.add("file", f"f{number}", filename=str(path), aio=aio, cache={"direct": True})
        self.add("file", "dropped", filename=str(path), drop_cache=False)

    def test_read_only(self):
        path = self.file(read_only=True)
        self.assertEqual(self.open_flags(path) & os.O_ACCMODE, os.O_RDONLY)
        self.assert_qmp_error("Cannot export read-only node as writable", self.client, "block-export-add",
                              {"type": "nbd", "id": "e", "node-name": "f0", "writable": True})
        self.used("blockdev-add", driver="file", read_only=True)

    def test_auto_read_only(self):
        """The file is opened for writing only when somebody wants to write."""
        for name, auto in (("f0", False), ("f1", True)):
            path = self.file(name, auto_read_only=auto)
            self.assertEqual(self.open_flags(path) & os.O_ACCMODE, os.O_RDONLY if auto else os.O_RDWR)
        handle = self.serve_node("f1")
        self.assertEqual(self.open_flags(path) & os.O_ACCMODE, os.O_RDWR)
        handle.pwrite(b"w" * 512, 0)
        self.assertEqual(path.read_bytes()[:512], b"w" * 512)
        self.used("blockdev-add", driver="file", auto_read_only=True)

    def test_force_share(self):
        """An image that somebody else does not share is used nevertheless."""
        path = self.image()
        other = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, other)
        lock = struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 200, 1, 0)  # says: nobody else may read
        fcntl.fcntl(other, fcntl.F_OFD_SETLK, lock)
        for name, share in (("f0", False), ("f1", True)):
            self.add("file", name, filename=str(path), read_only=True, force_share=share)
        self.start_server()
        self.assert_qmp_error('Failed to get "consistent read" lock', self.client, "block-export-add",
                              {"type": "nbd", "id": "e", "node-name": "f0"})
        self.client.cmd("block-export-add", {"type": "nbd", "id": "e", "node-name": "f1"})
        self.assertEqual(bytes(self.connect(self.running, "f1").pread(512, 0)), bytes(512))
        self.used("blockdev-add", driver="file", force_share=True)

    def test_host_device(self):
        """Takes what `file` refuses, and the other way round; where there is a loop device, its data."""
        path = self.image(size=1 << 20, data=b"h" * 512)
        made = subprocess.run(["losetup", "-f", "--show", path], capture_output=True, text=True, check=False)
        device = made.stdout.strip() or "/dev/zero"  # a character device is one too
        if made.returncode == 0:
            self.addCleanup(subprocess.run, ["losetup", "-d", device], check=False)
        for driver, wrong, kind in (("file", device, "a regular file"),
                                    ("host_device", str(path), "to be either a character or block device")):
            with self.assertRaisesRegex(Exception, kind):
                self.add(driver, "no", filename=wrong)
        self.add("host_device", "h0", filename=device, read_only=True)
        if made.returncode == 0:
            self.assertEqual(bytes(self.serve_node("h0", writable=False).pread(512, 0)), b"h" * 512)
        self.used("blockdev-add", driver="host_device", filename=device)

    def test_raw(self):
        path = self.image(size=1 << 20, data=bytes(4096) + b"r" * 8192)
        inline = {"driver": "file", "filename": str(path)}
        self.add("raw", "r0", file=inline, offset=4096, size=8192)
        handle = self.serve_node("r0")
        self.assertEqual((handle.get_size(), bytes(handle.pread(8192, 0))), (8192, b"r" * 8192))
        self.used("blockdev-add", driver="raw", file=inline, offset=4096, size=8192)
        self.add("raw", "r1", file="r0")
        self.assertEqual(bytes(self.serve_node("r1").pread(8192, 0)), b"r" * 8192)
        self.used("blockdev-add", driver="raw", file="r0")

    def test_size_and_removal(self):
        self.file()
        self.client.cmd("block_resize", node_name="f0", size=2 << 20)
        handle = self.serve_node("f0")
        handle.pwrite(b"x" * 512, (2 << 20) - 512)
        self.used("block_resize", node_name="f0", size=2 << 20)
        handle.shutdown()
        self.remove("f0")
        self.client.cmd("blockdev-del", node_name="f0")
        self.assertEqual(self.client.cmd("query-named-block-nodes"), [])
        self.assertNotIn(str(self.tmp / "f0"), self.running.fds().values())
        self.used("blockdev-del", node_name="f0")

    def test_query(self):
        path = self.file(size=1 << 20, data=b"d" * 4096, cache={"direct": True}, discard="unmap", detect_zeroes="unmap")
        got = self.client.cmd("query-named-block-nodes", flat=True)
        limits = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
        expected = {"file": str(path), "node-name": "f0", "ro": False, "drv": "file", "backing_file_depth": 0,
                    "active": True, "encrypted": False, "detect_zeroes": "unmap", "write_threshold": 0, **limits,
                    "cache": {"writeback": True, "direct": True, "no-flush": False},
                    "image": {"filename": str(path), "format": "file", "dirty-flag": False, "virtual-size": 1 << 20,
                              "actual-size": path.stat().st_blocks * 512,
                              "format-specific": {"type": "file", "data": {}}}}
        self.returns("query-named-block-nodes", [expected], got)


class Drivers(Used):
    """The drivers that exist for tests, on an image below."""

    def below(self):
        self.add("file", "f0", filename=str(self.image(data=b"d" * 65536)), discard="unmap")

    def faulty(self):
        self.below()
        self.add("x-fault", "n0", file="f0", discard="unmap")
        return self.serve_node("n0", ["base:allocation"])

    def rules(self, *rules):
        self.client.cmd("x-fault-set", {"node-name": "n0", "rules": list(rules)})

    USES = {"read": lambda h: h.pread(512, 4096), "write": lambda h: h.pwrite(b"x" * 512, 4096),
            "flush": lambda h: h.flush(), "discard": lambda h: h.trim(4096, 4096),
            "write-zeroes": lambda h: h.zero(4096, 4096),
            "block-status": lambda h: h.block_status(4096, 4096, lambda *_: 0)}

    def fails(self, handle, use):
        try:
            use(handle)
        except nbd.Error as error:
            return error.errnum
        return 0

    def test_errors(self):
        """Each operation fails as it is told, as often as it is told, and no other does."""
        handle = self.faulty()
        for op, use in self.USES.items():
            self.rules({"op": op, "action": "error", "errno": 28, "count": 1})
            others = [self.fails(handle, other) for name, other in self.USES.items() if name != op]
            self.assertEqual((others, self.fails(handle, use), self.fails(handle, use)), ([0] * 5, 28, 0))
            rule = {"op": op, "action": "error", "errno": 28, "count": 1}
            self.used("x-fault-set", node_name="n0", rules=[rule])
            self.used("blockdev-add", driver="x-fault", file="f0")

    def test_no_number_of_an_error(self):
        self.faulty()
        with self.assertRaises(qmp.QmpError):
            self.rules({"action": "error", "errno": -1})
        self.assertIn("qemu", self.client.cmd("query-version"))

    def test_range(self):
        handle = self.faulty()
        self.rules({"action": "error", "offset": 4096, "length": 512})
        failing = [self.fails(handle, lambda h, o=offset: h.pread(512, o)) for offset in (3584, 4096, 4608)]
        self.assertEqual(failing, [0, 5, 0])
        self.used("x-fault-set", rules=[{"action": "error", "offset": 4096, "length": 512}])

    def test_short(self):
        handle = self.faulty()
        self.rules({"op": "write", "action": "short"})
        self.assertEqual(self.fails(handle, lambda h: h.pwrite(b"s" * 8192, 0)), 5)
        self.assertEqual(bytes(handle.pread(8192, 0)), b"s" * 4096 + b"d" * 4096)
        self.used("x-fault-set", rules=[{"action": "short"}])

    def test_delay(self):
        """A request that is delayed by an hour is overtaken; one that is delayed by a millisecond comes through."""
        handle = self.faulty()
        self.rules({"op": "read", "action": "delay", "latency-ns": HOUR_NS, "count": 1},
                   {"op": "read", "action": "delay", "latency-ns": 1000000})
        handle.aio_pread(nbd.Buffer(512), 0)
        for _ in range(20):
            self.assertEqual(bytes(handle.pread(512, 0)), b"d" * 512)
        self.assertEqual(handle.aio_in_flight(), 1)
        self.used("x-fault-set", rules=[{"action": "delay", "latency-ns": HOUR_NS}])

    def test_hold(self):
        handle = self.faulty()
        self.rules({"op": "read", "action": "hold"})
        handle.aio_pread(nbd.Buffer(512), 0)
        while not self.client.cmd("x-fault-query", node_name="n0")["held"]:
            handle.poll(1)
        self.used("x-fault-set", rules=[{"action": "hold"}])
        counts = [{"op": op, "count": int(op == "read"), "bytes": 512 * (op == "read")} for op in self.USES]
        self.returns("x-fault-query", {"counts": counts, "fua": 0, "held": 1}, self.client.cmd("x-fault-query", node_name="n0"))
        self.used("x-fault-query", node_name="n0")
        self.rules()
        self.client.cmd("x-fault-release", node_name="n0")
        while handle.aio_in_flight():
            handle.poll(-1)
        self.used("x-fault-release", node_name="n0")

    def test_reorder(self):
        """The second one comes first: it is what the node below refuses."""
        self.below()
        self.add("x-fault", "low", file="f0")
        self.add("x-fault", "n0", file="low")
        handle = self.serve_node("n0")
        self.rules({"op": "read", "action": "reorder"})
        self.client.cmd("x-fault-set", {"node-name": "low", "rules": [{"op": "read", "action": "error", "count": 1}]})
        first = handle.aio_pread(nbd.Buffer(512), 0)
        while not self.client.cmd("x-fault-query", node_name="n0")["held"]:
            handle.poll(1)
        second = handle.aio_pread(nbd.Buffer(512), 512)
        while handle.aio_in_flight():
            handle.poll(-1)
        self.assertTrue(handle.aio_command_completed(first))
        self.assertEqual(self.fails(handle, lambda h: h.aio_command_completed(second)), 5)
        self.used("x-fault-set", rules=[{"action": "reorder"}])

    def test_skip(self):
        handle = self.faulty()
        self.rules({"op": "read", "action": "error", "skip": 2, "count": 1})
        self.assertEqual([self.fails(handle, self.USES["read"]) for _ in range(4)], [0, 0, 5, 0])
        self.used("x-fault-set", rules=[{"action": "error", "skip": 2}])

    def test_fua(self):
        handle = self.faulty()
        handle.pwrite(b"x" * 512, 0, nbd.CMD_FLAG_FUA)
        counted = self.client.cmd("x-fault-query", node_name="n0")
        self.assertEqual((counted["fua"], self.counts("n0")["write"], self.counts("n0")["flush"]), (1, 1, 1))

    def test_align(self):
        """Whole blocks arrive, and what was not written stays."""
        self.below()
        self.add("x-fault", "n0", file="f0", align=4096)
        handle = self.serve_node("n0")
        handle.pwrite(b"x" * 512, 5000)
        counted = {c["op"]: c["bytes"] for c in self.client.cmd("x-fault-query", node_name="n0")["counts"]}
        self.assertEqual((counted["read"], counted["write"]), (4096, 4096))
        self.assertEqual(bytes(handle.pread(514, 4999)), b"d" + b"x" * 512 + b"d")
        self.assert_qmp_error("x-fault: align 3 is no power of two", self.client, "blockdev-add",
                              {"driver": "x-fault", "node-name": "bad", "file": "f0", "align": 3})
        self.used("blockdev-add", driver="x-fault", align=4096)

    def test_max_transfer(self):
        """Pieces arrive, of whole blocks and no longer than that; together they are what was written and is read."""
        self.below()
        self.add("x-fault", "n0", file="f0", align=512, max_transfer=8192)
        handle = self.serve_node("n0")
        data = random.Random(1).randbytes(40960)
        handle.pwrite(data, 1000)
        self.assertEqual(bytes(handle.pread(40962, 999)), b"d" + data + b"d")
        aligned = random.Random(2).randbytes(40960)
        before = self.counts("n0")
        handle.pwrite(aligned, 512)
        self.assertEqual(bytes(handle.pread(40960, 512)), aligned)
        after = self.counts("n0")
        self.assertEqual([after[op] - before[op] for op in ("read", "write")], [5, 5])
        self.assert_qmp_error("x-fault: max-transfer 5 is no multiple of align 512", self.client, "blockdev-add",
                              {"driver": "x-fault", "node-name": "bad", "file": "f0", "align": 512, "max-transfer": 5})
        self.used("blockdev-add", driver="x-fault", max_transfer=8192)

    def test_power_loss(self):
        self.below()
        self.add("x-cache", "n0", file="f0")
        handle = self.serve_node("n0")
        handle.pwrite(b"x" * 4096, 0)
        self.assertEqual(bytes(handle.pread(4096, 0)), b"x" * 4096)
        self.client.cmd("x-cache-power-loss", node_name="n0")
        self.assertEqual(bytes(handle.pread(4096, 0)), b"d" * 4096)
        self.used("x-cache-power-loss", node_name="n0")
        self.used("blockdev-add", driver="x-cache", file="f0")

    def test_filters(self):
        self.below()
        handle = self.serve_node("f0")
        self.client.cmd("x-block-insert-filter", node_name="flt", driver="x-fault", child="f0")
        handle.pread(512, 0)
        self.assertEqual(self.counts("flt")["read"], 1)
        self.used("x-block-insert-filter", node_name="flt", driver="x-fault", child="f0")
        self.client.cmd("x-block-remove-filter", node_name="flt")
        self.assertEqual([n["node-name"] for n in self.client.cmd("query-named-block-nodes")], ["f0"])
        self.assertEqual(bytes(handle.pread(512, 0)), b"d" * 512)
        self.used("x-block-remove-filter", node_name="flt")
