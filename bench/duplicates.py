"""How well copies of photos are told from other photos, on a catalogue of yours.

    python bench/duplicates.py CATALOGUE [--photos 1000] [--copied 150] [--group ATTRIBUTE]

Some photos of the catalogue are copied as shops' photos are: compressed again, made smaller, cropped a little, and all
of it. Originals and copies are indexed into a gallery, whose pairs are compared as `lookalike gallery duplicates` does.
A pair of a photo and its copy is right. A pair of different photos is wrong, unless the two have the same bytes, or the
same value of an attribute that names what counts as one (`--group`): catalogues have duplicates of their own.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections import defaultdict
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

import lookalike
from lookalike.catalogue.opening import open_catalogue
from lookalike.gallery.photo_reader import PhotoReader
from lookalike.images import open_image
from lookalike.tuning.duplicates import find
from lookalike.tuning.duplicates.near_pairs import near_pairs
from lookalike.tuning.duplicates.photo_difference import difference, grid_difference, grid_of, small_copy

LIMITS = (4, 6, 8, 10, 12, 15, 18, 20, 25, 30)
COSINES = (0.99, 0.98, 0.97, 0.96, 0.95, 0.93, 0.9)


def copies(photo: Image.Image) -> dict[str, bytes]:
    """Copies of a photo, by what was done."""
    width, height = photo.size
    left, top = round(0.03 * width), round(0.01 * height)
    cropped = photo.crop((left, top, width - round(0.02 * width), height - round(0.04 * height)))
    smaller = photo.resize((round(0.6 * width), round(0.6 * height)), Image.Resampling.LANCZOS)
    of_all = cropped.resize((round(0.7 * width), round(0.7 * height)), Image.Resampling.BICUBIC)
    return {
        "compressed": jpeg(photo, 50),
        "smaller": jpeg(smaller, 85),
        "cropped": jpeg(cropped, 90),
        "cropped, smaller, compressed": jpeg(of_all, 60),
    }


def jpeg(photo: Image.Image, quality: int) -> bytes:
    """A photo as JPEG."""
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return file.getvalue()


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue")
    parser.add_argument("--photos", type=int, default=1000, help="photos of the catalogue, evenly spread")
    parser.add_argument("--copied", type=int, default=150, help="of these, photos that are copied")
    parser.add_argument("--group", help="attribute whose equal values mean that two photos count as one")
    parser.add_argument("--where", nargs=2, metavar=("ATTRIBUTE", "VALUE"), help="only items with this value")
    asked = parser.parse_args()
    items = [
        item
        for item in open_catalogue(asked.catalogue).items()
        if asked.where is None or str(item.attributes.get(asked.where[0])) == asked.where[1]
    ]
    items = items[:: max(1, len(items) // asked.photos)][: asked.photos]
    with tempfile.TemporaryDirectory() as folder:
        measure(items, Path(folder), asked)


def measure(items: list[lookalike.Item], folder: Path, asked: argparse.Namespace) -> None:
    """Index originals and copies, and compare all pairs."""
    (folder / "photos").mkdir()
    groups, kinds = {}, {}
    for number, item in enumerate(items):
        photo = open_image(item.location)
        data = {"": jpeg(photo, 95)}
        if number % max(1, len(items) // asked.copied) == 0:
            data |= copies(photo)
        for kind, content in data.items():
            name = f"{number}{'-' if kind else ''}{kind.replace(', ', '-')}.jpg"
            (folder / "photos" / name).write_bytes(content)
            kinds[name] = kind
            groups[name] = str(item.attributes.get(asked.group)) if asked.group else str(number)
    with lookalike.open(folder / "made.gallery") as shop:
        shop.index(folder / "photos")
        gallery = shop.gallery
        found, _, rows = find.read_items(gallery)
        pairs = near_pairs(rows, least=find.CANDIDATE, most=find.MOST)
        reader = PhotoReader.of(gallery)
        small = [small_copy(open_image(reader(item), name=item.id)) for item in found]
    grids = np.stack([grid_of(photo) for photo in small])
    away = grid_difference(grids, pairs.first, pairs.second)
    started = perf_counter()
    near = np.flatnonzero(away <= find.GRID)
    much = np.full(len(pairs.cosine), np.inf)
    for place in near.tolist():
        much[place] = difference(small[pairs.first[place]], small[pairs.second[place]])
    took = perf_counter() - started
    number_of = [item.id.partition(".")[0].partition("-")[0] for item in found]
    right = np.array([number_of[a] == number_of[b] for a, b in zip(pairs.first, pairs.second, strict=True)])
    counted = np.array(
        [groups[found[a].id] != groups[found[b].id] for a, b in zip(pairs.first, pairs.second, strict=True)]
    )
    wanted = sum(bool(kind) for kind in kinds.values())
    print(f"{len(items):,} photos and {wanted:,} copies; {len(pairs.cosine):,} pairs of a cosine of {pairs.least:.2f};")
    print(f"{len(near):,} of them are compared by pixels, {1000 * took / max(1, len(near)):.1f} ms each\n")
    kind_of = defaultdict(list)
    for place, (a, b) in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
        one, other = kinds[found[a].id], kinds[found[b].id]
        if right[place] and "" in (one, other):
            kind_of[one or other].append(place)
    print("largest difference   copies found (of all copies)   wrong pairs   precision")
    for limit in LIMITS:
        good, bad = int(((much <= limit) & right).sum()), int(((much <= limit) & ~right & counted).sum())
        found_ones = sum((much[places] <= limit).sum() for places in kind_of.values())
        print(f"{limit:18} {found_ones:15,} ({found_ones / wanted:6.1%}) {bad:19,} {good / max(1, good + bad):11.4f}")
    print("\ncopies                          found at the limit of this version   least cosine   largest difference")
    each = wanted // max(1, len(kind_of))
    for kind, places in kind_of.items():
        hits = int((much[places] <= find.DIFFERENCE).sum())
        cosine, largest = pairs.cosine[places].min(), np.sort(much[places])[int(0.95 * (len(places) - 1))]
        print(f"{kind:32} {hits:5,} of {each:5,} {cosine:32.3f} {largest:14.1f} (95th percentile)")
    print("\nleast cosine   pairs of different photos   of the same group")
    for least in COSINES:
        some = (pairs.cosine >= least) & ~right & np.array([kinds[found[a].id] == "" for a in pairs.first])
        some &= np.array([kinds[found[b].id] == "" for b in pairs.second])
        print(f"{least:12} {some.sum():18,} {(some & ~counted).sum():23,}")


if __name__ == "__main__":
    main()
