# SPDX-License-Identifier: Apache-2.0
"""Seeds that are text: QMP input, the command line's key-value pairs, schema documents."""

import copy
import json
import subprocess
import sys

STREAM = [
    r'{"execute": "qmp_capabilities"}',
    r'{"execute": "query-version", "id": [1, -2, 3.5, 1e5, 0.5E+2, 1e-2, true, false, null, "x"]} []',
    r"'single \' quoted' " + r'"\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00\u0000"',
    '"\u00e9\u20ac\U0001f600\x7f"',
    r'"\ud83dx" "\ud83d\u0041" "\q" "\u12" "\ufffe"',
    '"\x01" {"a" 1} [1 2] {"a": 1 "b": 2} {1: 2} {"a": 1, "a": 2} [,] {,} ] }',
    "[nul, tru, nope] 01 -x 1.x 1ex 1e+x -0 0.0 18446744073709551615 18446744073709551616 -9223372036854775809",
    "1e400 1e-400 -",
    "[" * 80 + "]" * 80,
    '{"a": {"b": [{"c": []}]}}\n{"unfinished": [',
    '"unfinished',
    "tru",
    "12",
    "1.5 \\ \x02 @ { } [:] {\"k\": }",
]
BYTES = [b'"\xc3\x28" "\xe2\x82" "\xf8\x88\x80\x80\x80" "\xff" "\xc0\x80" "\xed\xa0\x80" "\xf4\x90\x80\x80"', b"\xff\xfe{}"]

KEYVAL = [
    "file,node-name=disk,filename=/a,,b,cache.direct=on,cache.no-flush=off",
    "driver=raw,file.driver=file,file.filename=x",
    "a.0=x,a.1=y,a.2.b=z,c.0.0=1",
    "a.1=x", "a.0=x,a.b=y", "a=1,a.b=2", "a.b=2,a=1", "a.0=x,a.00=y", "a.99999999999=x",
    "=x", "a", "a=1,b", "9=x", "a.=x", "a..b=x", "_a=1", "__org.x_a=1", "__org=1", "a" * 200 + "=1", "b." + "a" * 130 + "=1",
    ".".join("a" * 300) + "=1",
    "help", "?", "driver=file,help", "file,help=x", "",
    '{"driver": "file", "filename": "x"}', '{"a": ', "{}",
    "socket,id=m,path=/x,server=on,wait=off", "socket,id=m,host=::1,port=1,server,nowait,ipv4=on,ipv6=off,nodelay",
    "socket,id=m,fd=3,delay=off,abstract=on,tight=off", "socket,id=m,path=a,host=b", "socket,id=m,host=b", "socket,id=m",
    "socket,id=m,path=/x,wait=on", "stdio,id=s,signal=off", "null,id=n", "other,id=n", "stdio", "id=1", "stdio,id=a,x=y",
    "stdio,id=a,signal=maybe", "id=a,path=b", "stdio,id=a,?",
]

