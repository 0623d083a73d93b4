"""Tables and a plot of a run of `run-log`, as a marked section of docs/benchmarks.md."""

from pathlib import Path
from statistics import median

from report import number, spread, table

BEGIN, END = "<!-- log:begin -->", "<!-- log:end -->"


def render(results: dict) -> str:
    rows = [[name, fact] for name, fact in results["machine"].items()]
    rows.append(["Load before the run", f"{results['load']:.2f}"])
    parts = [
        f"Measured on {results['date']} by `make bench-log`: medians of {results['rounds']} rounds "
        f"of {results['seconds']} s (least–most); ratios are of rounds side by side.",
        table(["What", "Found"], rows),
    ]
    sections = {
        "appends": _appends,
        "peers": _peers,
        "written": _written,
        "small": _small,
        "records": _records,
        "compaction": _compaction,
        "opening": _opening,
    }
    parts += [render(results[name]) for name, render in sections.items() if results.get(name)]
    return "\n\n".join(parts)


def _figures(lines: list[dict], key: str) -> list[float]:
    """A figure of each round; where a line has a spread, of its one round."""
    found = (line.get(key) for line in lines)
    return [v["median"] if isinstance(v, dict) else v for v in found if v is not None]


def _cell(lines: list[dict], key: str) -> str:
    figures = _figures(lines, key)
    return spread(figures) if figures else ""


def _appends(cells: list[dict]) -> str:
    rows = []
    for cell in cells:
        lines = cell["lines"]
        rows.append(
            [f"{cell['record']:,}", str(cell["producers"]), cell["place"]]
            + [
                _cell(lines, key)
                for key in (
                    "records_per_s",
                    "mb_per_s",
                    "bytes_per_sync",
                    "ratio_to_fio",
                    "ratio_to_fio_overwrite",
                    "ack_p50_us",
                    "ack_p99_us",
                    "ack_p99_to_fio_sync_p99",
                )
            ]
        )
    head = ["Record, bytes", "Producers", "On", "records/s", "MB/s", "bytes a sync", "× fio, new file"]
    head += ["× fio, overwriting", "p50 µs", "p99 µs", "p99, × fio's sync"]
    text = (
        "Each producer appends one record and waits until it is on the medium. fio is one job that "
        "writes as many bytes at a time as one sync of Cordwood carried, with fdatasync after each. "
        "Producers run on Swift's pool, or on the database's own thread (`Database.taskExecutor`)."
    )
    return f"### Durable appends\n\n{text}\n\n" + table(head, rows)


def _peers(cells: list[dict]) -> str:
    rows, reasons = [], {}
    for cell in cells:
        ours = [rates for name, rates in cell["rates"].items() if name.startswith("Cordwood")]
        for name, rates in cell["rates"].items():
            kind = "durable" if cell["durable"] else "written"
            if name in cell["reasons"]:
                reasons[name, kind] = cell["reasons"][name]
            if not rates:
                continue
            ahead = ["", ""]
            if not name.startswith("Cordwood"):
                ahead = [spread([a / b for a, b in zip(our, rates)]) for our in ours]
            rows.append([kind, str(cell["producers"]), name, spread(rates), *ahead])
    head = ["Acknowledged when", "Producers", "Log", "records/s"]
    head += ["Cordwood is × as fast", "on its thread"]
    notes = [f"- {name}, {kind}: {reason}." for (name, kind), reason in reasons.items()]
    text = (
        "Records of 1,024 bytes, one an append; each producer waits for its acknowledgement. SQLite "
        "has one writer: its transactions have as many records as there are producers. NATS is "
        "driven by its Python client, Redis by redis-benchmark over a Unix socket; Cordwood, RocksDB "
        "and SQLite run inside the producer's process."
    )
    parts = [f"### Peers\n\n{text}", table(head, rows)]
    return "\n\n".join(parts + (["\n".join(notes)] if notes else []))


def _written(lines: list[dict]) -> str:
    rows = [
        ["MB/s", _cell(lines, "mb_per_s")],
        ["fio, buffered writes of 65,536 bytes to a new file, MB/s", _cell(lines, "fio_mb_per_s")],
        ["Cordwood is × that", _cell(lines, "ratio_to_fio")],
        ["longest wait for an acknowledgement, µs", _cell(lines, "ack_max_us")],
        ["processor seconds a GB", _cell(lines, "cpu_seconds_per_gb")],
    ]
    title = "### Appends that the kernel has, not yet the medium"
    text = "`written`: 8 producers, batches of 65,536 bytes, records of 1,024."
    return f"{title}\n\n{text}\n\n" + table(["Figure", "Found"], rows)


def _small(lines: list[dict]) -> str:
    reads = [line["read_mb_per_s"] for line in lines if line.get("read_mb_per_s")]
    rows = [
        ["records/s appended", _cell(lines, "records_per_s")],
        ["processor seconds a million records", _cell(lines, "cpu_seconds_per_m_records")],
    ]
    if reads:
        rows.append(["warm verified reads, MB/s", spread([r["warm"] for r in reads])])
        rows.append(["cold verified reads, MB/s", spread([r["cold"] for r in reads])])
    text = "Records of 100 bytes in batches of 1,000, `written`; all of the process on one core."
    return f"### Small records on one core\n\n{text}\n\n" + table(["Figure", "Found"], rows)


