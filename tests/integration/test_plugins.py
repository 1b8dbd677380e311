# SPDX-License-Identifier: Apache-2.0
"""What a plugin brings is there exactly while it is: the schema, the options, the errors and their hints; and a new
build of a plugin takes the place of the old one in the running process.
"""
import os
import re
import shutil

from support import daemon
from support.case import OutportTest


def names_of(schema, kind):
    return {e["name"] for e in schema if e["meta-type"] == kind}


class PluginTest(OutportTest):
    def setUp(self):
        super().setUp()
        self.folder = self.private / "plugins"
        self.folder.mkdir()

    def source(self, name="nbd"):
        return daemon.BUILD / "plugins" / name / f"{name}.so"

    def install(self, name="nbd"):
        shutil.copyfile(self.source(name), self.folder / f"{name}.so")
        return self.folder / f"{name}.so"

    def export_types(self, client):
        """BlockExportType as introspection shows it: the tag of block-export-add's argument."""
        schema = {e["name"]: e for e in client.cmd("query-qmp-schema")}
        command = schema.get("block-export-add")
        argument = schema[command["arg-type"]]
        tag = next(m["type"] for m in argument["members"] if m["name"] == argument["tag"])
        return [m["name"] for m in schema[tag]["members"]]


class Schema(PluginTest):
    ADD = {"type": "nbd", "id": "e0", "node-name": "n0"}

    def test_with_the_plugin(self):
        self.install()
        client = self.monitor(self.daemon(plugin_dirs=[self.folder]))
        self.assertEqual(self.export_types(client), ["nbd"])
        commands = {c["name"] for c in client.cmd("query-commands")}
        self.assertLessEqual({"nbd-server-start", "nbd-server-stop"}, commands)
        plugin, = client.cmd("query-plugins")
        self.assertEqual((plugin["name"], plugin["state"], plugin["exports"]), ("nbd", "loaded", 0))
        self.assertEqual(plugin["path"], str(self.folder / "nbd.so"))
        self.assertIn("nbd", plugin["provides"])

    def test_without_the_plugin(self):
        client = self.monitor(self.daemon("--blockdev", "null-co,node-name=n0", plugin_dirs=[self.folder]))
        schema = client.cmd("query-qmp-schema")
        self.assertEqual(self.export_types(client), [])
        self.assertNotIn("nbd-server-start", names_of(schema, "command"))
        self.assertNotIn("nbd", str(schema))
        error = self.assert_qmp_error("Parameter 'type' does not accept value 'nbd'", client, "block-export-add", self.ADD)
        self.assertIn("nbd", error.hint)
        error = self.assert_qmp_error("The command nbd-server-stop has not been found", client, "nbd-server-stop",
                                      error_class="CommandNotFound")
        self.assertIn("nbd", error.hint)
        error = self.assert_qmp_error("Parameter 'type' does not accept value 'never-was'", client, "block-export-add",
                                      {**self.ADD, "type": "never-was"})
        self.assertIsNone(error.hint)

    def test_without_the_plugin_on_the_command_line(self):
        running = self.new_daemon(plugin_dirs=[self.folder])
        status, _, err = running.run("--blockdev", "null-co,node-name=n0", "--export", "nbd,id=e0,node-name=n0")
        self.assertEqual(status, 1)
        lines = err.splitlines()
        self.assertTrue(lines[0].endswith("Parameter 'type' does not accept value 'nbd'"), err)
        self.assertIn("nbd.so", lines[1])
        status, _, err = running.run("--nbd-server", "addr.type=unix,addr.path=/tmp/x")
        self.assertEqual(status, 1)
        self.assertIn("unrecognized option '--nbd-server'", err)

    def test_loaded_at_run_time(self):
        client = self.monitor(self.daemon("--blockdev", "null-co,node-name=n0", plugin_dirs=[self.folder]))
        self.assertEqual(self.export_types(client), [])
        self.install()
        self.assertEqual(client.cmd("plugin-load", name="nbd"), {})
        client.wait_event("PLUGIN_LOADED", name="nbd")
        self.assertEqual(self.export_types(client), ["nbd"])
        client.cmd("nbd-server-start", {"addr": {"type": "unix", "data": {"path": f"{self.tmp}/s"}}})
        client.cmd("block-export-add", self.ADD)
        self.tool("nbdinfo", f"nbd+unix:///n0?socket={self.tmp}/s")
        self.assertEqual(client.cmd("query-plugins")[0]["exports"], 1)

    def test_unloaded_and_loaded_again(self):
        self.install()
        client = self.monitor(self.daemon("--blockdev", "null-co,node-name=n0", plugin_dirs=[self.folder]))
        for _ in range(3):
            client.cmd("plugin-unload", name="nbd")
            client.wait_event("PLUGIN_UNLOADED", name="nbd")
            self.assertEqual(self.export_types(client), [])
            self.assertEqual(client.cmd("query-plugins")[0]["state"], "unloaded")
            client.cmd("plugin-load", name="nbd")
            client.wait_event("PLUGIN_LOADED", name="nbd")
            client.cmd("nbd-server-start", {"addr": {"type": "unix", "data": {"path": f"{self.tmp}/s"}}})
            client.cmd("block-export-add", self.ADD)
            self.tool("nbdcopy", "--", f"nbd+unix:///n0?socket={self.tmp}/s", "null:")
            client.cmd("nbd-server-stop")
            client.wait_event("BLOCK_EXPORT_DELETED", id="e0")

    def test_in_use_it_stays(self):
        self.install()
        running = self.daemon("--blockdev", "null-co,node-name=n0", plugin_dirs=[self.folder])
        client = self.monitor(running)
        client.cmd("nbd-server-start", {"addr": {"type": "unix", "data": {"path": f"{self.tmp}/s"}}})
        error = self.assert_qmp_error("Plugin 'nbd' is in use by its NBD server", client, "plugin-unload", {"name": "nbd"})
        self.assertEqual(error.hint, "Stop it with nbd-server-stop first")
        client.cmd("block-export-add", self.ADD)
        self.assert_qmp_error(re.compile("nbd.*e0|e0.*nbd"), client, "plugin-unload", {"name": "nbd"})
        self.tool("nbdinfo", f"nbd+unix:///n0?socket={self.tmp}/s")
        client.cmd("nbd-server-stop")
        client.cmd("plugin-unload", name="nbd")

    def test_errors(self):
        self.install()
        client = self.monitor(self.daemon(plugin_dirs=[self.folder]))
        self.assert_qmp_error(re.compile("nope"), client, "plugin-load", {"name": "nope"})
        self.assert_qmp_error(re.compile("nope"), client, "plugin-unload", {"name": "nope"})
        self.assert_qmp_error(re.compile("nbd"), client, "plugin-load", {"name": "nbd"})
        self.assert_qmp_error(re.compile("path|name"), client, "plugin-load", {"name": str(self.folder / "nbd.so")})


