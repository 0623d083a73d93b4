"""The tables of docs/durability.md that are measured."""

import time


def write(document, kind, rows, seconds):
    """Puts a table between the marks of its kind."""
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d', time.gmtime())} by "
        + (f"`make soak`, {seconds / 3600:.1f} hours" if kind == "soak"
           else f"`make faults`, {seconds / 60:.0f} minutes") + ".",
        "",
        "| What | How often | Acknowledgements heard | Held to afterwards | Broken promises | Seeds |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.skipped:
            lines.append(f"| {row.what} | **skipped**: {row.skipped} | | | | |")
            continue
        seeds = str(row.seeds[0])
        if len(row.seeds) > 1:
            seeds += f" to {row.seeds[-1]}"
        heard = f"{row.acknowledged:,}" if row.acknowledged else ""
        lines.append(
            f"| {row.what} | {row.done:,} of {row.wanted:,} | {heard} | {row.survivors:,} | "
            f"{len(row.failures)} | {seeds} |" if kind != "soak" else
            f"| {row.what} | {row.done:,} | {heard} | {row.survivors:,} | "
            f"{len(row.failures)} | {seeds} |")
    between(document, kind, "\n".join(lines))


def inside(document, kind):
    return parts(document, kind)[1]


def between(document, kind, text):
    begin, end = marks(kind)
    head, _, tail = parts(document, kind)
    document.write_text(f"{head}{begin}\n{text}\n{end}{tail}")


def marks(kind):
    return f"<!-- {kind}:begin -->", f"<!-- {kind}:end -->"


def parts(document, kind):
    """What is before the marks of a kind, between them, and behind them."""
    begin, end = marks(kind)
    head, rest = document.read_text().split(begin)
    text, tail = rest.split(end)
    return head, text, tail
