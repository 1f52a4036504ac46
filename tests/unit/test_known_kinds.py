"""Kinds that are known beside a photo: what they change of embeddings and labels, on every runtime."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lookalike
from lookalike.embedding.embedder import LIKELIER, PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.embedding.network import Identity
from lookalike.embedding.protocol import with_kind
from lookalike.errors import ModelError
from lookalike.kinds import EVIDENCE, KINDS, kind_of
from lookalike.models.checkpoint import load_checkpoint, save_checkpoint
from lookalike.models.class_scores import Classifier
from lookalike.models.default_model import SHIPPED
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.relevance import SHARPNESS, RelevanceSettings
from lookalike.types import Float32

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

CLASSES = {"type": ["jeans", "pumps", "tshirts", "watches"], "colour": ["red", "blue"]}
KIND = "trousers"
SHARE = 0.5


def write_checkpoint(folder: Path, *, relevance: tuple[str, ...] = ("type", "colour")) -> Path:
    """A checkpoint with random weights, and heads that doubt."""
    torch.manual_seed(1)
    parts = (RelevanceSettings(relevance, dimension=8, share=SHARE),) if relevance else ()
    settings = NetworkSettings("test_efficientnet", embedding=8, heads="linear", relevance=parts)
    network = Network(settings, heads={head: len(names) for head, names in CLASSES.items()})
    for part in network.relevance_parts:
        part.fit(
            torch.cartesian_prod(*(torch.arange(len(CLASSES[head])) for head in relevance)).reshape(-1, len(relevance))
        )
    for layer in network.heads.values():
        layer.weight.data *= 100
    save_checkpoint(folder / "m.safetensors", network, preprocessing=Preprocessing(64, 48), name="m", classes=CLASSES)
    return folder / "m.safetensors"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(32):
        Image.fromarray(random.integers(0, 256, (80, 60, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def exported(trained: Path, photos: Path) -> Path:
    file = trained.with_name("m.onnx")
    lookalike.export(trained, file, labels=["type", "colour"], calibrate=photos)
    return file


@pytest.fixture(scope="module")
def pictures(photos: Path) -> list[Image.Image]:
    return [Image.open(file) for file in sorted(photos.iterdir())[:4]]


def embedded(model: Path | str, pictures: list[Image.Image], kind: str | None, runtime: str = "auto") -> Float32:
    embedder = PhotoEmbedder(open_network(model, runtime=runtime))
    return embedder.embed_prepared([with_kind(embedder.prepare(each), kind) for each in pictures]).vectors["deep"]


def softmax(logits: Float32) -> Float32:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_a_kind_that_is_known_adds_to_the_logits_of_its_classes(
    trained: Path, exported: Path, pictures: list[Image.Image]
) -> None:
    logits = Classifier(trained).scores(pictures, ["type", "colour"])
    known = logits["type"] + EVIDENCE * np.array([kind_of(name) == KIND for name in CLASSES["type"]])
    [part] = load_checkpoint(trained).network.relevance_parts
    places, table = part.places.numpy(), part.vectors.numpy()
    belief = softmax(known)[:, places[:, 0]] * softmax(logits["colour"])[:, places[:, 1]]
    rows = belief / belief.sum(axis=1, keepdims=True) @ table
    rows *= math.sqrt(SHARE) * np.linalg.norm(rows, axis=1, keepdims=True) ** -SHARPNESS
    plain, informed = (embedded(exported, pictures, kind) for kind in (None, KIND))
    size = table.shape[1]
    np.testing.assert_allclose(informed[:, :size], rows, atol=1e-4)
    metric = [each[:, size:] / np.linalg.norm(each[:, size:], axis=1, keepdims=True) for each in (plain, informed)]
    np.testing.assert_allclose(*metric, atol=1e-4)
    assert np.abs(plain[:, :size] - informed[:, :size]).max() > 0.1
    embedder = PhotoEmbedder(open_network(exported))
    told = embedder.embed_prepared([with_kind(embedder.prepare(each), KIND) for each in pictures]).labels
    raised = softmax(logits["type"]) * np.where([kind_of(name) == KIND for name in CLASSES["type"]], LIKELIER, 1)
    np.testing.assert_allclose(told["type"], raised / raised.sum(axis=1, keepdims=True), atol=1e-4)
    np.testing.assert_allclose(told["colour"], softmax(logits["colour"]), atol=1e-4)


@pytest.mark.parametrize("runtime", ["onnx", "openvino", "torch"])
def test_runtimes_agree(runtime: str, trained: Path, exported: Path, pictures: list[Image.Image]) -> None:
    model = trained if runtime == "torch" else exported
    assert list(open_network(model, runtime=runtime).identity.kinds) == list(KINDS)
    for kind in (None, KIND):
        expected = embedded(exported, pictures, kind, runtime="onnx")
        np.testing.assert_allclose(embedded(model, pictures, kind, runtime=runtime), expected, atol=1e-4)


def test_photos_of_a_batch_know_their_own_kinds_alone(exported: Path, pictures: list[Image.Image]) -> None:
    embedder = PhotoEmbedder(open_network(exported))
    prepared = [embedder.prepare(each) for each in pictures]
    mixed = embedder.embed_prepared([with_kind(prepared[0], KIND), prepared[1], with_kind(prepared[2], "shoes")])
    alone = [embedded(exported, [pictures[at]], kind) for at, kind in enumerate((KIND, None, "shoes"))]
    np.testing.assert_allclose(mixed.vectors["deep"], np.concatenate(alone), atol=1e-5)


def test_a_kind_that_no_class_has_changes_nothing(exported: Path, pictures: list[Image.Image]) -> None:
    plain = embedded(exported, pictures, None)
    np.testing.assert_allclose(embedded(exported, pictures, "scarf"), plain, atol=1e-6)
    np.testing.assert_array_equal(embedded(exported, pictures, "not a kind"), plain)


def test_networks_without_relevance_parts_take_no_kinds(
    tmp_path: Path, photos: Path, pictures: list[Image.Image]
) -> None:
    path = write_checkpoint(tmp_path, relevance=())
    lookalike.export(path, tmp_path / "m.onnx", labels=["type"], calibrate=photos)
    assert list(open_network(tmp_path / "m.onnx").identity.kinds) == list(open_network(path).identity.kinds) == []
    plain, informed = (embedded(tmp_path / "m.onnx", pictures, kind) for kind in (None, KIND))
    np.testing.assert_array_equal(plain, informed)


def test_eight_bits_keep_what_kinds_change(
    trained: Path, exported: Path, photos: Path, pictures: list[Image.Image], tmp_path: Path
) -> None:
    made = lookalike.export(trained, tmp_path / "int8.onnx", int8=True, calibrate=photos).file
    changes = [embedded(model, pictures, KIND) - embedded(model, pictures, None) for model in (exported, made)]
    lengths = [np.linalg.norm(change, axis=1) for change in changes]
    cosines = (changes[0] * changes[1]).sum(axis=1) / lengths[0] / lengths[1]
    assert cosines.min() > 0.9, cosines


def test_eight_bits_keep_the_length_of_other_relevance_parts(
    photos: Path, pictures: list[Image.Image], tmp_path: Path
) -> None:
    path = write_checkpoint(tmp_path, relevance=("colour",))
    made = lookalike.export(path, tmp_path / "int8.onnx", int8=True, calibrate=photos).file
    assert list(open_network(made).identity.kinds) == []
    assert embedded(made, pictures, None).shape == (4, 10)  # refused if it were not of unit length


def test_the_default_model_believes_the_finder() -> None:
    embedder = PhotoEmbedder(open_network(SHIPPED))
    picture = Image.new("RGB", (90, 120), "navy")
    kinds = embedder.labels["kind"]
    plain, shoes = (
        embedder.embed_prepared([with_kind(embedder.prepare(picture), kind)]).labels["kind"][0, kinds.index("shoes")]
        for kind in (None, "shoes")
    )
    assert shoes == pytest.approx(LIKELIER * plain / (1 + (LIKELIER - 1) * plain), rel=1e-4)


@pytest.mark.parametrize("kinds", ["", "{}", "[1]", '"top"', '["top"'])
def test_damaged_kinds_are_refused(kinds: str) -> None:
    about = {
        "lookalike.format": "1",
        "lookalike.name": "m",
        "lookalike.fingerprint": "0" * 64,
        "lookalike.preprocessing": Preprocessing(64, 48).to_json(),
        "lookalike.kinds": kinds,
    }
    with pytest.raises(ModelError, match=r"m\.onnx: the names of its kinds are damaged; make the file with"):
        Identity.from_metadata(about, file="m.onnx")
