#!/usr/bin/env python3
"""Kills `cordwood topic append --print-offsets` again and again, and checks what it promised.

An oracle outside the killed process keeps every line that was offered and every offset that was
acknowledged. After each `kill -9` the database is opened again, and then:

- every acknowledged record is at its offset, byte for byte;
- offsets have no gaps, and what an earlier round saw is still there;
- a key stays in its partition;
- what is there without having been acknowledged is, in each partition, a prefix of what was offered
  to it after the last acknowledged record, in order;
- `topic verify` finds that every checksum holds.

A process that dies says nothing about power: its writes stay in the kernel. The simulated disk of
`CordwoodSimulation` is for that.
"""

import argparse
import base64
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

SEPARATOR = b"\t"
KEYS = [b"key-%d" % number for number in range(24)]
ROUNDS_PER_DATABASE = 10
ROUND_BYTES = 2 << 20
COMMAND_SECONDS = 120


class Broken(Exception):
    """A promise that was not kept."""


class Generation:
    """One database, through the rounds that it lives."""

    def __init__(self, cordwood, directory, random_source):
        self.cordwood = cordwood
        self.directory = directory
        self.random = random_source
        self.partitions = random_source.choice([1, 1, 2, 5])
        # What each partition held when it was last read: a list of (key, value).
        self.contents = [[] for _ in range(self.partitions)]
        self.partition_of_key = {}
        self.sequence = 0
        self.acknowledged = 0
        self.is_created = False

    def run(self, *arguments):
        return subprocess.run(
            [self.cordwood, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=COMMAND_SECONDS)

    def offer(self):
        """A line that no other line equals, as (key, value)."""
        self.sequence += 1
        size = self.random.choice([0, 1, 20, 200, 200, 1000, 5000, 60_000])
        body = self.random.randbytes(self.random.randint(0, size)).replace(b"\n", b"+")
        return self.random.choice(KEYS), b"%d:" % self.sequence + body

    def kill_one_appender(self):
        """Returns what was offered, and the (partition, offset) of each acknowledged record."""
        arguments = [
            self.cordwood, "topic", "append", self.directory, "events", "--create",
            "--partitions", str(self.partitions), "--key-separator", SEPARATOR.decode(),
            "--acknowledge", self.random.choice(["durable", "durable", "durable", "written"]),
            "--print-offsets",
        ]
        process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            bufsize=0)
        offered, printed = [], []
        writer = threading.Thread(target=self.write_lines, args=(process, offered))
        reader = threading.Thread(target=lambda: printed.append(process.stdout.read()))
        writer.start()
        reader.start()
        time.sleep(self.random.choice([0, 0.01, 0.03, 0.1, 0.3]) * self.random.random() * 2)
        process.kill()
        process.wait(timeout=COMMAND_SECONDS)
        writer.join()
        reader.join()
        complaint = process.stderr.read()
        if complaint or process.returncode != -9:
            raise Broken(f"append ended with {process.returncode} before it was killed: {complaint}")
        # A line that was cut by the kill was not yet an acknowledgement.
        whole = printed[0][: printed[0].rfind(b"\n") + 1]
        return offered, [tuple(map(int, line.split())) for line in whole.splitlines()]

    def write_lines(self, process, offered):
        sent = 0
        try:
            while sent < ROUND_BYTES:
                lines = [self.offer() for _ in range(self.random.choice([1, 1, 5, 50]))]
                offered.extend(lines)
                data = b"".join(key + SEPARATOR + value + b"\n" for key, value in lines)
                view = memoryview(data)
                while view:
                    view = view[process.stdin.write(view):]
                sent += len(data)
                if self.random.random() < 0.2:
                    time.sleep(0.002)
            # Never end the input: the appender is to die with work on its hands.
        except (BrokenPipeError, ConnectionResetError):
            pass

    def kill_one_reader(self):
        """A death during recovery must not change what the next opening finds."""
        process = subprocess.Popen(
            [self.cordwood, "topic", "describe", self.directory, "events"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(self.random.random() * 0.03)
        process.kill()
        process.wait(timeout=COMMAND_SECONDS)

    def read_partition(self, number):
        result = self.run(
            "topic", "read", self.directory, "events", "--partition", str(number), "--json")
        if result.returncode != 0:
            raise Broken(f"topic read ended with {result.returncode}: {result.stderr}")
        records = []
        for line in result.stdout.splitlines():
            record = json.loads(line)
            if record["offset"] != len(records) or record["partition"] != number:
                raise Broken(
                    f"partition {number}: expected offset {len(records)}, found {record}")
            records.append((field(record, "key"), field(record, "value")))
        return records

    def check(self, offered, acknowledgements):
        if len(acknowledgements) > len(offered):
            raise Broken(f"{len(acknowledgements)} acknowledged of {len(offered)} offered")
        contents = [self.read_partition(number) for number in range(self.partitions)]
        for number, (before, after) in enumerate(zip(self.contents, contents)):
            if after[: len(before)] != before:
                raise Broken(f"partition {number} lost or changed what an earlier round saw")
        for record, (partition, offset) in zip(offered, acknowledgements):
            if offset >= len(contents[partition]) or contents[partition][offset] != record:
                raise Broken(
                    f"{partition} {offset} was acknowledged, but the record is not there: "
                    f"{len(contents[partition])} records in the partition")
        self.check_new(offered, contents)
        self.contents = contents
        self.acknowledged += len(acknowledgements)
        result = self.run("topic", "verify", self.directory)
        if result.returncode != 0:
            raise Broken(f"topic verify ended with {result.returncode}: {result.stdout}")

    def check_new(self, offered, contents):
        """What is new in a partition is a prefix of what was offered to it."""
        for number, after in enumerate(contents):
            for key, _ in after:
                if self.partition_of_key.setdefault(key, number) != number:
                    raise Broken(f"{key} is in partition {number} and in another")
        for number, (before, after) in enumerate(zip(self.contents, contents)):
            mine = [
                record for record in offered if self.partition_of_key.get(record[0]) == number]
            new = after[len(before):]
            if new != mine[: len(new)]:
                raise Broken(f"partition {number}: {len(new)} new records are no prefix of those "
                             f"offered to it")

    def round(self):
        offered, acknowledgements = self.kill_one_appender()
        if not self.is_created and not acknowledgements:
            # Killed before the topic was there: nothing was promised but a folder that opens.
            result = self.run("topic", "append", self.directory, "events", "--create",
                              "--partitions", str(self.partitions))
            if result.returncode != 0:
                raise Broken(f"creating after a kill ended with {result.returncode}: "
                             f"{result.stderr}")
        self.is_created = True
        if self.random.random() < 0.3:
            self.kill_one_reader()
        self.check(offered, acknowledgements)


def field(record, name):
    if name in record:
        return None if record[name] is None else record[name].encode()
    return base64.b64decode(record[name + "Base64"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cordwood", required=True, help="the command to test")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"kill loop: {arguments.rounds} rounds, seed {arguments.seed}", flush=True)

    source = random.Random(arguments.seed)
    folder = tempfile.mkdtemp(prefix="cordwood-kill-")
    passed = failed = acknowledged = 0
    generation = None
    try:
        for number in range(arguments.rounds):
            if generation is None or number % ROUNDS_PER_DATABASE == 0:
                directory = os.path.join(folder, f"database-{number}")
                generation = Generation(arguments.cordwood, directory, source)
            before = generation.acknowledged
            try:
                generation.round()
                passed += 1
                acknowledged += generation.acknowledged - before
                if number % ROUNDS_PER_DATABASE == ROUNDS_PER_DATABASE - 1:
                    shutil.rmtree(generation.directory)
            except (Broken, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"round {number} FAILED: {error}\n  kept: {generation.directory}", flush=True)
                generation = None
    finally:
        if failed == 0:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{acknowledged} acknowledged records checked after {passed + failed} kills")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or acknowledged == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
