"""The lives of one database, and the oracle: every event of the workload, kept out of its reach."""

import os
import random
import subprocess
import threading
import time

from devices import UNDO

WORKLOADS = ("append", "roll", "compact", "transaction", "collection")
KILLED, POWER_CUT = 1, 2
CHECK_SECONDS = 120
LONGEST_LIFE_SECONDS = 5


class Broken(Exception):
    """A promise that was not kept."""


class Lives:
    """One database. `directory` is where it lies while a life or a check runs."""

    def __init__(self, binary, workload, directory, seed, io="uring"):
        self.binary = binary
        self.workload = workload
        self.directory = directory
        self.random = random.Random(seed)
        self.environment = dict(os.environ, CORDWOOD_IO=io)
        self.events = []
        self.next = 1
        self.acknowledged = 0
        self.survivors = 0
        self.stamp = None
        self.stamps = []

    def start(self, levels="durable,durable,written", rounds=None):
        """Begins a life; its events are read as they come."""
        words = [
            self.binary, "work", self.workload, self.directory,
            "--seed", self.random.getrandbits(63), "--from", self.next,
            "--writers", self.random.choice([1, 2, 4, 8]), "--levels", levels]
        if rounds:
            words += ["--rounds", rounds]
        self.process = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=self.environment)
        # Whatever fails here, it must not hold a mount that is to be taken down.
        UNDO.add(self.process.kill)
        self.heard = 0
        self.reader = threading.Thread(target=self._listen)
        self.reader.start()

    def _listen(self):
        pending = b""
        while chunk := os.read(self.process.stdout.fileno(), 1 << 16):
            # Taken after the events came: what they say was true no later than this.
            mark = self.stamp() if self.stamp else None
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                self.events.append(line)
                self.stamps.append(mark)
                self._count(line)

    def _count(self, line):
        """No number is used twice, also by a life that begins before anything was checked."""
        word, *numbers = line.split()
        if word in (b"ack", b"ended"):
            self.heard += 1
        elif word == b"send":
            self.next = max(self.next, int(numbers[1]), int(numbers[4]) + 1)
        elif word == b"ending":
            self.next = max(self.next, int(numbers[0]) + 1)

    def wait(self):
        """Until a random number of acknowledgements is heard, and a little longer."""
        self.wait_for(self.random.choice([0, 1, 3, 10, 30, 100]))
        time.sleep(self.random.random() * self.random.choice([0, 0.002, 0.02]))

    def wait_for(self, wanted):
        deadline = time.monotonic() + LONGEST_LIFE_SECONDS
        while self.heard < wanted and time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            time.sleep(0.0005)

    def end(self, outage):
        """After the process was killed or has failed: what it said is all that it will say."""
        self.process.wait(timeout=CHECK_SECONDS)
        UNDO.actions.remove(self.process.kill)
        self.reader.join()
        complaint = self.process.stderr.read().decode(errors="replace")
        self.process.stdout.close()
        self.process.stderr.close()
        self.acknowledged += self.heard
        self.note(f"outage {outage}")
        return self.process.returncode, complaint

    def note(self, line):
        self.events.append(line.encode())
        self.stamps.append(self.stamp() if self.stamp else None)

    def wait_for_end(self, seconds):
        """Until the workload gives up by itself, or so long."""
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            pass

    def lose_power(self, mount):
        """What is acknowledged once the cut has begun is not held to: a real machine would be off, and
        this kernel goes on to answer syncs whose blocks it has stopped to write."""
        before = len(self.events)
        mount.cut_power()
        self.process.kill()
        self.end(POWER_CUT)
        late = [
            index for index in range(before, len(self.events))
            if self.events[index].startswith((b"ack ", b"ended ", b"trimmed "))]
        for index in reversed(late):
            del self.events[index], self.stamps[index]

    def kill(self):
        self.process.kill()
        code, complaint = self.end(KILLED)
        if code != -9:
            raise Broken(f"the workload ended with {code} before it was killed: {complaint}")

    def _ask(self, action, events):
        given = b"\n".join(events) + b"\n"
        try:
            done = subprocess.run(
                [str(self.binary), action, self.workload, str(self.directory)],
                input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=self.environment, timeout=CHECK_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Broken(f"the check did not end: {error.stderr}")
        return done, done.stderr.decode(errors="replace").strip()

    def check_damaged(self):
        """After the files were damaged: it may refuse by an error and serve less, and nothing else.
        Returns 1 where it said that something is damaged, 0 where nothing was."""
        done, complaint = self._ask("damaged", self.events)
        if done.returncode == 3:
            return 1
        if done.returncode != 0:
            raise Broken(f"check ended with {done.returncode}: {complaint}")
        return int(int(complaint.split()[-1]) > 0)

    def check(self, events=None, keep=True):
        """Holds the database against what is known; what it finds is known from then on."""
        done, complaint = self._ask("check", self.events if events is None else events)
        if done.returncode != 0:
            raise Broken(f"check ended with {done.returncode}: {complaint}")
        words = complaint.split()[-4:]
        if keep:
            for line in done.stdout.splitlines():
                self.note(line.decode())
            self.survivors = int(words[1])
            self.next = max(self.next, int(words[3]))
        return int(words[1])
