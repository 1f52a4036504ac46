"""Class heads in an exported file: probabilities beside the embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lookalike
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.errors import UnknownNameError
from lookalike.models.checkpoint import save_checkpoint
from lookalike.models.class_scores import Classifier
from lookalike.models.network import HeadKind, Network, NetworkSettings
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.relevance import RelevanceSettings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

CLASSES = {"colour": ["red", "blue"], "kind": ["dress", "skirt", "nothing"], "tags": ["striped", "long"]}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number, color in enumerate(("red", "navy", "white", "olive")):
        Image.new("RGB", (60, 80), color).save(folder / f"{number}.png")
    return folder


def checkpoint(folder: Path, *, heads: HeadKind, relevance: bool) -> Path:
    """A checkpoint with random weights, and heads far from indifferent."""
    torch.manual_seed(1)
    parts = (RelevanceSettings(("kind", "colour"), dimension=4),) if relevance else ()
    settings = NetworkSettings("test_efficientnet", embedding=8, heads=heads, relevance=parts)
    network = Network(settings, heads={head: len(names) for head, names in CLASSES.items()})
    for part in network.relevance_parts:
        part.fit(torch.tensor([[kind, colour] for kind in range(3) for colour in range(2)]))
    for layer in network.heads.values():
        layer.weight.data *= 400 if relevance else 10
    save_checkpoint(folder / "m.safetensors", network, preprocessing=Preprocessing(64, 48), name="m", classes=CLASSES)
    return folder / "m.safetensors"


@pytest.mark.parametrize(
    ("heads", "relevance", "half"), [("linear", True, False), ("cosine", False, False), ("linear", False, True)]
)
def test_the_labels_are_the_softmax_of_each_head(
    photos: Path, tmp_path: Path, heads: HeadKind, relevance: bool, half: bool
) -> None:
    path = checkpoint(tmp_path, heads=heads, relevance=relevance)
    made = lookalike.export(path, tmp_path / "m.onnx", labels=["kind", "colour"], half=half, calibrate=photos)
    close = 0.02 if half else 1e-4
    assert made.least_cosine is not None and made.least_cosine >= 0.9999
    assert made.largest_difference is not None and made.largest_difference <= close
    pictures = [Image.open(file) for file in sorted(photos.iterdir())]
    embedder = PhotoEmbedder(open_network(made.file))
    embedded = embedder.embed_prepared([embedder.prepare(picture) for picture in pictures])
    assert list(embedder.labels.items()) == [("kind", CLASSES["kind"]), ("colour", CLASSES["colour"])]
    for head, logits in Classifier(path).scores(pictures, ["kind", "colour"]).items():
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.testing.assert_allclose(embedded.labels[head], powers / powers.sum(axis=1, keepdims=True), atol=close)
    assert np.ptp(embedded.labels["kind"]) > 0.1
    torch_embedder = PhotoEmbedder(open_network(path))
    vectors = torch_embedder.embed(pictures)["deep"]
    np.testing.assert_allclose(embedded.vectors["deep"], vectors, atol=0.01 if half else 1e-4)


def test_without_labels_a_file_has_none_and_unknown_heads_are_refused(photos: Path, tmp_path: Path) -> None:
    path = checkpoint(tmp_path, heads="linear", relevance=False)
    made = lookalike.export(path, tmp_path / "plain.onnx", calibrate=photos)
    assert made.largest_difference is None
    assert not open_network(made.file).identity.labels
    with pytest.raises(UnknownNameError, match="did you mean 'colour'"):
        lookalike.export(path, tmp_path / "none.onnx", labels="color", calibrate=photos)
    assert not (tmp_path / "none.onnx").exists()
