# SPDX-License-Identifier: Apache-2.0
"""Over QMP, outportd answers as qemu-storage-daemon does: negotiation, malformed input, nodes, exports, the NBD server,
objects. Runs each list of requests against both and compares every answer.
"""
from support import differential
from support.case import OutportTest
from support.differential import Connect, Read


def do(command, **arguments):
    """A request; the names of its arguments have dashes for underscores."""
    request = {"execute": command}
    if arguments:
        request["arguments"] = {key.replace("_", "-"): value for key, value in arguments.items()}
    return request


NEGOTIATION = [
    do("query-version"),
    do("no-such-command"),
    {"execute": "qmp_capabilities", "arguments": {"enable": ["foo"]}, "id": 3},
    {"execute": "qmp_capabilities", "arguments": {"enable": "oob"}},
    {"execute": "qmp_capabilities", "arguments": {"foo": 1}},
    {"execute": "query-version", "id": {"still": "not"}},
    {"execute": "qmp_capabilities", "id": None},
    do("qmp_capabilities"),
    {"exec-oob": "query-version", "id": 1},
    do("query-version"),
]

OUT_OF_BAND = [
    {"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}},
    {"exec-oob": "query-version", "id": 1},
    {"exec-oob": "no-such-command", "id": 2},
    {"exec-oob": "query-version"},
]

MALFORMED = [
    b"5\n", b'"x"\n', b"[]\n", b"true\n", b"{}\n", b"{'execute': 5}\n", b"{'execute': 'query-version', 'arguments': 5}\n",
    b"{'execute': 'query-version', 'extra': 1, 'id': 7}\n", b"{'execute': 'nope', 'id': [1, 2, {'a': null}]}\n",
    b"{'execute': 'query-version', 'id': 'single'}", b'{"execute": "query-version", "id": 1.5}\n',
    b'{"execute": "query-version", "id": 18446744073709551615}\n', b'{"execute": "query-version", "id": -9223372036854775808}\n',
    b"{'execute': foo}\n", b"{'execute' 'x'}\n", b"{'execute': }\n", b"{5: 6}\n", b"{'a': 1 'b': 2}\n", b"[1 2]\n",
    b"{'execute': 'a', 'execute': 'b'}\n", b"}\n", b"]\n", b",\n", b":\n", b"{'a': 'b'\n", b"'\\x'\n", b"'\\u12'\n",
    b"'\\ud800'\n", b"{'execute': 'query-version', 'id': '\\u00e4\\n\\/\\ud83d\\ude00'}\n", b"'\x01'\n", b"", b"\xc3\xa4\n",
    b"01\n", b"1.\n", b"1e\n", b"-\n", b"nul\n", b"TRUE\n", b"{'execute': %s}\n", b"%d\n", b"&\n", b"\x00\n",
    b"[" * 1025 + b"]" * 1025 + b"\n",
    b"{'execute': 'query-version', 'id': " + b"[" * 900 + b"]" * 900 + b"}\n",
    b"{'execute': 'query-version'}\n",
]

ARGUMENTS = [
    do("blockdev-add"),
    do("blockdev-add", driver="null-co"),
    do("blockdev-add", driver="null-co", node_name=None),
    do("blockdev-add", driver="null-co", node_name=5),
    do("blockdev-add", driver="nodriver", node_name="a"),
    do("blockdev-add", driver=5, node_name="a"),
    do("blockdev-add", driver="null-co", node_name="a", foo=1),
    do("blockdev-add", driver="null-co", node_name="a", size=1.5),
    do("blockdev-add", driver="null-co", node_name="a", size="1"),
    do("blockdev-add", driver="null-co", node_name="a", size=2**64),
    do("blockdev-add", driver="null-co", node_name="a", read_only="on"),
    do("blockdev-add", driver="null-co", node_name="a", cache=True),
    do("blockdev-add", driver="null-co", node_name="a", cache={"direct": 1}),
    do("blockdev-add", driver="null-co", node_name="a", cache={"odd": 1}),
    do("blockdev-add", driver="raw", node_name="a", file=5),
    do("blockdev-add", driver="raw", node_name="a", file={"driver": "null-co", "size": "x"}),
    do("blockdev-add", driver="raw", node_name="a", file={"driver": "null-co", "odd": 1}),
    do("blockdev-add", driver="raw", node_name="a", file={}),
    do("blockdev-add", driver="raw", node_name="a", file=None),
    do("blockdev-add", driver="null-co", node_name="a", size=2**63 - 1),
    do("blockdev-del"),
    do("blockdev-del", node_name="nope"),
    do("blockdev-del", node_name=["a"]),
    do("block-export-add"),
    do("block-export-add", type="foo", id="e", node_name="a"),
    do("block-export-add", type="nbd"),
    do("block-export-add", type="nbd", id="e"),
    do("block-export-add", type="nbd", id="e", node_name="a", odd=1),
    do("block-export-add", type="nbd", id="e", node_name="a", writable="yes"),
    do("block-export-del"),
    do("block-export-del", id="e", mode="gently"),
    do("query-version", odd=1),
    do("query-block-exports", odd=1),
    do("object-add"),
    do("object-add", qom_type="nope", id="x"),
    do("object-add", qom_type="iothread"),
    do("object-add", qom_type="iothread", id="x", odd=1),
    do("object-del"),
    do("quit", odd=1),
]

NODES = [
    do("blockdev-add", driver="null-co", node_name="n", size=1048576),
    do("blockdev-add", driver="null-co", node_name="n", size=1048576),
    do("blockdev-add", driver="null-co", node_name="1n"),
    do("blockdev-add", driver="null-co", node_name=""),
    do("blockdev-add", driver="null-co", node_name="n" * 32),
    do("blockdev-add", driver="null-co", node_name="n" * 31),
    do("blockdev-add", driver="null-co", node_name="a,b"),
    do("blockdev-add", driver="null-co", node_name="z", detect_zeroes="unmap"),
    do("blockdev-add", driver="null-co", node_name="z", detect_zeroes="unmap", discard="unmap"),
    do("blockdev-add", driver="file", node_name="f", filename="/nonexistent/x"),
    do("blockdev-add", driver="file", node_name="f", filename=""),
    do("blockdev-add", driver="file", node_name="f", filename="/tmp"),
    do("blockdev-add", driver="file", node_name="f", filename="file:{tmp}/img"),
    do("blockdev-add", driver="file", node_name="f", filename="{tmp}/img", aio="native"),
    do("blockdev-add", driver="file", node_name="f", filename="{tmp}/img", force_share=True),
    do("blockdev-add", driver="file", node_name="f", filename="{tmp}/img"),
    do("blockdev-add", driver="host_device", node_name="h", filename="{tmp}/img"),
    do("blockdev-add", driver="raw", node_name="r", file="nope"),
    do("blockdev-add", driver="raw", node_name="r", file=""),
    do("blockdev-add", driver="raw", node_name="r", file="f", offset=100),
    do("blockdev-add", driver="raw", node_name="r", file="f", size=1000),
    do("blockdev-add", driver="raw", node_name="r", file="f", offset=1 << 20),
    do("blockdev-add", driver="raw", node_name="r", file="f", offset=512, size=65536),
    do("blockdev-add", driver="raw", node_name="r", file="f", offset=4096, size=8192),
    do("blockdev-del", node_name="f"),
    do("blockdev-del", node_name="r"),
    do("blockdev-del", node_name="f"),
    do("blockdev-del", node_name="f"),
    do("block_resize", node_name="nope", size=512),
    do("block_resize", node_name="n", size=-1),
    do("block_resize", node_name="n", size="1"),
    do("block_resize", size=512),
    do("blockdev-add", driver="file", node_name="g", filename="{tmp}/img", read_only=True),
    do("block_resize", node_name="g", size=512),
    do("blockdev-add", driver="file", node_name="w", filename="{tmp}/img2"),
    do("block_resize", node_name="w", size=131072),
    do("block_resize", node_name="w", size=512),
]

EXPORTS = [
    do("query-block-exports"),
    do("block-export-add", type="nbd", id="e", node_name="n"),
    do("block-export-del", id="e"),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "{tmp}/nbd"}}),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "{tmp}/nbd"}}),
    do("block-export-add", type="nbd", id="1e", node_name="n"),
    do("block-export-add", type="nbd", id="", node_name="n"),
    do("block-export-add", type="nbd", id="e", node_name="nope"),
    do("block-export-add", type="nbd", id="e", node_name="ro", writable=True),
    do("block-export-add", type="nbd", id="e", node_name="n", iothread="nope"),
    do("block-export-add", type="nbd", id="e", node_name="n", name="x" * 4097),
    do("block-export-add", type="nbd", id="e", node_name="n", description="x" * 4097),
    do("block-export-add", type="nbd", id="e", node_name="n"),
    do("block-export-add", type="nbd", id="e", node_name="n", name="other"),
    do("block-export-add", type="nbd", id="f", node_name="n"),
    do("block-export-add", type="nbd", id="f", node_name="ro", name="n"),
    do("block-export-add", type="nbd", id="f", node_name="ro", writable=False, writethrough=True, description="text"),
    do("query-block-exports"),
    do("blockdev-del", node_name="n"),
    (do("block-export-del", id="e"), ["BLOCK_EXPORT_DELETED"]),
    do("block-export-del", id="e"),
    do("blockdev-del", node_name="n"),
    (do("block-export-del", id="f", mode="hard"), ["BLOCK_EXPORT_DELETED"]),
    do("query-block-exports"),
    do("block-export-add", type="nbd", id="g", node_name="ro"),
    do("block-export-add", type="nbd", id="h", node_name="ro", name=""),
    (do("nbd-server-stop"), ["BLOCK_EXPORT_DELETED", "BLOCK_EXPORT_DELETED"]),
    do("nbd-server-stop"),
    do("query-block-exports"),
]

