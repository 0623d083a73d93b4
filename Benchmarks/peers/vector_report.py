"""Tables and plots of the indexes of vectors and their peers, for docs/benchmarks.md."""

import math
from pathlib import Path
from statistics import median

from report import number, table

BEGIN, END = "<!-- vectors:begin -->", "<!-- vectors:end -->"
RECALLS = (0.90, 0.95, 0.99)
# At the end of a build on two threads.
QUIET_LOAD = 3.0


def recall_of(point: dict, mode: str) -> float:
    """Of a point of an engine, in that mode."""
    return point.get("single_recall", point["recall"]) if "single" in mode else point["recall"]


def rate_at(engine: dict, recall: float, mode: str) -> float | None:
    """Queries a second at a recall: on the line between the two points around it, in the logarithm
    of the rate, or at the point of the least recall where that is above it already."""
    points = [p for p in engine["points"] if mode in p["rates"]]
    pairs = sorted((recall_of(p, mode), median(p["rates"][mode])) for p in points)
    # Nobody would take a point that another outdoes in both.
    front = [
        (r, q) for r, q in pairs if not any(r2 >= r and q2 > q for r2, q2 in pairs)
    ]
    above = [p for p in front if p[0] >= recall]
    below = [p for p in front if p[0] < recall]
    if not above:
        return None
    if not below:
        return above[0][1]
    (r1, q1), (r2, q2) = below[-1], above[0]
    share = (recall - r1) / (r2 - r1)
    return math.exp(math.log(q1) + share * (math.log(q2) - math.log(q1)))


def best(engines: list[dict], recall: float, mode: str) -> tuple[str, float] | None:
    found = [(e["name"], rate_at(e, recall, mode)) for e in engines]
    found = [(name, rate) for name, rate in found if rate]
    return max(found, key=lambda pair: pair[1]) if found else None


def is_ours(engine: dict) -> bool:
    return engine["name"].startswith("Cordwood")


def sides(engines: list[dict]):
    return [e for e in engines if is_ours(e)], [e for e in engines if not is_ours(e)]


def render(results: dict) -> str:
    rows = [[name, fact] for name, fact in results["machine"].items() if name != "fio"]
    for name, found in results["sets"].items():
        rows.append([f"{name}: load before, rounds", f"{found['load']:.2f}, {found['rounds']}"])
    parts = [
        f"Measured on {results['date']} by `make bench-vectors`.",
        table(["What", "Found"], rows),
    ]
    searched = {n: f for n, f in results["sets"].items() if "search" in f}
    if searched:
        parts += [_against_best(searched), _all(searched), _building(searched)]
    parts += _bounds({n: f for n, f in results["sets"].items() if "bounds" in f})
    parts += _flat({n: f for n, f in results["sets"].items() if "flat" in f})
    parts += _filtered({n: f for n, f in results["sets"].items() if "filtered" in f})
    parts += _growth(results["sets"])
    parts += _disk({n: f for n, f in results["sets"].items() if "disk" in f})
    return "\n\n".join(parts)


def _against_best(searched: dict) -> str:
    rows = []
    modes = {"batch 1": "batch", "single 1": "single", "batch 2": "batch, 2 threads"}
    for name, found in searched.items():
        ours, peers = sides(found["search"])
        for recall in RECALLS:
            for mode, label in modes.items():
                mine, theirs = best(ours, recall, mode), best(peers, recall, mode)
                if not mine or not theirs:
                    continue
                rows.append(
                    [name, f"{recall:.2f}", label, mine[0].removeprefix("Cordwood ")]
                    + [number(mine[1]), theirs[0], number(theirs[1])]
                    + [f"**{mine[1] / theirs[1]:.2f}**"]
                )
    head = ["Set", "Recall@10", "Mode", "Cordwood's", "Queries/s", "Best peer", "Queries/s"]
    text = (
        "Medians of interleaved rounds, read at the recall on the line between the two measured "
        "points around it. Each side has the best of its configurations at that recall. A single "
        "query through a peer's Python package carries the cost of a call from Python, some "
        "microseconds."
    )
    return "### Near neighbours, Cordwood and the best peer\n\n" + text + "\n\n" + table(
        head + ["Cordwood is × as fast"], rows
    )


