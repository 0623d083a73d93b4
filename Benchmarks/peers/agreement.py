"""Whether engines return the same neighbours, judged by distances in double precision."""

import numpy as np

from sets import Set, read_neighbours, read_vectors


def distances(found: Set, queries: np.ndarray, base: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The exact distance of each query to each of its neighbours, nearest first."""
    result = np.empty(ids.shape)
    for number, row in enumerate(ids):
        query, near = queries[number].astype(np.float64), base[row].astype(np.float64)
        if found.metric == "l2":
            result[number] = ((near - query) ** 2).sum(1)
        elif found.metric == "ip":
            result[number] = -(near @ query)
        else:
            norms = np.linalg.norm(near, axis=1) * np.linalg.norm(query)
            result[number] = 1 - (near @ query) / norms
    return np.sort(result, axis=1)


def compare(found: Set, ours, theirs) -> dict:
    """How far two engines' answers to one batch agree; raises when they are different answers."""
    ours, theirs = read_neighbours(ours), np.load(theirs)
    base, queries = read_vectors(found.base), read_vectors(found.queries, found.batch)
    a, b = (distances(found, queries, base, ids) for ids in (ours, theirs))
    scale = np.maximum(np.abs(a), np.abs(b)) + 1e-3
    worst = float((np.abs(a - b) / scale).max())
    same = np.mean([set(x) == set(y) for x, y in zip(ours, theirs)])
    if worst > 1e-3:
        raise SystemExit(f"{found.name}: the engines disagree: distances differ by {worst:.2g}")
    return {"same_ids": float(same), "largest_difference": worst, "queries": len(ours)}
