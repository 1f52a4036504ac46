"""Embedder of photos: one or more networks, and the colour embedding."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from PIL.Image import Image

from lookalike.embedding.calibration import Calibration, tempered
from lookalike.embedding.color_original import DIMENSION, SIDE, color_original
from lookalike.embedding.network import HOW_TO_EXPORT, Identity, Network
from lookalike.embedding.preparation import PhotoPreparation
from lookalike.embedding.protocol import KNOWN_KIND, Embeddings, PhotoMap, Prepared
from lookalike.errors import ModelError, UsageError
from lookalike.kinds import EVIDENCE, KINDS, kind_of
from lookalike.spaces import DTYPE_OF_MODELS, Space
from lookalike.types import Float32

UNIT_TOLERANCE = 1e-3

LIKELIER = math.exp(2.0)
"""Likelihood ratio of a known kind in labels. It is less than `lookalike.kinds.EVIDENCE`, which orders best: the finder
and the network err together, and labels with this ratio are right as often as they say."""


class PhotoEmbedder:
    """Deep and colour vectors of photos; implements `lookalike.embedding.protocol.Embedder`.

    The space of a single network is `deep`. Several networks have the spaces `deep-` and their model's name, ordered by
    these names, so that the order in which models are given does not matter. Labels are those of the first of them that
    has any.
    """

    def __init__(self, *networks: Network) -> None:
        names = deep_names([network.identity for network in networks])
        self._networks = dict(sorted(zip(names, networks, strict=True), key=lambda named: named[0]))
        self.preparation = PhotoPreparation(
            {name: network.identity.preprocessing for name, network in self._networks.items()}
        )
        self.spaces: tuple[Space, ...] = (
            *(
                Space(name, network.dimension, network.identity.model_id, DTYPE_OF_MODELS)
                for name, network in self._networks.items()
            ),
            self.preparation.color.space,
        )
        self._attentive = next((name for name, network in self._networks.items() if gives_colors(network)), None)
        if self._attentive is not None:
            model_id = self._networks[self._attentive].identity.model_id
            self.spaces += (Space("color-original", DIMENSION, model_id, DTYPE_OF_MODELS),)
        self._labelling = next((name for name, network in self._networks.items() if network.identity.labels), None)
        self.labels: Mapping[str, Sequence[str]] = (
            {} if self._labelling is None else self._networks[self._labelling].identity.labels
        )

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of the model; None of several models."""
        networks = [*self._networks.values()]
        return networks[0].identity.calibration if len(networks) == 1 else None

    @property
    def fingerprint(self) -> str:
        """Model ids of the networks, such as `default@9f3c21ab` or `default@9f3c21ab+other@12345678`."""
        return "+".join(network.identity.model_id for network in self._networks.values())

    @property
    def wanted_size(self) -> int:
        """Smallest side, in pixels, that photos need when decoded."""
        return self.preparation.wanted_size

    @property
    def concurrent(self) -> bool:
        """Whether several threads may run the networks in parallel."""
        return all(network.concurrent for network in self._networks.values())

    @property
    def parallel_calls(self) -> int:
        """Number of threads that call `embed_prepared` in parallel to use all processors."""
        return min(network.parallel_calls for network in self._networks.values())

    def prepare(self, photo: Image) -> Prepared:
        """Resize one photo for each network and for its colours. Thread-safe."""
        return self.preparation.prepare(photo)

    def embed_prepared(self, batch: Sequence[Prepared]) -> Embeddings:
        """Run the networks on B prepared photos.

        Vectors are of unit length, except those of the original system: `color-original`, and `deep` by its models.

        Raises:
            ModelError: A network's embeddings are not of unit length.
        """
        batch = self.preparation.finish(batch)
        rows: dict[str, Float32] = {}
        original: Float32 | None = None
        labels: dict[str, Float32] = {}
        for name, network in self._networks.items():
            pixels = network.identity.preprocessing.normalised([prepared[name] for prepared in batch])
            outputs = network.run(pixels, known_kinds(batch, network.identity))
            rows[name] = as_kept(outputs.embedding, network.identity)
            if name == self._labelling and outputs.labels is not None:
                labels = informed(probabilities_of(outputs.labels, network.identity), self.labels, batch)
            if name == self._attentive and outputs.attention is not None:
                original = color_original(pixels, outputs.attention)
        color = self.preparation.color.space.name
        rows[color] = np.stack([prepared[color] for prepared in batch])
        if original is not None:
            rows["color-original"] = original
        return Embeddings(rows, labels)

    def embed(self, photos: Sequence[Image]) -> dict[str, Float32]:
        """Prepare and embed photos: (B, D) float32 for each space."""
        return self.embed_prepared([self.prepare(photo) for photo in photos]).vectors

    def map_of(self, photo: Image) -> PhotoMap:
        """Last feature map of a photo; of several models, that of the first that gives one.

        Raises:
            ModelError: None gives a map.
        """
        network = next((network for network in self._networks.values() if network.has_map), None)
        if network is None:
            raise ModelError(
                f"the model {self.fingerprint} gives no feature map to explain matches by; "
                f"{HOW_TO_EXPORT}, of a convolutional network: transformers have none"
            )
        steps = network.identity.preprocessing
        return PhotoMap(network.maps(steps(photo)[None])[0].transpose(1, 2, 0), steps.area(*photo.size))


