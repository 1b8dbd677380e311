# SPDX-License-Identifier: Apache-2.0
"""The command line's errors, its help and its exit status are qemu-storage-daemon's."""
from support import differential
from support.case import OutportTest

NULL = "null-co,node-name=n,size=1048576"
UNIX_SERVER = "addr.type=unix,addr.path={tmp}/s"

# Each ends by itself: with an error, or because it asks for nothing but a text.
GETOPT = [
    ["--foo"],
    ["-x"],
    ["--blockdev"],
    ["--pidfile"],
    ["foo"],
    ["--blockdev", NULL, "bar"],
    ["--daemonize=yes"],
    ["--version=1"],
]

BLOCKDEV = [
    ["--blockdev", ""],
    ["--blockdev", "nodrv,node-name=a"],
    ["--blockdev", "driver=nodrv,node-name=a"],
    ["--blockdev", "null-co"],
    ["--blockdev", "null-co,node-name=a,foo=1"],
    ["--blockdev", "null-co,node-name=a,read-only"],
    ["--blockdev", "null-co,node-name=a,read-only=maybe"],
    ["--blockdev", "null-co,node-name=a,size=1M"],
    ["--blockdev", "null-co,node-name=a,size=-5"],
    ["--blockdev", "null-co,node-name=a,size="],
    ["--blockdev", "null-co,node-name=a,size=99999999999999999999"],
    ["--blockdev", "null-co,node-name=a,1x=2"],
    ["--blockdev", "null-co,node-name=a,=2"],
    ["--blockdev", "null-co,node-name=a,cache=3"],
    ["--blockdev", "null-co,node-name=a,cache.direct=3"],
    ["--blockdev", "null-co,node-name=a,cache.foo=on"],
    ["--blockdev", "null-co,node-name=a,cache.direct=on,cache=on"],
    ["--blockdev", "null-co,node-name=a,detect-zeroes=perhaps"],
    ["--blockdev", "null-co,node-name=a,detect-zeroes=unmap"],
    ["--blockdev", "null-co,node-name=a b"],
    ["--blockdev", "null-co,node-name=1a"],
    ["--blockdev", "null-co,node-name=#block1"],
    ["--blockdev", "null-co,node-name=" + "a" * 32],
    ["--blockdev", NULL, "--blockdev", NULL],
    ["--blockdev", "help"],
    ["--blockdev", "?"],
    ["--blockdev", "x" * 130 + "=1"],
    ["--blockdev", "null-co," + "x" * 130 + "=1"],
    ["--blockdev", "null-co,node-name=a," + "x." * 70 + "y=1"],
    ["--blockdev", "file,node-name=a"],
    ["--blockdev", "file,node-name=a,filename="],
    ["--blockdev", "file,node-name=a,filename=/nonexistent/x"],
    ["--blockdev", "file,node-name=a,filename=/tmp"],
    ["--blockdev", "file,node-name=a,filename=/dev/null"],
    ["--blockdev", "file,node-name=a,filename={tmp}/img,aio=native"],
    ["--blockdev", "file,node-name=a,filename={tmp}/img,aio=fast"],
    ["--blockdev", "file,node-name=a,filename=a,,b"],
    ["--blockdev", "host_device,node-name=a,filename=/nonexistent"],
    ["--blockdev", "host_device,node-name=a,filename={tmp}/img"],
    ["--blockdev", "raw,node-name=r"],
    ["--blockdev", "raw,node-name=r,file=nope"],
    ["--blockdev", "raw,node-name=r,file="],
    ["--blockdev", "raw,node-name=r,file.driver=raw,file.file="],
    ["--blockdev", "raw,node-name=r-,file=,offset=7"],
    ["--blockdev", "raw,node-name=r,file.driver=null-co,file.foo=1"],
    ["--blockdev", "raw,node-name=r,file.driver=null-co,file.size=1048576,offset=100"],
    ["--blockdev", "raw,node-name=r,file.driver=null-co,file.size=1048576,size=1000"],
    ["--blockdev", "raw,node-name=r,file.driver=null-co,file.size=1048576,offset=2097152"],
    ["--blockdev", "raw,node-name=r,file.driver=null-co,file.size=1048576,offset=512,size=1048576"],
    ["--blockdev", "raw,node-name=r,file.0=a"],
    ["--blockdev", "raw,node-name=r,file.1=a"],
    ["--blockdev", "raw,node-name=r,file.x=a,file.0=b"],
    ["--blockdev", "file,node-name=a,filename={tmp}/img,force-share=on"],
    ["--blockdev", "null-co,node-name=a,size=4096,read-only=on,auto-read-only=maybe"],
]

JSON_VALUES = [
    ["--blockdev", "{"],
    ["--blockdev", "{} x"],
    ["--blockdev", "{}"],
    ["--blockdev", "{'driver': 'null-co', 'node-name': 5}"],
    ["--blockdev", "{'driver': 'null-co', 'node-name': 'a', 'size': '5'}"],
    ["--blockdev", "{'driver': 'null-co', 'node-name': 'a', 'size': 1.5}"],
    ["--blockdev", "{'driver': 'null-co', 'node-name': 'a', 'read-only': 'on'}"],
    ["--blockdev", "{'driver': 'raw', 'node-name': 'a', 'file': 7}"],
    ["--blockdev", "{'driver': 'null-co', 'driver': 'file'}"],
    ["--blockdev", "{'driver': 'null-co' 'node-name': 'a'}"],
    ["--blockdev", "{'driver': nul}"],
    ["--export", "{"],
    ["--nbd-server", "{}"],
    ["--object", "{}"],
    ["--monitor", "{}"],
]

