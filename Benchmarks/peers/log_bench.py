"""Measures the log, the disk under it and its peers in one run; see `run-log`."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import log_peers
import log_report
import machine

PRODUCERS = (1, 8, 64, 512)
RECORDS = (100, 1024, 16384)
# Where producers run: on Swift's pool, or on the database's own thread.
PLACES = {"pool": (), "thread": ("--on-database-thread",)}
OURS = {"pool": "Cordwood", "thread": "Cordwood, on its thread"}
# Peers are measured with records of this size.
PEER_RECORD = 1024
GIGABYTE = 10**9


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Benchmarks/peers/run-log")
    parser.add_argument("--bench", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help="where to measure; must be on a disk")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", 3)))
    # make sets SECONDS by that name; a shell's own counts on.
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument(
        "--only", nargs="+",
        help="appends, written, small, records, peers, compaction, opening")
    parser.add_argument("--producers", type=int, nargs="+", default=PRODUCERS)
    parser.add_argument("--records", type=int, nargs="+", default=RECORDS)
    parser.add_argument("--core", type=int, default=(os.cpu_count() or 1) - 1)
    parser.add_argument("--no-docs", action="store_true", help="leave docs/benchmarks.md alone")
    return parser.parse_args()


class Run:
    """What all measurements share."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.directory = arguments.directory or arguments.root / ".build/bench"
        self.directory.mkdir(parents=True, exist_ok=True)

    @property
    def free(self) -> int:
        return shutil.disk_usage(self.directory).free

    def bench(self, command: str, *options, core: int | None = None) -> dict | None:
        """One line of cordwood-bench; None, and a word about it, where that failed."""
        words = [] if core is None else ["taskset", "-c", str(core)]
        words += [self.arguments.bench, command, "--directory", str(self.directory)]
        words += [str(option) for option in options]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"bench-log: {' '.join(words)}: {done.stderr[-400:]}", file=sys.stderr)
            return None
        return json.loads(done.stdout)

    def append(self, producers: int, record: int, batch: int, acknowledge: str, *more, core=None):
        """One round of appending."""
        options = ["--rounds", 1, "--seconds", self.arguments.seconds, "--producers", producers]
        options += ["--record-bytes", record, "--batch-bytes", batch]
        return self.bench("log", *options, "--acknowledge", acknowledge, *more, core=core)

    def rounds(self, what: str, one):
        """The results of all rounds that came to something."""
        print(f"bench-log: {what}", flush=True)
        found = (one() for _ in range(self.arguments.rounds))
        return [result for result in found if result is not None]


def durable_appends(run: Run) -> list[dict]:
    """Each cell of the matrix beside fio at the same bytes for each sync."""
    cells = []
    for record in run.arguments.records:
        for producers in run.arguments.producers:
            for place, options in PLACES.items():
                lines = run.rounds(
                    f"{producers} producers of {record} bytes, durable, {place}",
                    lambda: run.append(
                        producers, record, record, "durable", "--append-only", "--fio", *options
                    ),
                )
                cell = {"producers": producers, "record": record, "place": place}
                cells.append(cell | {"lines": lines})
    return cells


def peers(run: Run) -> list[dict]:
    """Peers and Cordwood in turn, durable and not."""
    cells = []
    for durable in (True, False):
        for producers in run.arguments.producers:
            kind = "durable" if durable else "written"
            print(f"bench-log: {producers} producers, {kind}, with peers", flush=True)
            rates = {name: [] for name in (*OURS.values(), *log_peers.PEERS)}
            reasons = {}
            for _ in range(run.arguments.rounds):
                for place, options in PLACES.items():
                    line = run.append(
                        producers, PEER_RECORD, PEER_RECORD, kind, "--append-only", *options
                    )
                    if line:
                        rates[OURS[place]].append(line["records_per_s"])
                for name in log_peers.PEERS:
                    if name in reasons:
                        continue
                    load = producers, PEER_RECORD, run.arguments.seconds, durable
                    try:
                        rates[name].append(log_peers.measure(name, run.directory, *load))
                    except log_peers.Unable as error:
                        reasons[name] = str(error)
            cells.append(
                {"durable": durable, "producers": producers, "rates": rates, "reasons": reasons}
            )
    return cells


def records(run: Run) -> list[dict]:
    """Encoding, verifying and decoding on one core, without a log: a line for each codec."""
    print("bench-log: records and codecs on one core", flush=True)
    words = ["taskset", "-c", str(run.arguments.core), run.arguments.bench, "records"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"bench-log: {' '.join(words)}: {done.stderr[-400:]}", file=sys.stderr)
        return []
    return [json.loads(line) for line in done.stdout.splitlines()]


def compactions(run: Run) -> list[dict]:
    """Beside a plain copy of the same bytes, and what appends meet meanwhile."""
    found = []
    for record in (100, 1024, 16384):
        options = ["--record-bytes", record, "--seconds", run.arguments.seconds]
        options += ["--megabytes", 512 if run.arguments.seconds < 4 else 1024]
        lines = run.rounds(
            f"compaction, records of {record} bytes", lambda: run.bench("compact", *options)
        )
        if lines:
            found.append({"record": record, "lines": lines})
    return found


def openings(run: Run) -> list[dict]:
    """20 partitions with as much as fits, and 10,000 segments."""
    short = run.arguments.seconds < 4
    size = 20_000 if run.free > 40 * GIGABYTE and not short else 2_000
    shapes = [("20 partitions", 20, size, 1 << 30)]
    shapes.append(("many segments", 1, 60 if short else 620, 1 << 16))
    found = []
    for name, partitions, megabytes, segment in shapes:
        print(f"bench-log: opening, {name}", flush=True)
        options = ["--partitions", partitions, "--megabytes", megabytes]
        options += ["--segment-bytes", segment, "--rounds", run.arguments.rounds]
        line = run.bench("log-opening", *options)
        if line:
            found.append({"name": name, **line})
    return found


def main():
    arguments = parse()
    run = Run(arguments)
    wanted = (lambda name: name in arguments.only) if arguments.only else lambda name: True
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"bench-log: the machine is busy (load {load:.1f}): figures will be noise")
    if run.free < 20 * GIGABYTE:
        sys.exit(f"bench-log: expected 20 GB free at {run.directory}, found {run.free / 1e9:.0f}")
    results = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "load": load,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "machine": machine.facts(),
    }
    if wanted("appends"):
        results["appends"] = durable_appends(run)
    if wanted("written"):
        results["written"] = run.rounds(
            "written beside fio's buffered writes",
            lambda: run.append(8, 1024, 65536, "written", "--fio", "--fio-bytes", 65536),
        )
    if wanted("small"):
        # Producer, log and kernel on one core.
        results["small"] = run.rounds(
            "100-byte records in batches of 1,000 on one core",
            lambda: run.append(1, 100, 100_000, "written", core=arguments.core),
        )
    if wanted("records"):
        results["records"] = records(run)
    if wanted("compaction"):
        results["compaction"] = compactions(run)
    if wanted("peers"):
        results["peers"] = peers(run)
    if wanted("opening"):
        results["opening"] = openings(run)
    (run.directory / "log-results.json").write_text(json.dumps(results, indent=1))
    text = log_report.render(results)
    print(text)
    if not arguments.no_docs:
        log_report.write(results, text, arguments.root / "docs")


if __name__ == "__main__":
    main()