def informed(
    labels: Mapping[str, Float32], classes: Mapping[str, Sequence[str]], batch: Sequence[Prepared]
) -> dict[str, Float32]:
    """Class probabilities, (B, classes) by head, with what is known of B photos, by Bayes' rule.

    Args:
        labels: Those that the network gives.
        classes: Class names by head.
        batch: The photos.
    """
    known = [KINDS[prepared[KNOWN_KIND]] if KNOWN_KIND in prepared else None for prepared in batch]
    if not any(known):
        return dict(labels)
    told: dict[str, Float32] = {}
    for head, part in labels.items():
        of_classes = [kind_of(name) for name in classes[head]]
        factors = np.array([[LIKELIER if kind and kind == own else 1.0 for own in of_classes] for kind in known])
        raised = part * factors.astype(np.float32)
        told[head] = raised / raised.sum(axis=1, keepdims=True)
    return told


def known_kinds(batch: Sequence[Prepared], identity: Identity) -> Float32 | None:
    """Log-likelihoods of a network's kinds, (B, K) float32, from what is known of B photos; None if nothing is."""
    if not identity.kinds or not any(KNOWN_KIND in prepared for prepared in batch):
        return None
    kinds = np.zeros((len(batch), len(identity.kinds)), dtype=np.float32)
    for row, prepared in zip(kinds, batch, strict=True):
        if KNOWN_KIND in prepared:
            row[[kind == KINDS[prepared[KNOWN_KIND]] for kind in identity.kinds]] = EVIDENCE
    return kinds


def probabilities_of(columns: Float32, identity: Identity) -> dict[str, Float32]:
    """Class probabilities, (B, classes) by head, calibrated, from those of all heads one after the other, (B, C)."""
    ends = np.cumsum([len(names) for names in identity.labels.values()])
    temperatures = {} if identity.calibration is None else identity.calibration.temperatures
    return {
        head: tempered(part, temperatures[head]) if head in temperatures else part
        for head, part in zip(identity.labels, np.split(columns, ends[:-1], axis=1), strict=True)
    }


def as_kept(rows: Float32, identity: Identity) -> Float32:
    """Scale embeddings, (B, D), to length 1 exactly; those of a network without unit embeddings stay as they are.

    Raises:
        ModelError: A number is not finite, or `Identity.unit` is set and an embedding is not of unit length.
    """
    if not identity.unit:
        if not np.isfinite(rows).all():
            raise ModelError(f"the model {identity.model_id} gives numbers that are not finite")
        return rows
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    wrong = lengths[~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE)]  # also for nan
    if len(wrong):
        raise ModelError(f"the model {identity.model_id} gives embeddings of length {wrong[0]:.4g} instead of 1")
    unit: Float32 = rows / lengths
    return unit


def deep_names(identities: Sequence[Identity]) -> list[str]:
    """Names of the spaces of networks; models of one name are distinguished by their fingerprints.

    Raises:
        UsageError: There is no model, or one is given twice.
    """
    if not identities:
        raise UsageError("at least one model is needed")
    model_ids = Counter(identity.model_id for identity in identities)
    if len(model_ids) < len(identities):
        raise UsageError(f"the model {model_ids.most_common(1)[0][0]} is given twice")
    if len(identities) == 1:
        return ["deep"]
    words = [typeable(identity.name) for identity in identities]
    return [
        f"deep-{word}" if words.count(word) == 1 else f"deep-{word}-{identity.fingerprint[:8]}"
        for word, identity in zip(words, identities, strict=True)
    ]


def typeable(name: str) -> str:
    """Name of a model within the name of a space: characters other than letters, digits, `.` and `_` become `-`."""
    return re.sub(r"[^\w.]+", "-", name).strip("-") or "model"


def gives_colors(network: Network) -> bool:
    """Whether a network provides the colours of the original system."""
    steps = network.identity.preprocessing
    return network.has_attention and (steps.height, steps.width) == (SIDE, SIDE)
