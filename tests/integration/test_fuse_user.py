# SPDX-License-Identifier: Apache-2.0
"""FUSE exports of an ordinary user's daemon, which mounts and unmounts through fusermount3. All of this happens in a mount
namespace of its own, with a /dev/fuse that everybody may open, as on an ordinary system.
"""
import ctypes
import os
import pwd
import shutil
import signal
import stat
import subprocess

from support import daemon
from support.case import OutportTest
from support.fusetest import Mounting, mounts, super_options

HINT = "It needs Linux 6.14, the module parameter fuse.enable_uring, and root"
NOT_ALLOWED = "option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf"
# Of the host, to every user who is not root.
WARNING = "warning: loop: PR_SET_IO_FLUSHER"
NEW_MOUNTS = 0x20000
DEVICE = """mount --make-rprivate / && mount -t tmpfs none "$1" && mknod -m 666 "$1/fuse" c 10 229 &&
    mount --bind "$1/fuse" /dev/fuse && umount -l "$1"
"""


def leave_the_others(folder):
    """Gives this process mounts of its own, once; whether that worked."""
    if not hasattr(leave_the_others, "worked"):
        leave_the_others.worked = ctypes.CDLL(None).unshare(NEW_MOUNTS) == 0 and not subprocess.run(
            ["sh", "-c", DEVICE, "sh", folder], stderr=subprocess.DEVNULL, check=False).returncode
    return leave_the_others.worked


