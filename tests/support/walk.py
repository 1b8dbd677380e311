# SPDX-License-Identifier: Apache-2.0
"""Walks introspection: which members, values and alternatives a client can use, and whose effect a test has seen.

A key is (type, word); types have the names that query-qmp-schema gives them, and `paths` tells where each was met first.
"""


class Walk:
    """All keys that are reachable from commands and events, and those that were used."""

    def __init__(self, schema):
        self.types = {e["name"]: e for e in schema if e["meta-type"] not in ("command", "event")}
        self.commands = {e["name"]: e for e in schema if e["meta-type"] == "command"}
        self.events = {e["name"]: e for e in schema if e["meta-type"] == "event"}
        self.wanted = {}
        self.used = set()
        for name, command in self.commands.items():
            self.wanted[("command", name)] = name
            self._reach(command["arg-type"], name, set())
            self._reach(command["ret-type"], f"{name} returns", set())
        for name, event in self.events.items():
            self.wanted[("event", name)] = name
            self._reach(event["arg-type"], name, set())

    def _want(self, kind, word, path):
        self.wanted.setdefault((kind, word), path)

    def _reach(self, name, path, seen):
        if name in seen:
            return
        seen.add(name)
        info = self.types[name]
        meta = info["meta-type"]
        if meta == "array":
            self._reach(info["element-type"], path + "[]", seen)
        elif meta == "enum":
            for member in info["members"]:
                self._want(name, member["name"], f"{path}={member['name']}")
        elif meta == "alternate":
            for member in info["members"]:
                self._want(name, member["type"], f"{path} as {self._kind(member['type'])}")
                self._reach(member["type"], path, seen)
        elif meta == "object":
            for member in info["members"]:
                self._want(name, member["name"], f"{path}.{member['name']}")
                self._reach(member["type"], f"{path}.{member['name']}", seen)
            for variant in info.get("variants", ()):
                self._reach(variant["type"], f"{path}({variant['case']})", seen)

    def _kind(self, name):
        return self.types[name].get("json-type", self.types[name]["meta-type"])

    # --- what was seen to have its effect -------------------------------------------------------------------
    def use_arguments(self, command, arguments):
        self.used.add(("command", command))
        self._mark(self.commands[command]["arg-type"], arguments)

    def use_returned(self, command, returned):
        self.used.add(("command", command))
        self._mark(self.commands[command]["ret-type"], returned)

    def use_event(self, name, data):
        self.used.add(("event", name))
        self._mark(self.events[name]["arg-type"], data)

    def _mark(self, name, value):
        info = self.types[name]
        meta = info["meta-type"]
        if meta == "array" and isinstance(value, list):
            for item in value:
                self._mark(info["element-type"], item)
        elif meta == "enum":
            self.used.add((name, value))
        elif meta == "alternate":
            fitting = [member["type"] for member in info["members"] if self._fits(member["type"], value)]
            if not fitting:
                raise KeyError(f"{name} has no alternative for {value!r}")
            for kind in fitting:
                self.used.add((name, kind))
                self._mark(kind, value)
        elif meta == "object" and isinstance(value, dict):
            self._mark_object(name, info, value)

    def _mark_object(self, name, info, value):
        """Each member must be one of the object or of its branch: a misspelt one would mark nothing."""
        known = set()
        for member in info["members"]:
            known.add(member["name"])
            if member["name"] in value:
                self.used.add((name, member["name"]))
                self._mark(member["type"], value[member["name"]])
        branch = {}
        for variant in info.get("variants", ()):
            if value.get(info["tag"]) == variant["case"]:
                branch = {k: v for k, v in value.items() if k not in known}
                self._mark(variant["type"], branch)
        if set(value) - known - set(branch):
            raise KeyError(f"{name} has no {set(value) - known - set(branch)}")

    def _fits(self, name, value):
        kinds = {"string": str, "boolean": bool, "int": int, "array": list, "object": dict}
        info = self.types[name]
        kind = info.get("json-type") or {"enum": "string"}.get(info["meta-type"], info["meta-type"])
        return isinstance(value, kinds.get(kind, object)) and isinstance(value, bool) == (kind == "boolean")

    def unused(self):
        return sorted(path for key, path in self.wanted.items() if key not in self.used)