OTHERS = [
    ["--export", ""],
    ["--export", "foo,id=e,node-name=n"],
    ["--export", "nbd,id=e,node-name=n"],
    ["--blockdev", NULL, "--export", "nbd,id=e,node-name=n"],
    ["--blockdev", NULL, "--export", "nbd,id=1e,node-name=n"],
    ["--blockdev", NULL, "--export", "nbd,node-name=n"],
    ["--blockdev", NULL, "--export", "nbd,id=e"],
    ["--blockdev", NULL, "--nbd-server", UNIX_SERVER, "--export", "nbd,id=e,node-name=x"],
    ["--blockdev", NULL, "--nbd-server", UNIX_SERVER, "--export", "nbd,id=e,node-name=n,iothread=t"],
    ["--blockdev", NULL, "--nbd-server", UNIX_SERVER, "--export", "nbd,id=e,node-name=n,writable=2"],
    ["--blockdev", NULL + ",read-only=on", "--nbd-server", UNIX_SERVER, "--export", "nbd,id=e,node-name=n,writable=on"],
    ["--blockdev", NULL, "--nbd-server", UNIX_SERVER, "--export", "nbd,id=e,node-name=n",
     "--export", "nbd,id=e,node-name=n,name=x"],
    ["--blockdev", NULL, "--nbd-server", UNIX_SERVER, "--export", "nbd,id=e,node-name=n",
     "--export", "nbd,id=f,node-name=n"],
    ["--nbd-server", ""],
    ["--nbd-server", "addr.type=foo"],
    ["--nbd-server", "addr.type=unix"],
    ["--nbd-server", "addr.type=unix,addr.path="],
    ["--nbd-server", "addr.type=inet,addr.host=127.0.0.1"],
    ["--nbd-server", "addr.type=inet,addr.host=127.0.0.1,addr.port=-1"],
    ["--nbd-server", "addr.type=inet,addr.host=127.0.0.1,addr.port=65536"],  # cut to 0, where theirs does not collide
    ["--nbd-server", "addr.type=vsock,addr.cid=1,addr.port=x"],
    ["--nbd-server", "addr.type=fd,addr.str=x"],
    ["--nbd-server", "addr.type=fd,addr.str="],
    ["--nbd-server", "addr.type=fd,addr.str=-1"],
    ["--nbd-server", "addr.type=fd,addr.str=99"],
    ["--nbd-server", UNIX_SERVER + ",max-connections=-1"],
    ["--nbd-server", UNIX_SERVER + ",max-connections=5000000000"],
    ["--nbd-server", UNIX_SERVER + ",handshake-max-seconds=x"],
    ["--nbd-server", UNIX_SERVER, "--nbd-server", UNIX_SERVER],
    ["--nbd-server", "addr.type=unix,addr.path=/nonexistent/s"],
    ["--nbd-server", "addr.type=unix,addr.path=/" + "x" * 120],
    ["--object", "foo,id=a"],
    ["--object", "iothread"],
    ["--object", "iothread,id=1"],
    ["--object", "iothread,id=a,foo=1"],
    ["--object", "iothread,id=a", "--object", "iothread,id=a"],
    ["--object", "iothread,id=a,poll-max-ns=-1"],
    ["--object", "iothread,id=a,thread-pool-min=1"],
    ["--object", "iothread,id=a,aio-max-batch=1"],
    ["--monitor", "nochr"],
    ["--monitor", "chardev=nochr,mode=readline"],
    ["--monitor", "foo=1"],
    ["--chardev", "foo,id=c"],
    ["--chardev", "socket,path={tmp}/c,server=on,wait=off"],
    ["--chardev", "null,id=c", "--chardev", "null,id=c"],
    ["--chardev", "socket,id=c"],
    ["--chardev", "socket,id=c,server=on,wait=off"],
    ["--chardev", "socket,id=c,path=/nonexistent/c,server=on,wait=off"],
    ["--chardev", "socket,id=c,path={tmp}/c,server=on,wait=off,foo=1"],
    ["--pidfile", "/nonexistent/pid"],
    ["--daemonize", "--pidfile", "/nonexistent/pid"],
    ["--daemonize", "--blockdev", "nodrv,node-name=a"],
    ["--daemonize", "--chardev", "stdio,id=c"],
]


class CommandLine(OutportTest):
    def setUp(self):
        super().setUp()
        self.require_oracle()

    def compare(self, suite, cases, last=("--blockdev", "no-such-driver")):
        """`last` ends the program in the second scan, so that what is accepted is compared too."""
        comparison = differential.Comparison(suite)
        for flavour in ("outport", "qemu"):
            folder = self.tmp / flavour
            folder.mkdir()
            (folder / "img").write_bytes(bytes(65536))
        for arguments in cases:
            differential.compare_command_line(self, comparison, arguments + list(last))
        comparison.verdict(self)

    def test_getopt(self):
        self.compare("getopt", GETOPT, last=())

    def test_blockdev(self):
        self.compare("blockdev", BLOCKDEV)

    def test_json_values(self):
        self.compare("json values", JSON_VALUES)

    def test_other_options(self):
        self.compare("other options", OTHERS)
