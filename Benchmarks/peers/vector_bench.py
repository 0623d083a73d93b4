"""Measures Cordwood's indexes of vectors and the peers' in one run; see `run-vectors`."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import machine
import sets
import vector_report
from engines import Engine
from vector_truth import Truth

HERE = Path(__file__).parent
SHARES = (0.01, 0.1, 0.5, 0.9)
# What a curve needs to be read at 0.90, 0.95 and 0.99.
LOWEST, HIGHEST = 0.87, 0.996
PARTS = ["search", "bounds", "flat", "filtered", "growth", "disk"]
# Megabytes that an index on disk may take, and that building it may; None is as it comes.
DISK_CAP, DISK_BUILD_CAPS = 64, (None, 64)
DISK_EFFORTS = "ef=10,14,20,24,28,32,40,48,64,96"


def peers_of(name: str, dimensions: int) -> list[tuple[str, str]]:
    lists = {"photosift": 4096, "glove": 1024}.get(name, 512)
    return [
        ("faiss-graph", "HNSW16"),
        ("faiss-graph", "HNSW32"),
        ("faiss-graph", "HNSW16_SQ8"),
        ("faiss-graph", "HNSW32_SQ8"),
        ("faiss-lists", f"IVF{lists},Flat"),
        ("faiss-lists", f"IVF{lists},PQ{dimensions // 2}x4fs,RFlat"),
        ("faiss-lists", f"IVF{lists},RaBitQfs,RFlat"),
        ("hnswlib", "M16"),
        ("hnswlib", "M32"),
        ("usearch", "f32"),
        ("usearch", "bf16"),
        ("usearch", "i8"),
    ]


FILTERING = ("faiss-graph", "faiss-lists")

OURS = {
    "hnsw sq8": ["--index", "hnsw", "--quantization", "sq8"],
    "hnsw sq8, 32 neighbours": ["--index", "hnsw", "--quantization", "sq8", "--neighbors", "32"],
    "hnsw sq8, codes only": ["--index", "hnsw", "--quantization", "sq8", "--codes-only"],
    "hnsw sq4": ["--index", "hnsw", "--quantization", "sq4"],
    "hnsw sq8, 10 neighbours, codes only": [
        *("--index", "hnsw", "--quantization", "sq8", "--neighbors", "10", "--codes-only")
    ],
    "hnsw auto, f16": ["--index", "hnsw", "--quantization", "auto", "--rerank", "f16"],
    "ivf pq4": ["--index", "ivf", "--quantization", "pq4"],
    "ivf rabitq": ["--index", "ivf", "--quantization", "rabitq"],
}
# Of these, what is measured under filters.
FILTERED = ("hnsw sq8", "hnsw auto, f16")
EFFORTS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]
PROBES = [1, 2, 4, 8, 16, 32, 64, 128, 256]


class Bench:
    """One set of vectors, its truth, and everything that was built for it."""

    def __init__(self, arguments, found: sets.Set, limit: int | None = None):
        self.arguments, self.found, self.limit = arguments, found, limit
        self.name = found.name if limit is None else f"{found.name}-{limit}"
        self.folder = arguments.built / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.base = sets.read_vectors(found.base, limit)
        self.queries = sets.read_vectors(found.queries, found.batch)
        self.truth = self.truth_of(None, "truth.npy")

    def truth_of(self, allowed, name: str) -> Truth:
        stamp = f"{self.found.base.stat().st_mtime_ns}-{self.found.batch}"
        cache = self.folder / f"{stamp}-{name}"
        k = self.arguments.k
        return Truth(self.base, self.queries, self.found.metric, k, allowed, cache)

    def single(self, kind: str) -> int:
        """How many queries are searched for one at a time. Few would find all they read in the
        caches when they come again; of exact searches, each reads everything."""
        return self.found.single if kind == "flat" else self.found.batch

    def peer_command(self, library: str, kind: str, tag: str) -> list[str]:
        name = kind.replace(",", "-")
        single = self.single(library.removeprefix("faiss-"))
        command = [sys.executable, str(HERE / "vector_peers.py")]
        command += ["--library", library, "--kind", kind, "--metric", self.found.metric]
        command += ["--base", str(self.found.base), "--queries", str(self.found.queries)]
        command += ["--batch", str(self.found.batch), "--single", str(single)]
        command += ["--k", str(self.arguments.k), "--built", str(self.folder / f"{library}-{name}")]
        command += ["--save", str(self.folder / f"{library}-{name}-{tag}-%.npy")]
        return command + (["--limit", str(self.limit)] if self.limit else [])

    def explored(self, library: str, kind: str, allow: Path | None, truth: Truth) -> list[dict]:
        """Each point of a peer's grid with its recall and about its rate; kept."""
        tag = f"explored{'-' + allow.stem if allow else ''}"
        name = kind.replace(",", "-")
        cache = self.folder / f"{library}-{name}-{tag}.json"
        built = self.folder / f"{library}-{name}"
        if cache.exists() and built.exists():
            if cache.stat().st_mtime >= built.stat().st_mtime:
                return json.loads(cache.read_text())
        command = self.peer_command(library, kind, tag) + ["--explore"]
        command += ["--allow", str(allow)] if allow else []
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        points = [json.loads(line) for line in lines.splitlines()]
        points = [point for point in points if "point" in point]
        for point in points:
            ids = np.load(self.folder / f"{library}-{name}-{tag}-{point['point']}.npy")
            point["recall"] = truth.recall(ids)
        cache.write_text(json.dumps(points))
        return points

    def run(self, ours, peers, threads, allow: Path | None = None, truth=None) -> list[dict]:
        """Interleaved rounds of everything; the points with their recalls and rates."""
        truth = truth or self.truth
        rounds = self.arguments.rounds
        cores = ",".join(str(core) for core in range(max(threads)))
        running: list[tuple[Engine, list[int], str]] = []
        extra = ["--allow", str(allow)] if allow else []
        tag = allow.stem if allow else "all"
        for name, settings in ours.items():
            grid = settings[-1]
            save = self.folder / f"ours-{name.replace(' ', '-').replace(',', '')}-{tag}-%.ivecs"
            command = [self.arguments.bench, "vectors", *settings[:-1], *extra, "--paced"]
            command += ["--base", str(self.found.base), "--queries", str(self.found.queries)]
            command += ["--metric", self.found.metric, "--rounds", str(rounds)]
            command += ["--query-limit", str(self.found.batch), "--grid", grid]
            command += ["--single-queries", str(self.single(settings[1]))]
            command += ["--save-neighbors", str(save)]
            command += ["--threads", ",".join(map(str, threads)), "--k", str(self.arguments.k)]
            command += ["--limit", str(self.limit)] if self.limit else []
            points = len(grid.split("=")[1].split(",")) if grid else 1
            schedule = [t for t in threads for _ in range(points * 2 * (rounds + 1))]
            print(f"bench-vectors: {self.name}: building Cordwood's {name}", flush=True)
            engine = Engine(f"Cordwood {name}", command, cores, {})
            running.append((engine, schedule, str(save)))
        for library, kind in peers:
            print(f"bench-vectors: {self.name}: {library} {kind}", flush=True)
            chosen = chosen_points(self.explored(library, kind, allow, truth))
            if not chosen:
                continue
            command = self.peer_command(library, kind, tag) + extra
            command += ["--rounds", str(rounds), "--threads", *map(str, threads)]
            command += ["--points", *map(str, chosen)]
            turns = len(chosen) * (rounds + 1)
            schedule = [t for t in threads for _ in range(turns * (2 if t == 1 else 1))]
            save = command[command.index("--save") + 1]
            label = kind if library.startswith("faiss") else f"{library} {kind}"
            label = f"faiss {label}" if library.startswith("faiss") else label
            # OMP's threads are asked for by the calls.
            environment = {"OMP_NUM_THREADS": str(max(threads))}
            running.append((Engine(label, command, cores, environment), schedule, save))
        take_turns(running, threads)
        return [self.summary(engine, save, truth) for engine, _, save in running]

    def summary(self, engine: Engine, save: str, truth: Truth) -> dict:
        points = {}
        for number, line in enumerate(engine.lines):
            ours = "point" not in line
            place = line.get("point")
            parameters = line["parameters"]
            if ours:
                keys = ("ef", "probes")
                parameters = {key: parameters[key] for key in keys if key in parameters}
                modes = {each["mode"] for each in engine.lines}
                per_thread = len(engine.lines) // len({each["threads"] for each in engine.lines})
                place = (number % per_thread) // len(modes)
            rates = line.get("rates") or [line["qps_rounds"][k] for k in ("min", "median", "max")]
            found = points.setdefault(place, {"parameters": parameters, "rates": {}})
            found["rates"][f"{line['mode']} {line['threads']}"] = rates
            for key in ("p50_us", "p99_us"):
                if line["mode"] == "single" and line["threads"] == 1 and key in line:
                    found[key] = line[key]
            # Of all queries; single ones are fewer.
            if ours and line["mode"] == "batch":
                found["own_recall"] = line["recall"]
            # A batch may be searched in another way than its queries one by one, and find more.
            if ours and line["mode"] == "single":
                found["single_recall"] = line["recall"]
        for place, found in points.items():
            path = Path(save.replace("%", str(place)))
            ids = np.load(path) if path.suffix == ".npy" else sets.read_neighbours(path)
            found["recall"] = truth.recall(ids)
            own = found.pop("own_recall", found["recall"])
            if abs(own - found["recall"]) > 2e-3:
                sys.exit(f"{engine.name}: says recall {own}, found {found['recall']}")
        facts = engine.facts | {
            key: engine.lines[0][key]
            for key in ("build_seconds", "bytes_per_vector", "resident_mb")
            if key in engine.lines[0]
        }
        return {"name": engine.name, "facts": facts, "points": list(points.values())}


