#!/usr/bin/env python3
"""Checks the documents against the tree.

- Every link in a Markdown file leads to a file, and to a heading of it, that exists.
- Every `make X` in a document is a job of the Makefile, and CI runs it or has a reason not to.
- An example between marks is, word for word, what stands between such marks in a test.
- A program behind a mark that names a file is, word for word, that file.
- Every command in a ```sh block that names `cordwood` runs, block after block, in an empty folder.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Jobs that CI leaves out, and why.
NOT_IN_CI = {
    "bench": "a measurement on a shared machine is noise",
    "peers": "a measurement on a shared machine is noise",
    "bench-log": "a measurement on a shared machine is noise",
    "bench-cache": "a measurement on a shared machine is noise",
    "bench-vectors": "a measurement on a shared machine is noise",
    "faults": "needs root, loop devices and mounts",
    "fuzz": "minutes for each target; what it has found is replayed as a test",
    "mutants": "half an hour of tests",
    "sanitize": "the whole suite twice, at a tenth of its speed",
    "soak": "hours",
    "format": "CI runs lint, which fails where format would change something",
    "build": "CI builds for debugging with the tests, and optimised for the demo",
    "help": "prints the list of jobs",
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Documents with examples, and the tests that they are taken from, in their order.
EXAMPLES = {
    "README.md": ["Tests/CordwoodFaultTests/ExampleTests.swift"],
    "docs/simulation.md": ["Tests/CordwoodSimulationTests/ExampleTests.swift"],
    "docs/causality.md": ["Tests/CordwoodCausalityTests/ExampleTests.swift"],
    "docs/caching.md": [
        "Tests/CordwoodCacheTests/ExampleTests.swift",
        "Tests/CordwoodTests/Caching/ExampleTests.swift",
    ],
}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def documents():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / line for line in listed.stdout.splitlines()]


def anchors(text):
    """The names that a heading gets on a forge: lower case, blanks as hyphens, no punctuation."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.strip().replace(" ", "-"))
    return found


def broken_links(document):
    text = FENCE.sub("", document.read_text())
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
            yield f"{link}: no such heading"


def broken_jobs(document, jobs, ci):
    for job in sorted(set(re.findall(r"\bmake ([a-z][a-z-]*)", code(document)))):
        if job not in jobs:
            yield f"make {job}: no such job in the Makefile"
        elif job not in NOT_IN_CI and f"make {job}" not in ci:
            yield f"make {job}: .ci/run does not run it"


def wrong_example(document):
    sources = EXAMPLES.get(str(document.relative_to(ROOT)), [])
    shown = re.findall(
        r"<!-- example:begin -->\n```swift\n(.*?)\n```\n<!-- example:end -->", document.read_text(),
        re.DOTALL)
    if len(shown) != len(sources):
        yield f"expected {len(sources)} examples, found {len(shown)}"
    for source, example in zip(sources, shown):
        test = re.search(
            r"// example:begin\n(.*?)\n *// example:end", (ROOT / source).read_text(), re.DOTALL)
        if not test or textwrap.dedent(test[1]) != example:
            yield f"its example is not that of {source}"


def wrong_program(document):
    marked = re.findall(r"<!-- program: (\S+) -->\n```swift\n(.*?)^```$", document.read_text(),
                        re.MULTILINE | re.DOTALL)
    for source, shown in marked:
        if not (ROOT / source).exists() or (ROOT / source).read_text() != shown:
            yield f"its program is not {source}"


def code(document):
    """What stands in fences and in backquotes: prose may make do with words."""
    text = document.read_text()
    fenced = [body for _, body in FENCE.findall(text)]
    return "\n".join(fenced + re.findall(r"`([^`\n]+)`", FENCE.sub("", text)))


def run_blocks(document, command):
    """Runs the document's shell blocks that use the command, as one script."""
    blocks = [
        body for language, body in FENCE.findall(document.read_text())
        if language == "sh" and re.search(r"^[^#\n]*\bcordwood ", body, re.MULTILINE)]
    if not blocks:
        return
    with tempfile.TemporaryDirectory(prefix="cordwood-docs-") as folder:
        environment = dict(os.environ)
        environment["PATH"] = f"{pathlib.Path(command).resolve().parent}:{environment['PATH']}"
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)], cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        if result.returncode != 0:
            yield (f"its commands ended with {result.returncode}:\n{result.stdout}"
                   f"{result.stderr}")
        else:
            print(f"{document.relative_to(ROOT)}: {len(blocks)} blocks of commands ran")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cordwood", required=True, help="the command")
    command = parser.parse_args().cordwood
    jobs = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    ci = (ROOT / ".ci/run").read_text()
    problems = []
    for document in documents():
        found = [*broken_links(document), *broken_jobs(document, jobs, ci),
                 *wrong_example(document), *wrong_program(document),
                 *run_blocks(document, command)]
        problems += [f"{document.relative_to(ROOT)}: {problem}" for problem in found]
    print("\n".join(problems) or f"{len(documents())} documents: links resolve, jobs exist")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
