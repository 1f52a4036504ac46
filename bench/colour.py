"""Compare colour descriptors by retrieval of photos of the same colour: the table of docs/colour.md.

    python bench/colour.py labels.csv --onto clothing/labels.csv --onto street/labels.csv --network mobilenet.onnx

`labels.csv` has the columns that `colour_photos.read_photos` names. Every photo of its split `dev` queries all others,
first unchanged, then pasted onto another photo. Photos of the query's group are excluded, but a pasted photo also
queries the originals for its own. Pasted photos need `--onto`, the original system's descriptor needs `--network`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from colour_photos import Photo, open_all, paste_all, read_photos
from lookalike.embedding.color import LEVELS, SIDE, Color, bins
from lookalike.embedding.color_original import color_original
from lookalike.models.preprocessing import Preprocessing
from lookalike.spaces import unit_rows
from lookalike.types import Bool, Float32

LEAST = 224  # smallest side of a query photo, in pixels
AT_LEAST = 5  # smallest number of photos of a colour in the mean over colours
K = 10
Describe = Callable[[Image.Image], Float32]


@dataclass(frozen=True, slots=True)
class Way:
    """A descriptor, and whether its rows are compared by cosine or by Euclidean distance."""

    name: str
    describe: Describe
    euclidean: bool = False


def hsv(photo: Image.Image, *, parts: tuple[int, int, int]) -> Float32:
    """Compute a histogram over hue, saturation and value of the whole photo."""
    pixels = np.asarray(photo.convert("HSV"), dtype=np.int64).reshape(-1, 3) * parts // 256
    numbers = np.ravel_multi_index(tuple(pixels.T), parts)
    return np.bincount(numbers, minlength=int(np.prod(parts))).astype(np.float32)


def oklab_whole(photo: Image.Image) -> Float32:
    """Compute the histogram of our descriptor over the whole photo."""
    pixels = np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BOX)).reshape(-1, 3) // (256 // LEVELS)
    return bins().histogram(np.bincount(pixels @ np.array([LEVELS**2, LEVELS, 1]), minlength=LEVELS**3))


def mean_color(photo: Image.Image) -> Float32:
    """Compute the mean RGB colour of the whole photo."""
    return np.asarray(photo, dtype=np.float32).mean(axis=(0, 1))


def raw_pixels(photo: Image.Image) -> Float32:
    """Shrink a photo to 16 x 16 pixels, and subtract the mean."""
    tiny = np.asarray(photo.resize((16, 16), Image.Resampling.BOX), dtype=np.float32)
    return (tiny - tiny.mean()).ravel()


def original(network: Path) -> Describe:
    """Return the original's descriptor of 30 numbers, with the attention of a network with global average pooling."""
    model = onnx.load(network)
    pooling = [node for node in model.graph.node if node.op_type in ("GlobalAveragePool", "ReduceMean")][-1]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(pooling.input[0]))
    import onnxruntime  # after lookalike, which switches its telemetry off

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    prepare = Preprocessing(224, 224, fit="crop", short_side=224)

    def describe(photo: Image.Image) -> Float32:
        pixels = prepare(photo)[None]
        (maps,) = session.run([pooling.input[0]], {session.get_inputs()[0].name: pixels})
        return color_original(pixels, maps.mean(axis=1))[0]

    return describe


def roots(describe: Describe) -> Describe:
    """Return a descriptor of the square roots of a histogram, which increase the weight of small values."""
    return lambda photo: np.sqrt(describe(photo))


def ways(network: Path | None) -> list[Way]:
    """Return the descriptors to compare."""
    color = Color()
    found = [
        Way("mean colour, Euclidean", mean_color, euclidean=True),
        Way("raw pixels, 16x16", raw_pixels),
        Way("HSV histogram 8x8x8, whole picture", lambda photo: hsv(photo, parts=(8, 8, 8))),
        Way("the same, square roots", roots(lambda photo: hsv(photo, parts=(8, 8, 8)))),
        Way("HSV histogram 16x4x4, square roots", roots(lambda photo: hsv(photo, parts=(16, 4, 4)))),
        Way("OKLab histogram, whole picture, square roots", roots(oklab_whole)),
    ]
    if network is not None:
        found.append(Way("`color-original`, Euclidean", original(network), euclidean=True))
    return [
        *found,
        Way("OKLab histogram of the garment, square roots", roots(color.histogram)),
        Way("**`color`**", color.embed),
    ]