DOCUMENT = {
    "format": 1, "fragment": "nbd", "rank": 100, "provides": ["CONFIG_NBD_EXPORT"],
    "uses": {"UnixSocketAddress": {"kind": "struct", "members": [
        {"name": "path", "type": "str"}, {"name": "abstract", "type": "bool", "optional": True, "default": False},
        {"name": "tight", "type": "bool", "optional": True, "default": True}]}},
    "types": {
        "__org.fuzz_Enum": {"kind": "enum", "values": [
            "plain", {"name": "9", "if": {"all": ["A", {"any": ["B", {"not": "C"}]}]}, "features": ["unstable", {"name": "f"}]}]},
        "__org.fuzz_Base": {"kind": "struct", "members": [{"name": "kind", "type": "__org.fuzz_Enum"}]},
        "__org.fuzz_Struct": {"kind": "struct", "base": "__org.fuzz_Base", "features": ["deprecated"], "members": [
            {"name": "list", "type": "[int]", "optional": True, "default": []}, {"name": "address", "type": "UnixSocketAddress"},
            {"name": "number", "type": "number", "optional": True, "default": 1, "if": "CONFIG_NBD_EXPORT"}]},
        "__org.fuzz_Union": {"kind": "union", "base": "__org.fuzz_Base", "discriminator": "kind", "branches": [
            {"case": "plain", "type": "__org.fuzz_Branch"}, {"case": "9", "type": "__org.fuzz_Empty", "if": "A"}]},
        "__org.fuzz_Branch": {"kind": "struct", "members": [{"name": "x", "type": "str", "optional": True}]},
        "__org.fuzz_Empty": {"kind": "struct", "members": [], "if": "A"},
        "__org.fuzz_Alternate": {"kind": "alternate", "alternatives": [
            {"name": "s", "type": "str"}, {"name": "o", "type": "__org.fuzz_Struct"}, {"name": "n", "type": "null"}]},
        "BlockExportOptionsNbd": {"kind": "struct", "members": [{"name": "name", "type": "str", "optional": True}]},
        "q_obj_nbd-server-start-arg": {"kind": "struct", "members": [{"name": "any", "type": "any"}]}},
    "extends": {"BlockExportType": [{"name": "nbd"}], "BlockExportOptions": [{"case": "nbd", "type": "BlockExportOptionsNbd"}]},
    "commands": {"nbd-server-start": {"arg": "q_obj_nbd-server-start-arg", "ret": "[__org.fuzz_Union]", "allow-oob": True,
                                      "allow-preconfig": True, "success-response": False, "features": ["unstable"]},
                 "nbd-server-stop": {"arg": None, "boxed": False, "if": "CONFIG_NBD_EXPORT"},
                 "__org.fuzz_c": {"arg": "__org.fuzz_Struct", "boxed": True, "coroutine": True, "ret": "__org.fuzz_Alternate"}},
    "events": {"__org.fuzz_E": {"arg": "__org.fuzz_Struct", "boxed": True, "if": "A"}, "__org.fuzz_F": {"arg": None}},
    "options": [{"name": "nbd-server", "type": "__org.fuzz_Struct", "implied-key": None, "metavar": "M", "help": "text", "if": "A"}],
    "docs": {"nbd-server-start": "Starts it."},
}