def _records(lines: list[dict]) -> str:
    keys = ("encode_records_per_s", "decode_records_per_s", "decode_copies_per_s")
    rows = [
        [
            line["codec"],
            number(line["compression"]),
            *(number(line[key]["median"] / 1e6) for key in keys),
            number(line["verify_gb_per_s"]["median"]),
            number(line["memcpy_gb_per_s"]["median"]),
        ]
        for line in lines
    ]
    head = ["Codec", "smaller by", "encoded", "lent where they lie", "copied out"]
    head += ["verified, GB/s", "memcpy, GB/s"]
    text = (
        "Records of 100 bytes in batches of 1,000, without a log or a disk; millions a second. "
        "*Lent* is reading without an allocation for a record; *copied out* makes arrays."
    )
    return f"### Records on one core\n\n{text}\n\n" + table(head, rows)


def _compaction(cells: list[dict]) -> str:
    def slower(line: dict) -> float | None:
        if line.get("append_p99_during_us") is None or not line.get("append_p99_us"):
            return None
        return line["append_p99_during_us"] / line["append_p99_us"]

    rows = []
    for cell in cells:
        ratios = [r for r in map(slower, cell["lines"]) if r is not None]
        rows.append(
            [
                number(cell["record"]),
                *(_cell(cell["lines"], key) for key in ("copy_mb_per_s", "compact_mb_per_s", "ratio")),
                *(_cell(cell["lines"], k) for k in ("append_p99_us", "append_p99_during_us")),
                spread(ratios) if ratios else "",
            ]
        )
    head = ["Record, bytes", "plain copy, MB/s", "compaction, MB/s", "is × the copy"]
    head += ["appends' p99, µs", "during compaction, µs", "is × that without"]
    text = (
        "Half of the keys are different; both read the log once from the system's cache. Compaction "
        "is as fast as it can be beside the copy, and as `CompactionOptions.background` has it "
        "beside the appends."
    )
    return f"### Compaction\n\n{text}\n\n" + table(head, rows)


def _opening(shapes: list[dict]) -> str:
    rows = []
    for shape in shapes:
        rows.append(
            [
                shape["name"],
                f"{shape['megabytes']:,}",
                f"{shape['segment_bytes']:,}",
                *(
                    spread([shape[key]["median"], shape[key]["min"], shape[key]["max"]])
                    for key in ("open_clean_ms", "open_killed_ms", "resident_mb")
                ),
            ]
        )
    head = ["Log", "MB", "segment, bytes", "after a close, ms", "after kill -9, ms", "resident, MB"]
    text = "Opening the database and all partitions; memory of the process right after it."
    return f"### Opening\n\n{text}\n\n" + table(head, rows)


def write(results: dict, text: str, docs: Path):
    """Replaces what stands between the markers of the page, and draws the plot where it can."""
    page = docs / "benchmarks.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    drawn = draw(results, docs / "benchmarks-log.svg")
    plot = "![Durable records a second](benchmarks-log.svg)\n\n" if drawn else ""
    page.write_text(f"{before}{BEGIN}\n{plot}{text}\n{END}{after}")


def draw(results: dict, path: Path) -> bool:
    """Durable records a second by producers, for each log, and MB/s as parts of fio's."""
    cells = [cell for cell in results.get("peers", []) if cell["durable"]]
    if not cells:
        return False
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("svg")
    # Text stays text, and the same results draw the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "cordwood"})
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 4))
    for name in cells[0]["rates"]:
        points = [(c["producers"], c["rates"][name]) for c in cells if c["rates"][name]]
        if not points:
            continue
        ours = name.startswith("Cordwood")
        panels[0].plot(
            [p for p, _ in points],
            [median(rates) for _, rates in points],
            marker="o",
            label=name,
            linewidth=2.5 if ours else 1.2,
            color={"Cordwood": "#4c72b0", "Cordwood, on its thread": "#1f3b66"}.get(name),
        )
    panels[0].set(xscale="log", yscale="log", xlabel="producers", ylabel="durable records/s")
    panels[0].legend(fontsize=7)
    appends = results.get("appends", [])
    for record, place in dict.fromkeys((cell["record"], cell["place"]) for cell in appends):
        row = [c for c in appends if (c["record"], c["place"]) == (record, place)]
        points = [(c["producers"], _figures(c["lines"], "ratio_to_fio")) for c in row]
        points = [(producers, median(ratios)) for producers, ratios in points if ratios]
        style = "-" if place == "pool" else "--"
        label = f"{record:,} bytes, {place}"
        panels[1].plot(*zip(*points), style, marker="o", label=label)
    panels[1].axhline(1, color="black", linewidth=0.8)
    panels[1].set(xscale="log", xlabel="producers", ylabel="MB/s, × fio's write + fdatasync")
    if appends:
        panels[1].legend(fontsize=7)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    return True
