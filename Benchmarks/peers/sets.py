"""The sets of vectors that engines are compared on, as files that all of them read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Set:
    name: str
    base: Path
    queries: Path
    metric: str
    # Queries in one batch call, and how many of them are searched for one at a time.
    batch: int
    single: int


def hold_out(source: Path, folder: Path, name: str, count: int) -> tuple[Path, Path]:
    """Splits a file into a base and `count` random rows to search for, the same ones every time."""
    base, queries = folder / f"{name}_base.npy", folder / f"{name}_query.npy"
    newest = source.stat().st_mtime
    if not all(p.exists() and p.stat().st_mtime >= newest for p in (base, queries)):
        rows = np.load(source)
        order = np.random.default_rng(1).permutation(len(rows))
        np.save(queries, rows[order[:count]])
        np.save(base, rows[np.sort(order[count:])])
    return base, queries


def available(root: Path, datasets: Path | None, wordnet: Path | None, folder: Path) -> list[Set]:
    """The sets whose files are here; glove25k is always, since the repository has it."""
    folder.mkdir(parents=True, exist_ok=True)
    glove25k = root / "Sources/CordwoodCLI/Resources/glove25k.npy"
    found = [Set("glove25k", *hold_out(glove25k, folder, "glove25k", 1000), "cosine", 1000, 1000)]
    if wordnet is None and datasets is not None:
        wordnet = datasets / "wordnet_minilm.npy"
    if wordnet is not None and wordnet.exists():
        files = hold_out(wordnet, folder, "wordnet", 2000)
        found.append(Set("wordnet", *files, "cosine", 1000, 200))
    if datasets is not None:
        files = datasets / "glove_base.npy", datasets / "glove_query.npy"
        if all(f.exists() for f in files):
            found.append(Set("glove", *files, "cosine", 1000, 500))
        files = datasets / "photosift_base.bvecs", datasets / "photosift_query.bvecs"
        if all(f.exists() for f in files):
            found.append(Set("photosift", *files, "l2", 1000, 100))
    return found


def read_vectors(path: Path, limit: int | None = None) -> np.ndarray:
    """Rows of an .npy or .bvecs file as contiguous 32-bit floats, a copy that may be changed."""
    if path.suffix == ".npy":
        rows = np.load(path, mmap_mode="r")
    elif path.suffix == ".bvecs":
        dimensions = int(np.fromfile(path, "<i4", 1)[0])
        rows = np.memmap(path, np.uint8, "r").reshape(-1, 4 + dimensions)[:, 4:]
    else:
        raise ValueError(f"{path}: expected .npy or .bvecs")
    return np.array(rows[:limit], np.float32, order="C")


def read_neighbours(path: Path) -> np.ndarray:
    """Ids from an .ivecs file, one row a query."""
    numbers = np.fromfile(path, "<i4")
    return numbers.reshape(-1, 1 + numbers[0])[:, 1:]
