"""Runtimes of models: equal vectors for a photo, and clear errors for wrong files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.embedding.embedder import PhotoEmbedder, as_kept
from lookalike.embedding.model_loading import choose_runtime, open_network
from lookalike.embedding.network import Identity
from lookalike.errors import ModelError, UnknownNameError, UsageError
from lookalike.models.content_hash import append_checksum
from lookalike.models.default_model import SHIPPED_MODEL
from lookalike.models.preprocessing import Preprocessing
from tiny_model import LABEL_BIAS, LABEL_WEIGHTS, TINY_LABELS, write_tiny_model

RUNTIMES_FOR_ONNX = ["onnx", "openvino"]


def photos(count: int) -> list[Image.Image]:
    """Pictures of coloured noise, large enough to be worth shrinking."""
    random = np.random.default_rng(7)
    coarse = random.integers(0, 256, size=(count, 6, 5, 3), dtype=np.uint8)
    return [Image.fromarray(pixels).resize((100, 120), Image.Resampling.BICUBIC) for pixels in coarse]


@pytest.mark.parametrize("runtime", RUNTIMES_FOR_ONNX)
def test_a_row_is_what_the_file_says_word_by_word(tiny_model: Path, runtime: str) -> None:
    import onnx
    from onnx import numpy_helper

    photo = photos(1)[0]
    weights = numpy_helper.to_array(onnx.load(tiny_model).graph.initializer[0])
    pixels = Preprocessing(32, 32)(photo)
    cells = [pixels[c, y : y + 8, x : x + 8].mean() for c in range(3) for y in range(0, 32, 8) for x in range(0, 32, 8)]
    mixed = [sum(cell * weights[place, d] for place, cell in enumerate(cells)) for d in range(16)]
    length = math.sqrt(sum(value**2 for value in mixed))

    row = PhotoEmbedder(open_network(tiny_model, runtime=runtime)).embed([photo])["deep"]

    np.testing.assert_allclose(row, [[value / length for value in mixed]], atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES_FOR_ONNX)
@pytest.mark.parametrize("model", ["tiny", "default"])
def test_a_photo_gives_the_same_row_alone_and_in_any_batch(tiny_model: Path, runtime: str, model: str) -> None:
    embedder = PhotoEmbedder(open_network(tiny_model if model == "tiny" else SHIPPED_MODEL, runtime=runtime))
    pictures = photos(5)
    together = embedder.embed(pictures)
    for space in embedder.spaces:
        alone = np.concatenate([embedder.embed([picture])[space.name] for picture in pictures])
        assert together[space.name].dtype == np.float32
        assert together[space.name].shape == (5, space.dimension)
        np.testing.assert_allclose(alone, together[space.name], atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1.0, atol=1e-5)


def test_the_runtimes_agree_on_the_default_model() -> None:
    by_runtime = [
        PhotoEmbedder(open_network(SHIPPED_MODEL, runtime=runtime)).embed(photos(4))["deep"]
        for runtime in RUNTIMES_FOR_ONNX
    ]
    np.testing.assert_allclose(by_runtime[0], by_runtime[1], atol=1e-4)


def test_the_maker_is_name_and_first_digits_of_the_fingerprint(tiny_model: Path) -> None:
    embedder = PhotoEmbedder(open_network(tiny_model))
    assert embedder.fingerprint == "tiny@01234567"
    deep = embedder.spaces[0]
    assert (deep.name, deep.dimension, deep.model_id) == ("deep", 16, "tiny@01234567")


@pytest.mark.parametrize("runtime", RUNTIMES_FOR_ONNX)
def test_labels_are_the_softmax_of_each_heads_logits(tiny_model: Path, labelled_model: Path, runtime: str) -> None:
    embedder = PhotoEmbedder(open_network(labelled_model, runtime=runtime))
    assert embedder.labels == TINY_LABELS
    pictures = photos(3)
    embedded = embedder.embed_prepared([embedder.prepare(picture) for picture in pictures])

    means = np.stack([Preprocessing(32, 32)(picture).mean(axis=(1, 2)) for picture in pictures])
    powers = np.exp(means @ LABEL_WEIGHTS + LABEL_BIAS)
    expected = {"kind": powers[:, :4], "gender": powers[:, 4:]}
    assert list(embedded.labels) == ["kind", "gender"]
    for head, part in expected.items():
        np.testing.assert_allclose(embedded.labels[head], part / part.sum(axis=1, keepdims=True), atol=1e-5)

    without = PhotoEmbedder(open_network(tiny_model, runtime=runtime))
    plain = without.embed_prepared([without.prepare(picture) for picture in pictures])
    assert (dict(without.labels), plain.labels) == ({}, {})
    np.testing.assert_allclose(embedded.vectors["deep"], plain.vectors["deep"], atol=1e-6)


def test_the_labels_of_several_models_are_those_of_one(tiny_model: Path, labelled_model: Path, tmp_path: Path) -> None:
    named = write_tiny_model(tmp_path / "named.onnx", name="zebra", labels=True)
    embedder = PhotoEmbedder(open_network(named), open_network(tiny_model))
    picture = embedder.prepare(photos(1)[0])
    alone = PhotoEmbedder(open_network(labelled_model))
    expected = alone.embed_prepared([alone.prepare(photos(1)[0])]).labels
    assert embedder.labels == TINY_LABELS
    for head, part in embedder.embed_prepared([picture]).labels.items():
        np.testing.assert_allclose(part, expected[head], atol=1e-6)


def test_a_model_with_attention_gives_the_originals_colours_too(attentive_model: Path) -> None:
    embedder = PhotoEmbedder(open_network(attentive_model))
    assert [(space.name, space.dimension) for space in embedder.spaces][-1] == ("color-original", 30)
    photo = photos(1)[0]
    row = embedder.embed([photo])["color-original"]

    # This model attends to the brightest cells, so the numbers are those of the ten brightest, the brightest first.
    pixels = Preprocessing(224, 224)(photo).astype(np.float64)
    cells = pixels.reshape(3, 7, 32, 7, 32).mean(axis=(2, 4)).reshape(3, 49)
    brightest = sorted(range(49), key=lambda cell: -cells[:, cell].mean())[:10]
    np.testing.assert_allclose(row, [cells[:, brightest].ravel()], atol=1e-5)


def changed_model(source: Path, target: Path, change: str) -> Path:
    """Copy a model with one thing wrong with it."""
    import onnx
    from onnx import helper

    model = onnx.load(source)
    metadata = {entry.key: entry.value for entry in model.metadata_props[:-1]}
    if change == "no metadata":
        metadata = {}
    elif change == "no fingerprint":
        del metadata["lookalike.fingerprint"]
    elif change == "later format":
        metadata["lookalike.format"] = "2"
    elif change == "broken pre-processing":
        metadata["lookalike.preprocessing"] = '{"height": 0}'
    elif change == "other size":
        metadata["lookalike.preprocessing"] = Preprocessing(64, 64).to_json()
    elif change == "broken labels":
        metadata["lookalike.labels"] = '{"kind": "dress"}'
    elif change == "unlike labels":
        metadata["lookalike.labels"] = '{"kind": ["dress", "skirt"]}'
    elif change == "other output":
        model.graph.node[-1].output[0] = model.graph.output[0].name = "logits"
    del model.metadata_props[:]
    helper.set_model_props(model, metadata)
    onnx.save(model, target)
    append_checksum(target)
    return target


@pytest.mark.parametrize("runtime", RUNTIMES_FOR_ONNX)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("no metadata", "lacks lookalike.format, lookalike.name, lookalike.fingerprint, lookalike.preprocessing"),
        ("no fingerprint", "lacks lookalike.fingerprint;.*lookalike export"),
        ("later format", "format '2', and this version reads format '1'"),
        ("broken pre-processing", "preprocessing"),
        ("other size", r"\(B, 3, 64, 64\)"),
        ("other output", "gives `embedding`"),
        ("broken labels", "names of its labels are damaged"),
        ("unlike labels", r"2 names, so it gives `labels` \(B, 2\)"),
    ],
)
def test_a_file_that_is_no_model_of_ours_says_why(
    tiny_model: Path, tmp_path: Path, runtime: str, change: str, reason: str
) -> None:
    file = changed_model(tiny_model, tmp_path / "wrong.onnx", change)
    with pytest.raises(ModelError, match=reason):
        open_network(file, runtime=runtime)


@pytest.mark.parametrize("runtime", RUNTIMES_FOR_ONNX)
def test_bytes_that_are_no_onnx_are_refused(tmp_path: Path, runtime: str) -> None:
    file = tmp_path / "text.onnx"
    file.write_text("not a model")
    with pytest.raises(ModelError, match="not an ONNX file") as caught:
        open_network(file, runtime=runtime)
    assert "\n" not in str(caught.value)


def test_rows_that_are_not_of_length_one_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(tiny_model)
    model.graph.node[-1].op_type = "Identity"
    del model.graph.node[-1].attribute[:]
    del model.metadata_props[-1]
    onnx.save(model, tmp_path / "long.onnx")
    append_checksum(tmp_path / "long.onnx")
    embedder = PhotoEmbedder(open_network(tmp_path / "long.onnx"))
    with pytest.raises(ModelError, match="instead of 1"):
        embedder.embed(photos(1))


def test_what_runs_a_file_is_chosen_by_its_kind() -> None:
    assert choose_runtime(Path("a.onnx")) == "onnx"
    assert choose_runtime(Path("a.safetensors")) == "torch"
    assert choose_runtime(Path("a.onnx"), "openvino") == "openvino"
    with pytest.raises(ModelError, match=r"reads a \.safetensors or \.pth\.tar checkpoint"):
        choose_runtime(Path("a.onnx"), "torch")
    with pytest.raises(ModelError, match=r"reads an \.onnx file"):
        choose_runtime(Path("a.safetensors"), "onnx")
    with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
        choose_runtime(Path("a.onnx"), "openvin")


def test_what_is_not_there_says_so(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        open_network(tmp_path / "none.onnx")
    with pytest.raises(UnknownNameError, match="unknown device 'gpu'"):
        open_network(tiny_model, device="gpu")
    with pytest.raises(UsageError, match="does not run on CUDA"):
        open_network(tiny_model, runtime="openvino", device="cuda")


def test_rows_of_another_length_are_refused_and_the_wrong_one_is_told() -> None:
    identity = Identity("m", "0" * 64, Preprocessing(32, 32))
    rows = np.array([[1.0, 0.0], [0.6, 0.8001]], dtype=np.float32)
    np.testing.assert_allclose(np.linalg.norm(as_kept(rows, identity), axis=1), 1.0, atol=1e-7)
    for wrong, told in ((2.0, "2"), (np.nan, "nan")):
        rows[1, 1] = 0.0
        rows[1, 0] = wrong
        with pytest.raises(ModelError, match=f"gives embeddings of length {told} instead of 1"):
            as_kept(rows, identity)
