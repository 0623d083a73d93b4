"""Tables of a run, as the marked section of docs/benchmarks.md, and a plot."""

from pathlib import Path
from statistics import median

BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"


def number(value: float) -> str:
    """Three significant digits, with thin groups of thousands."""
    if value >= 1000:
        return f"{round(value, 3 - len(str(int(value)))):,.0f}"
    return f"{value:.3g}"


def spread(values: list[float]) -> str:
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})"


def spread_of(json: dict) -> str:
    return f"{number(json['median'])} ({number(json['min'])}–{number(json['max'])})"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def render(results: dict) -> str:
    parts = [_head(results)]
    if results["sets"]:
        parts += [_searches(results["sets"]), _limits(results["sets"])]
    if results["log"]:
        parts.append(_log(results["log"]))
    if results["crc"]:
        parts.append(_checksums(results["crc"]))
    return "\n\n".join(parts)


def _head(results: dict) -> str:
    rows = [[name, fact] for name, fact in results["machine"].items()]
    engines = results["sets"][0]["engines"] if results["sets"] else []
    for engine in engines:
        if engine["name"] == "Cordwood":
            summary = engine["summaries"]["batch"]
            rows.append(["Cordwood", f"{summary['isa']} kernels, {summary['openblas']}"])
        else:
            facts = engine["facts"]
            text = f"{facts['version']}, SIMD level {facts['simd']}, {facts['blas']}"
            rows.append([engine["name"], text])
    rows.append(["Load before the run", f"{results['load']:.2f}"])
    return f"Measured on {results['date']} by `make peers`.\n\n" + table(["What", "Found"], rows)


def _ratios(ours: list[float], theirs: list[float]) -> str:
    return spread([a / b for a, b in zip(ours, theirs)])


def _searches(found: list[dict]) -> str:
    rows = []
    for each in found:
        ours = each["engines"][0]
        for mode in ("batch", "single"):
            for engine in each["engines"]:
                rates = engine["rates"][mode]
                if not rates:
                    continue
                summary = engine["summaries"].get(mode, {})
                single = mode == "single"
                rows.append(
                    [
                        each["set"],
                        mode,
                        engine["name"],
                        spread(rates),
                        number(summary["p50_us"]) if single else "",
                        number(summary["p99_us"]) if single else "",
                        "" if engine is ours else _ratios(ours["rates"][mode], rates),
                    ]
                )
    head = ["Set", "Mode", "Engine", "Queries/s", "p50 µs", "p99 µs", "Cordwood is × as fast"]
    notes = []
    for each in found:
        same = each["agreement"]
        parameters = each["engines"][0]["summaries"]["batch"]["parameters"]
        notes.append(
            f"- {each['set']}: {parameters['count']:,} × {parameters['dimensions']}, "
            f"{parameters['metric']}; both engines return the same ids for "
            f"{100 * same['same_ids']:.1f} % of {same['queries']:,} queries, and neighbours whose "
            f"exact distances differ by {same['largest_difference']:.1g} at most."
        )
    title = "### Exact search, one thread on one core, k = 10"
    text = "Medians of interleaved rounds (least–most); ratios are of rounds side by side."
    return "\n\n".join([title, text, table(head, rows), "\n".join(notes)])


def _limits(found: list[dict]) -> str:
    rows = []
    for each in found:
        summaries = each["engines"][0]["summaries"]
        batch, single = summaries["batch"], summaries["single"]
        reached = single["bandwidth_gb_s"] / single["limit_sum_gb_s"]["median"]
        computed = batch["gflop_s"] / batch["limit_fma_gflop_s"]["median"]
        rows.append(
            [
                each["set"],
                number(single["bandwidth_gb_s"]),
                spread_of(single["limit_sum_gb_s"]),
                f"{100 * reached:.0f} %",
                number(batch["gflop_s"]),
                spread_of(batch["limit_sgemm_gflop_s"]),
                spread_of(batch["limit_fma_gflop_s"]),
                f"{100 * computed:.0f} %",
            ]
        )
    head = ["Set", "Single, GB/s", "Plain sum, GB/s", "of it", "Batch, GFLOP/s"]
    head += ["sgemm alone, GFLOP/s", "Multiply-adds, GFLOP/s", "of them"]
    return "### How near Cordwood is to the machine's limits\n\n" + table(head, rows)