DELETED = "BLOCK_EXPORT_DELETED"

CLIENTS = [
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "{tmp}/nbd"}}),
    do("block-export-add", type="nbd", id="e", node_name="n"),
    Connect("a", "e"),
    Connect("a", "n"),
    Read("a"),
    do("block-export-del", id="e"),
    do("block-export-del", id="e", mode="safe"),
    do("query-block-exports"),
    Read("a"),
    Connect("b", "n"),
    (do("block-export-del", id="e", mode="hard"), [DELETED]),
    Read("a"),
    Read("b"),
    do("query-block-exports"),
    Connect("c", "n"),
    do("block-export-add", type="nbd", id="e", node_name="n"),
    Connect("c", "n"),
    Connect("d", "n"),
    (do("nbd-server-stop"), [DELETED]),
    Read("c"),
    Read("d"),
    do("query-block-exports"),
]

# With plugins that are not here; qemu-storage-daemon has them all built in.
ABSENT = [
    do("block-export-add", type="vhost-user-blk", id="v", node_name="n"),
    do("block-export-add", type="no-such-type", id="v", node_name="n"),
]

SERVER = [
    do("nbd-server-stop"),
    do("nbd-server-start"),
    do("nbd-server-start", addr={}),
    do("nbd-server-start", addr={"type": "foo"}),
    do("nbd-server-start", addr={"type": "unix", "path": "{tmp}/nbd"}),
    do("nbd-server-start", addr={"type": "unix", "data": {}}),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "{tmp}/nbd", "odd": 1}}),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "/nonexistent/nbd"}}),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "/" + "x" * 120}}),
    do("nbd-server-start", addr={"type": "inet", "data": {"host": "127.0.0.1"}}),
    do("nbd-server-start", addr={"type": "inet", "data": {"host": "127.0.0.1", "port": 5}}),
    do("nbd-server-start", addr={"type": "fd", "data": {"str": "name"}}),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "{tmp}/nbd"}}, max_connections=-1),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "{tmp}/nbd"}}, max_connections=2**32),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "{tmp}/img"}}),
    do("nbd-server-stop"),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "{tmp}/nbd"}}, max_connections=0),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": "{tmp}/nbd"}}),
    do("nbd-server-stop"),
    do("nbd-server-start", addr={"type": "inet", "data": {"host": "127.0.0.1", "port": "0"}}),
    do("nbd-server-stop"),
    do("nbd-server-start", addr={"type": "inet", "data": {"host": "127.0.0.1", "port": "-1"}}),
    do("nbd-server-start", addr={"type": "vsock", "data": {"cid": "1", "port": "x"}}),
    do("nbd-server-start", addr={"type": "unix", "data": {"path": ""}}),  # the last one: theirs is started by it
]

