#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Schemas with what is expected of the compiler; each is a test.

bad/NAME.json must be refused with exactly the text of bad/NAME.err. good/NAME.json must give good/NAME.out: its
document, what introspection shows (with the conditions that a first line '# -D …' names, if there is one, and
without), and with a first line '# manual' the manual.

    run.py [--update] [NAME...]     --update writes what comes out as what is expected; read it before you commit it
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA = os.path.normpath(os.path.join(HERE, "..", "..", "..", "schema"))
COMPILER = os.path.join(SCHEMA, "compiler", "main.py")
sys.path.insert(0, os.path.dirname(COMPILER))

from outport_schema import c, cxx, document, introspect, manual  # noqa: E402
from outport_schema.builder import Builder  # noqa: E402
from outport_schema.parser import Schema  # noqa: E402
from outport_schema.source import SchemaError  # noqa: E402

# Stands for names.json: what fragments in these tests may define without a prefix.
EXEMPT = {"types": ["Tape"], "commands": ["known-command"], "values": ["known", "other"],
          "conditions": ["CONFIG_KNOWN"]}
UPDATE = "--update" in sys.argv


def compile_schema(name):
    return Builder(Schema(name, []), EXEMPT).build()


def names(folder):
    files = sorted(os.listdir(os.path.join(HERE, folder)))
    return [file[:-5] for file in files if file.endswith(".json")]


class Expected(unittest.TestCase):
    maxDiff = None

    def compare(self, path, text):
        if UPDATE:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
        with open(path, encoding="utf-8") as stream:
            self.assertEqual(stream.read(), text, path)


class Bad(Expected):
    """Refused, and the text says where and why."""

    def check(self, name):
        os.chdir(os.path.join(HERE, "bad"))
        with self.assertRaises(SchemaError) as caught:
            compile_schema(f"{name}.json")
        self.compare(f"{name}.err", f"{caught.exception}\n")


class Good(Expected):
    """Accepted, and every output is as it should be."""

    def check(self, name):
        os.chdir(os.path.join(HERE, "good"))
        with open(f"{name}.json", encoding="utf-8") as stream:
            first = stream.readline().split()
        model = compile_schema(f"{name}.json")
        text = "document " + document.pretty(model)
        text += "introspection " + self.introspect(model, set())
        if first[:2] == ["#", "-D"]:
            text += f"introspection with {' '.join(first[2:])} " + self.introspect(model, set(first[2:]))
        if first == ["#", "manual"]:
            text += "manual\n" + manual.text(model)
        self.compare(f"{name}.out", text)
        # That these compile and work is for the generated-types test; here they must come out at all.
        for generated in (cxx.header(model, "x"), cxx.source(model, "x", "x.hpp"), c.header(model, "x_"),
                          c.source(model, "x_", "x.h")):
            self.assertTrue(generated)

    def introspect(self, model, defined):
        lines = [json.dumps(entity) for entity in introspect.Introspection(model, defined, True).entities()]
        return "[\n " + ",\n ".join(lines) + "\n]\n" if lines else "[]\n"


