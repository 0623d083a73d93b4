"""SIFT descriptors of photographs, as .bvecs: base and queries come from different photographs."""

import argparse
import random
from pathlib import Path

import cv2
import numpy as np

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# Smaller files are icons and previews.
SMALLEST_FILE = 100_000
LONGEST_SIDE = 3000
# Descriptors gathered for each one kept, so that the kept ones come from many photographs.
SURPLUS = 1.5


def photographs(folder: Path) -> list[Path]:
    """Every picture below a folder, in an order that repeats and follows no package."""
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not path.is_symlink()
        and path.is_file()
        and path.stat().st_size > SMALLEST_FILE
    ]
    found.sort(key=str)
    random.Random(1).shuffle(found)
    return found


def read(path: Path) -> np.ndarray | None:
    """A picture in shades of grey, no larger than the descriptors need."""
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        return None
    scale = LONGEST_SIDE / max(picture.shape)
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return picture


def descriptors(paths: list[Path], count: int) -> np.ndarray:
    """`count` descriptors, or as many as there are, from pictures that differ from each other."""
    sift = cv2.SIFT_create(nfeatures=60_000, contrastThreshold=0.012)
    gathered: list[np.ndarray] = []
    thumbnails: set[bytes] = set()
    for path in paths:
        if sum(map(len, gathered)) >= SURPLUS * count:
            break
        picture = read(path)
        if picture is None:
            continue
        # Packages hold the same picture in several sizes.
        thumbnail = cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA).tobytes()
        if thumbnail in thumbnails:
            continue
        thumbnails.add(thumbnail)
        _, found = sift.detectAndCompute(picture, None)
        if found is not None:
            gathered.append(found.astype(np.uint8))
            print(f"photosift: {sum(map(len, gathered)):,} descriptors", flush=True)
    rows = np.concatenate(gathered)
    np.random.default_rng(1).shuffle(rows)
    return rows[:count]


def write_bvecs(path: Path, rows: np.ndarray):
    """Each row is its length as a 32-bit integer, then its bytes."""
    file = np.empty((len(rows), 4 + rows.shape[1]), np.uint8)
    file[:, :4] = np.frombuffer(np.array(rows.shape[1], "<i4").tobytes(), np.uint8)
    file[:, 4:] = rows
    file.tofile(path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--queries", type=int, required=True)
    arguments = parser.parse_args()

    paths = photographs(arguments.images)
    if len(paths) < 4:
        raise SystemExit(f"photosift: expected photographs, found {len(paths)}")
    aside = max(2, len(paths) // 8)
    queries = descriptors(paths[:aside], arguments.queries)
    base = descriptors(paths[aside:], arguments.rows)
    write_bvecs(arguments.folder / "photosift_base.bvecs", base)
    # Last, because its presence says that the set is complete.
    write_bvecs(arguments.folder / "photosift_query.bvecs", queries)
    print(f"photosift: {base.shape[0]:,} x {base.shape[1]}, {len(queries):,} queries")


if __name__ == "__main__":
    main()
