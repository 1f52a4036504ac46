"""Embedding on a GPU: the same vectors and answers as on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import lookalike
from lookalike.catalogue.opening import open_catalogue
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.embedding.model_loading import open_network
from lookalike.embedding.runtimes.onnx import CUDA
from lookalike.errors import UsageError
from lookalike.images import open_image
from lookalike.models.checkpoint import load_checkpoint, save_checkpoint
from lookalike.models.class_scores import Classifier
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.pretrained import load_pretrained
from lookalike.models.relevance import RelevanceSettings
from lookalike.types import Float32

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

LEAST_COSINE = 0.9999
CLASSES = {"type": ["Dress", "Shirt", "Shoes"]}
MODELS = {
    "default": NetworkSettings(
        init="default", embedding=64, heads="linear", relevance=(RelevanceSettings(("type",), dimension=8),)
    ),
    "original": NetworkSettings("torchvision:resnet18", embedding=32, normalise=False, attention=True),
    "transformer": NetworkSettings("test_vit", embedding=32, pooling="cls"),
}
SIZES = {"default": 192, "original": 224, "transformer": 160}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawn(tmp_path_factory.mktemp("sample") / "drawn", products=20, photos=2).parent


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each kind; the first has the backbone of the model that is shipped."""
    folder = tmp_path_factory.mktemp("models")
    for name, settings in MODELS.items():
        torch.manual_seed(0)
        network = Network(settings, heads={"type": len(CLASSES["type"])})
        for part in network.relevance_parts:
            part.fit(torch.arange(3)[:, None])
        load_pretrained(network, folder=folder, classes=CLASSES)
        preprocessing = Preprocessing(SIZES[name], SIZES[name])
        save_checkpoint(
            folder / f"{name}.safetensors", network, preprocessing=preprocessing, name=name, classes=CLASSES
        )
    return {name: folder / f"{name}.safetensors" for name in MODELS}


def pixels_of(sample: Path, model: Path) -> Float32:
    preprocessing = load_checkpoint(model).preprocessing
    photos = (open_image(item.location) for item in open_catalogue(str(sample)).items())
    return np.stack([preprocessing(photo) for photo in photos])


def cosines(ours: Float32, theirs: Float32) -> Float32:
    found: Float32 = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_gives_the_rows_of_the_processor_whatever_the_batch(
    models: dict[str, Path], sample: Path, name: str
) -> None:
    on_gpu = open_network(models[name], runtime="torch", device="cuda")
    on_cpu = open_network(models[name], runtime="torch", device="cpu")
    assert (on_gpu.device, on_cpu.device) == ("cuda", "cpu")
    assert on_gpu.identity == on_cpu.identity
    pixels = pixels_of(sample, models[name])
    expected = on_cpu.run(pixels)
    whole = on_gpu.run(pixels)
    assert whole.embedding.dtype == np.float32
    assert cosines(whole.embedding, expected.embedding).min() > LEAST_COSINE
    np.testing.assert_allclose(
        np.linalg.norm(whole.embedding, axis=1), np.linalg.norm(expected.embedding, axis=1), rtol=1e-3
    )
    for batch in (1, 7):
        parts = [on_gpu.run(pixels[start : start + batch]).embedding for start in range(0, len(pixels), batch)]
        assert cosines(np.concatenate(parts), expected.embedding).min() > LEAST_COSINE
    if expected.attention is None:
        assert whole.attention is None
    else:
        assert whole.attention is not None
        largest = float(np.abs(expected.attention).max())
        np.testing.assert_allclose(whole.attention, expected.attention, atol=1e-3 * largest, rtol=0.0)


def test_auto_takes_the_gpu(models: dict[str, Path]) -> None:
    assert open_network(models["default"], device="auto").device == "cuda"


def test_class_scores_are_those_of_the_processor(models: dict[str, Path], sample: Path) -> None:
    photos = [open_image(item.location) for item in open_catalogue(str(sample)).items()][:8]
    ours, theirs = (Classifier(models["default"], device=device).scores(photos, ["type"]) for device in ("auto", "cpu"))
    np.testing.assert_allclose(ours["type"], theirs["type"], atol=0.02 * float(np.abs(theirs["type"]).max()), rtol=0.0)


def test_what_was_indexed_on_a_gpu_is_searched_on_a_processor(
    models: dict[str, Path], sample: Path, tmp_path: Path
) -> None:
    model, photo = str(models["default"]), next(iter(open_catalogue(str(sample)).items())).location
    answers = []
    for device in ("cuda", "cpu"):
        with lookalike.open(tmp_path / f"{device}.gallery", model=model, runtime="torch", device=device) as shop:
            assert shop.index(sample, batch=16).added == 40
        with lookalike.open(tmp_path / f"{device}.gallery", device="cpu") as shop:
            answers.append(shop.search(photo, k=40).matches)
    scores = [{match.item.id: match.score for match in matches} for matches in answers]
    assert answers[0][0].score == pytest.approx(1.0, abs=1e-4)
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_the_default_model_says_where_it_runs() -> None:
    """ONNX Runtime comes with CUDA or without; without it, a request for CUDA fails with what to do."""
    if CUDA in onnxruntime.get_available_providers():
        pixels = np.random.default_rng(0).standard_normal((5, 3, 192, 144)).astype(np.float32)
        on_gpu, on_cpu = (open_network(device=device) for device in ("cuda", "cpu"))
        assert (on_gpu.device, on_cpu.device) == ("cuda", "cpu")
        assert cosines(on_gpu.run(pixels).embedding, on_cpu.run(pixels).embedding).min() > LEAST_COSINE
    else:
        assert open_network(device="auto").device == "cpu"
        with pytest.raises(UsageError, match="built without CUDA; install onnxruntime-gpu"):
            open_network(device="cuda")
