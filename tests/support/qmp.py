# SPDX-License-Identifier: Apache-2.0
"""A strict QMP client: whatever the server sends that the protocol does not allow is an error of the test.

Standard library only. One thread uses one client.
"""
import collections
import json
import os
import socket
import sys
import time

sys.setrecursionlimit(10000)  # deeply nested answers
SAFETY_SECONDS = 60  # a net under a server that never answers, not something a passing test waits for


class ProtocolError(AssertionError):
    """The server broke the protocol."""


class QmpError(Exception):
    """A command was answered with an error."""

    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.error_class = error["class"]
        self.desc = error["desc"]
        self.hint = error.get("hint")


def _unique_pairs(pairs):
    members = {}
    for key, value in pairs:
        if key in members:
            raise ProtocolError(f"member {key!r} twice in one object")
        members[key] = value
    return members


def _require(condition, message):
    if not condition:
        raise ProtocolError(message)


class Qmp:
    """Connects, checks the greeting and negotiates unless told not to."""

    def __init__(self, address, negotiate=True, enable=None, timeout=SAFETY_SECONDS):
        self.timeout = timeout
        self.events = collections.deque()
        self._buffer = b""
        self._serial = 0
        family = socket.AF_UNIX if isinstance(address, (str, os.PathLike)) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(os.fspath(address) if family == socket.AF_UNIX else address)
        self.greeting = self.receive()
        _require(set(self.greeting) == {"QMP"}, f"not a greeting: {self.greeting}")
        _require(set(self.greeting["QMP"]) == {"version", "capabilities"}, f"odd greeting: {self.greeting}")
        if negotiate:
            arguments = {} if enable is None else {"enable": enable}
            _require(self.cmd("qmp_capabilities", arguments) == {}, "qmp_capabilities returned something")

    # --- messages -------------------------------------------------------------------------------------------
    def send_bytes(self, data):
        self.sock.sendall(data)

    def send(self, message):
        self.send_bytes(json.dumps(message).encode() + b"\n")

    def receive_line(self, timeout=None):
        """One line as bytes, without its end; b'' when the server closed the connection."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the server did not answer")
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                _require(not self._buffer, f"the connection ended inside a message: {self._buffer!r}")
                return b""
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def receive(self, timeout=None):
        """The next message, checked; None when the server closed the connection."""
        line = self.receive_line(timeout)
        if not line:
            return None
        try:
            message = json.loads(line.decode("utf-8"), object_pairs_hook=_unique_pairs)
        except ValueError as error:
            raise ProtocolError(f"not a JSON text: {line!r}: {error}") from error
        self._check(message)
        return message

    @staticmethod
    def _check(message):
        _require(isinstance(message, dict), f"a message that is no object: {message!r}")
        kinds = [k for k in ("QMP", "return", "error", "event") if k in message]
        _require(len(kinds) == 1, f"not one kind of message: {message!r}")
        if kinds[0] == "error":
            _require(set(message) <= {"error", "id"}, f"unknown members: {message!r}")
            _require({"class", "desc"} <= set(message["error"]) <= {"class", "desc", "hint"}, f"odd error: {message!r}")
        elif kinds[0] == "return":
            _require(set(message) <= {"return", "id"}, f"unknown members: {message!r}")
        elif kinds[0] == "event":
            _require(set(message) <= {"event", "data", "timestamp"}, f"unknown members: {message!r}")
            stamp = message.get("timestamp", {})
            _require(set(stamp) == {"seconds", "microseconds"}, f"odd time stamp: {message!r}")
            _require(0 <= stamp["microseconds"] < 1000000, f"odd time stamp: {message!r}")

    def reply(self, timeout=None):
        """The next message that is no event; events go into the queue."""
        while True:
            message = self.receive(timeout)
            if message is None:
                raise ConnectionError("the server closed the connection")
            if "event" not in message:
                return message
            self.events.append(message)

    # --- commands -------------------------------------------------------------------------------------------
    def start(self, command, arguments=None, execute="execute"):
        """Sends a command and returns its id; finish(id) takes the answer."""
        self._serial += 1
        message = {execute: command, "id": self._serial}
        if arguments:
            message["arguments"] = arguments
        self.send(message)
        return self._serial

    def finish(self, serial, timeout=None):
        message = self.reply(timeout)
        _require(message.get("id") == serial, f"the answer's id is not {serial}: {message!r}")
        if "error" in message:
            raise QmpError(message["error"])
        return message["return"]

    def cmd(self, command, arguments=None, timeout=None, **named):
        arguments = dict(arguments or {})
        arguments.update({key.replace("_", "-"): value for key, value in named.items()})
        return self.finish(self.start(command, arguments), timeout)

    def wait_event(self, name, /, timeout=None, **data):
        """Takes the first event of that name whose data holds these members out of the queue, waiting for it."""
        wanted = {key.replace("_", "-"): value for key, value in data.items()}

        def matches(event):
            return event["event"] == name and wanted.items() <= event.get("data", {}).items()

        for event in self.events:
            if matches(event):
                self.events.remove(event)
                return event
        while True:
            message = self.receive(timeout)
            if message is None:
                raise ConnectionError(f"the server closed the connection before event {name}")
            _require("event" in message, f"an answer that nobody asked for: {message!r}")
            if matches(message):
                return message
            self.events.append(message)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