def chosen_points(points: list[dict]) -> list[int]:
    """Those in the range of recall that is compared that no other outdoes by far."""
    chosen = []
    for point in points:
        better = [p for p in points if p["recall"] >= point["recall"] and p is not point]
        if any(p["qps"] > 1.15 * point["qps"] for p in better):
            continue
        if LOWEST <= point["recall"] <= HIGHEST:
            chosen.append(point["point"])
    above = [p for p in points if p["recall"] > HIGHEST]
    if above:
        chosen.append(max(above, key=lambda p: p["qps"])["point"])
    below = [p for p in points if p["recall"] < LOWEST]
    if below and not any(p["recall"] < 0.9 for p in points if p["point"] in chosen):
        chosen.append(max(below, key=lambda p: p["recall"])["point"])
    return sorted(chosen)


def take_turns(running, threads):
    """Every engine's next round after every other's, on the cores that it asks for."""
    for number in range(max(len(schedule) for _, schedule, _ in running)):
        order = running if number % 2 else list(reversed(running))
        for engine, schedule, _ in order:
            if number >= len(schedule):
                continue
            count = schedule[number]
            if number == 0 or schedule[number - 1] != count:
                last = os.cpu_count() or 1
                engine.use(set(range(last - count, last)))
            engine.turn()
    for engine, _, _ in running:
        engine.finish()


