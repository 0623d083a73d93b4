"""Each way to hurt a database on a real kernel: a function that does it so many times."""

import os
import random
import shutil
import struct
import subprocess
import time

from devices import (
    SMALLEST_MEGABYTES, UNDO, Loop, Mount, Unavailable, extents, make_image, run, scratch)
from lives import POWER_CUT, WORKLOADS, Broken, Lives

# A database is given up for a new one after so many lives.
GENERATION = 12


class Means:
    """What all need: the binary, a seed, and where to count."""

    def __init__(self, binary, seed, folder):
        self.binary = binary
        self.random = random.Random(seed)
        self.folder = folder

    def lives(self, directory):
        io = self.random.choice(["uring", "threads"])
        return Lives(
            self.binary, self.random.choice(WORKLOADS), directory, self.random.getrandbits(63), io)


class Result:
    """What came of one row of the report."""

    def __init__(self):
        self.done = 0
        self.failures = []
        self.acknowledged = 0
        self.survivors = 0

    def add(self, lives):
        self.acknowledged += lives.acknowledged
        self.survivors += lives.survivors

    def fail(self, what, lives):
        self.failures.append(f"{lives.workload} ({lives.environment['CORDWOOD_IO']}): {what}")


def kill(means, count):
    """SIGKILL at any time, while it opens, works and recovers."""
    result = Result()
    folder = scratch("kill", means.folder)
    while result.done < count:
        directory = folder / f"database-{result.done}"
        lives = means.lives(directory)
        try:
            for _ in range(min(GENERATION, count - result.done)):
                lives.start()
                lives.wait()
                result.done += 1
                lives.kill()
                # Sometimes it is killed again before anybody has looked.
                if lives.random.random() < 0.7:
                    lives.check()
            lives.check()
        except Broken as error:
            result.fail(error, lives)
        result.add(lives)
        shutil.rmtree(directory, ignore_errors=True)
    return result


def power(means, count, kind):
    """The file system is shut down without its journal's tail, and everything in memory is gone."""
    result = Result()
    folder = scratch("power", means.folder)
    (folder / "mounted").mkdir()
    while result.done < count:
        image = folder / "image"
        make_image(image, max(64, SMALLEST_MEGABYTES[kind]), kind)
        loop = Loop(image)
        lives = means.lives(folder / "mounted" / "database")
        try:
            for _ in range(min(GENERATION, count - result.done)):
                with Mount(loop.device, folder / "mounted") as mount:
                    lives.start()
                    lives.wait()
                    lives.lose_power(mount)
                result.done += 1
                with Mount(loop.device, folder / "mounted"):
                    lives.check()
        except Broken as error:
            result.fail(error, lives)
        result.add(lives)
        loop.close()
        image.unlink()
    return result


def late_full(means, count):
    """A thin device runs out of space: writes succeed, and the sync fails."""
    result = Result()
    folder = scratch("full", means.folder)
    for name in ("thin", "mounted"):
        (folder / name).mkdir()
    while result.done < count:
        with Mount("tmpfs", folder / "thin", "-t", "tmpfs", "-o", "size=12m"):
            fill_thin_disk(means, folder, result)
    return result


def fill_thin_disk(means, folder, result):
    image = folder / "thin" / "image"
    make_image(image, 256, "ext4", "-b", "4096")
    loop = Loop(image, request_bytes=4096)
    lives = means.lives(folder / "mounted" / "database")
    try:
        with Mount(loop.device, folder / "mounted") as mount:
            lives.start()
            lives.wait_for_end(60)
            lives.lose_power(mount)
        result.done += 1
        run("mount", "-o", "remount,size=300m", folder / "thin")
        with Mount(loop.device, folder / "mounted"):
            lives.check()
    except Broken as error:
        result.fail(error, lives)
    result.add(lives)
    loop.close()


