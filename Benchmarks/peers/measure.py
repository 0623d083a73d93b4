"""Measures Cordwood and its peers in one run; see `run`."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import agreement
import engines
import machine
import report
import sets


def path_from(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Benchmarks/peers/run")
    parser.add_argument("--bench", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--datasets", type=Path, default=path_from("DATASETS"))
    parser.add_argument("--wordnet", type=Path, default=path_from("WORDNET"))
    parser.add_argument("--log-directory", type=Path, default=path_from("LOG_DIRECTORY"))
    parser.add_argument("--only", nargs="+", help="names of sets, and log and crc; default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--log-seconds", type=int, default=4)
    parser.add_argument("--core", type=int, default=(os.cpu_count() or 1) - 1)
    parser.add_argument("--no-docs", action="store_true", help="leave docs/benchmarks.md alone")
    return parser.parse_args()


def measure_set(arguments, found: sets.Set, folder: Path) -> dict:
    """Interleaved rounds of every engine over one set, in a changing order."""
    ours, theirs = folder / f"{found.name}.ivecs", folder / f"{found.name}_faiss.npy"
    shared = arguments.rounds, arguments.core
    running = [
        engines.cordwood(arguments.bench, found, *shared, ours),
        engines.faiss(found, *shared, theirs),
        engines.faiss(found, *shared, folder / "ignored.npy", "SkylakeX"),
    ]
    for mode in engines.MODES:
        taking_turns = [engine for engine in running if mode in engine.modes]
        for number in range(arguments.rounds + 1):
            for engine in taking_turns if number % 2 else reversed(taking_turns):
                engine.turn()
    for engine in running:
        engine.finish()
    return {
        "set": found.name,
        "agreement": agreement.compare(found, ours, theirs),
        "engines": [
            {"name": e.name, "facts": e.facts, "rates": e.rates, "summaries": e.summaries}
            for e in running
        ],
    }


def measure_log(arguments, acknowledge: str) -> dict:
    directory = arguments.log_directory or arguments.root / ".build/bench"
    directory.mkdir(parents=True, exist_ok=True)
    command = [arguments.bench, "log", "--directory", str(directory), "--fio"]
    command += ["--acknowledge", acknowledge, "--seconds", str(arguments.log_seconds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_checksums(arguments) -> list[dict]:
    command = ["taskset", "-c", str(arguments.core), arguments.bench, "crc"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


def main():
    arguments = parse()
    wanted = (lambda name: name in arguments.only) if arguments.only else lambda name: True
    folder = arguments.root / "Benchmarks/.build/peers"
    found = sets.available(arguments.root, arguments.datasets, arguments.wordnet, folder)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"peers: the machine is busy (load {load:.1f}): figures will be noise", flush=True)
    results = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "load": load,
        "machine": machine.facts(),
        "sets": [],
        "log": [],
        "crc": [],
    }
    for each in found:
        if wanted(each.name):
            print(f"peers: {each.name}", flush=True)
            results["sets"].append(measure_set(arguments, each, folder))
    for acknowledge in ("durable", "written"):
        if wanted("log"):
            print(f"peers: log, {acknowledge}", flush=True)
            results["log"].append(measure_log(arguments, acknowledge))
    if wanted("crc"):
        results["crc"] = measure_checksums(arguments)
    (folder / "results.json").write_text(json.dumps(results, indent=1))
    text = report.render(results)
    print(text)
    if not arguments.no_docs:
        report.write(results, text, arguments.root / "docs")


if __name__ == "__main__":
    sys.exit(main())