class Nobody(Mounting, OutportTest):
    def setUp(self):
        super().setUp()
        self.require(os.geteuid() == 0, "needs root, to become another user")
        self.require(os.access("/dev/fuse", os.R_OK | os.W_OK), "no /dev/fuse")
        self.require(shutil.which("fusermount3"), "no fusermount3 here")
        self.require(leave_the_others(self.tmp), "needs mounts of its own")
        self.configure("")
        user = pwd.getpwnam("nobody")
        self.uid = user.pw_uid
        os.chown(self.tmp, user.pw_uid, user.pw_gid)
        self.become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        seen = self.tool(*self.become, "test", "-x", daemon.outportd(), check=False)
        self.require(seen.returncode == 0, "the build folder is closed to other users")
        self.file = self.mountpoint()
        self.disk = self.image(data=b"data")
        for path in (self.file, self.disk):
            os.chown(path, user.pw_uid, user.pw_gid)

    def configure(self, text):
        """fuse.conf(5)"""
        path = self.tmp / "fuse.conf"
        path.write_text(text)
        if not any(p == "/etc/fuse.conf" for p in mounts()):
            self.tool("mount", "--bind", path, "/etc/fuse.conf")
            self.addCleanup(self.tool, "umount", "/etc/fuse.conf")

    def said(self, running):
        """On the terminal, but for what every user is told."""
        return [line for line in running.stderr().splitlines() if WARNING not in line]

    def nobodys(self, *options, **more):
        """A daemon that is not started yet, and its arguments: the image exported over self.file."""
        made = self.new_daemon(wrapper=self.become, env={"XDG_RUNTIME_DIR": str(self.tmp), "HOME": str(self.tmp)}, **more)
        words = ",".join((f"fuse,id=e0,node-name=n0,mountpoint={self.file},writable=on", *options))
        return made, ["--blockdev", f"file,node-name=n0,filename={self.disk}", "--export", words]

    def start(self, *options, before=()):
        made, arguments = self.nobodys(*options)
        return made.start(*before, *arguments)

    def as_nobody(self, *command):
        """Root is another user, and is kept out."""
        return self.tool(*self.become, *command).stdout

    def write_and_read(self):
        self.as_nobody("dd", "if=/dev/zero", f"of={self.file}", "bs=512", "count=1", "seek=1", "conv=notrunc")
        self.assertEqual(self.as_nobody("head", "-c", "4", self.file), "data")
        self.assertEqual(self.disk.read_bytes()[:1024], b"data" + bytes(1020))

    def test_falls_back(self):
        """To itself alone, without a word to whoever looks at the terminal; the log can tell."""
        running = self.start(before=("--trace", f"fuse:debug,file={self.tmp}/log"))
        self.assertNotIn("allow_other", super_options(self.file))
        self.assertEqual(self.as_nobody("stat", "-c", "%u %a", self.file).split(), [str(self.uid), "600"])
        with self.assertRaises(PermissionError):
            self.file.read_bytes()
        self.write_and_read()
        self.assertEqual(running.stop(), 0)
        self.assertEqual(self.said(running), [])
        self.assertIn(f"by fusermount3: fusermount3: {NOT_ALLOWED}", (self.tmp / "log").read_text())

    def test_off(self):
        running = self.start("allow-other=off")
        self.assertNotIn("allow_other", super_options(self.file))
        self.write_and_read()
        client = self.monitor(running)
        client.cmd("block-export-del", id="e0")
        client.wait_event("BLOCK_EXPORT_DELETED", id="e0")
        self.assertNotIn(str(self.file), mounts())
        self.assertEqual(self.file.read_bytes(), b"")  # the file that was covered
        client.cmd("block-export-add", {"type": "fuse", "id": "e1", "node-name": "n0", "mountpoint": str(self.file)})
        self.assertEqual(self.as_nobody("head", "-c", "4", self.file), "data")
        self.assertEqual(running.stop(), 0)
        self.assertNotIn(str(self.file), mounts())
        self.assertEqual(self.said(running), [])

    def test_on(self):
        """Fails with what fusermount3 says; where the system allows it, others may use the file."""
        made, arguments = self.nobodys("allow-other=on")
        status, _, err = made.run(*arguments)
        self.assertEqual(status, 1)
        last = err.splitlines()[-1]
        self.assertEqual([line for line in err.splitlines() if WARNING not in line], [last])
        self.assertIn(f"Failed to mount FUSE session to export: fusermount3: {NOT_ALLOWED}", last)
        self.assertNotIn(str(self.file), mounts())
        self.configure("user_allow_other\n")
        for word in ("on", "auto"):
            running = self.start(f"allow-other={word}")
            self.assertIn("allow_other", super_options(self.file))
            self.assertEqual(self.file.read_bytes()[:4], b"data")
            self.assertEqual((running.stop(), self.said(running)), (0, []))

    def test_killed(self):
        """With the image as its own mountpoint too: a new start looks through the dead mount."""
        for path in (self.file, self.disk):
            self.file = path
            first = self.start()
            self.assertEqual(self.as_nobody("head", "-c", "4", path), "data")
            first.send_signal(signal.SIGKILL)
            first.wait()
            self.assertIn(str(path), mounts())
            second = self.start()
            self.assertEqual(self.as_nobody("head", "-c", "4", path), "data")
            self.assertEqual([line for line in self.said(second) if "left mounted" not in line], [])
            self.assertEqual(second.stop(), 0)
            self.assertNotIn(str(path), mounts())
            self.assertTrue(stat.S_ISREG(path.stat().st_mode))

    def test_io_uring(self):
        made, arguments = self.nobodys("io-uring=on")
        status, _, err = made.run(*arguments)
        self.assertEqual(status, 1)
        self.assertIn("FUSE over io_uring is not available here", err)
        self.assertIn(HINT, err)
        self.assertNotIn(str(self.file), mounts())

    def test_without_the_helper(self):
        """Where it can't be found, the error says so."""
        made, arguments = self.nobodys()
        made.wrapper = ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" "$(command -v fusermount3)" && shift && exec "$@"',
                        "sh", "/dev/null", *self.become]
        status, _, err = made.run(*arguments)
        self.assertEqual(status, 1)
        self.assertRegex(err, "Failed to mount FUSE session to export: Failed to run fusermount3: ")
        self.assertNotIn(str(self.file), mounts())
