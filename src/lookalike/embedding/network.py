"""Interface of a network that a runtime runs, and its identity."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from lookalike.embedding.calibration import METADATA, Calibration
from lookalike.errors import ModelError
from lookalike.models.photo_choices import TRAINED_ON, read_choices
from lookalike.models.preprocessing import Preprocessing
from lookalike.types import Float32, PhotoChoice

Device: TypeAlias = Literal["auto", "cpu", "cuda"]

INPUT, KINDS, EMBEDDING, ATTENTION, LABELS, MAP = "photos", "kinds", "embedding", "attention", "labels", "map"
FORMAT = "1"
HOW_TO_EXPORT = "make the file with `lookalike export CHECKPOINT --onnx FILE`"


@dataclass(frozen=True, slots=True)
class Identity:
    """Name, fingerprint and pre-processing of a network, stored in the metadata of its file.

    Attributes:
        name: Display name.
        fingerprint: Hash of weights and pre-processing, hexadecimal.
        preprocessing: Steps from an upright RGB photo to the input of the network.
        unit: Whether its embeddings are of length 1; those of the original system's models are not.
        labels: Class names by head, in the order of the columns of `Outputs.labels`; empty without heads.
        calibration: Calibration of relevance and labels; None if there is none.
        trained_on: What of the photos of each catalogue it was trained on; empty if that is unknown.
        kinds: Kinds of garments, in the order of the columns of its input `kinds`; empty without that input.
    """

    name: str
    fingerprint: str
    preprocessing: Preprocessing
    unit: bool = True
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    calibration: Calibration | None = None
    trained_on: Sequence[PhotoChoice] = ()
    kinds: Sequence[str] = ()

    @property
    def model_id(self) -> str:
        """Name and short fingerprint, such as `default@9f3c21ab`."""
        return f"{self.name}@{self.fingerprint[:8]}"

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, file: str) -> Identity:
        """Read the metadata of an ONNX file.

        Args:
            metadata: Custom metadata of the file.
            file: File name for messages.

        Raises:
            ModelError: A value is missing or damaged, or the format is unknown to this version.
        """
        wanted = [f"lookalike.{key}" for key in ("format", "name", "fingerprint", "preprocessing")]
        if missing := [key for key in wanted if not metadata.get(key)]:
            raise ModelError(
                f"{file}: not a model of Lookalike, its metadata lacks {', '.join(missing)}; {HOW_TO_EXPORT}"
            )
        made_as, name, fingerprint, preprocessing = (metadata[key] for key in wanted)
        if made_as != FORMAT:
            raise ModelError(f"{file}: a model of format {made_as!r}, and this version reads format {FORMAT!r}")
        unit = metadata.get("lookalike.unit", "true") == "true"
        labels = read_labels(metadata.get("lookalike.labels", "{}"), file=file)
        calibrated = metadata.get(METADATA)
        calibration = Calibration.from_json(calibrated, file=file) if calibrated else None
        trained_on = read_choices(metadata.get(TRAINED_ON, "[]"), file=file)
        kinds = read_kinds(metadata.get("lookalike.kinds", "[]"), file=file)
        steps = Preprocessing.from_json(preprocessing)
        return cls(name, fingerprint, steps, unit, labels, calibration, trained_on, kinds)

    def inputs(self, photos: Float32, kinds: Float32 | None) -> dict[str, Float32]:
        """Inputs of the network by name, see `Network.run`."""
        if not self.kinds:
            return {INPUT: photos}
        return {INPUT: photos, KINDS: np.zeros((len(photos), len(self.kinds)), np.float32) if kinds is None else kinds}


@dataclass(frozen=True, slots=True)
class Outputs:
    """Outputs of a network for B photos.

    Attributes:
        embedding: (B, D) float32; rows of length 1, unless `Identity.unit` is False.
        attention: (B, h, w) float32, attention of each cell of the last feature map; None if it has no such output.
        labels: (B, C) float32, class probabilities of all heads, one head after the other; None without heads.
    """

    embedding: Float32
    attention: Float32 | None = None
    labels: Float32 | None = None


class Network(Protocol):
    """Model loaded by a runtime."""

    @property
    def identity(self) -> Identity:
        """Identity of the network."""
        ...

    @property
    def dimension(self) -> int:
        """D, length of the embeddings."""
        ...

    @property
    def has_attention(self) -> bool:
        """Whether it has the attention output."""
        ...

    @property
    def has_map(self) -> bool:
        """Whether it has the output of the last feature map."""
        ...

    @property
    def device(self) -> str:
        """Device in use: `cpu` or `cuda`."""
        ...

    @property
    def concurrent(self) -> bool:
        """Whether several threads may call `run` in parallel."""
        ...

    @property
    def parallel_calls(self) -> int:
        """Number of threads that call `run` in parallel to use all processors, at least 1."""
        ...

    def run(self, photos: Float32, kinds: Float32 | None = None) -> Outputs:
        """Embed photos.

        Args:
            photos: (B, 3, H, W) float32, normalised by `identity.preprocessing`.
            kinds: (B, K) float32, log-likelihoods of `identity.kinds` that are known beside the photos, zeros where
                nothing is known; None knows nothing of any.
        """
        ...

    def maps(self, photos: Float32) -> Float32:
        """Last feature map, before pooling, of photos as for `run`: (B, C, h, w) float32; only if it `has_map`."""
        ...


def read_labels(text: str, *, file: str) -> dict[str, list[str]]:
    """Read the class names of a model's heads, such as `{"kind": ["dress", "skirt"]}`.

    Args:
        text: JSON in the metadata of the file.
        file: File name for messages.

    Raises:
        ModelError: It is something else.
    """
    labels = parsed(text)
    if not isinstance(labels, dict) or not all(map(_are_names, labels.values())):
        raise ModelError(f"{file}: the names of its labels are damaged; {HOW_TO_EXPORT}")
    return labels


def read_kinds(text: str, *, file: str) -> list[str]:
    """Read the kinds of a model's input, such as `["top", "dress"]`.

    Args:
        text: JSON in the metadata of the file.
        file: File name for messages.

    Raises:
        ModelError: It is something else.
    """
    kinds = parsed(text)
    if kinds != [] and not _are_names(kinds):
        raise ModelError(f"{file}: the names of its kinds are damaged; {HOW_TO_EXPORT}")
    return list(kinds)


def parsed(text: str) -> Any:  # noqa: ANN401 - JSON
    """Value of a text in JSON; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _are_names(names: object) -> bool:
    return isinstance(names, list) and bool(names) and all(isinstance(name, str) for name in names)