def _all(searched: dict) -> str:
    parts = ["### Every configuration, one thread, batch; queries/s"]
    for name, found in searched.items():
        rows = []
        for engine in found["search"]:
            rates = [rate_at(engine, recall, "batch 1") for recall in RECALLS]
            scaled = rate_at(engine, 0.95, "batch 2")
            scaling = f"{scaled / rates[1]:.2f}" if scaled and rates[1] else ""
            facts = engine["facts"]
            rows.append(
                [engine["name"]]
                + [number(rate) if rate else "not reached" for rate in rates]
                + [scaling, build_time(facts), number(facts["bytes_per_vector"])]
            )
        count, dimensions = found["shape"]
        head = ["Index", "0.90", "0.95", "0.99", "2 threads, ×", "Build, s", "Bytes a vector"]
        title = f"{name}: {count:,} × {dimensions}, {found['metric']}"
        parts.append(f"{title}\n\n{table(head, rows)}\n\n![{name}](benchmarks-{name}.svg)")
    return "\n\n".join(parts)


def build_time(facts: dict) -> str:
    """A peer's index may be from an earlier day: its time says little if the machine was busy."""
    return number(facts["build_seconds"]) if facts.get("load", 0) < QUIET_LOAD else "busy"


def _building(searched: dict) -> str:
    rows = []
    for name, found in searched.items():
        ours, peers = sides(found["search"])
        reference = next((e for e in peers if e["name"] == "hnswlib M16"), None)
        if reference is None:
            continue
        for engine in ours:
            facts, other = engine["facts"], reference["facts"]
            rows.append(
                [name, engine["name"].removeprefix("Cordwood ")]
                + [number(facts["build_seconds"]), number(other["build_seconds"])]
                + [f"{facts['build_seconds'] / other['build_seconds']:.2f}"]
                + [number(facts["bytes_per_vector"]), number(other["bytes_per_vector"])]
                + [f"{facts['bytes_per_vector'] / other['bytes_per_vector']:.2f}"]
            )
    head = ["Set", "Cordwood's", "Build, s", "hnswlib M16, s", "×"]
    head += ["Bytes a vector", "hnswlib M16", "×"]
    return "### Building, on two threads, and memory\n\n" + table(head, rows)


def _bounds(found: dict) -> list[str]:
    rows = []
    for name, each in found.items():
        for recall in RECALLS:
            line = next((line for line in each["bounds"] if line["recall"] >= recall), None)
            if line is None:
                continue
            reads, taken = line["reads"], 1e9 / line["qps"]
            rows.append(
                [name, f"{line['recall']:.3f}", f"{line['parameters']['ef']}"]
                + [number(reads[key]) for key in ("lists", "rows", "vectors")]
                + [number(reads["bytes"] / 1024), number(line["limit_gather_ns"] / 1000)]
                + [number(taken / 1000), f"{line['limit_gather_ns'] / taken:.2f}"]
            )
    head = ["Set", "Recall", "Effort", "Lists", "Codes", "Vectors", "KiB read"]
    head += ["µs at the limit", "µs", "Share"]
    text = (
        "What a query of `hnsw sq8` reads, one thread, batch. The limit is reading as many rows of "
        "the same sizes, at random places of as much memory, whose addresses are known ahead. A "
        "walk learns them from the lists that it has read, and computes meanwhile."
    )
    title = "### What bounds a search of a graph\n\n"
    return [title + text + "\n\n" + table(head, rows)] if rows else []


def _flat(found: dict) -> list[str]:
    rows = []
    for name, each in found.items():
        ours, peers = sides(each["flat"])
        for engine in ours:
            for mode in ("single 1", "batch 1"):
                mine = median(engine["points"][0]["rates"][mode])
                theirs = median(peers[0]["points"][0]["rates"][mode])
                rows.append(
                    [name, engine["name"].removeprefix("Cordwood "), mode.split()[0]]
                    + [f"{engine['points'][0]['recall']:.4f}", number(mine), number(theirs)]
                    + [f"**{mine / theirs:.2f}**"]
                )
    head = ["Set", "Cordwood's", "Mode", "Recall", "Queries/s", "faiss flat", "×"]
    return ["### Exact search\n\n" + table(head, rows)] if rows else []


def _filtered(found: dict) -> list[str]:
    rows = []
    for name, each in found.items():
        for part in each["filtered"]:
            ours, peers = sides(part["engines"])
            for mode in ("batch 1", "single 1"):
                mine, theirs = best(ours, 0.95, mode), best(peers, 0.95, mode)
                if not mine or not theirs:
                    continue
                engine = next(e for e in ours if e["name"] == mine[0])
                lowest = min(recall_of(p, mode) for p in engine["points"])
                rows.append(
                    [name, f"{100 * part['share']:.0f} %", mode.split()[0]]
                    + [mine[0].removeprefix("Cordwood "), number(mine[1])]
                    + [theirs[0], number(theirs[1]), f"**{mine[1] / theirs[1]:.2f}**"]
                    + [f"{lowest:.3f}"]
                )
    head = ["Set", "Allowed", "Mode", "Cordwood's", "Queries/s", "Best peer", "Queries/s", "×"]
    head += ["Least recall of any effort"]
    text = (
        "Each side has the best of its configurations in that mode. Where comparing all that is "
        "allowed is less than a walk, as it is earlier for a batch, whose queries read it once, no "
        "effort has a recall near 0.95, and the rate is that of the least effort."
    )
    title = "### Under a filter, recall 0.95, one thread\n\n"
    return [title + text + "\n\n" + table(head, rows)] if rows else []


