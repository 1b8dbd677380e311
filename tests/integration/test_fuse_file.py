# SPDX-License-Identifier: Apache-2.0
"""A FUSE export behaves like a file."""
import ctypes
import errno
import mmap
import os
import random
import stat

from support.fusetest import FuseTest, both_transports

KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO_RANGE, INSERT = 1, 2, 8, 16, 32
_libc = ctypes.CDLL(None, use_errno=True)


def fallocate(fd, mode, offset, length):
    if _libc.fallocate(fd, ctypes.c_int(mode), ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Attributes(FuseTest):
    def test_stat(self):
        image = self.image(size=1 << 20, data=os.urandom(8192))
        self.serve(image)
        info = os.stat(self.file)
        self.assertTrue(stat.S_ISREG(info.st_mode))
        self.assertEqual((info.st_ino, info.st_nlink, info.st_uid, info.st_gid), (1, 1, os.geteuid(), os.getegid()))
        self.assertEqual(stat.S_IMODE(info.st_mode), 0o600)
        self.assertEqual(info.st_size, 1 << 20)
        self.assertEqual(info.st_blocks, os.stat(image).st_blocks)

    def test_read_only(self):
        self.serve(self.image(), writable="off")
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o400)
        fd = self.open()
        for change in (lambda: os.pwrite(fd, b"x", 0), lambda: os.ftruncate(fd, 512),
                       lambda: fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 4096)):
            with self.assertRaises(OSError) as caught:
                change()
            self.assertEqual(caught.exception.errno, errno.EACCES)
        with self.assertRaises(OSError) as caught:
            os.chmod(self.file, 0o600)
        self.assertEqual(caught.exception.errno, errno.EROFS)
        os.chmod(self.file, 0o444)
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o444)

    def test_owner_and_mode(self):
        self.serve(self.image(), allow_other="on")
        os.chown(self.file, 12, 34)
        os.chmod(self.file, 0o640)
        info = os.stat(self.file)
        self.assertEqual((info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)), (12, 34, 0o640))

    def test_owner_and_mode_of_nobody_else(self):
        self.serve(self.image(), allow_other="off")
        for change, number in ((lambda: os.chown(self.file, 12, 34), errno.ENOTSUP),
                               (lambda: os.chmod(self.file, 0o640), errno.EPERM)):
            with self.assertRaises(OSError) as caught:
                change()
            self.assertEqual(caught.exception.errno, number)
        os.chmod(self.file, 0o400)
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o400)

    def test_times(self):
        self.serve(self.image())
        first = os.stat(self.file).st_mtime_ns
        fd = self.open()
        while os.fstat(fd).st_mtime_ns == first:  # the clock is a coarse one
            os.pwrite(fd, b"x", 0)
            os.fsync(fd)
            os.statvfs(self.file)
            os.ftruncate(fd, os.fstat(fd).st_size)  # has the attributes fetched again
        with self.assertRaises(OSError) as caught:
            os.utime(self.file, (0, 0))
        self.assertEqual(caught.exception.errno, errno.ENOTSUP)

    def test_statfs(self):
        self.serve(self.image(size=1 << 20))
        info = os.statvfs(self.file)
        self.assertEqual((info.f_frsize * info.f_blocks, info.f_namemax), (1 << 20, 255))