def wanted_outputs(identity: Identity, outputs: Iterable[str]) -> list[str]:
    """Names of the outputs to compute, those of `Outputs`, of all that a model's file has."""
    return [EMBEDDING, *([ATTENTION] if ATTENTION in outputs else []), *([LABELS] if identity.labels else [])]


def check_signature(
    *, file: str, identity: Identity, inputs: Mapping[str, list[object]], outputs: Mapping[str, list[object]]
) -> int:
    """Read the dimension of the embeddings from the shapes that a model's file declares.

    Args:
        file: File name for messages.
        identity: Identity in its metadata.
        inputs: Shapes by name; variable dimensions are not integers.
        outputs: Shapes by name, as `inputs`.

    Raises:
        ModelError: The shapes are not those that `Network` requires.
    """
    height, width = identity.preprocessing.height, identity.preprocessing.width
    photos, embedding = inputs.get(INPUT, []), outputs.get(EMBEDDING, [])
    fits = len(photos) == 4 and all(
        not isinstance(side, int) or side == wanted for side, wanted in zip(photos[1:], (3, height, width), strict=True)
    )
    named = [INPUT, *([KINDS] if identity.kinds else [])]
    fits = fits and (not identity.kinds or inputs.get(KINDS, [])[1:] == [len(identity.kinds)])
    if list(inputs) != named or not fits:
        kinds = (
            f" and its {len(identity.kinds)} kinds as `{KINDS}` (B, {len(identity.kinds)})" if identity.kinds else ""
        )
        raise ModelError(
            f"{file}: a model takes `{INPUT}` (B, 3, {height}, {width}){kinds}, "
            f"this one takes {dict(inputs)}; {HOW_TO_EXPORT}"
        )
    if len(embedding) != 2 or not isinstance(embedding[1], int):
        raise ModelError(f"{file}: a model gives `{EMBEDDING}` (B, D), this one gives {dict(outputs)}; {HOW_TO_EXPORT}")
    if len(outputs.get(MAP, [None] * 4)) != 4:
        raise ModelError(f"{file}: a model gives `{MAP}` (B, C, h, w), this one gives {dict(outputs)}; {HOW_TO_EXPORT}")
    classes = sum(map(len, identity.labels.values()))
    if classes and outputs.get(LABELS, [])[1:] != [classes]:
        raise ModelError(
            f"{file}: its labels have {classes} names, so it gives `{LABELS}` (B, {classes}), "
            f"this one gives {dict(outputs)}; {HOW_TO_EXPORT}"
        )
    return embedding[1]