def _growth(sets: dict) -> list[str]:
    rows = []
    for name, found in sets.items():
        if "growth" not in found or "search" not in found:
            continue
        for recall in RECALLS:
            small = [best(side, recall, "batch 1") for side in sides(found["growth"])]
            large = [best(side, recall, "batch 1") for side in sides(found["search"])]
            if None in small + large:
                continue
            falls = [a[1] / b[1] for a, b in zip(small, large)]
            rows.append(
                [name, f"{recall:.2f}"]
                + [number(small[0][1]), number(large[0][1]), f"{falls[0]:.2f}"]
                + [f"{large[1][0]}", number(small[1][1]), number(large[1][1]), f"{falls[1]:.2f}"]
            )
    head = ["Set", "Recall", "Cordwood, 100,000", "1 M", "falls by ×"]
    head += ["Best peer", "100,000", "1 M", "falls by ×"]
    return ["### From 100,000 to a million\n\n" + table(head, rows)] if rows else []


def _at(lines: list[dict], recall: float, value) -> float | None:
    """A figure at a recall: on the line between the two efforts around it."""
    points = sorted((line["recall"], value(line)) for line in lines)
    above = [p for p in points if p[0] >= recall]
    below = [p for p in points if p[0] < recall]
    if not above or not below:
        return None
    (r1, v1), (r2, v2) = below[-1], above[0]
    return v1 + (recall - r1) / (r2 - r1) * (v2 - v1)


def _disk(sets: dict) -> list[str]:
    rows = []
    for name, found in sets.items():
        for index in found["disk"]["indexes"]:
            lines = index["lines"]
            built = f"{index['build_cap_mb']} MB" if index["build_cap_mb"] else "whole"
            for recall in RECALLS:
                reads = _at(lines, recall, lambda line: line["reads_per_query"])
                if reads is None:
                    continue
                rate = _at(lines, recall, lambda line: line["qps"])
                given = _at(lines, recall, lambda line: line["fio_reads_per_s"]["median"])
                rows.append(
                    [f"{name}, {found['disk']['rows']:,}", built, f"{recall:.2f}", f"{reads:.1f}"]
                    + [number(rate), number(given), number(given / reads)]
                    + [f"**{rate * reads / given:.2f}**", f"{lines[0]['memory'] / 1e6:.1f}"]
                    + [number(lines[0]["build_seconds"])]
                )
    head = ["Set, rows", "Built in", "Recall@10", "Reads a query", "Queries/s"]
    head += ["fio, reads/s", "fio / reads", "×", "Memory, MB", "Build, s"]
    text = (
        "Pages of 4 KiB are read past the system's cache, by one thread, under a cap of 64 MB with "
        "the memory of its searches. After each round fio reads pages of the same file at random, "
        "with as many under way as a batch's searches have at most; *fio / reads* would be the "
        "queries a second if searches did nothing but read."
    )
    title = "### On disk\n\n" + text + "\n\n"
    return [title + table(head, rows)] if rows else []


def write(results: dict, text: str, docs: Path):
    """Replaces what stands between the markers of the page, and draws the plots where it can."""
    page = docs / "benchmarks.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    for name, found in results["sets"].items():
        if "search" in found:
            draw(name, found, docs / f"benchmarks-{name}.svg")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def draw(name: str, found: dict, path: Path):
    """Recall and queries a second of every index, one thread, batch."""
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and the same results draw the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "cordwood"})
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(8, 5))
    for place, engine in enumerate(found["search"]):
        pairs = sorted(
            (p["recall"], median(p["rates"]["batch 1"]))
            for p in engine["points"]
            if "batch 1" in p["rates"]
        )
        ours = is_ours(engine)
        panel.plot(
            *zip(*pairs),
            label=engine["name"],
            color=None if ours else pyplot.cm.Greys(0.35 + 0.04 * (place % 12)),
            linestyle="-" if ours else "--",
            marker="o" if ours else ".",
            linewidth=2 if ours else 1,
        )
    panel.set_yscale("log")
    panel.set_xlim(0.85, 1.0)
    panel.set_xlabel("recall@10")
    panel.set_ylabel("queries/s, one thread, batch")
    panel.set_title(f"{name}: {found['shape'][0]:,} × {found['shape'][1]}, {found['metric']}")
    panel.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
