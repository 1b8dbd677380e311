# SPDX-License-Identifier: Apache-2.0
"""Every command, member, value and event that introspection shows is used here once, by its effect: what stands in
used_nodes.py, used_exports.py and used_fuse.py as well belongs to it. In the end nothing that the schema has may be left
over.
"""
import re
import shutil

import used_exports
import used_fuse
import used_nodes

from support import daemon, qmp
from support.fusetest import can_mount
from used import Used

# Shown, but without an effect that could be seen from outside: why.
EXEMPT = {
    "blockdev-add(file).aio=threads": "accepted for management software: all I/O goes through io_uring",
    "blockdev-add(file).aio=io_uring": "the same",
    "blockdev-add(file).drop-cache": "accepted for management software: it is for migration, which there is none of",
    "query-named-block-nodes.flat": "leaves out what would be said of backing images, which no driver has",
    "query-qmp-schema returns[](builtin).json-type=array": "introspection can say it, but no builtin type is of that kind",
    "query-qmp-schema returns[](builtin).json-type=object": "the same",
    "query-qmp-schema returns[](builtin).json-type=number": "no type is a floating-point number",
    "query-qmp-schema returns[](builtin).json-type=null": "no type is null",
    "query-qmp-schema returns[](command).allow-oob": "no command may be executed out of band",
    "query-named-block-nodes returns[].image.format-specific(file).data.extent-size-hint": "only where the file system "
                                                                                         "has one (XFS)",
}


