"""int8 export: 8-bit ONNX files, calibrated with photos of the user, and what that costs on other photos."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from lookalike.errors import LookalikeError, PhotoError, UsageError
from lookalike.images import open_image
from lookalike.models.preprocessing import Preprocessing
from lookalike.types import Float32, Item

CALIBRATED: Final = 128
"""Largest number of photos that set the ranges."""

MEASURED: Final = 256
"""Largest number of other photos on which the loss is measured."""

FEWEST: Final = 24
"""Smallest number of photos, half of them to calibrate with."""

NEIGHBOURS: Final = 10

LEAST_KEPT: Final = 0.5
"""Smallest share of kept neighbours of a file that is written."""

WELL_KEPT: Final = 0.9
"""Share of kept neighbours below which a user is warned."""

BATCH: Final = 16

RELEVANCE: Final = "network.relevance."
"""First letters of the names of the weights of relevance parts."""


@dataclass(frozen=True, slots=True)
class QuantizationLoss:
    """Loss by 8-bit integers, over photos that the file was not calibrated with.

    Attributes:
        calibrated: Number of photos that the ranges were calibrated with.
        measured: Number of other photos, each of them a query among the rest.
        neighbours: Number of nearest neighbours that are compared, at most 10.
        kept: Mean share of a photo's nearest neighbours by the original that are among those by the file, in [0, 1].
        mean_cosine: Mean cosine between the embeddings of the file and of the original, in [-1, 1].
        least_cosine: Smallest of these cosines.
        unreadable: Number of photos that could not be read.
    """

    calibrated: int
    measured: int
    neighbours: int
    kept: float
    mean_cosine: float
    least_cosine: float
    unreadable: int

    @property
    def warning(self) -> str:
        """Warning for a file that keeps few neighbours; else empty."""
        if self.kept >= WELL_KEPT:
            return ""
        return f"int8 changes {1 - self.kept:.0%} of the nearest neighbours; `--half` changes next to none"


@dataclass(frozen=True, slots=True)
class PhotoSample:
    """Preprocessed photos of a catalogue, drawn at random but always the same.

    Attributes:
        calibration: (C, 3, H, W) float32, to calibrate with.
        others: Items to measure on.
        opened: Preprocesses an item; None for a photo that cannot be read.
        unreadable: Number of photos that could not be read so far.
    """

    calibration: Float32
    others: list[Item]
    opened: Callable[[Item], Float32 | None]
    unreadable: int

    def held_out(self) -> list[Float32]:
        """Photos that calibrate nothing, (3, H, W) float32 each.

        Raises:
            UsageError: Too few of them can be read.
        """
        photos = [photo for photo in map(self.opened, self.others) if photo is not None]
        if len(photos) < FEWEST // 2:
            raise UsageError(f"int8 is measured on at least {FEWEST // 2} photos, and only {len(photos)} can be read")
        return photos


def sample_photos(items: Iterable[Item], preprocessing: Preprocessing, *, source: str) -> PhotoSample:
    """Draw photos of a catalogue to calibrate with, and others to measure on.

    Args:
        items: Items of the catalogue.
        preprocessing: Preprocessing of the model.
        source: Catalogue for messages.

    Raises:
        UsageError: It has too few photos that can be read.
    """

    def opened(item: Item) -> Float32 | None:
        try:
            return preprocessing(open_image(item, at_least=preprocessing.wanted_size, box=item.box))
        except PhotoError:
            return None

    drawn = _drawn({item.location: item for item in items}.values(), CALIBRATED + MEASURED)
    wanted = min(CALIBRATED, len(drawn) // 2)
    calibration: list[Float32] = []
    others = iter(drawn)
    tried = 0
    for item in others:
        tried += 1
        photo = opened(item)
        if photo is not None:
            calibration.append(photo)
        if len(calibration) == wanted:
            break
    if 2 * len(calibration) < FEWEST:
        raise UsageError(
            f"{source}: int8 is calibrated with one half of the photos and measured on the other; expected at least "
            f"{FEWEST} that can be read, got {2 * len(calibration)}"
        )
    return PhotoSample(np.stack(calibration), list(others), opened, tried - len(calibration))


def _drawn(items: Iterable[Item], number: int) -> list[Item]:
    """Draw items without replacement, in one pass over any number of them, in random order."""
    choose = random.Random(0)
    kept: list[Item] = []
    for seen, item in enumerate(items):
        if len(kept) < number:
            kept.append(item)
        elif (place := choose.randrange(seen + 1)) < number:
            kept[place] = item
    choose.shuffle(kept)
    return kept


def quantized(file: Path, photos: Float32, *, kinds: int = 0) -> Path:
    """Quantise a float32 ONNX file to 8-bit integers.

    Args:
        file: To read.
        photos: (B, 3, H, W) float32, preprocessed; they calibrate the ranges.
        kinds: Number of kinds that the file takes beside photos; 0 is a file without that input.

    Returns:
        Path of the new file, `int8.onnx` in the same folder, without metadata.
    """

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            others = {"kinds": np.zeros((1, kinds), np.float32)} if kinds else {}
            self.photos: Iterator[Mapping[str, Float32]] = iter([{"photos": photo[None], **others} for photo in photos])

        def get_next(self) -> Mapping[str, Float32] | None:
            return next(self.photos, None)

    ready, quantized = file.with_name("ready.onnx"), file.with_name("int8.onnx")
    quant_pre_process(str(file), str(ready), skip_symbolic_shape=True)
    exact = name_what_follows(ready, "kinds", RELEVANCE)  # small, and of a length that ranges do not keep
    quantize_static(
        str(ready),
        str(quantized),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=exact,
    )
    return quantized


def unknown_kinds(session: onnxruntime.InferenceSession, batch: int) -> dict[str, Float32]:
    """Input for B photos of which no kinds are known; empty for a file without it."""
    shapes = {node.name: node.shape for node in session.get_inputs()}
    return {"kinds": np.zeros((batch, shapes["kinds"][1]), dtype=np.float32)} if "kinds" in shapes else {}


def name_what_follows(file: Path, *starts: str) -> list[str]:
    """Name all nodes of an ONNX file; returns the names of those that inputs and weights reach.

    Args:
        file: File, which is changed.
        starts: First letters of the names of the inputs and weights.
    """
    model = onnx.load(str(file))
    given = [value.name for value in (*model.graph.input, *model.graph.initializer)]
    reached = {name for name in given if name.startswith(starts)}
    names = []
    for place, node in enumerate(model.graph.node):  # in the order of computation
        node.name = f"{node.op_type}_{place}"
        if reached.intersection(node.input):
            reached.update(node.output)
            names.append(node.name)
    onnx.save(model, str(file))
    return names


def measure_loss(original: Path, file: Path, sample: PhotoSample, photos: Sequence[Float32]) -> QuantizationLoss:
    """Measure what 8-bit integers cost, on the photos of a sample that calibrated nothing.

    Args:
        original: float32 ONNX file.
        file: Quantised file.
        sample: Photos that calibrated the file.
        photos: Those that did not, see `PhotoSample.held_out`.

    Raises:
        LookalikeError: Fewer than `LEAST_KEPT` of the neighbours are kept, or embeddings are not finite.
    """
    sessions = [
        onnxruntime.InferenceSession(str(each), providers=["CPUExecutionProvider"]) for each in (original, file)
    ]
    rows: list[list[Float32]] = [[], []]
    for start in range(0, len(photos), BATCH):
        batch = np.stack(photos[start : start + BATCH])
        for session, found in zip(sessions, rows, strict=True):
            found.append(session.run(["embedding"], {"photos": batch, **unknown_kinds(session, len(batch))})[0])
    exact, coarse = (_unit(np.concatenate(found)) for found in rows)
    cosines = (exact * coarse).sum(axis=1)
    count = min(NEIGHBOURS, len(photos) - 1)
    loss = QuantizationLoss(
        calibrated=len(sample.calibration),
        measured=len(photos),
        neighbours=count,
        kept=kept_neighbours(exact, coarse, count),
        mean_cosine=float(cosines.mean()),
        least_cosine=float(cosines.min()),
        unreadable=sample.unreadable + len(sample.others) - len(photos),
    )
    if not loss.kept >= LEAST_KEPT or not np.isfinite(cosines).all():
        raise LookalikeError(
            f"not written: of the {count} nearest neighbours of a photo int8 keeps {loss.kept:.0%}, over {len(photos)} "
            f"photos, expected at least {LEAST_KEPT:.0%}; this network loses too much by 8-bit integers, take --half"
        )
    return loss


def kept_neighbours(exact: Float32, coarse: Float32, count: int) -> float:
    """Mean share of the nearest neighbours of each row that another description of the same rows finds too.

    Args:
        exact: (N, D) float32 unit rows.
        coarse: (N, E) float32 unit rows of the same photos.
        count: Number of neighbours, less than N.
    """
    nearest = []
    for rows in (exact, coarse):
        scores = rows @ rows.T
        np.fill_diagonal(scores, -np.inf)
        nearest.append(np.argsort(-scores, axis=1, kind="stable")[:, :count])
    return float(np.mean([len({*one} & {*other}) / count for one, other in zip(*nearest, strict=True)]))


def _unit(rows: Float32) -> Float32:
    unit: Float32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
