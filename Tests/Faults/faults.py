#!/usr/bin/env python3
"""Hurts databases on a simulated disk and on this machine's kernel, and reports what was left.

Needs root for all but the simulation and the kills. A means that the machine does not have is reported
as skipped, and never as passed.
"""

import argparse
import multiprocessing
import multiprocessing.connection
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import means
import report
from devices import UNDO, Unavailable, lacking
from means import Result

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Row:
    """A line of the table."""

    name: str
    what: str
    # How often in the short form.
    wanted: int
    function: object
    # What it takes: commands, and a file system to be mounted.
    commands: tuple = ()
    kind: str = ""
    done: int = 0
    acknowledged: int = 0
    survivors: int = 0
    seconds: float = 0
    seeds: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    skipped: str = ""

    def run(self, workload, folder, count, seed):
        if self.skipped:
            return
        began = time.monotonic()
        self.seeds.append(seed)
        try:
            result = self.function(
                means.Means(workload, f"{self.name} {seed}", folder), count)
            self.done += result.done
            self.acknowledged += result.acknowledged
            self.survivors += result.survivors
            self.failures += result.failures
        except Unavailable as error:
            self.skipped = str(error)
        except OSError as error:
            # The row is not done, and the others can be.
            self.failures.append(f"the means itself failed: {error}")
        finally:
            # Mounts and devices go, whatever happened.
            UNDO.all()
            self.seconds += time.monotonic() - began

    def __str__(self):
        if self.skipped:
            return f"{self.what}: SKIPPED, not passed: {self.skipped}"
        return (f"{self.what}: {self.done}, {self.acknowledged} acknowledgements, "
                f"{self.survivors} held to, {len(self.failures)} failures, {self.seconds:.0f} s")


def simulated(run, count):
    """Random lives of databases on the simulated disk, by seed, optimised."""
    return test(run, "acknowledgedRecordsSurvive", count, 200)


def repeated(run, count):
    """The same lives twice."""
    return test(run, "theSameSeedIsTheSameRun", count, 30)


def test(run, name, count, seeds):
    """A test of RandomFaultTests that goes through so many seeds for a factor of 1."""
    result = Result()
    first = run.random.randrange(1 << 40)
    factor = max(1, -(-count // seeds))
    environment = dict(
        os.environ, CORDWOOD_SEEDS=str(factor), CORDWOOD_FIRST_SEED=str(first))
    done = subprocess.run(
        ["swift", "test", "-c", "release", "-Xswiftc", "-enable-testing", "--scratch-path",
         ".build/testable", "--filter", f"RandomFaultTests/{name}"],
        cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0 or not re.search(r"Test run with [1-9]", text):
        result.failures.append(text[-4000:])
    found = re.search(r"survivors (\d+)", text)
    result.done = factor * seeds
    result.survivors = int(found[1]) if found else 0
    return result


LOOP = ("losetup", "mount", "umount")
ROWS = [
    Row("simulated", "lives of a database on the simulated disk, by seed", 10_000, simulated,
        ("swift",)),
    Row("repeated", "the same seed, the same trace", 100, repeated, ("swift",)),
    Row("kill", "`SIGKILL` at any time", 2000, means.kill),
    Row("power-ext4", "power cuts, ext4", 2000, lambda m, n: means.power(m, n, "ext4"), LOOP, "ext4"),
    Row("power-xfs", "power cuts, xfs", 500, lambda m, n: means.power(m, n, "xfs"), LOOP, "xfs"),
    Row("blocks", "states of the disk replayed from its write log", 5000, means.blocks,
        LOOP + ("qemu-storage-daemon",), "ext4"),
    Row("errors", "writes that the disk fails (`EIO` of a sync)", 200, means.write_errors,
        LOOP + ("nbdkit", "nbdfuse", "fusermount3"), "ext4"),
    Row("full", "space that is missing late (`ENOSPC` of a sync)", 50, means.late_full, LOOP, "ext4"),
    Row("damage", "damage of the image: flipped bits, lost sectors, files that end early", 500,
        means.damage, LOOP, "ext4"),
]


def go_round(rows, jobs, run):
    """Runs each row in a process of its own, so many at a time, those that take longest first."""
    waiting = sorted((row for row in rows if not row.skipped), key=lambda row: row.wanted)
    running = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                row = waiting.pop()
                ours, theirs = multiprocessing.Pipe()
                process = multiprocessing.Process(target=run, args=(row, theirs))
                process.start()
                theirs.close()
                running[ours] = (row, process)
            for pipe in multiprocessing.connection.wait(list(running)):
                row, process = running.pop(pipe)
                process.join()
                try:
                    row.__dict__.update(pipe.recv())
                except EOFError:
                    row.failures.append(f"the means ended with {process.exitcode}")
                print(row, flush=True)
                for failure in row.failures:
                    print(f"    FAILED: {failure}", flush=True)
    finally:
        # Each takes down what it has mounted.
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def images_folder(folder):
    """Images are best in memory: what is tested is not the disk below them."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30 else folder


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", type=Path, required=True, help="cordwood-workload")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--folder", type=Path, help="where the databases and images lie")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS])
    parser.add_argument(
        "--jobs", type=int, default=min(2, os.cpu_count() or 1), help="rows at the same time")
    parser.add_argument("--scale", type=float, default=100, help="percent of the table")
    parser.add_argument("--hours", type=float, help="over and over, for so long")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/durability.md alone")
    arguments = parser.parse_args()

    rows = [row for row in ROWS if not arguments.only or row.name in arguments.only]
    folder = Path(tempfile.mkdtemp(prefix="cordwood-faults-", dir=arguments.folder))
    images = images_folder(folder)
    began = time.monotonic()
    try:
        seed = arguments.seed
        print(f"seed {seed}; what this machine can do:", flush=True)
        for row in rows:
            row.skipped = lacking(row.commands, row.kind)
            print(f"    {row.name:12} {f'NO: {row.skipped}' if row.skipped else 'yes'}", flush=True)
        while True:
            def run(row, pipe):
                # A soak goes round in small steps, so that each row gets its share.
                scale = 10 if arguments.hours else arguments.scale
                row.run(
                    arguments.workload, images if row.kind else folder,
                    max(1, int(row.wanted * scale / 100)), seed)
                pipe.send({name: value for name, value in row.__dict__.items() if name != "function"})

            go_round(rows, arguments.jobs, run)
            seed += 1
            passed = time.monotonic() - began
            if not arguments.hours or passed > arguments.hours * 3600:
                break
    finally:
        # What is mounted below is taken down before anything is removed.
        UNDO.all()
        shutil.rmtree(folder)
    kind = "soak" if arguments.hours else "faults"
    if not arguments.no_docs:
        report.write(ROOT / "docs/durability.md", kind, rows, passed)
    return 1 if any(row.failures for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