def ours_of(name: str, wanted) -> dict[str, list[str]]:
    """Cordwood's indexes, each with the grid that spans the recalls that are compared."""
    efforts = {"wordnet": EFFORTS[:9], "glove": EFFORTS[2:]}.get(name, EFFORTS[1:10])
    grids = {"hnsw": "ef=" + ",".join(map(str, efforts))}
    grids |= {"ivf": "probes=" + ",".join(map(str, PROBES)), "flat": ""}
    return {
        label: settings + [grids[settings[1]]]
        for label, settings in OURS.items()
        if wanted is None or label in wanted
    }


def measure_bounds(bench: Bench, settings: list[str]) -> list[dict]:
    """What a query of each effort reads, how fast it is, and how fast reading that could be."""
    command = ["taskset", "-c", "0", bench.arguments.bench, "vectors", *settings[:-1]]
    command += ["--base", str(bench.found.base), "--queries", str(bench.found.queries)]
    command += ["--metric", bench.found.metric, "--query-limit", str(bench.found.batch)]
    command += ["--grid", settings[-1], "--modes", "batch", "--limits"]
    command += ["--build-threads", "1"]
    print(f"bench-vectors: {bench.name}: what bounds a search", flush=True)
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


def measure_filtered(bench: Bench, ours, peers) -> list[dict]:
    """The same under random filters that leave a share of the rows."""
    results = []
    for share in SHARES:
        generator = np.random.default_rng(int(share * 1000))
        allowed = generator.random(len(bench.base)) < share
        path = bench.folder / f"share{int(share * 100)}.bits"
        np.packbits(allowed, bitorder="little").tofile(path)
        truth = bench.truth_of(allowed, f"truth-{path.stem}.npy")
        chosen = [peer for peer in peers if peer[0] in FILTERING]
        chosen.append(("faiss-flat", "Flat"))
        results.append({"share": share, "engines": bench.run(ours, chosen, [1], path, truth)})
    return results


