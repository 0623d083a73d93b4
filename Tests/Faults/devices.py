"""Loop devices, mounts and the means to make them fail; everything is taken down again."""

import atexit
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# _IOR('X', 125, __u32) and the flag that leaves out the last flush of the journal.
FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2


class Unavailable(Exception):
    """A means that this machine does not have."""


def run(*words, check=True):
    done = subprocess.run(
        [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    if check and done.returncode != 0:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.decode(errors='replace').strip()}")
    return done


class Undo:
    """What is to be taken down, latest first; also when the program is interrupted or fails."""

    def __init__(self):
        self.actions = []
        atexit.register(self.all)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))

    def add(self, action):
        self.actions.append(action)
        return action

    def one(self, action):
        """Does one action now instead of later."""
        self.actions.remove(action)
        action()

    def all(self):
        while self.actions:
            try:
                self.actions.pop()()
            except Exception as error:
                print(f"taking down: {error}", file=sys.stderr)


UNDO = Undo()


def scratch(prefix, parent=None):
    """A folder that goes with the program."""
    folder = Path(tempfile.mkdtemp(prefix=f"cordwood-{prefix}-", dir=parent))
    UNDO.add(lambda: shutil.rmtree(folder, ignore_errors=True))
    return folder


def lacking(commands, kind):
    """Why a means that takes these commands and mounts such a file system cannot work here, tried with an
    empty one; nothing where it can."""
    for command in commands:
        if not shutil.which(command):
            return f"no {command}"
    if not kind:
        return ""
    if os.geteuid() != 0:
        return "not root"
    if not shutil.which(f"mkfs.{kind}"):
        return f"no mkfs.{kind}"
    with tempfile.TemporaryDirectory(prefix="cordwood-probe-") as name:
        image, mounted = Path(name, "image"), Path(name, "mounted")
        mounted.mkdir()
        try:
            make_image(image, SMALLEST_MEGABYTES[kind], kind)
            loop = Loop(image)
            with Mount(loop.device, mounted):
                pass
            loop.close()
        except OSError as error:
            return str(error)
        finally:
            UNDO.all()
    return ""


# _IOWR('f', 11, struct fiemap)
FS_IOC_FIEMAP = 0xC020660B
FIEMAP_SYNC = 1


def extents(path):
    """Where a file's bytes lie on its device: position and length, in bytes."""
    most = 256
    request = bytearray(struct.pack("=QQLLLL", 0, 1 << 62, FIEMAP_SYNC, 0, most, 0))
    request += bytes(56 * most)
    with open(path, "rb") as file:
        fcntl.ioctl(file.fileno(), FS_IOC_FIEMAP, request)
    mapped = struct.unpack_from("=L", request, 20)[0]
    if mapped == most:
        raise Unavailable(f"{path} has more than {most} extents")
    return [
        struct.unpack_from("=QQ", request, 32 + 56 * index + 8) for index in range(mapped)]


class Loop:
    """A loop device over a file or device."""

    def __init__(self, backing, request_bytes=None):
        """`request_bytes` bounds a request. The driver reports one that was written in part as done,
        so where the backing file can run out of space, requests must be single pages of it."""
        self.device = run("losetup", "-f", "--show", backing).stdout.decode().strip()
        self.detach = UNDO.add(lambda: run("losetup", "-d", self.device, check=False))
        if request_bytes:
            queue = Path("/sys/block", Path(self.device).name, "queue/max_sectors_kb")
            queue.write_text(str(request_bytes >> 10))

    def close(self):
        UNDO.one(self.detach)


class Mount:
    """A file system on a device, mounted."""

    def __init__(self, device, folder, *options):
        run("mount", *options, device, folder)
        self.folder = Path(folder)
        self.down = UNDO.add(self._unmount)

    def _unmount(self):
        # Somebody's dying process may hold it for a moment.
        for _ in range(200):
            if run("umount", self.folder, check=False).returncode == 0:
                return
            time.sleep(0.01)
        run("umount", "-l", self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        UNDO.one(self.down)

    def cut_power(self):
        """The file system loses what it has not written, its journal's tail included."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)


# xfs takes no less.
SMALLEST_MEGABYTES = {"ext4": 48, "xfs": 320}


def make_image(path, megabytes, kind="ext4", *more):
    """A file system in a sparse file."""
    with open(path, "wb") as file:
        file.truncate(megabytes << 20)
    if kind == "ext4":
        options = ["-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", *more]
    else:
        options = ["-q", "-f"]
    run(f"mkfs.{kind}", *options, path)