class Program(unittest.TestCase):
    """The compiler as it is called."""

    def run_compiler(self, *arguments, cwd=None):
        return subprocess.run([sys.executable, COMPILER, *arguments], capture_output=True, text=True,
                              check=False, cwd=cwd or os.path.join(HERE, "bad"))

    def test_error_goes_to_stderr(self):
        result = self.run_compiler("key-missing.json", "--json", "-")
        with open(os.path.join(HERE, "bad", "key-missing.err"), encoding="utf-8") as stream:
            self.assertEqual((result.returncode, result.stdout, result.stderr), (1, "", stream.read()))

    def test_nothing_is_written_after_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            self.run_compiler("key-missing.json", "--json", os.path.join(folder, "out.json"))
            self.assertEqual(os.listdir(folder), [])

    def test_missing_file(self):
        result = self.run_compiler("nowhere.json")
        self.assertEqual(result.returncode, 1)
        self.assertIn("nowhere.json: can't read 'nowhere.json': No such file or directory", result.stderr)

    def test_fragment_finds_base_and_names(self):
        """A third party's folder has neither; both are found beside the compiler."""
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "tape.json"), "w", encoding="utf-8") as stream:
                stream.write("{ 'fragment': 'tape' } { 'import': 'base.json' }\n"
                             "{ 'extend': 'BlockExportType', 'data': [ '__org.example_tape' ] }\n")
            result = self.run_compiler("tape.json", "--json-compact", "-", cwd=folder)
            self.assertEqual(result.stderr, "")
            self.assertEqual(json.loads(result.stdout)["extends"],
                             {"BlockExportType": [{"name": "__org.example_tape"}]})

    def test_dependencies_are_told(self):
        with tempfile.TemporaryDirectory() as folder:
            out, dependencies = os.path.join(folder, "out.json"), os.path.join(folder, "out.d")
            result = self.run_compiler("include.json", "--json", out, "--depfile", dependencies,
                                       cwd=os.path.join(HERE, "good"))
            self.assertEqual(result.stderr, "")
            with open(dependencies, encoding="utf-8") as stream:
                target, files = stream.read().split(": ")
            self.assertEqual(target, out)
            self.assertEqual([os.path.basename(file) for file in files.split()],
                             ["include.json", "colour.json", "kind.json"])

    def test_list_of_names_can_be_given(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "names.json")
            with open(path, "w", encoding="utf-8") as stream:
                json.dump({"commands": ["rewind"]}, stream)
            refused = self.run_compiler("prefix-command.json", "--json", "-")
            self.assertIn("command 'rewind' needs a downstream prefix", refused.stderr)
            for arguments in (["--names", path], ["--no-prefix-check"]):
                allowed = self.run_compiler("prefix-command.json", "--json", "-", *arguments)
                self.assertEqual((allowed.returncode, allowed.stderr), (0, ""))

    def test_blob_is_the_document(self):
        """The array of numbers in C, read back, is the document on one line and a zero."""
        result = self.run_compiler("union-recursive.json", "--blob-source", "-", cwd=os.path.join(HERE, "good"))
        compact = self.run_compiler("union-recursive.json", "--json-compact", "-", cwd=os.path.join(HERE, "good"))
        numbers = result.stdout[result.stdout.index("= {") + 3:result.stdout.rindex("}")].replace(",", " ").split()
        self.assertEqual(bytes(int(number) for number in numbers), compact.stdout.encode() + b"\0")

    def test_names_that_are_one_in_c(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "clash.json"), "w", encoding="utf-8") as stream:
                stream.write("{ 'struct': 'PaintArg', 'data': {} }\n"
                             "{ 'command': 'paint', 'data': { 'x': 'int' } }\n")
            for option in ("--cxx-header", "--c-header"):
                result = self.run_compiler("clash.json", option, "-", cwd=folder)
                self.assertEqual((result.returncode, result.stdout), (1, ""))
                self.assertEqual(result.stderr, "clash.json:2: In command 'paint': 'q_obj_paint-arg' and 'PaintArg' "
                                                "are both 'PaintArg' in C\n")

    def test_own_schemas(self):
        """The base has no export type; with the fragment of nbd.so it has one."""
        for schema, types in (("base", []), ("nbd", ["nbd"])):
            result = self.run_compiler(f"{schema}.json", "--introspect", "-", "--unmask", cwd=SCHEMA)
            self.assertEqual(result.stderr, "")
            entities = {entity["name"]: entity for entity in json.loads(result.stdout)}
            self.assertEqual(entities["BlockExportType"]["values"], types)
            self.assertEqual([v["case"] for v in entities["BlockExportOptions"]["variants"]], types)
            self.assertNotIn("x-fault-set", entities)

    def test_names_of_ours_are_exempt_or_hinted(self):
        """Each word that has a hint is one that a plugin may define."""
        with open(os.path.join(SCHEMA, "names.json"), encoding="utf-8") as stream:
            exempt = json.load(stream)
        with open(os.path.join(SCHEMA, "hints.json"), encoding="utf-8") as stream:
            hints = json.load(stream)
        self.assertLessEqual(set(hints["commands"]), set(exempt["commands"]))
        self.assertLessEqual(set(hints["options"]), set(exempt["options"]))
        for words in hints["enums"].values():
            self.assertLessEqual(set(words), set(exempt["values"]))

    def test_masked_names_mean_nothing(self):
        result = self.run_compiler("nbd.json", "--introspect", "-", cwd=SCHEMA)
        entities = json.loads(result.stdout)
        names_seen = [entity["name"] for entity in entities]
        self.assertEqual(len(names_seen), len(set(names_seen)))
        for entity in entities:
            if entity["meta-type"] in ("object", "enum", "alternate"):
                self.assertTrue(entity["name"].isdigit(), entity)
            for member in entity.get("members", []):
                self.assertIn(member.get("type", names_seen[0]), names_seen)


class Tap(unittest.TestResult):
    """Results as the Test Anything Protocol, one line each."""

    count = 0

    def line(self, word, test, extra=""):
        self.count += 1
        print(f"{word} {self.count} {test.id().split('.', 1)[1]}{extra}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("ok", test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line("not ok", test)
        print(f"# {str(err[1])}".replace("\n", "\n# "))

    def addError(self, test, err):
        super().addError(test, err)
        self.line("not ok", test)
        for text in str(self.errors[-1][1]).splitlines():
            print(f"# {text}")


def add_tests(case, folder):
    for name in names(folder):
        setattr(case, f"test_{name}", lambda self, name=name: self.check(name))


def main():
    add_tests(Bad, "bad")
    add_tests(Good, "good")
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    suite = unittest.TestSuite()
    for case in (Bad, Good, Program):
        for name in unittest.defaultTestLoader.getTestCaseNames(case):
            if not wanted or name[len("test_"):] in wanted:
                suite.addTest(case(name))
    print(f"1..{suite.countTestCases()}")
    result = suite.run(Tap())
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
