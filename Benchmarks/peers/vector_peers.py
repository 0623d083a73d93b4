"""A peer's index of vectors as a process that takes turns: the counterpart of
`cordwood-bench vectors --paced`.

Builds the index, or reads it from the folder of built ones, and says that it is ready. Then, with
`--explore`, searches once at each point of its grid; or else, for each number of threads, each of
`--points` and each mode, searches once for each line of input, `--rounds` + 1 times, and says the
rate after each. The neighbours that the batches found go to files.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from sets import read_vectors

EFFORTS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]
PROBES = [1, 2, 4, 8, 16, 32, 64, 128]
# Seconds.
SHORTEST_ROUND = 0.1


class FaissGraph:
    """IndexHNSW, over floats or 8-bit codes, as its factory names it."""

    def __init__(self, kind: str, metric: str, dimensions: int):
        import faiss

        self.faiss = faiss
        self.kind = kind
        measure = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.index = faiss.index_factory(dimensions, kind, measure)
        self.version = f"{faiss.__version__} {faiss.SIMDConfig.get_level_name()}"

    def graph(self):
        index = self.faiss.downcast_index(self.index)
        return index if hasattr(index, "hnsw") else None

    def build(self, base, threads: int):
        self.faiss.omp_set_num_threads(threads)
        self.graph().hnsw.efConstruction = 200
        self.index.train(base)
        self.index.add(base)

    def save(self, path: Path):
        self.faiss.write_index(self.index, str(path))

    def load(self, path: Path):
        self.index = self.faiss.read_index(str(path))

    def points(self):
        return [{"ef": ef} for ef in EFFORTS]

    def parameters(self, point):
        return self.faiss.SearchParametersHNSW(efSearch=point["ef"])

    def allow(self, rows):
        bits = np.packbits(rows, bitorder="little")
        self.bits = bits  # the selector keeps the address alone
        self.selector = self.faiss.IDSelectorBitmap(len(rows), self.faiss.swig_ptr(bits))

    def search(self, queries, k, point, threads):
        self.faiss.omp_set_num_threads(threads)
        parameters = self.parameters(point)
        if hasattr(self, "selector"):
            self.select(parameters)
        return self.index.search(queries, k, params=parameters)[1]

    def select(self, parameters):
        parameters.sel = self.selector


class FaissLists(FaissGraph):
    """IndexIVF over any code, with or without a second look at the vectors."""

    def build(self, base, threads: int):
        self.faiss.omp_set_num_threads(threads)
        sample = np.random.default_rng(1).choice(len(base), min(len(base), 200_000), replace=False)
        self.index.train(base[np.sort(sample)])
        self.index.add(base)

    def points(self):
        factors = [2, 4, 10, 20, 40] if "RFlat" in self.kind else [1]
        return [{"probes": p, "refine": f} for f in factors for p in PROBES]

    def parameters(self, point):
        inner = self.faiss.SearchParametersIVF(nprobe=point["probes"])
        if "RaBitQ" in self.kind and "fs" not in self.kind:
            inner = self.faiss.IVFRaBitQSearchParameters()
            inner.nprobe = point["probes"]
        self.inner = inner
        if "RFlat" not in self.kind:
            return inner
        return self.faiss.IndexRefineSearchParameters(
            k_factor=point["refine"], base_index_params=inner
        )

    def select(self, parameters):
        self.inner.sel = self.selector


class FaissFlat(FaissGraph):
    """IndexFlat: every row, or every row that is allowed, compared."""

    def build(self, base, threads: int):
        self.index.add(base)

    def points(self):
        return [{}]

    def parameters(self, point):
        return self.faiss.SearchParameters()


class Hnswlib:
    def __init__(self, kind: str, metric: str, dimensions: int):
        import hnswlib

        self.space = "l2" if metric == "l2" else "ip"
        self.neighbors = int(kind.removeprefix("M"))
        self.index = hnswlib.Index(space=self.space, dim=dimensions)
        self.version = "0.8, built here"

    def build(self, base, threads: int):
        self.index.init_index(len(base), ef_construction=200, M=self.neighbors, random_seed=1)
        self.index.add_items(base, num_threads=threads)

    def save(self, path: Path):
        self.index.save_index(str(path))

    def load(self, path: Path):
        self.index.load_index(str(path))

    def points(self):
        return [{"ef": ef} for ef in EFFORTS]

    def search(self, queries, k, point, threads):
        self.index.set_ef(point["ef"])
        return self.index.knn_query(queries, k, num_threads=threads)[0]


class Usearch:
    def __init__(self, kind: str, metric: str, dimensions: int):
        import usearch
        from usearch.index import Index

        self.index = Index(
            ndim=dimensions,
            metric={"l2": "l2sq", "ip": "ip", "cosine": "cos"}[metric],
            dtype=kind,
            connectivity=16,
            expansion_add=200,
        )
        self.version = f"{usearch.__version__} {self.index.hardware_acceleration}"

    def build(self, base, threads: int):
        self.index.add(np.arange(len(base), dtype=np.uint64), base, threads=threads)

    def save(self, path: Path):
        self.index.save(str(path))

    def load(self, path: Path):
        self.index.load(str(path))

    def points(self):
        return [{"ef": ef} for ef in EFFORTS]

    def search(self, queries, k, point, threads):
        self.index.expansion_search = point["ef"]
        found = self.index.search(queries, k, threads=threads)
        return np.asarray(found.keys).reshape(len(queries), -1)


LIBRARIES = {
    "faiss-graph": FaissGraph,
    "faiss-lists": FaissLists,
    "faiss-flat": FaissFlat,
    "hnswlib": Hnswlib,
    "usearch": Usearch,
}


def say(**fields):
    print(json.dumps(fields), flush=True)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def make(arguments, base):
    """The index, the seconds that building it took, and the bytes of its file."""
    index = LIBRARIES[arguments.library](arguments.kind, arguments.metric, base.shape[1])
    facts = arguments.built.with_suffix(".json")
    if arguments.built.exists() and facts.exists() and not arguments.rebuild:
        index.load(arguments.built)
        return index, json.loads(facts.read_text())
    start = time.perf_counter()
    index.build(base, arguments.build_threads)
    seconds = time.perf_counter() - start
    index.save(arguments.built)
    found = {"build_seconds": seconds, "bytes": arguments.built.stat().st_size}
    found |= {"load": os.getloadavg()[0]}
    facts.write_text(json.dumps(found))
    return index, found


def explore(index, queries, arguments):
    """What each point finds, and about how fast."""
    for number, point in enumerate(index.points()):
        start = time.perf_counter()
        found = index.search(queries, arguments.k, point, 1)
        seconds = time.perf_counter() - start
        save(found, arguments, number)
        say(point=number, parameters=point, qps=len(queries) / seconds)


def save(found, arguments, number):
    np.save(arguments.save.replace("%", str(number)), found.astype(np.int64))


def search_single(index, queries, arguments, point):
    times = []
    for row in range(len(queries)):
        start = time.perf_counter()
        index.search(queries[row : row + 1], arguments.k, point, 1)
        times.append((time.perf_counter() - start) * 1e6)
    return times


def measure(index, queries, arguments, number, threads, mode):
    """The rounds of one point in one mode, each when its turn comes."""
    point = index.points()[number]
    rates, latencies, found = [], [], None
    for turn in range(arguments.rounds + 1):
        if not sys.stdin.readline():
            sys.exit(f"{arguments.library}: the input has ended")
        start, searched, times = time.perf_counter(), 0, []
        # As Cordwood's rounds: what takes less is measured badly.
        while searched == 0 or time.perf_counter() - start < SHORTEST_ROUND:
            if mode == "batch":
                found = index.search(queries, arguments.k, point, threads)
                searched += len(queries)
            else:
                times += search_single(index, queries[: arguments.single], arguments, point)
                searched = len(times)
        rate = searched / (time.perf_counter() - start)
        if turn > 0:
            rates.append(rate)
            latencies += times
        say(round=turn, mode=mode, qps=rate)
    if found is not None:
        save(found, arguments, number)
    line = {"index": arguments.kind, "mode": mode, "threads": threads, "point": number}
    if latencies:
        line["p50_us"] = float(np.percentile(latencies, 50))
        line["p99_us"] = float(np.percentile(latencies, 99))
    say(**line, parameters=point, rates=rates)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=LIBRARIES, required=True)
    parser.add_argument("--kind", required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--metric", choices=["l2", "ip", "cosine"], required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--single", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument("--points", type=int, nargs="+", help="numbers of the grid's points")
    parser.add_argument("--explore", action="store_true")
    parser.add_argument("--built", type=Path, required=True, help="the index's file")
    parser.add_argument("--rebuild", action="store_true")
    parser.add_argument("--allow", type=Path, help="bits of the rows that may be returned")
    parser.add_argument("--save", required=True, help="a % in it becomes the point's number")
    return parser.parse_args()


def main():
    arguments = parse()
    base = read_vectors(arguments.base, arguments.limit)
    queries = read_vectors(arguments.queries, arguments.batch)
    if arguments.metric == "cosine":
        for rows in (base, queries):
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            rows /= np.where(lengths > 0, lengths, 1)
    index, facts = make(arguments, base)
    if arguments.allow:
        bits = np.fromfile(arguments.allow, np.uint8)
        index.allow(np.unpackbits(bits, count=len(base), bitorder="little"))
    facts["bytes_per_vector"] = facts.pop("bytes") / len(base)
    del base
    facts["resident_mb"] = resident_bytes() / 1e6
    say(ready=True, version=index.version, **facts)
    if arguments.explore:
        explore(index, queries, arguments)
        return
    for threads in arguments.threads:
        # One query at a time is one thread's work.
        modes = ["batch", "single"] if threads == 1 else ["batch"]
        for number in arguments.points or range(len(index.points())):
            for mode in modes:
                measure(index, queries, arguments, number, threads, mode)


if __name__ == "__main__":
    main()