class Replaced(PluginTest):
    """A new build under the same name, put there by rename as a package manager does."""

    def test_code_of_the_new_build_answers(self):
        """Its command says the version that was compiled in."""
        builds = [daemon.BUILD / "tests" / "plugins" / f"version-{n}" / "fake-version.so" for n in (1, 2)]
        path = self.folder / "fake-version.so"
        shutil.copyfile(builds[0], path)
        client = self.monitor(self.daemon(plugin_dirs=[self.folder]))
        self.assertEqual(client.cmd("__org.outport_fake-version"), {"version": "1.0"})
        replacement = self.folder / "fake-version.so.new"
        shutil.copyfile(builds[1], replacement)
        os.rename(replacement, path)
        self.assertEqual(client.cmd("__org.outport_fake-version"), {"version": "1.0"})
        client.cmd("plugin-unload", name="fake-version")
        client.cmd("plugin-load", name="fake-version")
        self.assertEqual(client.cmd("__org.outport_fake-version"), {"version": "2.0"})

    def test_new_version_answers(self):
        """The same code with another version written into it, and an export after that."""
        path = self.install()
        client = self.monitor(self.daemon("--blockdev", "null-co,node-name=n0", plugin_dirs=[self.folder]))
        old = client.cmd("query-plugins")[0]["version"]
        new = old[:-1] + chr((ord(old[-1]) - ord("0") + 1) % 10 + ord("0"))
        data = path.read_bytes()
        self.assertGreaterEqual(data.count(old.encode() + b"\0"), 1)
        replacement = self.folder / "nbd.so.new"
        replacement.write_bytes(data.replace(old.encode() + b"\0", new.encode() + b"\0"))
        os.rename(replacement, path)
        self.assertEqual(client.cmd("query-plugins")[0]["version"], old)
        client.cmd("plugin-unload", name="nbd")
        client.cmd("plugin-load", name="nbd")
        self.assertEqual(client.cmd("query-plugins")[0]["version"], new)
        client.cmd("nbd-server-start", {"addr": {"type": "unix", "data": {"path": f"{self.tmp}/s"}}})
        client.cmd("block-export-add", Schema.ADD)
        self.tool("nbdinfo", f"nbd+unix:///n0?socket={self.tmp}/s")


