# SPDX-License-Identifier: Apache-2.0
"""A file that a FUSE export makes behaves as qemu-storage-daemon's does, where it can't grow by writing: a read-only one and
a writable one, with and without other users. One that grows is compared with an ordinary file, in test_fuse_compare.
"""
import errno
import fcntl
import hashlib
import mmap
import os
import random
import time

from support import differential
from support.fusetest import FuseTest, both_transports
from test_fuse_file import COLLAPSE, INSERT, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, fallocate

UNSHARE = 64
KIB = 1024
SIZE = 256 * KIB
CONTENT = random.Random(1).randbytes(64 * KIB) + bytes(64 * KIB) + random.Random(2).randbytes(128 * KIB)


def attempt(function):
    """What it returns, or the error's name."""
    try:
        got = function()
    except OSError as error:
        return errno.errorcode[error.errno]
    return hashlib.sha256(got).hexdigest()[:16] + f" of {len(got)}" if isinstance(got, bytes) else got


class File:
    """The file of one of the two, opened for reading and writing."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None

    def attributes(self):
        info = os.stat(self.path)
        return {"mode": oct(info.st_mode), "size": info.st_size, "blocks": info.st_blocks, "links": info.st_nlink,
                "number": info.st_ino, "owner": [info.st_uid, info.st_gid]}

    def opens(self, flags):
        fd = os.open(self.path, flags | os.O_CLOEXEC)
        try:
            return {"flags": fcntl.fcntl(fd, fcntl.F_GETFL) & ~flags & ~0o100000, "size": os.fstat(fd).st_size}
        finally:
            os.close(fd)

    def append(self, data):
        fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            return os.write(fd, data)
        finally:
            os.close(fd)

    def direct(self, offset, length, write):
        fd = os.open(self.path, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
        with mmap.mmap(-1, length) as memory:
            try:
                return os.pwritev(fd, [memory], offset) if write else os.preadv(fd, [memory], offset)
            finally:
                os.close(fd)

    def mapped(self, length):
        with mmap.mmap(self.fd, length, prot=mmap.PROT_READ) as memory:
            return memory[:]

    def allocate(self, mode, offset, length):
        """With what has become of the file."""
        fallocate(self.fd, mode, offset, length)
        return {"size": os.fstat(self.fd).st_size, "content": attempt(lambda: os.pread(self.fd, 1 << 20, 0))}

    def resize(self, size):
        os.ftruncate(self.fd, size)
        return os.fstat(self.fd).st_size


STAT = {"attributes": File.attributes, "block size": lambda f: os.stat(f.path).st_blksize}
OPEN = {f"open {name}": lambda f, flags=flags: f.opens(flags) for name, flags in {
    "read-only": os.O_RDONLY, "write-only": os.O_WRONLY, "both": os.O_RDWR, "append": os.O_RDWR | os.O_APPEND,
    "truncate": os.O_RDWR | os.O_TRUNC, "truncate, reading": os.O_RDONLY | os.O_TRUNC, "sync": os.O_RDWR | os.O_SYNC,
    "direct": os.O_RDWR | os.O_DIRECT, "create": os.O_RDWR | os.O_CREAT, "create it": os.O_RDWR | os.O_CREAT | os.O_EXCL,
    "a folder": os.O_RDONLY | os.O_DIRECTORY}.items()}
READ = {f"read {length} at {offset}": lambda f, o=offset, n=length: os.pread(f.fd, n, o) for offset, length in (
    (0, 1), (1, 511), (64 * KIB - 1, 2), (0, SIZE), (SIZE - 100, 100), (SIZE - 100, 1000), (SIZE, 1), (SIZE + 4096, 4096),
    (1 << 40, 1), (0, 1 << 20))} | {
    "read directly": lambda f: f.direct(0, 4096, False), "read directly over the end": lambda f: f.direct(SIZE - 4096, 8192, False),
    "read directly at the end": lambda f: f.direct(SIZE, 4096, False), "read a mapping": lambda f: f.mapped(SIZE)}
WRITE = {f"write {length} at {offset}": lambda f, o=offset, n=length: os.pwrite(f.fd, b"w" * n, o) for offset, length in (
    (0, 1), (5, 1000), (SIZE - 100, 100), (SIZE - 100, 1000), (SIZE - 1, 1 << 20), (SIZE, 1), (SIZE, 0), (SIZE + 4096, 4096),
    (1 << 40, 1))} | {
    "append": lambda f: f.append(b"a"), "write directly": lambda f: f.direct(4096, 4096, True),
    "write directly over the end": lambda f: f.direct(SIZE - 4096, 8192, True),
    "write directly at the end": lambda f: f.direct(SIZE, 4096, True),
    "sync": lambda f: os.fsync(f.fd), "sync data": lambda f: os.fdatasync(f.fd),
    "the whole": lambda f: os.pread(f.fd, 1 << 20, 0), "size": lambda f: os.fstat(f.fd).st_size}
SEEK = {f"seek {name} from {offset}": lambda f, o=offset, w=whence: os.lseek(f.fd, o, w)
        for name, whence in (("data", os.SEEK_DATA), ("a hole", os.SEEK_HOLE), ("the end", os.SEEK_END))
        for offset in (0, 1, 64 * KIB, 100 * KIB, 128 * KIB, SIZE - 1, SIZE, SIZE + 1)}
FALLOCATE = {f"fallocate {name}, {length} at {offset}": lambda f, m=mode, o=offset, n=length: f.allocate(m, o, n)
             for name, mode in (("hole", PUNCH_HOLE | KEEP_SIZE), ("keeping the size", KEEP_SIZE),
                                ("zeroes, keeping the size", ZERO_RANGE | KEEP_SIZE), ("hole alone", PUNCH_HOLE),
                                ("collapse", COLLAPSE), ("insert", INSERT), ("unshare", UNSHARE), ("plain", 0),
                                ("zeroes", ZERO_RANGE))
             for offset, length in ((4096, 8192), (5, 1000), (SIZE - 4096, 4096), (SIZE - 4096, 8192), (SIZE + 8192, 4096),
                                    (0, 0))} | {"after all, seek a hole": lambda f: os.lseek(f.fd, 0, os.SEEK_HOLE)}
TRUNCATE = {f"truncate to {size}": lambda f, s=size: f.resize(s) for size in (SIZE, SIZE + 4096, 8192, 0, 512, 1000, SIZE)} | {
    "truncate by name": lambda f: os.truncate(f.path, 4096), "read after that": lambda f: os.pread(f.fd, 1 << 20, 0)}
CHANGE = {f"chmod {mode:o}": lambda f, m=mode: (os.chmod(f.path, m), f.attributes())[1]
          for mode in (0o400, 0o600, 0o444, 0o644, 0o222, 0o4400, 0o666, 0o000, 0o700)} | {
    f"chown {owner} {group}": lambda f, o=owner, g=group: (os.chown(f.path, o, g), f.attributes())[1]
    for owner, group in ((12, 34), (-1, 5), (6, -1), (-1, -1), (0, 0))} | {
    "times": lambda f: os.utime(f.path, (1, 2)), "times now": lambda f: os.utime(f.path),
    "name of an attribute": lambda f: os.listxattr(f.path), "attribute": lambda f: os.getxattr(f.path, "user.a"),
    "set attribute": lambda f: os.setxattr(f.path, "user.a", b"1"), "remove": lambda f: os.unlink(f.path),
    "rename": lambda f: os.rename(f.path, f"{f.path}.other"), "link": lambda f: os.link(f.path, f"{f.path}.other"),
    "list": lambda f: os.listdir(f.path), "below": lambda f: os.stat(f"{f.path}/x"),
    "lock": lambda f: fcntl.flock(f.fd, fcntl.LOCK_EX | fcntl.LOCK_NB), "range lock": lambda f: fcntl.lockf(f.fd, fcntl.LOCK_EX)}


class Files(FuseTest):
    """One file for each of the two; what differs on purpose stands in intended-differences.json."""

    def setUp(self):
        super().setUp()
        self.require_oracle()

    def both(self, writable, allow_other, size=SIZE):
        files = []
        for flavour in ("outport", "qemu"):
            image = self.image(f"{flavour}.img", size, CONTENT[:size])
            with open(image, "r+b") as out:
                fallocate(out.fileno(), PUNCH_HOLE | KEEP_SIZE, 64 * KIB, 64 * KIB)
            path = self.mountpoint(f"{flavour}.mnt")
            more = {"io_uring": "on" if self.ring else "off"} if flavour == "outport" else {}
            options = {"id": "e0", "node-name": "n0", "mountpoint": str(path), "writable": writable, "allow-other": allow_other,
                       **{k.replace("_", "-"): v for k, v in more.items()}}
            running = self.daemon("--blockdev", f"file,node-name=n0,filename={image},discard=unmap",
                                  "--export", ",".join(("fuse", *(f"{k}={v}" for k, v in options.items()))), flavour=flavour)
            files.append(File(path))
            self.addCleanup(files[-1].close)
            files[-1].running = running
        return files

    def compare(self, suite, steps, cases):
        comparison = differential.Comparison(f"FUSE {suite}")
        for writable, allow_other in cases:
            files = self.both(writable, allow_other)
            scenario = f"{'writable' if writable == 'on' else 'read-only'}, others {allow_other}"
            for name, step in steps.items():
                comparison.take(scenario, name, *(attempt(lambda f=f, s=step: s(f)) for f in files))
            for each in files:
                each.close()
                each.running.stop()
        comparison.verdict(self)

    EITHER = (("on", "off"), ("off", "off"))
    ALL = EITHER + (("on", "on"), ("off", "on"))

    def test_stat(self):
        self.compare("stat", STAT, self.ALL)

    def test_open(self):
        self.compare("open", OPEN, self.EITHER)

    def test_read(self):
        self.compare("read", READ, self.EITHER)

    def test_write(self):
        self.compare("write", WRITE, self.EITHER)

    def test_seek(self):
        self.compare("seek", SEEK, self.EITHER)

    def test_fallocate(self):
        self.compare("fallocate", FALLOCATE, self.EITHER)

    def test_truncate(self):
        self.compare("truncate", TRUNCATE, self.EITHER)

    def test_change(self):
        self.compare("attributes", CHANGE, self.ALL)

    def test_times(self):
        """Whether they move while nothing happens, from the second of the mount to the one after the next."""
        comparison = differential.Comparison("FUSE times")
        files = self.both("on", "off")
        second = int(time.time())

        def moved(file):
            while time.time() < second + 2:
                os.sched_yield()
            return int(self.tool("stat", "--cached=never", "-c", "%Y", file.path).stdout) > second
        comparison.take("writable, others off", "times move by themselves", *map(moved, files))
        comparison.verdict(self)

    def test_unmount(self):
        """By somebody else."""
        comparison = differential.Comparison("FUSE unmount")
        left = []
        for file in self.both("on", "off"):
            file.close()
            client = self.monitor(file.running)
            self.tool("umount", file.path)
            if file.running.flavour == "outport":
                client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
            for _ in range(50):
                client.cmd("query-version")
            left.append([e["id"] for e in client.cmd("query-block-exports")])
        comparison.take("writable, others off", "exports after an unmount", *left)
        comparison.verdict(self)


def add(**arguments):
    arguments = {"type": "fuse", "id": "e", "node_name": "n", "mountpoint": "{tmp}/m"} | arguments
    return {"execute": "block-export-add",
            "arguments": {k.replace("_", "-"): v for k, v in arguments.items() if v is not None}}


def remove(name, **more):
    return {"execute": "block-export-del", "arguments": {"id": name, **more}}


NODES = ["--blockdev", "null-co,node-name=n,size=1048576,read-zeroes=on", "--blockdev",
         "null-co,node-name=ro,size=1048576,read-only=on,read-zeroes=on"]
GONE = ["BLOCK_EXPORT_DELETED"]
QMP = [
    add(mountpoint=None), add(mountpoint=5), add(mountpoint=""), add(mountpoint="{tmp}/none"), add(mountpoint="{tmp}/none/m"),
    add(mountpoint="{tmp}"), add(mountpoint="/dev/null"), add(growable="on"), add(growable=1), add(allow_other="bad"),
    add(allow_other=True), add(odd=1), add(node_name="nope"), add(node_name="ro", writable=True), add(id="1e"),
    add(iothread="nope"), {"execute": "query-block-exports"}, add(), add(id="f"), add(mountpoint="{tmp}/m2"),
    add(id="f", mountpoint="{tmp}/m2", growable=True, allow_other="on", writethrough=True), {"execute": "query-block-exports"},
    add(id="g", mountpoint="{tmp}/link", node_name="ro", allow_other="auto"), (remove("e"), GONE), remove("e"),
    add(id="e", writable=True, allow_other="off"), (remove("e", mode="hard"), GONE), (remove("f"), GONE), (remove("g"), GONE),
    {"execute": "query-block-exports"},
]
COMMAND_LINES = ["", "mountpoint=", "mountpoint={tmp}/none", "mountpoint={tmp}", "mountpoint={tmp}/m,growable=maybe",
                 "mountpoint={tmp}/m,growable", "mountpoint={tmp}/m,allow-other=perhaps", "mountpoint={tmp}/m,odd=1",
                 "mountpoint={tmp}/m,writable=on,node-name=nope", "mountpoint.x=1", "mountpoint={tmp}/m,id=1e"]


class Messages(FuseTest):
    def setUp(self):
        super().setUp()
        self.require_oracle()
        for flavour in ("outport", "qemu"):
            (self.tmp / flavour).mkdir()
            for name in ("m", "m2", "linked"):
                (self.tmp / flavour / name).touch()
            (self.tmp / flavour / "link").symlink_to(self.tmp / flavour / "linked")

    def test_qmp(self):
        comparison = differential.Comparison("FUSE qmp")
        differential.compare_qmp(self, comparison, "exports", NODES, QMP)
        comparison.verdict(self)

    def test_command_line(self):
        comparison = differential.Comparison("FUSE command line")
        for words in COMMAND_LINES:
            export = ",".join(("fuse,id=e,node-name=n", *([words] if words else [])))
            differential.compare_command_line(self, comparison, [*NODES[:2], "--export", export])
        comparison.verdict(self)


both_transports(globals())
del RingMessages  # noqa: F821  the same by both