def measure_disk(bench: Bench) -> list[dict]:
    """Searches of indexes on disk, and after each round fio at the same depth on the same file."""
    arguments, found = bench.arguments, bench.found
    stamp = found.base.stat().st_mtime_ns
    results = []
    for build_cap in DISK_BUILD_CAPS:
        kept = bench.folder / f"disk-{stamp}-{DISK_CAP}-{build_cap or 'whole'}"
        kept.mkdir(exist_ok=True)
        print(f"bench-vectors: {bench.name}: an index on disk, built with {build_cap} MB", flush=True)
        command = [arguments.bench, "vectors", "--index", "disk", "--memory-cap", str(DISK_CAP)]
        command += ["--build-memory-cap", str(build_cap)] if build_cap else []
        command += ["--base", str(found.base), "--queries", str(found.queries)]
        command += ["--metric", found.metric, "--rounds", str(arguments.rounds), "--modes", "batch"]
        command += ["--query-limit", str(found.batch), "--grid", DISK_EFFORTS, "--fio"]
        command += ["--k", str(arguments.k), "--keep", str(kept)]
        command += ["--limit", str(bench.limit)] if bench.limit else []
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        lines = [json.loads(line) for line in lines.splitlines()]
        results.append({"build_cap_mb": build_cap, "cap_mb": DISK_CAP, "lines": lines})
    return results


def parse() -> argparse.Namespace:
    def from_variable(name):
        return Path(os.environ[name]) if os.environ.get(name) else None

    parser = argparse.ArgumentParser(prog="Benchmarks/peers/run-vectors")
    parser.add_argument("--bench", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--datasets", type=Path, default=from_variable("DATASETS"))
    parser.add_argument("--wordnet", type=Path, default=from_variable("WORDNET"))
    parser.add_argument("--built", type=Path, default=from_variable("BUILT"))
    parser.add_argument("--only", nargs="+", help="names of sets; default all that are there")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=["prepare", *PARTS])
    parser.add_argument("--ours", nargs="+", choices=OURS, help="which of Cordwood's; default all")
    parser.add_argument("--peers", nargs="+", help="which of the peers' kinds; default all")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--disk-rows", type=int, help="of a set in the part disk; default all")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/benchmarks.md alone")
    arguments = parser.parse_args()
    arguments.built = arguments.built or arguments.root / "Benchmarks/.build/peers"
    return arguments


def main():
    arguments = parse()
    found = sets.available(
        arguments.root, arguments.datasets, arguments.wordnet, arguments.built
    )
    kept = arguments.built / "vectors.json"
    results = json.loads(kept.read_text()) if kept.exists() else {"sets": {}}
    results |= {"date": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine.facts()}
    for each in found:
        if arguments.only and each.name not in arguments.only:
            continue
        measured = results["sets"].setdefault(each.name, {})
        measured["load"] = os.getloadavg()[0]
        measured["rounds"] = arguments.rounds
        if measured["load"] > 0.7:
            print(f"bench-vectors: the machine is busy (load {measured['load']:.1f})", flush=True)
        bench = Bench(arguments, each)
        measured |= {"metric": each.metric, "shape": list(bench.base.shape)}
        peers = peers_of(each.name, bench.base.shape[1])
        if arguments.peers:
            peers = [(library, kind) for library, kind in peers if kind in arguments.peers]
        ours = ours_of(each.name, arguments.ours)
        if "prepare" in arguments.parts:
            for library, kind in peers:
                bench.explored(library, kind, None, bench.truth)
        if "search" in arguments.parts:
            measured["search"] = bench.run(ours, peers, arguments.threads)
        if "bounds" in arguments.parts:
            measured["bounds"] = measure_bounds(bench, ours_of(each.name, ["hnsw sq8"])["hnsw sq8"])
        if "flat" in arguments.parts:
            flat = {"flat none": ["--index", "flat", ""]}
            flat["flat sq8"] = ["--index", "flat", "--quantization", "sq8", ""]
            measured["flat"] = bench.run(flat, [("faiss-flat", "Flat")], [1])
        if "filtered" in arguments.parts:
            measured["filtered"] = measure_filtered(
                bench, {k: v for k, v in ours.items() if k in FILTERED}, peers
            )
        if "growth" in arguments.parts and len(bench.base) >= 1_000_000:
            small = Bench(arguments, each, 100_000)
            measured["growth"] = small.run(
                {k: v for k, v in ours.items() if k == "hnsw sq8"}, peers, [1]
            )
        if "disk" in arguments.parts and each.name in ("photosift", *(arguments.only or ())):
            rows = arguments.disk_rows
            part = Bench(arguments, each, rows) if rows else bench
            measured["disk"] = {"rows": len(part.base), "indexes": measure_disk(part)}
        kept.write_text(json.dumps(results, indent=1))
    text = vector_report.render(results)
    print(text)
    if not arguments.no_docs:
        vector_report.write(results, text, arguments.root / "docs")


if __name__ == "__main__":
    sys.exit(main())
