"""The exact neighbours that every engine's results are held against, and recall by distance."""

from pathlib import Path

import numpy as np

# Distances that differ less are equal: engines sum in single precision.
TOLERANCE = 1e-6


def distances(queries, rows, metric: str):
    """In double precision, of each query to each of its own rows."""
    queries, rows = queries.astype(np.float64)[:, None, :], rows.astype(np.float64)
    if metric == "l2":
        return ((queries - rows) ** 2).sum(axis=2)
    products = (queries * rows).sum(axis=2)
    if metric == "ip":
        return -products
    lengths = np.linalg.norm(queries, axis=2) * np.linalg.norm(rows, axis=2)
    return 1 - products / np.where(lengths > 0, lengths, 1)


class Truth:
    """The distance of the k-th neighbour of each query among the rows that are allowed."""

    def __init__(self, base, queries, metric: str, k: int, allowed=None, cache: Path | None = None):
        self.base, self.queries, self.metric, self.k = base, queries, metric, k
        self.allowed = allowed
        if cache is not None and cache.exists():
            self.farthest = np.load(cache)
            return
        self.farthest = self._farthest()
        if cache is not None:
            np.save(cache, self.farthest)

    def _farthest(self):
        import faiss

        rows = self.base if self.allowed is None else self.base[self.allowed]
        queries = self.queries
        if self.metric == "cosine":
            rows, queries = rows.copy(), queries.copy()
            faiss.normalize_L2(rows)
            faiss.normalize_L2(queries)
        kind = faiss.IndexFlatL2 if self.metric == "l2" else faiss.IndexFlatIP
        index = kind(rows.shape[1])
        index.add(rows)
        # Some more than k: the order of the last may be another in double precision.
        found = index.search(queries, min(self.k + 6, len(rows)))[1]
        ids = found if self.allowed is None else np.flatnonzero(self.allowed)[found]
        return np.sort(self._distances(ids), axis=1)[:, self.k - 1]

    def _distances(self, ids):
        return distances(self.queries[: len(ids)], self.base[ids], self.metric)

    def recall(self, ids) -> float:
        """The share of the true neighbours that were found: a result counts when it is no farther
        than the true k-th, whichever of several equal ones it is, and counts once."""
        ids = np.asarray(ids)[:, : self.k]
        missing = ids < 0
        found = self._distances(np.where(missing, 0, ids))
        farthest = self.farthest[: len(ids), None]
        near = found <= farthest + TOLERANCE * np.abs(farthest)
        near &= ~missing
        if self.allowed is not None:
            near &= self.allowed[np.where(missing, 0, ids)]
        hits = sum(len(set(row[kept].tolist())) for row, kept in zip(ids, near))
        return hits / (len(ids) * self.k)
