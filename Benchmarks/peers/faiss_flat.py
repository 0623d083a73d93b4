"""faiss's IndexFlat as a process that takes turns: the counterpart of `cordwood-bench --paced`.

Says that it is ready; then searches once for each line of input, `--rounds` + 1 times in each mode;
and says the rate after each.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import faiss
import numpy as np
import threadpoolctl

from sets import read_vectors


def say(**fields):
    print(json.dumps(fields), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--metric", choices=["l2", "ip", "cosine"], required=True)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--single", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--modes", nargs="+", required=True)
    parser.add_argument("--save", type=Path, required=True)
    arguments = parser.parse_args()

    faiss.omp_set_num_threads(1)
    base = read_vectors(arguments.base)
    queries = read_vectors(arguments.queries, arguments.batch)
    if arguments.metric == "cosine":
        faiss.normalize_L2(base)
        faiss.normalize_L2(queries)
    kind = faiss.IndexFlatL2 if arguments.metric == "l2" else faiss.IndexFlatIP
    index = kind(base.shape[1])
    index.add(base)
    del base
    say(ready=True, **facts())

    single = queries[: arguments.single]
    searches = {
        "batch": lambda: search(index, queries, arguments),
        "single": lambda: search_single(index, single, arguments),
    }
    for mode in arguments.modes:
        summary(mode, *rounds(arguments, mode, searches[mode]))


def facts():
    blas = [p for p in threadpoolctl.threadpool_info() if "faiss" in p["filepath"]]
    blas = [p for p in blas if p["user_api"] == "blas"]
    return {
        "version": faiss.__version__,
        "simd": faiss.SIMDConfig.get_level_name(),
        "blas": " ".join(f"{p['internal_api']} {p['version']} {p['architecture']}" for p in blas),
    }


def rounds(arguments, mode, run):
    """One round to warm up and those that count, each when its turn comes."""
    rates, latencies = [], []
    for number in range(arguments.rounds + 1):
        if not sys.stdin.readline():
            sys.exit("faiss: the input has ended")
        start = time.perf_counter()
        count, times, ids = run()
        rate = count / (time.perf_counter() - start)
        if number > 0:
            rates.append(rate)
            latencies += times
        say(round=number, mode=mode, qps=rate)
    if mode == "batch":
        np.save(arguments.save, ids)
    return rates, latencies


def search(index, queries, arguments):
    _, ids = index.search(queries, arguments.k)
    return len(queries), [], ids


def search_single(index, queries, arguments):
    """The C++ method without the checks of the Python one, which would count against faiss."""
    distances = np.empty(arguments.k, np.float32)
    ids = np.empty(arguments.k, np.int64)
    pointers = faiss.swig_ptr(distances), faiss.swig_ptr(ids)
    rows = [faiss.swig_ptr(row) for row in queries]
    times = []
    for row in rows:
        start = time.perf_counter()
        index.search_c(1, row, arguments.k, *pointers)
        times.append((time.perf_counter() - start) * 1e6)
    return len(rows), times, ids


def summary(mode, rates, latencies):
    fields = {"mode": mode, "index": "flat", "rates": rates}
    if latencies:
        fields["p50_us"] = float(np.percentile(latencies, 50))
        fields["p99_us"] = float(np.percentile(latencies, 99))
    say(**fields)


if __name__ == "__main__":
    main()
