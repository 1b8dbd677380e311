# SPDX-License-Identifier: Apache-2.0
"""Does the same to outportd and to qemu-storage-daemon and compares what they say.

A scenario is a list of steps; a step is a QMP request (a dict, or raw bytes), or a pair (request, events to wait for).
What differs on purpose stands in tests/integration/intended-differences.json: one entry for each request, with both
answers in full. An entry that no longer differs, or differs in another way, fails.
"""
import json
import os
import pathlib
import re

from . import daemon, qmp

INTENDED = pathlib.Path(__file__).resolve().parent.parent / "integration" / "intended-differences.json"


class Comparison:
    """Collects the answers of both and judges them."""

    def __init__(self, suite):
        self.suite = suite
        self.entries = [e for e in json.loads(INTENDED.read_text()) if e["suite"] == suite]
        self.used = set()
        self.compared = self.equal = self.intended = 0
        self.wrong = []

    def take(self, scenario, request, ours, theirs):
        self.compared += 1
        index, entry = next(((i, e) for i, e in enumerate(self.entries)
                             if e["scenario"] == scenario and e["request"] == request), (None, None))
        if ours == theirs:
            self.equal += 1
            if entry:
                self.used.add(index)
                self.wrong.append(f"{scenario}: {request}: no longer differs, take the entry out")
            return
        if entry is None:
            self.wrong.append(f"{scenario}: {request}\n    ours:   {json.dumps(ours)}\n    theirs: {json.dumps(theirs)}")
            return
        self.used.add(index)
        if entry["ours"] != ours or entry["theirs"] != theirs:
            self.wrong.append(f"{scenario}: {request}: differs in another way than the entry says\n"
                              f"    ours:   {json.dumps(ours)}\n    theirs: {json.dumps(theirs)}")
            return
        self.intended += 1

    def verdict(self, test):
        for index, entry in enumerate(self.entries):
            if index not in self.used:
                self.wrong.append(f"{entry['scenario']}: {entry['request']}: an entry for what was never compared")
        print(f"{self.suite}: compared {self.compared}, equal {self.equal}, intended {self.intended}")
        if self.wrong:
            test.fail(f"{len(self.wrong)} differences:\n" + "\n".join(self.wrong))


class Side:
    """One of the two daemons, under the same name and with paths made alike."""

    def __init__(self, test, flavour):
        self.test = test
        self.flavour = flavour
        self.folder = test.tmp / flavour
        self.folder.mkdir(exist_ok=True)
        self.alias = None
        if flavour == "outport":
            self.alias = self.folder / "qemu-storage-daemon"
            if not self.alias.exists():
                self.alias.symlink_to(daemon.outportd())

    def make(self):
        made = daemon.Daemon(self.folder, self.flavour)
        self.test.addCleanup(self.test._end, made)
        if self.alias:
            made.program[0] = str(self.alias)
        return made

    def plain(self, text):
        """Text with what depends on the place taken out."""
        text = text.replace(str(self.folder), "TMP")
        text = re.sub(r"TMP/d\d+\.", "TMP/D.", text)
        text = re.sub(r"\S*/qemu-storage-daemon\b", "qemu-storage-daemon", text)
        text = re.sub(r"#block\d+", "#blockN", text)
        return text

    def fill(self, value):
        """A request with {tmp} put in."""
        if isinstance(value, str):
            return value.replace("{tmp}", str(self.folder))
        if isinstance(value, bytes):
            return value.replace(b"{tmp}", os.fsencode(self.folder))
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        if isinstance(value, dict):
            return {k: self.fill(v) for k, v in value.items()}
        return value

    # --- command lines --------------------------------------------------------------------------------------
    def command_line(self, arguments):
        made = self.make()
        status, out, err = made.run(*self.fill(arguments), timeout=30)
        lines = [line for line in self.plain(err).splitlines() if line.startswith("qemu-storage-daemon:")]
        return {"status": status, "stdout": self.plain(out), "stderr": lines}

    # --- QMP ------------------------------------------------------------------------------------------------
    def answers(self, arguments, steps, negotiate=True):
        made = self.make().start(*self.fill(arguments))
        client = made.qmp(negotiate=negotiate)
        try:
            return [self._step(client, *(step if isinstance(step, tuple) else (step, ()))) for step in steps]
        finally:
            client.close()
            made.kill()

    def _step(self, client, request, events):
        request = self.fill(request)
        if isinstance(request, bytes):
            return {"replies": self._raw(client, request)}
        client.send(request)
        reply = client.reply(timeout=30)
        for name in events:
            client.wait_event(name, timeout=30)
        seen = sorted(json.dumps({"event": e["event"], "data": e.get("data")}, sort_keys=True) for e in client.events)
        client.events.clear()
        if "error" in reply:
            reply["error"].pop("hint", None)
        reply = json.loads(self.plain(json.dumps(reply)))
        return {"reply": reply, "other events": seen} if seen else {"reply": reply}


    def _raw(self, client, data):
        """All that bytes bring about: they are followed by a byte that ends whatever they began, and a command."""
        client.send_bytes(data + b"\xff")
        client.send({"execute": "query-block-exports", "id": "sync"})
        replies = []
        while True:
            reply = client.reply(timeout=30)
            if reply.get("id") == "sync":
                return replies
            reply.get("error", {}).pop("hint", None)
            replies.append(json.loads(self.plain(json.dumps(reply))))


def show(step):
    request = step[0] if isinstance(step, tuple) else step
    return request.decode("latin-1") if isinstance(request, bytes) else json.dumps(request)


def compare_qmp(test, comparison, name, arguments, steps, negotiate=True, view=None):
    """Runs the steps against both, one after the other; `view` reduces an answer to what must be equal."""
    ours = Side(test, "outport").answers(arguments, steps, negotiate)
    theirs = Side(test, "qemu").answers(arguments, steps, negotiate)
    for number, (step, our, their) in enumerate(zip(steps, ours, theirs)):
        if view:
            our, their = view(our), view(their)
        comparison.take(name, f"{number}: {show(step)}", our, their)


def compare_command_line(test, comparison, arguments):
    ours = Side(test, "outport").command_line(arguments)
    theirs = Side(test, "qemu").command_line(arguments)
    comparison.take("command line", " ".join(arguments), ours, theirs)


__all__ = ["Comparison", "Side", "compare_qmp", "compare_command_line", "qmp"]
