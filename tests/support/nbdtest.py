# SPDX-License-Identifier: Apache-2.0
"""What tests of exports share: a daemon with an image behind an NBD export, images with holes, verified load."""
import json
import random
import socket
import subprocess

import nbd

from . import daemon
from .case import OutportTest


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def sparse_image(path, size, seed=1, pieces=24):
    """An image of holes with pieces of data between them, some at odd offsets."""
    generator = random.Random(seed)
    with open(path, "wb") as out:
        out.truncate(size)
        for number in range(pieces):
            length = generator.choice([1, 511, 4096, 65536, 1 << 20, 2 << 20])
            out.seek(generator.randrange(0, size - length) if number else 0)
            out.write(generator.randbytes(length))
    return path


class NbdTest(OutportTest):
    """Tests that look at a daemon through an NBD export."""

    flavour = "outport"

    def serve(self, path, *more, node="", export="", server="", driver="file", flavour=None, **options):
        """A daemon whose node n0 is the image, exported as `x`, writable. Extra words go to the options named so."""
        running = self.new_daemon(flavour or self.flavour, **options)
        arguments = [*more, "--blockdev", f"{driver},node-name=n0,filename={path}{node}"]
        arguments += ["--nbd-server", f"addr.type=unix,addr.path={running.nbd_path}{server}"]
        arguments += ["--export", f"nbd,id=e0,node-name=n0,name=x,writable=on{export}"]
        return running.start(*arguments)

    def connect(self, running, export="x", structured=True, contexts=()):
        """A libnbd handle."""
        handle = nbd.NBD()
        handle.set_request_structured_replies(structured)
        handle.set_strict_mode(0)
        for context in contexts:
            handle.add_meta_context(context)
        handle.connect_uri(running.uri(export))
        return handle

    # --- load -----------------------------------------------------------------------------------------------
    def stress(self, uri, *arguments):
        """Verified load in the background; it runs once this returns."""
        process = subprocess.Popen([daemon.support("nbdstress"), "run", "--uri", uri, *map(str, arguments)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self._reap, process)
        if process.stdout.readline().strip() != "running":
            self.fail(f"no load: {process.stderr.read()}")
        return process

    @staticmethod
    def _reap(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def finish(self, process, stop=True):
        """Ends the load; what it counted. Fails when anything read was wrong."""
        if stop:
            process.terminate()
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, f"{out}{err}")
        return json.loads(out)

    def verify(self, uri, state, mode="acked"):
        done = self.tool(daemon.support("nbdstress"), "verify", "--uri", uri, "--state", state, "--mode", mode)
        return json.loads(done.stdout)

    def load(self, running, *arguments, export="x", where=None):
        """The lean load generator, to its end."""
        done = self.tool(daemon.support("nbdload"), "--to", where or f"unix:{running.nbd_path}", "--export", export,
                         *arguments)
        return json.loads(done.stdout)

    def load_until_told(self, running, *arguments, export="x"):
        """The same in the background: each connection has been answered once this returns, and it goes on until tell()."""
        command = [daemon.support("nbdload"), "--to", f"unix:{running.nbd_path}", "--export", export, "--until-told",
                   *arguments]
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self._reap, process)
        self.assertEqual(process.stdout.readline(), "running\n")
        return process

    def tell(self, process):
        """Ends such a load; what it counted since it was running."""
        out, _ = process.communicate()
        self.assertEqual(process.returncode, 0)
        return json.loads(out)
