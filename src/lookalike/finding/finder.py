"""Detection of garments in photos with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from PIL import Image

from lookalike.errors import ModelError, UsageError
from lookalike.finding.decoding import LEAST, Decoded, decode
from lookalike.finding.kinds import KINDS
from lookalike.images import Source, open_image
from lookalike.models.content_hash import read_checked, require_checksum
from lookalike.models.finder.file_format import FORMAT, INPUT, SCORES, SIDES
from lookalike.models.finder.input_shape import input_shape
from lookalike.models.preprocessing import Preprocessing
from lookalike.types import Box

SHIPPED_FINDER: Final = Path(__file__).parent / "default" / "finder.onnx"
"""File of the finder in the package."""

SURE: Final = 0.3
"""Default of the lowest score of a garment."""


@dataclass(frozen=True, slots=True)
class Garment:
    """Detected garment.

    Attributes:
        box: Bounding box, in pixels of the upright photo.
        kind: One of `lookalike.finding.kinds.KINDS`.
        score: Confidence in [0, 1].
    """

    box: Box
    kind: str
    score: float

    def to_json(self) -> dict[str, Any]:
        """Values for JSON."""
        corners = [round(corner, 1) for corner in self.box.to_list()]
        return {"box": corners, "kind": self.kind, "score": round(self.score, 4)}


class Finder:
    """Garment detector from an ONNX file; safe to share between threads.

    Args:
        path: ONNX file written by `lookalike export`.
        threads: Threads of the network; 0 uses all processors.

    Raises:
        ModelError: The file is missing, damaged, or not a finder.
    """

    def __init__(self, path: Path = SHIPPED_FINDER, *, threads: int = 0) -> None:
        onnxruntime.set_default_logger_severity(3)
        onnxruntime.disable_telemetry_events()
        content = read_checked(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common parent but Exception
            reason = str(error).partition("\n")[0]
            raise ModelError(f"{path}: not an ONNX file that can be run here: {reason}") from error
        metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.kinds, self.pixels, self.model_id = _described(metadata, path)
        require_checksum(path, content)

    def find(self, source: Source, *, least: float = SURE) -> list[Garment]:
        """Find the garments of a photo, highest score first.

        Args:
            source: Photo, as for `open_image`.
            least: Lowest score, in [0.05, 1].

        Raises:
            PhotoError: The photo cannot be read.
            UsageError: The lowest score is out of range.
        """
        check_least(least)
        picture = open_image(source)
        found = self.decoded(picture, least=least)
        limits = np.array([*picture.size, *picture.size], dtype=np.float32)
        return [
            Garment(Box(*corners), self.kinds[kind], score)
            for corners, kind, score in zip(
                (found.boxes * limits).tolist(), found.kinds.tolist(), found.scores.tolist(), strict=True
            )
            if corners[2] > corners[0] and corners[3] > corners[1]
        ]

    def decoded(self, picture: Image.Image, *, least: float = LEAST) -> Decoded:
        """Find the garments of an open photo, as arrays.

        Args:
            picture: Upright RGB image.
            least: Lowest score, in [0.05, 1].
        """
        height, width = size = input_shape(*picture.size, pixels=self.pixels)
        photo = Preprocessing(height, width)(picture)
        scores, sides = self._session.run([SCORES, SIDES], {INPUT: photo[None]})
        return decode(scores[0], sides[0], size=size, least=least)


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
    if unknown := [kind for kind in kinds if kind not in KINDS] or not pixels.isdecimal():
        raise ModelError(f"{path}: its metadata is not that of a finder: {unknown or pixels!r}")
    return kinds, int(pixels), f"{metadata['lookalike.name']}@{metadata['lookalike.fingerprint'][:8]}"


@lru_cache(maxsize=1)
def shipped_finder() -> Finder:
    """Load the finder of the package; later calls return the same object.

    Raises:
        ModelError: Its file is damaged.
    """
    return Finder()


def find_garments(photo: Source, *, least: float = SURE) -> list[Garment]:
    """Find the garments in a photo, highest score first.

    Args:
        photo: Path, URL, bytes, open file or Pillow image.
        least: Lowest score, in [0.05, 1].

    Raises:
        PhotoError: The photo cannot be read.
    """
    return shipped_finder().find(photo, least=least)
