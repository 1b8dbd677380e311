# SPDX-License-Identifier: Apache-2.0
"""Does the same to outportd and to qemu-storage-daemon and compares what they say.

A scenario is a list of steps; a step is a QMP request (a dict, or raw bytes), a pair (request, events to wait for), or what
an NBD client does (`Connect`, `Read`). Answers and the data of events are compared whole, but for time stamps.
What differs on purpose stands in tests/integration/intended-differences.json: one entry for each request, with both
answers in full, why, and the words of the manual that tell it. An entry that no longer differs, or differs in another
way, or whose words are not there, fails.
"""
import dataclasses
import json
import os
import pathlib
import re

from . import daemon, qmp, wire

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
INTENDED = TOP / "tests" / "integration" / "intended-differences.json"


@dataclasses.dataclass
class Connect:
    """An NBD client comes to the server at {tmp}/nbd and chooses an export, or is refused."""

    client: str
    export: str


@dataclasses.dataclass
class Read:
    """It reads, or finds that it was cut."""

    client: str


def in_manual(pointer):
    """Whether the words are in the file that a pointer `FILE: WORDS` names; line ends and mark-up do not count."""
    path, _, words = pointer.partition(": ")

    def plain(text):
        return re.sub(r"[\s`#]+", " ", text)
    return (TOP / path).is_file() and plain(words) in plain((TOP / path).read_text())


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
        if not in_manual(entry["manual"]):
            self.wrong.append(f"{scenario}: {request}: not in the manual: {entry['manual']}")
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
        # An address without a path makes qemu-storage-daemon leave a socket in the folder for temporary files.
        made = daemon.Daemon(self.folder, self.flavour, env={"TMPDIR": str(self.folder)})
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
        lines = [line for line in self.plain(err).splitlines() if line.startswith("qemu-storage-daemon:")
                 and "PR_SET_IO_FLUSHER" not in line]  # said where the machine does not permit it
        return {"status": status, "stdout": self.plain(out), "stderr": lines}

    # --- QMP ------------------------------------------------------------------------------------------------
    def answers(self, arguments, steps, negotiate=True):
        made = self.make().start(*self.fill(arguments))
        client = made.qmp(negotiate=negotiate)
        self.streams = {}
        try:
            return [self._step(client, *(step if isinstance(step, tuple) else (step, ()))) for step in steps]
        finally:
            for stream in self.streams.values():
                stream.close()
            client.close()
            made.kill()

    def _step(self, client, request, events):
        if isinstance(request, (Connect, Read)):
            return self._nbd(request)
        request = self.fill(request)
        if isinstance(request, bytes):
            return {"replies": self._raw(client, request)}
        client.send(request)
        reply = client.reply(timeout=30)
        seen = [client.wait_event(name, timeout=30) for name in events] + list(client.events)
        client.events.clear()
        answer = {"reply": reply}
        if seen:
            answer["events"] = [{key: value for key, value in event.items() if key != "timestamp"} for event in seen]
        return json.loads(self.plain(json.dumps(answer)))

    def _nbd(self, step):
        if isinstance(step, Connect):
            stream = self.streams[step.client] = wire.NbdStream(self.folder / "nbd")
            return stream.ask(wire.option(wire.GO, wire.info(step.export.encode())))
        try:
            self.streams[step.client].send(wire.request(wire.READ, 0, 16))
            return self.streams[step.client].exactly(32).hex()
        except (EOFError, ConnectionError):
            return "cut"

    def _raw(self, client, data):
        """All that bytes bring about: they are followed by a byte that ends whatever they began, and a command."""
        client.send_bytes(data + b"\xff")
        client.send({"execute": "query-block-exports", "id": "sync"})
        replies = []
        while True:
            reply = client.reply(timeout=30)
            if reply.get("id") == "sync":
                return replies
            replies.append(json.loads(self.plain(json.dumps(reply))))


def show(step):
    request = step[0] if isinstance(step, tuple) else step
    if isinstance(request, (Connect, Read)):
        return repr(request)
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