def likeness(queries: Float32, gallery: Float32, way: Way) -> Float32:
    """Compute the similarities of all pairs, (Q, N)."""
    if way.euclidean:
        return -np.linalg.norm(queries[:, None] - gallery[None], axis=2)
    return unit_rows(queries) @ unit_rows(gallery).T


def agreement(scores: Float32, same_group: Bool, asked: np.ndarray, labels: np.ndarray) -> list[float]:
    """Compute precision@1 and @10 of the query's colour, and the mean over colours of precision@1."""
    allowed = np.where(same_group, -np.inf, scores)
    best = np.argsort(-allowed, axis=1, kind="stable")[:, :K]
    hits = labels[best] == asked[:, None]
    common = [label for label in np.unique(labels) if label and (labels == label).sum() >= AT_LEAST]
    by_color = [hits[asked == label, 0].mean() for label in common if (asked == label).any()]
    named = asked != ""
    return [float(hits[named, 0].mean()), float(hits[named].mean()), float(np.mean(by_color))]


def found_itself(scores: Float32, own: np.ndarray) -> list[float]:
    """Compute the hit rate@1 and @10 of pasted photos for their own originals among all originals."""
    ahead = (scores > scores[np.arange(len(own)), own][:, None]).sum(axis=1)
    return [float((ahead < 1).mean()), float((ahead < K).mean())]


def measure(way: Way, photos: list[Photo], pictures: list[Image.Image], pasted: dict[int, Image.Image]) -> list[str]:
    """Return a row of the table."""
    began = time.process_time()
    gallery = np.array([way.describe(picture) for picture in pictures], dtype=np.float32)
    spent = (time.process_time() - began) / len(pictures) * 1000
    labels = np.array([photo.label for photo in photos])
    groups = np.array([photo.group for photo in photos])
    numbers = agreement(likeness(gallery, gallery, way), groups[:, None] == groups, labels, labels)
    if pasted:
        own = np.array(list(pasted))
        scores = likeness(np.array([way.describe(picture) for picture in pasted.values()], np.float32), gallery, way)
        numbers += agreement(scores, groups[own][:, None] == groups, labels[own], labels) + found_itself(scores, own)
    return [way.name, str(gallery.shape[1]), *(f"{number:.3f}" for number in numbers), f"{spent:.2f}"]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Measure colour descriptors on labelled catalogue photos.")
    parser.add_argument("table", type=Path)
    parser.add_argument("--onto", type=Path, action="append", default=[], help="a table of photos to paste onto")
    parser.add_argument("--network", type=Path, help="an ONNX network for the original's attention")
    arguments = parser.parse_args()
    photos = read_photos(arguments.table, split="dev", least=LEAST)
    pictures = open_all(photos, at_least=LEAST)
    backgrounds = [photo for table in arguments.onto for photo in read_photos(table, split="dev")]
    pasted = paste_all(photos, backgrounds, seed=2, largest=0.95, side=LEAST) if backgrounds else {}
    print(f"{len(photos):,} photos, {len(pasted):,} of them also pasted onto {len(backgrounds):,} others\n")
    heads = ["descriptor", "numbers", "P@1", "P@10", "P@1 by colour"]
    if pasted:
        heads += ["pasted: P@1", "P@10", "P@1 by colour", "itself first", "itself in 10"]
    print(f"| {' | '.join([*heads, 'ms'])} |\n|{' --- |' * (len(heads) + 1)}")
    for way in ways(arguments.network):
        print(f"| {' | '.join(measure(way, photos, pictures, pasted))} |", flush=True)


if __name__ == "__main__":
    main()