def _log(lines: list[dict]) -> str:
    rows = []

    def add(name: str, figure):
        rows.append([name] + [figure(line) for line in lines])

    def plain(key: str):
        return lambda line: number(line[key]) if line.get(key) is not None else ""

    add("MB/s", lambda line: spread_of(line["mb_per_s_rounds"]))
    add("records/s", plain("records_per_s"))
    add("acknowledged after, p50 µs", plain("ack_p50_us"))
    add("p99 µs", plain("ack_p99_us"))
    add("p99.9 µs", plain("ack_p999_us"))
    add("syncs/s", plain("syncs_per_s"))
    add("bytes a write", plain("bytes_per_write"))
    add("processor seconds a GB", plain("cpu_seconds_per_gb"))
    add("fio, new file, MB/s", lambda line: spread_of(line["fio_mb_per_s"]))
    add("Cordwood is × fio", lambda line: spread_of(line["ratio_to_fio"]))
    add("fio, overwriting, MB/s", lambda line: spread_of(line["fio_overwrite_mb_per_s"]))
    add("Cordwood is × that", lambda line: spread_of(line["ratio_to_fio_overwrite"]))
    add("read, cold, MB/s", lambda line: number(line["read_mb_per_s"]["cold"]))
    add("read, warm, MB/s", lambda line: number(line["read_mb_per_s"]["warm"]))
    add("open after close, ms", plain("reopen_clean_ms"))
    add("open after kill -9, ms", plain("reopen_killed_ms"))
    head = ["Figure"] + [f"`{line['parameters']['acknowledge']}`" for line in lines]
    first = lines[0]
    parameters = first["parameters"]
    text = (
        f"{parameters['producers']} producers, batches of {parameters['batch_bytes']:,} bytes, "
        f"records of {parameters['record_bytes']:,}; {first['file_system']}, by "
        f"{first['io_path']}; medians of interleaved rounds (least–most) of "
        f"{parameters['seconds']} s. fio writes as many bytes at a time as Cordwood did, with one "
        "job, and fdatasync after each where Cordwood syncs."
    )
    return "\n\n".join(["### The log", text, table(head, rows)])


def _checksums(lines: list[dict]) -> str:
    sizes = sorted({line["block_bytes"] for line in lines})
    rates = {(line["path"], line["block_bytes"]): line["gb_per_s"]["median"] for line in lines}
    paths = list(dict.fromkeys(line["path"] for line in lines))
    used = next(line["path"] for line in lines if line["used_here"])
    rows = [[f"{size:,}"] + [number(rates[path, size]) for path in paths] for size in sizes]
    head = ["Block, bytes"] + [f"{path} (used)" if path == used else path for path in paths]
    return "### CRC-32C, GB/s\n\n" + table(head, rows)


def write(results: dict, text: str, docs: Path):
    """Replaces what stands between the markers of the page, and draws the plot where it can."""
    page = docs / "benchmarks.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    drawn = draw(results, docs / "benchmarks.svg")
    plot = "![Queries a second](benchmarks.svg)\n\n" if drawn else ""
    page.write_text(f"{before}{BEGIN}\n{plot}{text}\n{END}{after}")


def draw(results: dict, path: Path) -> bool:
    """Bars of queries a second, by set and mode, with the least and the most of the rounds."""
    if not results["sets"]:
        return False
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("svg")
    # Text stays text, and the same results draw the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "cordwood"})
    from matplotlib import pyplot

    found = results["sets"]
    figure, panels = pyplot.subplots(2, len(found), figsize=(3 * len(found), 5), squeeze=False)
    for column, each in enumerate(found):
        for row, mode in enumerate(("batch", "single")):
            panel = panels[row][column]
            engines = [e for e in each["engines"] if e["rates"][mode]]
            for place, engine in enumerate(engines):
                rates = engine["rates"][mode]
                middle = median(rates)
                panel.bar(place, middle, color="#4c72b0" if place == 0 else "#b0b0b0")
                ends = [[middle - min(rates)], [max(rates) - middle]]
                panel.errorbar(place, middle, yerr=ends, color="black", capsize=3)
            panel.set_xticks(range(len(engines)), [e["name"] for e in engines], fontsize=7)
            panel.set_title(f"{each['set']}, {mode}", fontsize=9)
            panel.spines[["top", "right"]].set_visible(False)
        panels[0][column].set_ylabel("queries/s")
        panels[1][column].set_ylabel("queries/s")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    return True