class Data(FuseTest):
    def test_read_and_write_anywhere(self):
        size = 3 << 20
        content = bytearray(random.Random(1).randbytes(size))
        image = self.image(size=size, data=bytes(content))
        self.serve(image)
        fd = self.open()
        rng = random.Random(2)
        for _ in range(300):
            offset = rng.randrange(size)
            length = min(rng.choice((1, 511, 4096, 70_000, 1 << 20)), size - offset)
            if rng.random() < 0.5:
                data = rng.randbytes(length)
                self.assertEqual(os.pwrite(fd, data, offset), length)
                content[offset:offset + length] = data
            else:
                self.assertEqual(os.pread(fd, length, offset), content[offset:offset + length])
        os.fsync(fd)
        self.assertEqual(image.read_bytes(), bytes(content))
        self.assertEqual(os.pread(fd, 100, size - 10), content[-10:])
        self.assertEqual(os.pread(fd, 100, size), b"")

    def test_direct_io(self):
        image = self.image(size=4 << 20)
        self.serve(image)
        fd = self.open(os.O_RDWR | os.O_DIRECT)
        block = mmap.mmap(-1, 1 << 20)
        block.write(os.urandom(1 << 20))
        self.assertEqual(os.pwritev(fd, [block], 1 << 20), 1 << 20)
        self.assertEqual(image.read_bytes()[1 << 20:2 << 20], block[:])
        again = mmap.mmap(-1, 1 << 20)
        self.assertEqual(os.preadv(fd, [again], 1 << 20), 1 << 20)
        self.assertEqual(again[:], block[:])

    def test_direct_io_of_the_node(self):
        """Buffers reach the node page-aligned, so nothing is bounced; here only: that it works."""
        image = self.image(size=1 << 20)
        self.file = self.mountpoint()
        self.daemon("--blockdev", f"file,node-name=n0,filename={image},cache.direct=on", *self.export_args(self.file))
        fd = self.open()
        data = os.urandom(100_000)
        os.pwrite(fd, data, 4096)
        os.fsync(fd)
        self.assertEqual(image.read_bytes()[4096:4096 + len(data)], data)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        self.assertEqual(os.pread(fd, len(data), 4096), data)

    def test_mapping(self):
        image = self.image(size=1 << 20, data=b"first")
        self.serve(image)
        fd = self.open()
        with mmap.mmap(fd, 1 << 20) as shared:
            self.assertEqual(shared[:5], b"first")
            shared[8192:8200] = b"mapped!!"
            shared.flush()
        self.assertEqual(image.read_bytes()[8192:8200], b"mapped!!")

    def test_mapping_without_a_stat(self):
        """The kernel takes a file's size to be 0 until it has asked; nobody asks here."""
        self.serve(self.image(size=8192, data=b"x" * 8192))
        fd = os.open(self.file, os.O_RDONLY)
        address = _libc.mmap
        address.restype = ctypes.c_void_p
        mapped = address(None, ctypes.c_size_t(8192), 1, 1, fd, ctypes.c_long(0))
        os.close(fd)
        pid = os.fork()  # a SIGBUS would be the child's
        if pid == 0:
            os._exit(0 if ctypes.string_at(mapped + 4096, 1) == b"x" else 1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def test_o_trunc_is_ignored(self):
        image = self.image(size=1 << 20, data=b"kept")
        self.serve(image)
        self.open(os.O_RDWR | os.O_TRUNC)
        self.assertEqual(os.stat(self.file).st_size, 1 << 20)
        self.assertEqual(image.read_bytes()[:4], b"kept")

    def test_fixed_size(self):
        self.serve(self.image(size=1 << 20))
        fd = self.open()
        self.assertEqual(os.pwrite(fd, b"z" * 1000, (1 << 20) - 100), 100)
        with self.assertRaises(OSError) as caught:
            os.pwrite(fd, b"z", 1 << 20)
        self.assertEqual(caught.exception.errno, errno.ENOSPC)
        self.assertEqual(os.fstat(fd).st_size, 1 << 20)

    def test_growable(self):
        image = self.image(size=1 << 20)
        self.serve(image, growable="on")
        fd = self.open()
        self.assertEqual(os.pwrite(fd, b"end", (2 << 20) - 3), 3)
        self.assertEqual(os.fstat(fd).st_size, 2 << 20)
        self.assertEqual(os.pread(fd, 4, 1 << 20), bytes(4))
        os.fsync(fd)
        self.assertEqual(image.read_bytes()[-3:], b"end")

    def test_truncate(self):
        image = self.image(size=1 << 20, data=os.urandom(1 << 20))
        self.serve(image)
        fd = self.open()
        os.ftruncate(fd, 4096)
        self.assertEqual((os.fstat(fd).st_size, image.stat().st_size), (4096, 4096))
        os.ftruncate(fd, 8192)
        self.assertEqual(os.pread(fd, 8192, 4096), bytes(4096))

    def test_many_processes(self):
        image = self.image(size=1 << 20)
        self.serve(image)
        children = []
        for i in range(8):
            pid = os.fork()
            if pid == 0:
                fd = os.open(self.file, os.O_RDWR)
                for k in range(64):
                    os.pwrite(fd, bytes([i * 16 + k % 16]) * 512, (i * 64 + k) * 512)
                os.fsync(fd)
                os._exit(0)
            children.append(pid)
        for pid in children:
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
        data = image.read_bytes()
        for i in range(8):
            for k in range(64):
                at = (i * 64 + k) * 512
                self.assertEqual(data[at:at + 512], bytes([i * 16 + k % 16]) * 512)


class Allocation(FuseTest):
    def test_seek(self):
        image = self.image(size=1 << 20)
        with open(image, "r+b") as out:
            out.seek(256 << 10)
            out.write(os.urandom(64 << 10))
        self.serve(image)
        fd = self.open()
        self.assertEqual(os.lseek(fd, 0, os.SEEK_DATA), 256 << 10)
        self.assertEqual(os.lseek(fd, 0, os.SEEK_HOLE), 0)
        self.assertEqual(os.lseek(fd, 300 << 10, os.SEEK_HOLE), 320 << 10)
        for whence, offset in ((os.SEEK_DATA, 400 << 10), (os.SEEK_DATA, 1 << 20), (os.SEEK_HOLE, 1 << 20)):
            with self.assertRaises(OSError) as caught:
                os.lseek(fd, offset, whence)
            self.assertEqual(caught.exception.errno, errno.ENXIO)

    def test_seek_to_the_end(self):
        self.serve(self.image(size=64 << 10, data=b"d" * (64 << 10)))
        fd = self.open()
        self.assertEqual(os.lseek(fd, 4096, os.SEEK_HOLE), 64 << 10)

    def test_punch_and_zero(self):
        image = self.image(size=1 << 20, data=os.urandom(1 << 20))
        self.serve(image)
        fd = self.open()
        fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 64 << 10, 64 << 10)
        fallocate(fd, ZERO_RANGE | KEEP_SIZE, 256 << 10, 64 << 10)
        for start in (64 << 10, 256 << 10):
            self.assertEqual(os.pread(fd, 64 << 10, start), bytes(64 << 10))
            self.assertNotEqual(os.pread(fd, 512, start - 512), bytes(512))
        self.assertEqual(os.lseek(fd, 0, os.SEEK_HOLE), 64 << 10)
        fallocate(fd, ZERO_RANGE, (1 << 20) - 4096, 8192)
        self.assertEqual(os.fstat(fd).st_size, (1 << 20) + 4096)

    def test_plain(self):
        image = self.image(size=1 << 20)
        self.serve(image)
        fd = self.open()
        fallocate(fd, 0, 0, 512 << 10)
        self.assertGreaterEqual(image.stat().st_blocks * 512, 512 << 10)
        self.assertEqual(os.fstat(fd).st_size, 1 << 20)
        fallocate(fd, 0, 1 << 20, 1 << 20)
        self.assertEqual(os.fstat(fd).st_size, 2 << 20)
        fallocate(fd, KEEP_SIZE, 0, 3 << 20)
        self.assertEqual(os.fstat(fd).st_size, 2 << 20)

    def test_what_a_node_cannot(self):
        self.serve(self.image())
        fd = self.open()
        for mode in (COLLAPSE, INSERT):
            with self.assertRaises(OSError) as caught:
                fallocate(fd, mode, 0, 4096)
            self.assertEqual(caught.exception.errno, errno.EOPNOTSUPP)


both_transports(globals())
