# SPDX-License-Identifier: Apache-2.0
"""The base of the tests of FUSE exports. Each runs by both transports: a class that derives from FuseTest and names
itself Device…, and one that derives from it with Ring in front (see both_transports).
"""
import fcntl
import os
import pathlib

from .case import OutportTest

PARAMETER = pathlib.Path("/sys/module/fuse/parameters/enable_uring")


def mounts():
    """{path: (id, type, source)} of what is on top."""
    found = {}
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ", 1)
        fields, (kind, source) = left.split(), right.split()[:2]
        found[fields[4]] = (int(fields[0]), kind, source)
    return found


def super_options(path):
    """The options of the file system that is mounted there."""
    for line in reversed(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()):
        if line.split()[4] == str(path):
            return line.split()[-1].split(",")
    return []


def set_io_uring(test, word):
    """Whether the kernel offers FUSE over io_uring, until the end of the test; others that want it wait meanwhile."""
    test.require(has_io_uring(), "this kernel has no FUSE over io_uring, or keeps it to itself")
    test.require(can_mount(), "only root mounts without a helper")
    if not hasattr(test, "io_uring_before"):
        holder = os.open(PARAMETER, os.O_RDWR | os.O_CLOEXEC)
        test.addCleanup(os.close, holder)
        fcntl.flock(holder, fcntl.LOCK_EX)
        test.io_uring_before = PARAMETER.read_text()
        test.addCleanup(PARAMETER.write_text, test.io_uring_before)
    PARAMETER.write_text(word)


def has_io_uring():
    """Whether FUSE over io_uring can be turned on here."""
    return PARAMETER.exists() and os.access(PARAMETER, os.W_OK)


def can_mount():
    """Without a helper, that is: as root, with the right to (a container's root may lack it)."""
    rights = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff"))
    return os.access("/dev/fuse", os.R_OK | os.W_OK) and os.geteuid() == 0 and bool(int(rights, 16) >> 21 & 1)


class Mounting:
    """For an OutportTest whose daemons mount below its folder."""

    def mountpoint(self, name="mnt"):
        path = self.tmp / name
        path.touch()
        return path

    def tearDown(self):
        # What a failed test has left would hang whoever looks into its folder.
        for path in mounts():
            if path.startswith(str(self.tmp)):
                os.system(f"umount -l '{path}'")
        super().tearDown()


class FuseTest(Mounting, OutportTest):
    ring = False

    def setUp(self):
        super().setUp()
        self.require(can_mount(), "only root mounts without a helper, and needs /dev/fuse")
        if self.ring:
            set_io_uring(self, "Y")

    def export_args(self, path, node="n0", **options):
        options = {"id": "e0", "writable": "on", "io-uring": "on" if self.ring else "off"} | {
            k.replace("_", "-"): v for k, v in options.items()}
        words = ",".join(f"{k}={v}" for k, v in options.items())
        return ["--export", f"fuse,node-name={node},mountpoint={path},{words}"]

    def serve(self, image, *args, path=None, driver="file", **options):
        """A daemon that shows `image`; its mount is self.file."""
        self.file = path or self.mountpoint()
        self.running = self.daemon("--blockdev", f"{driver},node-name=n0,filename={image},discard=unmap", *args,
                                   *self.export_args(self.file, **options))
        return self.running

    def open(self, flags=os.O_RDWR, path=None):
        fd = os.open(path or self.file, flags | os.O_CLOEXEC)
        self.addCleanup(self.close, fd)
        return fd

    @staticmethod
    def close(fd):
        try:
            os.close(fd)
        except OSError:
            pass


def both_transports(namespace):
    """For each class Xyz(FuseTest) of the module also a class RingXyz, whose exports use io_uring."""
    for name, item in list(namespace.items()):
        if isinstance(item, type) and issubclass(item, FuseTest) and item is not FuseTest and not item.ring:
            namespace["Ring" + name] = type("Ring" + name, (item,), {"ring": True, "__module__": item.__module__})
