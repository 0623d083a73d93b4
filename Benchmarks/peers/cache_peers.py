"""Replays the traces of `cordwood-bench cache` through libCacheSim's policies; see `run-cache`."""

import argparse
import datetime
import json
import os
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import machine
from report import number, spread_of, table

BEGIN, END = "<!-- cache:begin -->", "<!-- cache:end -->"

# What a difference may be, in points: to the same policy, and under LRU.
TO_S3FIFO, UNDER_LRU = 0.2, 1.5
# Of the renewals of a key with a thousand readers, those that nobody waited for, in percent.
RENEWALS = 99


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Benchmarks/peers/run-cache")
    parser.add_argument("--bench", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", 5)))
    parser.add_argument("--requests", type=int, default=2_000_000)
    parser.add_argument("--no-docs", action="store_true", help="leave docs/benchmarks.md alone")
    return parser.parse_args()


def policies() -> dict:
    import libcachesim

    return {
        "S3-FIFO": libcachesim.S3FIFO,
        "LRU": libcachesim.LRU,
        "ARC": libcachesim.ARC,
        "W-TinyLFU": libcachesim.WTinyLFU,
        "Belady": libcachesim.Belady,
    }


def hit_percent(policy, trace: Path, capacity: int) -> float:
    """The part of the requests that hit. Every object has size 1, so that capacities are counts."""
    import libcachesim

    reader = libcachesim.TraceReader(str(trace), libcachesim.TraceType.ORACLE_GENERAL_TRACE)
    # The table's first size, as a power of two; it grows.
    return 100 * (1 - policy(cache_size=capacity, hashpower=18).process_trace(reader)[0])


def measure(arguments: argparse.Namespace) -> dict:
    results = {
        "date": datetime.date.today().isoformat(),
        "load": os.getloadavg()[0],
        "machine": machine.facts() | {"libCacheSim": version("libcachesim")},
        "replays": [],
    }
    bench = [arguments.bench]
    with tempfile.TemporaryDirectory() as folder:
        words = ["cache", "--rounds", arguments.rounds, "--requests", arguments.requests]
        lines = run(bench + [str(word) for word in words] + ["--save-traces", folder])
        for line in lines:
            if line["measure"] != "replay":
                results[line["measure"]] = line
                continue
            trace = Path(folder) / f"{line['trace']}.oracle"
            rates = {"Cordwood": 100 * line["hits"] / line["requests"]}
            for name, policy in policies().items():
                rates[name] = hit_percent(policy, trace, line["capacity"])
            print(line["trace"], line["capacity"], {k: round(v, 2) for k, v in rates.items()})
            results["replays"].append(line | {"rates": rates})
    [results["causality"]] = run(bench + ["causality", "--rounds", str(arguments.rounds)])
    return results


def run(words: list[str]) -> list[dict]:
    output = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def problems(results: dict) -> list[str]:
    """Where a hit ratio is not what it should be."""
    found = []
    for replay in results["replays"]:
        rates, place = replay["rates"], f"{replay['trace']} at {replay['capacity']:,}"
        difference = abs(rates["Cordwood"] - rates["S3-FIFO"])
        if difference > TO_S3FIFO:
            found.append(f"{place}: {difference:.2f} points from libCacheSim's S3-FIFO")
        under = rates["LRU"] - rates["Cordwood"]
        if under > UNDER_LRU:
            found.append(f"{place}: {under:.2f} points under LRU")
    expiries = results["expiries"]
    if expiries["loads_per_expiry"] != 1:
        found.append(f"{expiries['loads_per_expiry']:.2f} loads an expiry")
    if expiries["renewals_nobody_waited_for_percent"] < RENEWALS:
        found.append(f"readers waited in more than {100 - RENEWALS} % of expiries")
    return found


def render(results: dict) -> str:
    facts = [[name, fact] for name, fact in results["machine"].items() if name != "fio"]
    facts.append(["Load before the run", f"{results['load']:.2f}"])
    names = list(results["replays"][0]["rates"])
    rows = [
        [replay["trace"], f"{replay['capacity']:,}"]
        + [f"{replay['rates'][name]:.2f}" for name in names]
        for replay in results["replays"]
    ]
    hits, memory, causal = results["hits"], results["memory"], results["causality"]
    expiries = results["expiries"]
    speeds = [
        ["hits a second, one thread", spread_of(hits["hits_per_s"])],
        ["hits a second, two threads", spread_of(hits["hits_per_s_two_threads"])],
        ["two threads are × one", spread_of(hits["two_threads_to_one"])],
        [
            "bytes an entry beside key and value, of a million",
            number(memory["overhead_bytes_per_entry"]),
        ],
        [
            f"loads an expiry, {expiries['readers']:,} readers, without early refresh",
            number(expiries["loads_per_expiry"]),
        ],
        [
            "expiries in which no reader waits, with early refresh, in percent",
            number(expiries["renewals_nobody_waited_for_percent"]),
        ],
    ]
    vectors = [
        ["compare, one before the other", spread_of(causal["compare_ns"])],
        ["compare, concurrent", spread_of(causal["compare_concurrent_ns"])],
        ["merge in place", spread_of(causal["merge_ns"])],
        ["merge into a copy", spread_of(causal["merge_copy_ns"])],
        ["merge into a copy, with an actor more", spread_of(causal["merge_other_actor_ns"])],
    ]
    worst = max(abs(r["rates"]["Cordwood"] - r["rates"]["S3-FIFO"]) for r in results["replays"])
    return "\n\n".join(
        [
            f"Measured on {results['date']} by `make bench-cache`.",
            table(["What", "Found"], facts),
            "### Hit ratios, in percent",
            f"Cordwood is within {worst:.2f} points of libCacheSim's S3-FIFO. Belady knows the future.",
            table(["Trace", "Entries", *names], rows),
            "### Speed and memory",
            "Lookups that all hit, Zipf 0.99 over 100,000 entries with keys and values of 8 bytes.",
            table(["Figure", "Found"], speeds),
            "### Version vectors",
            "Eight actors with ids of 16 bytes, in nanoseconds.",
            table(["Operation", "ns"], vectors),
        ]
    )


def write(text: str, docs: Path):
    """Replaces what stands between the markers of the page."""
    page = docs / "benchmarks.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main():
    arguments = parse()
    results = measure(arguments)
    text = render(results)
    print(text)
    if not arguments.no_docs:
        write(text, arguments.root / "docs")
    if found := problems(results):
        raise SystemExit("bench-cache: " + "; ".join(found))


if __name__ == "__main__":
    main()