class Every(used_exports.Exports, used_exports.Objects, used_exports.Server, used_fuse.Fuse, used_nodes.Nodes,
            used_nodes.Drivers, Used):
    """All of them in one class, so that the last can count."""

    # --- the monitor ----------------------------------------------------------------------------------------
    def test_capabilities(self):
        """Out of band is a word that is not known before it is enabled."""
        self.client.close()
        for enable, answer in ((None, "QMP input member 'exec-oob' is unexpected"),
                               (["oob"], "The command query-version does not support OOB")):
            with qmp.Qmp(self.running.qmp_path, enable=enable) as client:
                with self.assertRaises(qmp.QmpError) as caught:
                    client.finish(client.start("query-version", execute="exec-oob"))
                self.assertEqual(caught.exception.desc, answer)
        self.used("qmp_capabilities", enable=["oob"])

    def test_versions(self):
        number = re.search(r"version (\S+)", self.new_daemon().run("--version")[1])[1]
        expected = {"qemu": {"major": 10, "minor": 0, "micro": 2}, "package": f"outport {number}"}
        self.returns("query-version", expected, self.client.cmd("query-version"))

    def test_commands(self):
        """All that introspection shows, and no other."""
        listed = self.client.cmd("query-commands")
        self.returns("query-commands", [{"name": name} for name in Used.walk.commands], listed)

    def test_quit(self):
        self.client.cmd("quit")
        self.assertEqual(self.running.wait(), 0)
        self.used("quit")

    # --- introspection itself -------------------------------------------------------------------------------
    def test_schema(self):
        """An entry of each kind, followed by its types, against what the schema files say of it."""
        schema = self.client.cmd("query-qmp-schema")
        entries = {entry["name"]: entry for entry in schema}
        seen = []

        def entry(name, meta, **expected):
            got = dict(entries[name])
            given = {k.replace("_", "-"): v for k, v in expected.items()}
            self.assertEqual({k: v for k, v in got.items() if k in given or k in ("name", "meta-type", "features")},
                             {"name": name, "meta-type": meta, **given})
            seen.append(got)
            return got

        def member(name, which):
            return next(m for m in entries[name]["members"] if m.get("name") == which)
        resize = entries["block_resize"]
        arguments = entry(resize["arg-type"], "object",
                          members=[{"name": "node-name", "type": "str", "default": None}, {"name": "size", "type": "int"}])
        entry("block_resize", "command", arg_type=arguments["name"])
        nothing = entry(resize["ret-type"], "object", members=[])
        entry("nbd-server-stop", "command", arg_type=nothing["name"], ret_type=nothing["name"])
        entry("BLOCK_EXPORT_DELETED", "event", arg_type=entries["BLOCK_EXPORT_DELETED"]["arg-type"])
        entry("x-fault-query", "command", features=["unstable"])
        options = entries["blockdev-add"]["arg-type"]
        tag = entry(options, "object", tag="driver") and member(options, "driver")["type"]
        drivers = entry(tag, "enum", values=["file", "host_device", "null-aio", "null-co", "raw", "x-fault", "x-cache"])
        self.assertEqual(drivers["members"][-1], {"name": "x-cache", "features": ["unstable"]})
        self.assertEqual({v["case"] for v in entries[options]["variants"]}, set(drivers["values"]))
        branch = next(v["type"] for v in entries[options]["variants"] if v["case"] == "raw")
        entry(member(branch, "file")["type"], "alternate", members=[{"type": options}, {"type": "str"}])
        entry("[str]", "array", element_type="str")
        info = entries[entries[entries["query-qmp-schema"]["ret-type"]]["element-type"]]
        enum = next(v["type"] for v in info["variants"] if v["case"] == "enum")
        entry(enum, "object", members=[{"name": "members", "type": member(enum, "members")["type"]},
                                       {"name": "values", "type": "[str]", "features": ["deprecated"]}])
        for name, kind in (("str", "string"), ("int", "int"), ("bool", "boolean"), ("any", "value")):
            if name in entries:
                entry(name, "builtin", json_type=kind)
        self.returns("query-qmp-schema", seen, [entries[e["name"]] for e in seen])

    # --- plugins --------------------------------------------------------------------------------------------
    def test_plugins(self):
        path = next(str(f / "nbd.so") for f in daemon.plugin_folders() if (f / "nbd.so").exists())
        self.running = self.new_daemon(plugin_dirs=[path.rpartition("/")[0]]).start()
        self.client = self.monitor(self.running)
        plugin = {"name": "nbd", "path": path, "abi": "0.1", "license": "Apache-2.0", "state": "loaded",
                  "provides": ["nbd", "nbd-server-start", "nbd-server-stop", "nbd-server"], "exports": 1}
        self.add("null-co", "n0")
        self.serve_node().shutdown()
        got, = self.client.cmd("query-plugins")
        version = self.client.cmd("query-version")["package"].split()[1]
        self.returns("query-plugins", [{**plugin, "version": version}], [got])
        self.client.cmd("nbd-server-stop")
        self.client.wait_event("BLOCK_EXPORT_DELETED")
        self.client.cmd("plugin-unload", name="nbd")
        self.assertNotIn("nbd-server-stop", [c["name"] for c in self.client.cmd("query-commands")])
        self.happens("PLUGIN_UNLOADED", name="nbd")
        self.used("plugin-unload", name="nbd")
        self.assertEqual([(p["state"], p["exports"]) for p in self.client.cmd("query-plugins")], [("unloaded", 0)])
        Used.walk.use_returned("query-plugins", [{"state": "unloaded"}])
        self.client.cmd("plugin-load", name="nbd")
        self.assertIn("nbd-server-stop", [c["name"] for c in self.client.cmd("query-commands")])
        self.happens("PLUGIN_LOADED", name="nbd")
        self.used("plugin-load", name="nbd")

    def test_plugins_that_are_no_use(self):
        """One that others may write to, and one that finds no device."""
        for source, mode in (("plugins/nbd/nbd.so", 0o666), ("tests/plugins/fakes/fake-busy.so", 0o644)):
            copy = self.private / source.rpartition("/")[2]
            shutil.copyfile(daemon.BUILD / source, copy)
            copy.chmod(mode)
        other = self.monitor(self.daemon(plugin_dirs=[self.private]))
        found = {p["name"]: p for p in other.cmd("query-plugins")}
        self.assertEqual((found["nbd"]["state"], found["fake-busy"]["state"]), ("failed", "loaded"))
        self.assertRegex(found["nbd"]["reason"], "may be written")
        self.assertEqual(found["fake-busy"]["unusable"], "there is no such device here")
        Used.walk.use_returned("query-plugins", [{"state": "failed", "reason": ""}, {"unusable": ""}])

    # --- the end --------------------------------------------------------------------------------------------
    def test_zz_nothing_is_left(self):
        tests = [n for n in dir(self) if n.startswith("test_")]
        self.assertEqual(Used.ran, len(tests), "this looks at what all the others did: run them together")
        unused = Used.walk.unused()
        left = [path for path in unused if path not in EXEMPT]
        if not can_mount():  # the tests of these were skipped by name
            left = [path for path in left if "(fuse)" not in path and not path.endswith("=fuse")]
        print(f"introspection: {len(Used.walk.wanted)} words, {len(left)} of them without a check of their effect")
        self.assertFalse(left, "\n".join(left))
        self.assertEqual([path for path in EXEMPT if path not in unused], [], "exempted for nothing")
