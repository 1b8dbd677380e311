# SPDX-License-Identifier: Apache-2.0
"""Real clients get byte for byte what the image holds, and holes stay holes, in both directions and on both kinds of
sockets.
"""
import filecmp
import os
import shutil

from support import nbdtest
from support.nbdtest import NbdTest, sparse_image

GIB = 1 << 30


def allocated(path):
    return os.stat(path).st_blocks * 512


class Copies(NbdTest):
    def serve_on(self, kind, image, **options):
        """(daemon, URI) over a unix socket or over TCP."""
        if kind == "unix":
            running = self.serve(image, node=",discard=unmap", **options)
            return running, running.uri("x")
        port = nbdtest.free_port()
        running = self.new_daemon(self.flavour)
        host, uri_host = ("::1", "[::1]") if kind == "tcp6" else ("127.0.0.1", "127.0.0.1")
        running.start("--blockdev", f"file,node-name=n0,filename={image},discard=unmap",
                      "--nbd-server", f"addr.type=inet,addr.host={host},addr.port={port}",
                      "--export", "nbd,id=e0,node-name=n0,name=x,writable=on")
        return running, f"nbd://{uri_host}:{port}/x"

    def copy_both_ways(self, kind):
        source = sparse_image(self.tmp / "source", GIB)
        target = self.image("target", GIB)
        _, uri = self.serve_on(kind, target)
        self.tool("nbdcopy", source, uri, "--flush")
        self.assertTrue(filecmp.cmp(source, target, shallow=False), "what nbdcopy wrote differs")
        self.assertLess(allocated(target), allocated(source) + (8 << 20), "holes were filled on the way in")
        back = self.image("back", GIB)
        self.tool("nbdcopy", uri, back)
        self.assertTrue(filecmp.cmp(source, back, shallow=False), "what nbdcopy read differs")
        self.assertLess(allocated(back), allocated(source) + (8 << 20), "holes were not seen on the way out")
        compared = self.tool("qemu-img", "compare", "-f", "raw", "-F", "raw", source, uri)
        self.assertIn("Images are identical", compared.stdout)

    def test_unix(self):
        self.copy_both_ways("unix")

    def test_tcp(self):
        self.copy_both_ways("tcp")

    def test_tcp6(self):
        self.require(os.path.exists("/proc/net/if_inet6"), "no IPv6 on this machine")
        self.copy_both_ways("tcp6")

    def test_a_difference_is_seen(self):
        source = sparse_image(self.tmp / "source", 16 << 20)
        other = self.tmp / "other"
        shutil.copyfile(source, other)
        with open(other, "r+b") as out:
            out.seek(12345678)
            out.write(b"\x01")
        running = self.serve(other)
        done = self.tool("qemu-img", "compare", "-f", "raw", "-F", "raw", source, running.uri("x"), check=False)
        self.assertEqual(done.returncode, 1)


class Clients(NbdTest):
    def test_nbdinfo(self):
        running = self.serve(self.image(size=3 << 20))
        listed = self.tool("nbdinfo", "--list", running.uri(""))
        self.assertIn('export="x"', listed.stdout)
        size = self.tool("nbdinfo", "--size", running.uri("x"))
        self.assertEqual(int(size.stdout), 3 << 20)

    def test_nbdinfo_map(self):
        path = self.image(size=4 << 20)
        with open(path, "r+b") as out:
            out.seek(1 << 20)
            out.write(b"x" * 65536)
        running = self.serve(path)
        lines = self.tool("nbdinfo", "--map", running.uri("x")).stdout.splitlines()
        extents = [tuple(map(int, line.split()[:3])) for line in lines]
        self.assertEqual(extents, [(0, 1 << 20, 3), (1 << 20, 65536, 0), ((1 << 20) + 65536, (3 << 20) - 65536, 3)])

    def test_qemu_io(self):
        running = self.serve(self.image(size=1 << 20), node=",discard=unmap")
        script = ["write -P 0x5a 1000 70000", "read -P 0x5a 1000 70000", "read -P 0 0 1000", "write -z 4096 8192",
                  "read -P 0 4096 8192", "read -P 0x5a 12288 4096", "discard 65536 65536", "read -P 0 65536 65536", "flush"]
        command = ["qemu-io", "-f", "raw"]
        for line in script:
            command += ["-c", line]
        done = self.tool(*command, running.uri("x"))
        self.assertNotIn("failed", (done.stdout + done.stderr).lower())

    def test_fio(self):
        self.require(shutil.which("fio"), "no fio")
        running = self.serve(self.image(size=64 << 20))
        self.tool("fio", "--name=v", "--ioengine=nbd", f"--uri={running.uri('x')}", "--rw=randrw", "--bs=4k,16k",
                  "--size=32M", "--iodepth=16", "--verify=crc32c", "--verify_fatal=1", "--norandommap",
                  "--verify_backlog=64", "--minimal", cwd=self.tmp)

    def test_an_odd_length_is_rounded_up(self):
        path = self.image(size=1000000)
        running = self.serve(path)
        handle = self.connect(running)
        self.assertEqual(handle.get_size(), (1000000 + 511) // 512 * 512)
        self.assertEqual(bytes(handle.pread(512, 999936)), bytes(512))
        handle.shutdown()
