#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What we offer has QEMU's names, types and order; what we add is listed with a reason in schema/additions.json.

Compares what our schema introspects to, with all plugins there, with the answer of a real qemu-storage-daemon.
What is not built yet is absent and no difference. Writes TAP; skipped where the reference is not there.
"""

import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA = os.path.normpath(os.path.join(HERE, "..", "..", "..", "schema"))
PLUGINS = ["nbd.json", "fuse.json"]
WANTED = (10, 0, 2)


class Comparison:
    """Two answers of query-qmp-schema, walked side by side from the commands and events."""

    def __init__(self, ours, theirs, additions):
        self._ours = {entity["name"]: entity for entity in ours}
        self._theirs = {entity["name"]: entity for entity in theirs}
        self._additions = additions
        self._seen = set()
        self.used = set()
        self.problems = []

    def run(self):
        for name, entity in self._ours.items():
            if entity["meta-type"] not in ("command", "event"):
                continue
            if name in self._theirs:
                self._compare(name, name, name)
            else:
                self._differ(name, f"QEMU has no {entity['meta-type']} of that name")
        return self

    def _differ(self, path, text):
        if path in self._additions:
            self.used.add(path)
        else:
            self.problems.append(f"{path}: {text}")

    def _compare(self, path, our_name, their_name):
        if (our_name, their_name) in self._seen:
            return
        self._seen.add((our_name, their_name))
        ours, theirs = self._ours[our_name], self._theirs[their_name]
        if ours["meta-type"] != theirs["meta-type"]:
            self._differ(path, f"is of kind {ours['meta-type']}, QEMU's is of kind {theirs['meta-type']}")
            return
        self._features(path, ours, theirs)
        getattr(self, "_" + ours["meta-type"])(path, ours, theirs)

    def _features(self, path, ours, theirs):
        more = set(ours.get("features", [])) - set(theirs.get("features", []))
        if more:
            self._differ(path, f"features {sorted(more)} are not QEMU's")

    def _names(self, path, ours, theirs):
        """QEMU's names in QEMU's order, then ours."""
        known = [name for name in theirs if name in ours]
        if ours[:len(known)] != known:
            self._differ(path, f"order is {ours}, QEMU's is {known}")
        for name in ours:
            if name not in theirs:
                self._differ(f"{path}.{name}", "QEMU has no such name here")

    def _builtin(self, path, ours, theirs):
        if ours["json-type"] != theirs["json-type"]:
            self._differ(path, f"is {ours['json-type']}, QEMU's is {theirs['json-type']}")

    def _array(self, path, ours, theirs):
        self._compare(path, ours["element-type"], theirs["element-type"])

    def _enum(self, path, ours, theirs):
        self._names(path, ours["values"], theirs["values"])
        features = {member["name"]: member for member in theirs["members"]}
        for member in ours["members"]:
            if member["name"] in features:
                self._features(f"{path}.{member['name']}", member, features[member["name"]])

    def _object(self, path, ours, theirs):
        self._names(path, [m["name"] for m in ours["members"]], [m["name"] for m in theirs["members"]])
        members = {member["name"]: member for member in theirs["members"]}
        for member in ours["members"]:
            other = members.get(member["name"])
            if not other:
                continue
            inner = f"{path}.{member['name']}"
            if ("default" in member) != ("default" in other):
                self._differ(inner, "is optional in one and not in the other")
            self._features(inner, member, other)
            self._compare(inner, member["type"], other["type"])
        if ours.get("tag") != theirs.get("tag"):
            self._differ(path, f"goes by {ours.get('tag')}, QEMU's by {theirs.get('tag')}")
        variants = {variant["case"]: variant["type"] for variant in theirs.get("variants", [])}
        for variant in ours.get("variants", []):
            if variant["case"] in variants:
                self._compare(f"{path}.{variant['case']}", variant["type"], variants[variant["case"]])

    def _alternate(self, path, ours, theirs):
        if len(ours["members"]) != len(theirs["members"]):
            self._differ(path, "is a choice of other types than QEMU's")
            return
        for index, (one, other) in enumerate(zip(ours["members"], theirs["members"])):
            self._compare(f"{path}.{index}", one["type"], other["type"])

    def _command(self, path, ours, theirs):
        if ours.get("allow-oob") != theirs.get("allow-oob"):
            self._differ(path, "allow-oob differs")
        self._compare(path, ours["arg-type"], theirs["arg-type"])
        self._compare(f"{path}()", ours["ret-type"], theirs["ret-type"])

    def _event(self, path, ours, theirs):
        self._compare(path, ours["arg-type"], theirs["arg-type"])


def our_schema(name):
    compiler = os.path.join(SCHEMA, "compiler", "main.py")
    command = [sys.executable, compiler, os.path.join(SCHEMA, name), "--introspect", "-"]
    return json.loads(subprocess.check_output(command))


def their_answers(program):
    """(version, schema) of the reference."""
    wanted = "".join(json.dumps({"execute": name}) for name in
                     ("qmp_capabilities", "query-version", "query-qmp-schema", "quit"))
    output = subprocess.run([program, "--chardev", "stdio,id=c,signal=off", "--monitor", "c"], input=wanted, text=True,
                            stdout=subprocess.PIPE, timeout=60, check=True).stdout
    returns = [json.loads(line).get("return") for line in output.splitlines() if '"return"' in line]
    version = returns[1]["qemu"]
    return (version["major"], version["minor"], version["micro"]), returns[2]


def self_check():
    """A comparison that can't fail proves nothing."""
    def schema(members):
        return [{"name": "go", "meta-type": "command", "arg-type": "0", "ret-type": "1"},
                {"name": "0", "meta-type": "object", "members": members},
                {"name": "1", "meta-type": "object", "members": []},
                {"name": "str", "meta-type": "builtin", "json-type": "string"},
                {"name": "int", "meta-type": "builtin", "json-type": "int"}]

    a, b = {"name": "a", "type": "str"}, {"name": "b", "type": "int", "default": None}
    theirs = schema([a, b])
    same = [[a, b], [a], [b], []]
    different = [[b, a], [{"name": "c", "type": "str"}], [a | {"type": "int"}], [a | {"default": None}],
                 [a | {"features": ["new"]}], [{"name": "c", "type": "str"}, a]]
    return (not any(Comparison(schema(members), theirs, {}).run().problems for members in same)
            and all(Comparison(schema(members), theirs, {}).run().problems for members in different))


