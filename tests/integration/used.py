# SPDX-License-Identifier: Apache-2.0
"""The base of the tests that use every word of introspection once: a daemon, a client, and the notes of what was seen to
have its effect. A word counts as used only by `used`, `returns` or `happens`, which stand beside the check of its effect.
"""
from support import daemon, walk
from support.fusetest import can_mount
from support.served import ServedTest


class Used(ServedTest):
    """The tests of one class run in the order of their names, in one process; the last looks at what is left."""

    ran = 0
    walk = None
    # Words that could not be used here don't exist here.
    plugin_dirs = None if can_mount() else [f for f in daemon.plugin_folders() if f.name != "fuse"]

    def setUp(self):
        super().setUp()
        if Used.walk is None:
            Used.walk = walk.Walk(self.client.cmd("query-qmp-schema"))
        Used.ran += 1

    # --- the notes ------------------------------------------------------------------------------------------
    def used(self, command, /, **arguments):
        """What these arguments do has just been seen. Names have underscores for dashes."""
        Used.walk.use_arguments(command, {k.replace("_", "-"): v for k, v in arguments.items()})

    def returns(self, command, expected, got):
        """A command's whole answer is as expected."""
        self.assertEqual(got, expected)
        Used.walk.use_returned(command, got)

    def happens(self, name, /, **data):
        """An event comes, with this data and no other."""
        event = self.client.wait_event(name)
        expected = {k.replace("_", "-"): v for k, v in data.items()}
        self.assertEqual(event.get("data", {}), expected)
        Used.walk.use_event(name, expected)