# It is cut to 0, so that theirs does not collide with anything.
PORT = [
    do("nbd-server-start", addr={"type": "inet", "data": {"host": "127.0.0.1", "port": "65536"}}),
]

OBJECTS = [
    do("object-add", qom_type="iothread", id="t0"),
    do("object-add", qom_type="iothread", id="t0"),
    do("object-add", qom_type="iothread", id="1t"),
    do("object-add", qom_type="iothread", id="t1", poll_max_ns=-1),
    do("object-add", qom_type="iothread", id="t1", poll_max_ns="5"),
    do("object-add", qom_type="iothread", id="t1", poll_max_ns=0),
    do("object-del", id="nope"),
    do("object-del", id="t1"),
    do("object-del", id="t1"),
    do("object-del", id="t0"),
    do("object-add", qom_type="iothread", id="t2", thread_pool_min=1),
    do("object-add", qom_type="iothread", id="t3", aio_max_batch=1),
]

NODE_ARGS = ["--blockdev", "null-co,node-name=n,size=1048576,read-zeroes=on", "--blockdev",
             "null-co,node-name=ro,size=1048576,read-only=on,read-zeroes=on"]


class Qmp(OutportTest):
    def setUp(self):
        super().setUp()
        self.require_oracle()
        for flavour in ("outport", "qemu"):
            (self.tmp / flavour).mkdir()
            for name in ("img", "img2"):
                (self.tmp / flavour / name).write_bytes(bytes(65536))

    def compare(self, name, steps, arguments=(), **options):
        comparison = differential.Comparison("qmp " + name)
        differential.compare_qmp(self, comparison, name, list(arguments), steps, **options)
        comparison.verdict(self)

    def test_negotiation(self):
        def no_version(answer):
            answer.get("reply", {}).get("return", {}).pop("package", None)
            return answer
        self.compare("negotiation", NEGOTIATION, negotiate=False, view=no_version)

    def test_out_of_band(self):
        self.compare("out of band", OUT_OF_BAND, negotiate=False)

    def test_malformed(self):
        def no_version(answer):
            for reply in answer["replies"]:
                reply.get("return", {}).pop("package", None)
            return answer
        self.compare("malformed", MALFORMED, view=no_version)

    def test_arguments(self):
        self.compare("arguments", ARGUMENTS)

    def test_nodes(self):
        self.compare("nodes", NODES)

    def test_exports(self):
        self.compare("exports", EXPORTS, NODE_ARGS)

    def test_clients(self):
        self.compare("clients", CLIENTS, NODE_ARGS)

    def test_absent_plugins(self):
        self.compare("absent plugins", ABSENT, NODE_ARGS)

    def test_server(self):
        self.compare("server", SERVER, NODE_ARGS)

    def test_server_port(self):
        self.compare("server port", PORT)

    def test_objects(self):
        self.compare("objects", OBJECTS)
