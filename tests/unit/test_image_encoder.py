"""ONNX image encoders of others as photo models: their own rows, scaled to length 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import lookalike
from lookalike.cli import main
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.errors import LookalikeError, UsageError
from lookalike.models.image_encoder import input_size
from tiny_clip import MEAN, STD, drawn_photos

Side = int | str


def write_encoder(
    path: Path,
    *,
    input_name: str = "x",
    shape: Sequence[Side] = ("n", 3, 32, 32),
    kind: int = TensorProto.FLOAT,
    outputs: Sequence[str] = ("features",),
    flat: bool = True,
    scale: float = 1.0,
    reshape_to: int | None = None,
    half: bool = False,
) -> Path:
    """An encoder whose rows are 5 random mixtures of the means of cells of 8 x 8 pixels, not of length 1."""
    high, wide = (side // 8 if isinstance(side, int) else 4 for side in shape[-2:])
    weights = (scale * np.random.default_rng(1).normal(size=(3 * high * wide, 5))).astype(np.float32)
    nodes = [
        helper.make_node("Cast", [input_name], ["photos"], to=TensorProto.FLOAT),
        helper.make_node("AveragePool", ["photos"], ["embedding"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["embedding"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["rows"]),
    ]
    initializers = [numpy_helper.from_array(weights, "weights")]
    last = "rows"
    if reshape_to is not None:  # as a tracer writes it for the number of images that it saw
        initializers.append(numpy_helper.from_array(np.array([reshape_to, 5]), "sizes"))
        nodes.append(helper.make_node("Reshape", [last, "sizes"], ["reshaped"]))
        last = "reshaped"
    declared = []
    for name in outputs:
        made = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        nodes.append(helper.make_node("Cast", [last if flat else "embedding"], [name], to=made))
        rows: list[Side] = [shape[0], 5] if flat else [shape[0], 3, 4, 4]
        declared.append(helper.make_tensor_value_info(name, made, rows))
    inputs = [helper.make_tensor_value_info(input_name, kind, list(shape))]
    graph = helper.make_graph(nodes, "encoder", inputs, declared, initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def rows_of(encoder: Path, photos: Sequence[np.ndarray[Any, Any]], output: str, input_name: str) -> Any:
    """Rows of the encoder itself, one photo after the other, scaled to length 1."""
    session = onnxruntime.InferenceSession(str(encoder), providers=["CPUExecutionProvider"])
    rows = np.concatenate([session.run([output], {input_name: photo[None]})[0] for photo in photos])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


ENCODERS: dict[str, dict[str, Any]] = {
    "any number of images": {},
    "names of ours": {"input_name": "photos:0", "outputs": ["rows:0"]},
    "one image at a time": {"shape": (1, 3, 32, 32)},
    "any size": {"shape": ("n", 3, "h", "w")},
    "several outputs": {"outputs": ["other", "features"]},
    "rows of 16 bits": {"half": True, "scale": 0.5},
}


@pytest.mark.parametrize("which", ENCODERS)
def test_the_model_gives_the_rows_of_the_encoder(which: str, tmp_path: Path) -> None:
    how = ENCODERS[which]
    encoder = write_encoder(tmp_path / "theirs.onnx", **how)
    output = "features" if "features" in how.get("outputs", ["features"]) else how["outputs"][0]
    made = lookalike.export_encoder(
        *(encoder, tmp_path / "out" / "ours.onnx"),
        fit="crop",
        mean=MEAN,
        std=STD,
        short_side=36,
        interpolation="bicubic",
        size=32 if which == "any size" else None,
        output=output if which == "several outputs" else None,
    )
    photos = drawn_photos()
    pixels = []
    for photo in photos:  # torchvision's Resize(36) and CenterCrop(32), with the arithmetic of a child
        wide, high = (int(36 * side / min(photo.size)) for side in photo.size)
        left, top = round((wide - 32) / 2), round((high - 32) / 2)
        inner = photo.resize((wide, high), Image.Resampling.BICUBIC).crop((left, top, left + 32, top + 32))
        pixels.append(((np.asarray(inner) / 255 - MEAN) / STD).astype(np.float32).transpose(2, 0, 1))
    expected = rows_of(encoder, pixels, output, how.get("input_name", "x"))
    embedder = PhotoEmbedder(open_network(made.file))
    np.testing.assert_allclose(embedder.embed(photos)["deep"], expected, atol=1e-3 if how.get("half") else 1e-5)
    assert embedder.fingerprint == made.model_id
    assert made.model_id.startswith("theirs@") and made.least_cosine > 0.9999


def test_weights_and_preprocessing_make_the_fingerprint(tmp_path: Path) -> None:
    def model_id(encoder: Path, *, mean: float = 0.5) -> str:
        return lookalike.export_encoder(encoder, tmp_path / "o.onnx", fit="pad", mean=mean, std=0.5).model_id

    first = write_encoder(tmp_path / "theirs.onnx")
    known = model_id(first)
    assert model_id(first) == known
    assert model_id(first, mean=0.4) != known
    assert model_id(write_encoder(tmp_path / "theirs.onnx", scale=2.0)) != known


def test_the_command_says_what_photos_become(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder = write_encoder(tmp_path / "theirs.onnx", shape=("n", 3, 32, 48))
    assert input_size(encoder) == (32, 48)
    arguments = ["--fit", "stretch", "--mean", "0.5", "--std", "0.25,0.5,1", "--size", "32x48"]
    assert main(["export", str(encoder), "--onnx", str(tmp_path / "o.onnx"), *arguments]) == 0
    out = capsys.readouterr().out
    assert f"wrote {tmp_path / 'o.onnx'}, the photo model theirs@" in out
    assert "photos: 32 x 48, stretch, bilinear, mean 0.5, 0.5, 0.5, deviation 0.25, 0.5, 1\n" in out


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "several outputs": ({"outputs": ["a", "b"]}, {}, "it has 2 outputs; choose one with --output: a, b"),
    "no such output": ({}, {"output": "feature"}, "did you mean 'features'?"),
    "channels last": ({"shape": ("n", 32, 32, 3)}, {}, r"this one takes \(\?, 32, 32, 3\)"),
    "no batch": ({"shape": (3, 32, 32)}, {}, r"takes one input \(B, 3, H, W\) float32, this one takes \(3, 32, 32\)"),
    "bytes": ({"kind": TensorProto.UINT8}, {}, "this one takes uint8 numbers"),
    "any size": ({"shape": ("n", 3, "h", "w")}, {}, "it takes images of any size; give one with --size"),
    "another size": ({}, {"size": 64}, r"its images are \(32, 32\), and the preprocessing makes 64 x 64"),
    "maps": ({"flat": False}, {}, r"gives rows \(B, D\), its output 'features' is \(\?, 3, 4, 4\)"),
    "zeros": ({"scale": 0.0}, {}, "it gives rows of zeros"),
    "fixed inside": ({"shape": (1, 3, 32, 32), "reshape_to": 1}, {}, "cannot embed several images at once"),
    "mixed inside": ({"shape": (2, 3, 32, 32), "reshape_to": 2}, {}, "cannot embed several images at once"),
    "a short side without a crop": ({}, {"short_side": 40}, "a short side is for the fit 'crop'"),
    "no such fit": ({}, {"fit": "padding"}, "unknown fit 'padding'"),
}


@pytest.mark.parametrize("which", WRONG)
def test_other_encoders_are_refused_in_one_line(which: str, tmp_path: Path) -> None:
    how, options, words = WRONG[which]
    encoder = write_encoder(tmp_path / "theirs.onnx", **how)
    with pytest.raises(LookalikeError, match=words) as caught:
        lookalike.export_encoder(encoder, tmp_path / "o.onnx", **({"fit": "pad", "mean": 0.5, "std": 0.5} | options))
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs.onnx"]


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no such file"), (b"photo", "not an ONNX file"), (b"", "not an")]
)
def test_what_is_not_onnx_is_refused(content: bytes | None, words: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "theirs.onnx").write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        lookalike.export_encoder(tmp_path / "theirs.onnx", tmp_path / "o.onnx", fit="pad", mean=0.5, std=0.5, size=32)
    assert "\n" not in str(caught.value)


def test_an_encoder_that_no_onnx_file_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.models.image_encoder.LARGEST", 100)  # a real one has billions
    with pytest.raises(UsageError, match="an ONNX file holds 2 GiB"):
        lookalike.export_encoder(
            write_encoder(tmp_path / "theirs.onnx"), tmp_path / "o.onnx", fit="pad", mean=0.5, std=0.5
        )


def test_the_encoder_is_described_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder = write_encoder(tmp_path / "theirs.onnx")
    assert main(["export", str(encoder), "--onnx", str(tmp_path / "o.onnx"), "--fit", "pad"]) == 2
    assert "what the encoder expects is missing: --mean, --std" in capsys.readouterr().err
    given = ["--mean", "0.5", "--std", "0.5", "--fit", "pad", "--size", "32x32x3"]
    assert main(["export", str(encoder), "--onnx", str(tmp_path / "o.onnx"), *given]) == 2
    assert "--size expects pixels, such as 224 or 256x192, got '32x32x3'" in capsys.readouterr().err