class FailingDisk:
    """A disk whose writes fail while a file is there."""

    def __init__(self, folder, image):
        self.folder = folder
        self.switch = folder / "failing"
        socket, mounted = folder / "socket", folder / "nbd"
        mounted.mkdir(exist_ok=True)
        self.server = subprocess.Popen(
            ["nbdkit", "-f", "-U", socket, "file", f"file={image}", "--filter=error",
             "error-pwrite=EIO", "error-pwrite-rate=1", f"error-file={self.switch}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stop_server = UNDO.add(self.server.kill)
        wait_for(socket)
        self.fuse = subprocess.Popen(
            ["nbdfuse", mounted / "disk", f"nbd+unix:///?socket={socket}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stop_fuse = UNDO.add(lambda: run("fusermount3", "-u", mounted, check=False))
        wait_for(mounted / "disk")
        self.loop = Loop(mounted / "disk")

    def close(self):
        self.switch.unlink(missing_ok=True)
        self.loop.close()
        UNDO.one(self.stop_fuse)
        self.fuse.wait(timeout=60)
        UNDO.one(self.stop_server)
        self.server.wait(timeout=60)
        (self.folder / "socket").unlink(missing_ok=True)


def wait_for(path):
    deadline = time.monotonic() + 20
    while not path.exists():
        if time.monotonic() > deadline:
            raise Unavailable(f"{path} did not appear")
        time.sleep(0.005)


def write_errors(means, count):
    """The disk fails writes for a while: syncs report it once, and the kernel forgets the pages."""
    result = Result()
    folder = scratch("errors", means.folder)
    (folder / "mounted").mkdir()
    while result.done < count:
        image = folder / "image"
        make_image(image, 64)
        disk = FailingDisk(folder, image)
        lives = means.lives(folder / "mounted" / "database")
        try:
            for _ in range(min(4, count - result.done)):
                with Mount(disk.loop.device, folder / "mounted") as mount:
                    lives.start()
                    lives.wait()
                    disk.switch.touch()
                    lives.wait_for_end(20)
                    lives.lose_power(mount)
                    disk.switch.unlink()
                result.done += 1
                with Mount(disk.loop.device, folder / "mounted"):
                    lives.check()
        except Broken as error:
            result.fail(error, lives)
        result.add(lives)
        disk.close()
        image.unlink()
    return result


def damage(means, count):
    """Bits of the files flip, sectors of them read as zeros, files end early."""
    result = Result()
    folder = scratch("damage", means.folder)
    (folder / "mounted").mkdir()
    while result.done < count:
        image = folder / "image"
        make_image(image, 48)
        lives = means.lives(folder / "mounted" / "database")
        loop = Loop(image)
        with Mount(loop.device, folder / "mounted"):
            lives.start()
            lives.wait_for(means.random.choice([30, 100, 300]))
            lives.kill()
            places = [
                extent for path in sorted(lives.directory.rglob("*")) if path.is_file()
                for extent in extents(path)]
        loop.close()
        base = image.read_bytes()
        for _ in range(min(50, count - result.done)):
            damage_once(means, folder, base, places, lives, result)
        result.acknowledged += lives.acknowledged
    return result


def damage_once(means, folder, base, places, lives, result):
    copy = folder / "copy"
    state = bytearray(base)
    source = means.random
    kind = source.choice(["flips", "zeros", "cut"])
    if kind != "cut":
        for _ in range(source.choice([1, 1, 2, 8, 64])):
            position, length = source.choice(places)
            if kind == "flips":
                # Where there is something; the rest is space in reserve.
                used = len(base[position:position + length].rstrip(b"\0")) or length
                state[position + source.randrange(used)] ^= 1 << source.randrange(8)
            else:
                start = source.randrange(0, length, LOG_SECTOR)
                size = min(LOG_SECTOR * source.choice([1, 8, 64]), length - start)
                state[position + start:position + start + size] = bytes(size)
    copy.write_bytes(state)
    loop = Loop(copy)
    try:
        with Mount(loop.device, folder / "mounted"):
            if kind == "cut":
                files = [path for path in sorted(lives.directory.rglob("*")) if path.is_file()]
                path = source.choice(files)
                size = source.randrange(path.stat().st_size + 1)
                kind = f"{path.relative_to(lives.directory)} of {path.stat().st_size} bytes cut to {size}"
                os.truncate(path, size)
            result.survivors += lives.check_damaged()
    except Broken as error:
        result.fail(f"{kind}: {error}", lives)
    loop.close()
    result.done += 1


LOG_SECTOR = 512
FLUSH, DISCARD = 1, 4


class WriteLog:
    """The writes that reached a disk, in order, as dm-log-writes keeps them."""

    def __init__(self, path):
        self.entries = []
        with open(path, "rb") as file:
            magic, version, count, sector = struct.unpack("<QQQI", file.read(28))
            if magic != 0x6A736677736872 or version != 1:
                raise Unavailable(f"{path} is no log of writes")
            position = sector
            while True:
                file.seek(position)
                head = file.read(32)
                if len(head) < 32:
                    break
                where, length, flags, _ = struct.unpack("<QQQQ", head)
                if where == 0 and length == 0 and flags == 0:
                    break
                position += sector
                data = b""
                if length and not flags & DISCARD:
                    file.seek(position)
                    data = file.read(length * sector)
                    position += length * sector
                self.entries.append((position, where * sector, data, flags, length * sector))


def blocks(means, count):
    """Every state that a power cut could leave: what was flushed, and a torn, reordered subset of
    what was written after."""
    result = Result()
    folder = scratch("blocks", means.folder)
    (folder / "mounted").mkdir()
    while result.done < count:
        record_and_replay(means, folder, min(250, count - result.done), result)
    return result


def record_and_replay(means, folder, count, result):
    image, log, disk = folder / "image", folder / "log", folder / "disk"
    # With checksums ext4 gives up a journal whose last commit block was torn, and the file system with
    # it; without them it goes by the block's first sector.
    make_image(image, 48, "ext4", "-O", "^metadata_csum")
    base = image.read_bytes()
    log.write_bytes(b"")
    disk.write_bytes(b"")
    daemon = subprocess.Popen(
        ["qemu-storage-daemon",
         "--blockdev", f"driver=file,filename={image},node-name=image",
         "--blockdev", f"driver=file,filename={log},node-name=log",
         "--blockdev", "driver=blklogwrites,node-name=logged,file=image,log=log,"
                       f"log-sector-size={LOG_SECTOR},log-append=off",
         "--export", f"type=fuse,id=export,node-name=logged,mountpoint={disk},writable=on"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    stop = UNDO.add(daemon.terminate)
    deadline = time.monotonic() + 20
    while disk.stat().st_size == 0:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise Unavailable(f"qemu-storage-daemon: {daemon.stderr.read().decode()}")
        time.sleep(0.005)
    loop = Loop(disk)
    lives = means.lives(folder / "mounted" / "database")
    # Writes that the log had when an event was heard.
    lives.stamp = lambda: log.stat().st_size
    with Mount(loop.device, folder / "mounted"):
        lives.start()
        deadline = time.monotonic() + 3
        while lives.heard < 200 and time.monotonic() < deadline:
            time.sleep(0.001)
        lives.process.kill()
        lives.end(POWER_CUT)
        # Writes and flushes behind all that was heard, however late this process came to hear it.
        for number in range(20):
            (folder / "mounted" / "behind").write_text(str(number))
            run("sync", "-f", folder / "mounted" / "behind")
    loop.close()
    UNDO.one(stop)
    daemon.wait(timeout=60)
    writes = WriteLog(log).entries
    flushes = [index for index, entry in enumerate(writes) if entry[3] & FLUSH]
    state = bytearray(base)
    applied = 0
    for cut in sorted(means.random.choice(flushes) for _ in range(count)):
        while applied <= cut:
            apply(state, writes[applied])
            applied += 1
        torn = bytearray(state)
        # What the disk may have had of the writes behind that flush, in whatever order.
        reach = means.random.choice([0, 1, 3, 10, 40])
        for entry in writes[applied:applied + reach]:
            if entry[3] & FLUSH:
                break
            apply(torn, entry, means.random)
        copy = folder / "copy"
        copy.write_bytes(torn)
        held = [
            line for line, mark in zip(lives.events, lives.stamps)
            if line.startswith(b"send ") or line.startswith(b"trim ")
            or line.startswith(b"ending ") or mark <= writes[cut][0]]
        held.append(b"outage %d" % POWER_CUT)
        replayed = Loop(copy)
        try:
            with Mount(replayed.device, folder / "mounted"):
                result.survivors += lives.check(held, keep=False)
        except Broken as error:
            result.fail(f"state after write {cut}: {error}", lives)
        replayed.close()
        result.done += 1
    result.acknowledged += lives.acknowledged


def apply(state, entry, source=None):
    """Does a write, or with a source of randomness each of its sectors perhaps."""
    _, where, data, flags, length = entry
    if flags & DISCARD:
        if source is None:
            state[where:where + length] = bytes(length)
        return
    if source is None:
        state[where:where + len(data)] = data
        return
    for offset in range(0, len(data), LOG_SECTOR):
        if source.random() < 0.5:
            state[where + offset:where + offset + LOG_SECTOR] = data[offset:offset + LOG_SECTOR]
