"""Engines as processes that take turns, so that each is measured while the others wait."""

import json
import os
import subprocess
import sys
from pathlib import Path

from sets import Set

HERE = Path(__file__).parent
MODES = ("batch", "single")


class Engine:
    """A process on one core that builds an index and then searches once for each turn."""

    def __init__(
        self, name: str, command: list[str], cores: str, environment: dict[str, str], modes=MODES
    ):
        """`cores` as taskset takes them."""
        self.name = name
        self.modes = modes
        # What it said of each mode last, and all that it said.
        self.summaries: dict[str, dict] = {}
        self.lines: list[dict] = []
        self.rates: dict[str, list[float]] = {mode: [] for mode in MODES}
        single_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            ["taskset", "-c", str(cores), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **single_thread, **environment},
        )
        self.facts = self._read_until("ready")

    def use(self, cores: set[int]):
        """Moves all threads to these cores."""
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setaffinity(int(thread), cores)

    def turn(self):
        """Searches once; the first time in each mode is for warming up."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self._read_until("round")
        if line["round"] > 0:
            self.rates[line["mode"]].append(line["qps"])

    def finish(self):
        """Ends the process, and keeps what it says of each mode."""
        self.process.stdin.close()
        for line in self.process.stdout:
            self._note(json.loads(line))
        self.process.wait()

    def _read_until(self, key: str) -> dict:
        for text in self.process.stdout:
            line = json.loads(text)
            if key in line:
                return line
            self._note(line)
        sys.exit(f"{self.name} ended with code {self.process.wait()}")

    def _note(self, line: dict):
        if "index" in line:
            self.summaries[line["mode"]] = line
            self.lines.append(line)


def cordwood(bench: str, found: Set, rounds: int, core: int, save: Path) -> Engine:
    command = [bench, "vectors", "--base", str(found.base), "--queries", str(found.queries)]
    command += ["--metric", found.metric, "--rounds", str(rounds), "--limits", "--paced"]
    command += ["--query-limit", str(found.batch), "--single-queries", str(found.single)]
    return Engine("Cordwood", command + ["--save-neighbors", str(save)], core, {})


def faiss(found: Set, rounds: int, core: int, save: Path, blas_core: str | None = None) -> Engine:
    """faiss as its wheel comes, or with OpenBLAS's kernels for another processor."""
    command = [sys.executable, str(HERE / "faiss_flat.py"), "--base", str(found.base)]
    command += ["--queries", str(found.queries), "--metric", found.metric, "--save", str(save)]
    command += ["--batch", str(found.batch), "--single", str(found.single)]
    command += ["--rounds", str(rounds)]
    if blas_core is None:
        return Engine("faiss", command + ["--modes", *MODES], core, {})
    # A single query runs no matrix product, so that only batches can differ.
    modes = ("batch",)
    variables = {"OPENBLAS_CORETYPE": blas_core}
    return Engine(f"faiss, {blas_core}", command + ["--modes", *modes], core, variables, modes)