# (path, value): each makes one thing of the document wrong, or just different. `...` takes the thing away.
CHANGES = [
    (["format"], 2), (["format"], ...), (["fragment"], ""), (["fragment"], "base"), (["fragment"], 1), (["fragment"], "a\0b"),
    (["rank"], "x"), (["rank"], None), (["rank"], ...), (["provides"], {}), (["provides"], ["x y"]), (["provides"], ["CONFIG_NBD"]),
    (["more"], 1), (["uses"], []), (["uses", "Nothing"], {"kind": "struct", "members": []}),
    (["uses", "UnixSocketAddress", "members"], []), (["uses", "UnixSocketAddress", "kind"], "enum"),
    (["types", "str"], {"kind": "struct", "members": []}), (["types", "UnixSocketAddress"], {"kind": "struct", "members": []}),
    (["types", "Plain"], {"kind": "struct", "members": []}), (["types", "__org.fuzz_Enum", "kind"], "list"),
    (["types", "__org.fuzz_Enum", "kind"], "union"), (["types", "__org.fuzz_Enum", "values"], ["a", "a"]),
    (["types", "__org.fuzz_Enum", "values"], [1]), (["types", "__org.fuzz_Enum", "extensible"], True),
    (["types", "__org.fuzz_Enum", "extensible"], 1), (["types", "__org.fuzz_Enum", "values", 1, "if"], {"all": []}),
    (["types", "__org.fuzz_Enum", "values", 1, "if"], {"some": []}), (["types", "__org.fuzz_Enum", "values", 1, "if"], {}),
    (["types", "__org.fuzz_Enum", "values", 1, "features"], ["x", "x"]), (["types", "__org.fuzz_Enum", "values", 1, "features"], 1),
    (["types", "__org.fuzz_Struct", "base"], "Nothing"), (["types", "__org.fuzz_Struct", "base"], "[int]"),
    (["types", "__org.fuzz_Struct", "members"], [{"name": "a", "type": "[[int]]"}]),
    (["types", "__org.fuzz_Struct", "members"], [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]),
    (["types", "__org.fuzz_Struct", "members"], [{"name": "a", "type": "int", "default": 1}]),
    (["types", "__org.fuzz_Struct", "members"], [{"name": "a", "type": "int", "optional": True, "default": {}}]),
    (["types", "__org.fuzz_Struct", "members"], [{"name": "a", "type": "int", "optional": True, "default": "x"}]),
    (["types", "__org.fuzz_Struct", "members"], [{"name": "a", "type": "uint8", "optional": True, "default": 256}]),
    (["types", "__org.fuzz_Struct", "members"], [{"name": "a", "type": "Missing"}, 3]),
    (["types", "__org.fuzz_Base", "base"], "__org.fuzz_Struct"), (["types", "__org.fuzz_Union", "discriminator"], "none"),
    (["types", "__org.fuzz_Union", "branches"], [{"case": "other", "type": "__org.fuzz_Empty"}]),
    (["types", "__org.fuzz_Union", "branches"], [{"case": "plain", "type": "__org.fuzz_Enum"}]),
    (["types", "__org.fuzz_Alternate", "alternatives"], []),
    (["types", "__org.fuzz_Alternate", "alternatives"], [{"name": "a", "type": "str"}, {"name": "b", "type": "__org.fuzz_Enum"}]),
    (["types", "__org.fuzz_Alternate", "alternatives"], [{"name": "a", "type": "[str]"}, {"name": "b", "type": "bool"}]),
    (["extends", "BlockExportType"], []), (["extends", "BlockExportType"], [{"name": "__org.fuzz_x"}]),
    (["extends", "Nothing"], [{"name": "nbd"}]), (["extends", "ErrorClass"], [{"name": "nbd"}]),
    (["extends", "BlockExportOptions"], [{"case": "nbd", "type": "Missing"}]), (["extends", "BlockExportOptions"], ["nbd"]),
    (["commands", "quit"], {}), (["commands", "__org.fuzz_c", "arg"], "__org.fuzz_Enum"), (["commands", "__org.fuzz_c", "arg"], "Missing"),
    (["commands", "__org.fuzz_c", "ret"], "Missing"), (["commands", "__org.fuzz_c", "boxed"], "yes"), (["commands", "x-y"], {}),
    (["events", "__org.fuzz_E", "arg"], "Missing"), (["events", "__org.fuzz_E", "boxed"], 1), (["events", "SHUTDOWN"], {}),
    (["options", 0, "name"], "export"), (["options", 0, "name"], "nbd_server"), (["options", 0, "implied-key"], "kind"),
    (["options", 0, "type"], "Missing"), (["options"], [{"name": "nbd-server", "type": "__org.fuzz_Base"}] * 2), (["docs"], 1),
    (["types"], "x"), (["rank"], 2 ** 63), (["fragment"], "n" * 300), (["fragment"], "fuse"), (["types", "__org.fuzz_Empty", "if"], "CONFIG_NBD_EXPORT"),
]


def changed(path, value):
    document = copy.deepcopy(DOCUMENT)
    at = document
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return document


def deep_condition(depth):
    condition = "A"
    for _ in range(depth):
        condition = {"not": condition}
    return changed(["options", 0, "if"], condition)


def small(**parts):
    """Little, so that a mutation of it is likely to be another document."""
    return {"format": 1, "fragment": "nbd", **parts}


SMALL = [
    small(), small(rank=1, provides=["CONFIG_FUSE"]), small(docs={"a": "b"}),
    small(types={"__a.b_E": {"kind": "enum", "values": ["x"], "features": ["deprecated", "unstable"]}}),
    small(types={"__a.b_S": {"kind": "struct", "members": [{"name": "x", "type": "[int]"}]}}),
    small(types={"__a.b_S": {"kind": "struct", "members": [{"name": "x", "type": "int", "optional": True, "default": 7}]}}),
    small(types={"__a.b_A": {"kind": "alternate", "alternatives": [{"name": "s", "type": "str"}]}}),
    small(commands={"__a.b_c": {"if": {"any": ["A", {"not": "B"}]}}}), small(events={"__a.b_E": {}}),
]


def documents(root):
    real = subprocess.run([sys.executable, root / "schema/compiler/main.py", root / "schema/nbd.json", "--json", "-"],
                          capture_output=True, check=True).stdout
    return [json.loads(real), *SMALL, DOCUMENT, deep_condition(8), deep_condition(18), [], 1] + [changed(*c) for c in CHANGES]


def harnesses(root):
    stream = [text.encode() for text in STREAM] + BYTES
    return {"json-stream": [bytes([3]) + seed for seed in stream],
            "keyval": [text.encode() for text in KEYVAL],
            "schema-document": [json.dumps(d).encode() for d in documents(root)]}
