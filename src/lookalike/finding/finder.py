"""Detection of garments in photos with ONNX Runtime."""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.embedding.model_loading import processors
from lookalike.errors import ModelError, NoFinderError, UsageError
from lookalike.finding.decoding import LEAST, LISTED, Decoded, decode
from lookalike.images import DEFAULT_LIMITS, Limits, Source, open_with_size
from lookalike.kinds import KINDS
from lookalike.models.content_hash import read_checked, require_checksum
from lookalike.models.finder.file_format import FORMAT, INPUT, SCORES, SIDES
from lookalike.models.finder.input_shape import input_shape
from lookalike.models.onnx_session import metadata_of, open_session, run_session
from lookalike.models.preprocessing import Preprocessing
from lookalike.types import Box, Garment

SHIPPED_FINDER: Final = Path(__file__).parent / "default" / "finder.onnx"
"""File of the finder in the package."""

REMEMBERED: Final = 64
"""Number of photos in memory whose garments are remembered: a page asks for the garments of a photo, then searches
with the boxes of some, and a search by a box looks for the garment in it."""


class Finder:
    """Garment detector from an ONNX file; safe to share between threads, of which one for each processor runs it.

    Attributes:
        kinds: Kinds of garments that it tells apart.
        pixels: Approximate number of pixels of its input.
        model_id: Name and fingerprint, such as `finder@9f3c21ab`.
        file: Its file.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None) -> None:
        """Load a finder.

        Args:
            file: ONNX file written by `lookalike export`; None is the finder that is installed with Lookalike.

        Raises:
            NoFinderError: None is named, and none is installed.
            ModelError: The file is missing, damaged, or not a finder.
        """
        self.file = path = SHIPPED_FINDER if file is None else Path(file)
        if file is None and not path.is_file():
            raise NoFinderError("no finder of garments is installed; name the .onnx file of one as `finder`")
        content = read_checked(path)
        self._session = open_session(path, content, threads=processors())
        metadata = metadata_of(self._session, path)
        self.kinds, self.pixels, self.model_id = _described(metadata, path)
        shapes = {node.name: node.shape for node in (*self._session.get_inputs(), *self._session.get_outputs())}
        _check_shapes(shapes, kinds=len(self.kinds), path=path)
        require_checksum(path, content)
        self._processors = threading.BoundedSemaphore(processors())  # each run takes memory for its layers
        self._remembering = threading.Lock()
        self._remembered: OrderedDict[object, tuple[Decoded, tuple[int, int]]] = OrderedDict()

    def find(self, source: Source, *, least: float = LISTED, limits: Limits = DEFAULT_LIMITS) -> list[Garment]:
        """Find the garments of a photo, highest score first.

        Args:
            source: Photo, as for `lookalike.images.open_image`.
            least: Lowest score, in [0.05, 1].
            limits: Limits checked before decoding.

        Raises:
            PhotoError: The photo cannot be read.
            UsageError: The lowest score is out of range.
        """
        return self.find_with_size(source, least=least, limits=limits)[0]

    def find_with_size(
        self, source: Source, *, least: float = LISTED, limits: Limits = DEFAULT_LIMITS
    ) -> tuple[list[Garment], tuple[int, int]]:
        """Find the garments of a photo as `find` does; returns also its width and height, upright, in pixels."""
        check_least(least)
        found, size = self._decoded_once(source, limits=limits)
        found = found.of_score(least)
        corners = (found.boxes * np.array([*size, *size], dtype=np.float32)).astype(np.float64).round(1)
        visible = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        garments = [
            Garment(Box(*box), self.kinds[kind], round(score, 4))
            for box, kind, score in zip(
                corners[visible].tolist(), found.kinds[visible].tolist(), found.scores[visible].tolist(), strict=True
            )
        ]
        return garments, size

    def _decoded_once(self, source: Source, *, limits: Limits) -> tuple[Decoded, tuple[int, int]]:
        """Result of `decoded`, remembered for the last photos in memory."""
        content = content_of(source)
        if content is None or len(content) > limits.bytes:
            return self.decoded(source, limits=limits)
        key = sha256(content).digest(), limits
        with self._remembering:
            if known := self._remembered.get(key):
                self._remembered.move_to_end(key)
                if isinstance(source, BytesIO):
                    source.seek(0, SEEK_END)  # as after reading it
                return known
        decoded = self.decoded(source, limits=limits)
        with self._remembering:
            self._remembered[key] = decoded
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return decoded

    def decoded(self, source: Source, *, limits: Limits = DEFAULT_LIMITS) -> tuple[Decoded, tuple[int, int]]:
        """Find the garments of a photo with a score of at least `LEAST`, as arrays.

        Args:
            source: Photo, as for `lookalike.images.open_image`.
            limits: Limits checked before decoding.

        Returns:
            Garments; width and height of the upright photo, in pixels.

        Raises:
            PhotoError: The photo cannot be read.
        """
        picture, full = open_with_size(source, at_least=math.isqrt(self.pixels), limits=limits)
        height, width = size = input_shape(*full, pixels=self.pixels)
        with self._processors:
            photo = Preprocessing(height, width)(picture)
            scores, sides = run_session(self._session, self.file, [SCORES, SIDES], {INPUT: photo[None]})
        return decode(scores[0], sides[0], size=size), full


def content_of(source: Source) -> bytes | None:
    """Content of a photo in memory that is read from its beginning; None for others."""
    if isinstance(source, BytesIO):
        return source.getvalue() if source.tell() == 0 else None
    return source if isinstance(source, bytes) else None


def check_least(least: float) -> None:
    """Check the lowest score.

    Raises:
        UsageError: It is out of range.
    """
    if not LEAST <= least <= 1:
        raise UsageError(f"the lowest score of a garment is from {LEAST} to 1, got {least:g}")


def _described(metadata: Mapping[str, str], path: Path) -> tuple[tuple[str, ...], int, str]:
    """Read kinds, number of input pixels and model id from the metadata.

    Raises:
        ModelError: The file is not a finder, or of another version.
    """
    made_as = metadata.get("lookalike.format", "")
    if made_as != FORMAT:
        what = f"a model of format {made_as!r}" if made_as else "not a model of Lookalike"
        raise ModelError(f"{path}: {what}, expected a finder ({FORMAT!r}), as `lookalike export` writes it")
    kinds = tuple(metadata.get("lookalike.kinds", "").split(","))
    pixels = metadata.get("lookalike.pixels", "")
    if unknown := [kind for kind in kinds if kind not in KINDS] or not pixels.isdecimal() or len(pixels) > 9:
        raise ModelError(f"{path}: its metadata is not that of a finder: {unknown or pixels!r}")
    return kinds, int(pixels), f"{metadata['lookalike.name']}@{metadata['lookalike.fingerprint'][:8]}"


def _check_shapes(shapes: Mapping[str, list[object]], *, kinds: int, path: Path) -> None:
    """Check the shapes that a file declares for its inputs and outputs; variable dimensions are not integers.

    Raises:
        ModelError: They are not those of a finder.
    """
    ends = {INPUT: (4, 1, 3), SCORES: (3, 2, kinds), SIDES: (3, 2, 4)}
    if shapes.keys() != ends.keys() or any(
        len(shapes[name]) != length or shapes[name][at] != size for name, (length, at, size) in ends.items()
    ):
        raise ModelError(
            f"{path}: a finder takes `{INPUT}` (1, 3, H, W) and gives `{SCORES}` (1, A, {kinds}) and "
            f"`{SIDES}` (1, A, 4), this one has {dict(shapes)}"
        )


def find_garments(
    photo: Source, *, finder: str | os.PathLike[str] | None = None, least: float = LISTED
) -> list[Garment]:
    """Find the garments in a photo, highest score first.

    Args:
        photo: A path, a URL, bytes, a file open in binary mode, a Pillow image, or an array (H, W, 3) of uint8 RGB.
        finder: ONNX file of a finder; None is the one that is installed with Lookalike. It is loaded at each call: for
            many photos, make one `Finder`.
        least: Lowest score, in [0.05, 1].

    Raises:
        NoFinderError: No finder is named, and none is installed.
        ModelError: The file is missing, damaged, or not a finder.
        PhotoError: The photo cannot be read.
        UsageError: The lowest score is out of range.
    """
    return Finder(finder).find(photo, least=least)