class Trust(PluginTest):
    def check_failed(self, running_args=(), **options):
        client = self.monitor(self.daemon(*running_args, plugin_dirs=[self.folder], **options))
        plugin, = client.cmd("query-plugins")
        self.assertEqual(plugin["state"], "failed", plugin)
        self.assertEqual(self.export_types(client), [])
        return plugin["reason"]

    def test_a_file_that_others_may_write(self):
        path = self.install()
        path.chmod(0o666)
        self.assertIn("writ", self.check_failed())

    def test_a_folder_that_others_may_write(self):
        self.install()
        self.folder.chmod(0o777)
        self.assertIn("writ", self.check_failed())

    def test_named_on_the_command_line_it_is_fatal(self):
        self.install().chmod(0o666)
        status, _, err = self.new_daemon(plugin_dirs=[self.folder]).run("--plugin", "nbd")
        self.assertEqual(status, 1)
        self.assertIn("nbd.so", err)

    def test_garbage(self):
        (self.folder / "garbage.so").write_bytes(b"\x7fELF" + bytes(5000))
        (self.folder / "empty.so").write_bytes(b"")
        self.install()
        client = self.monitor(self.daemon(plugin_dirs=[self.folder]))
        self.assertEqual(self.export_types(client), ["nbd"])

    def test_truncated(self):
        path = self.install()
        whole = path.read_bytes()
        for part in (100, 1000, len(whole) // 2, len(whole) - 1000):
            path.write_bytes(whole[:part])
            with self.subTest(part):
                running = self.daemon(plugin_dirs=[self.folder])
                client = self.monitor(running)
                self.assertIn("qemu", client.cmd("query-version"))
                self.assertEqual(running.stop(), 0)


class Discovery(PluginTest):
    def test_environment(self):
        self.install()
        running = self.new_daemon(plugin_dirs=[], env={"OUTPORT_PLUGIN_PATH": str(self.folder)})
        client = self.monitor(running.start())
        self.assertEqual([p["path"] for p in client.cmd("query-plugins")], [str(self.folder / "nbd.so")])

    def test_option_before_environment(self):
        self.install()
        other = self.private / "other"
        other.mkdir()
        client = self.monitor(self.daemon(plugin_dirs=[other], env={"OUTPORT_PLUGIN_PATH": str(self.folder)}))
        self.assertEqual(client.cmd("query-plugins"), [])

    def test_build_tree(self):
        client = self.monitor(self.daemon(plugin_dirs=[]))
        names = {p["name"] for p in client.cmd("query-plugins") if p["state"] == "loaded"}
        self.assertIn("nbd", names)