def main():
    print(f"1..{len(PLUGINS) + 2}")
    print(f"{'ok' if self_check() else 'not ok'} 1 - the comparison tells differences")
    with open(os.path.join(SCHEMA, "additions.json"), encoding="utf-8") as stream:
        additions = json.load(stream)
    program = os.path.join(os.environ.get("OUTPORT_ORACLE_BIN", ""), "qemu-storage-daemon")
    version, theirs = their_answers(program) if os.path.isabs(program) and os.path.exists(program) else (None, [])
    if version != WANTED:
        for number, name in enumerate(PLUGINS + ["every listed addition is one"], 2):
            print(f"ok {number} - {name} # SKIP needs qemu-storage-daemon {'.'.join(map(str, WANTED))}")
        return
    used = set()
    for number, name in enumerate(PLUGINS, 2):
        comparison = Comparison(our_schema(name), theirs, additions).run()
        used |= comparison.used
        print(f"{'not ok' if comparison.problems else 'ok'} {number} - {name}")
        for problem in comparison.problems:
            print(f"# {problem}")
    stale = sorted(set(additions) - used)
    print(f"{'not ok' if stale else 'ok'} {len(PLUGINS) + 2} - every listed addition is one")
    for path in stale:
        print(f"# {path} is no difference any more")


if __name__ == "__main__":
    main()
