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
    "maps": (
        {"flat": False},
        {},
        r"'features' is \(B, 3, 4, 4\); say how it becomes a row, of maps: --pooling average",
    ),
    "the first of maps": ({"flat": False}, {"pooling": "cls"}, "which has no pooling 'cls'"),
    "rows are pooled": ({}, {"pooling": "average"}, r"'features' is \(B, 5\), which has no pooling 'average'"),
    "no such pooling": ({}, {"pooling": "mean"}, "unknown pooling of an ONNX output 'mean'; known: average, cls"),
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


def write_tokens(path: Path, *, opset: int = 13) -> Path:
    """An encoder of 16 cells of 8 x 8 pixels as tokens, (B, 16, 3)."""
    nodes = [
        helper.make_node("AveragePool", ["x"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["cells", "sizes"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]),
    ]
    sizes = [numpy_helper.from_array(np.array([0, 3, 16]), "sizes")]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", 16, 3])
    graph = helper.make_graph(nodes, "tokens", [image], [tokens], sizes)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.mark.parametrize(("kind", "pooling"), [("tokens", "average"), ("tokens", "cls"), ("maps", "average")])
def test_tokens_and_maps_are_pooled_as_is_said(kind: str, pooling: Any, tmp_path: Path) -> None:
    path = tmp_path / "theirs.onnx"
    write_tokens(path) if kind == "tokens" else write_encoder(path, flat=False)
    made = lookalike.export_encoder(path, tmp_path / "o.onnx", fit="stretch", mean=0, std=1, pooling=pooling)
    cells = []
    for photo in drawn_photos():
        pixels = np.asarray(photo.resize((32, 32), Image.Resampling.BILINEAR), dtype=np.float64) / 255
        cells.append(pixels.reshape(4, 8, 4, 8, 3).mean(axis=(1, 3)).reshape(16, 3))
    rows = np.array([each[0] if pooling == "cls" else each.mean(axis=0) for each in cells])
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(
        PhotoEmbedder(open_network(made.file)).embed(drawn_photos())["deep"], expected, atol=1e-5
    )


def with_outer_weights(path: Path, location: str) -> Path:
    """The encoder of `write_encoder` with its weights in another file."""
    model = onnx.load(write_encoder(path))
    weights = model.graph.initializer[0]
    content = weights.raw_data
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    if "/" not in location:
        (path.parent / location).write_bytes(content)
    return path


def test_weights_beside_the_file_are_taken_into_the_model(tmp_path: Path) -> None:
    options: Any = {"fit": "pad", "mean": 0.5, "std": 0.5}
    outer = with_outer_weights(tmp_path / "theirs.onnx", "weights.bin")
    made = lookalike.export_encoder(outer, tmp_path / "out" / "o.onnx", **options)
    (tmp_path / "weights.bin").unlink()
    rows = PhotoEmbedder(open_network(made.file)).embed(drawn_photos())["deep"]
    whole = lookalike.export_encoder(write_encoder(tmp_path / "whole.onnx"), tmp_path / "out" / "w.onnx", **options)
    np.testing.assert_array_equal(rows, PhotoEmbedder(open_network(whole.file)).embed(drawn_photos())["deep"])
    with pytest.raises(UsageError, match="not an ONNX file that can be read"):
        lookalike.export_encoder(outer, tmp_path / "o.onnx", **options)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "none/weights.bin"])
def test_weights_elsewhere_are_not_read(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\0" * 10_000)
    folder = tmp_path / "in"
    folder.mkdir()
    outer = with_outer_weights(folder / "theirs.onnx", location)
    with pytest.raises(UsageError, match="not an ONNX file that can be read") as caught:
        lookalike.export_encoder(outer, tmp_path / "o.onnx", fit="pad", mean=0.5, std=0.5)
    assert "\n" not in str(caught.value) and not (tmp_path / "o.onnx").exists()


def test_old_operators_are_refused(tmp_path: Path) -> None:
    model = onnx.load(write_encoder(tmp_path / "theirs.onnx"))
    model.opset_import[0].version = 6
    (tmp_path / "theirs.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match="operators of version 6, expected 7 or later; export it again"):
        lookalike.export_encoder(tmp_path / "theirs.onnx", tmp_path / "o.onnx", fit="pad", mean=0.5, std=0.5)


def test_damaged_and_greedy_files_are_one_line(tmp_path: Path) -> None:
    content = write_encoder(tmp_path / "theirs.onnx").read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(content)
        for place in random.integers(len(content), size=int(random.integers(1, 4))):
            damaged[place] ^= 1 << int(random.integers(8))
        (tmp_path / "damaged.onnx").write_bytes(damaged)
        try:
            lookalike.export_encoder(tmp_path / "damaged.onnx", tmp_path / "o.onnx", fit="pad", mean=0.5, std=0.5)
        except LookalikeError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000
            refused += 1
    assert refused > 5
    model = onnx.load(tmp_path / "theirs.onnx")
    large = numpy_helper.from_array(np.array([1 << 20, 1 << 20, 1 << 10]), "large")
    model.graph.initializer.append(large)
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["large"], ["petabyte"]))
    model.graph.node.insert(1, helper.make_node("ReduceMean", ["petabyte"], ["unused"], keepdims=0))
    model.graph.node[2].input[0] = "x"
    model.graph.output.append(helper.make_tensor_value_info("unused", TensorProto.FLOAT, []))
    (tmp_path / "greedy.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UsageError) as caught:
        lookalike.export_encoder(
            tmp_path / "greedy.onnx", tmp_path / "o.onnx", fit="pad", mean=0.5, std=0.5, output="unused"
        )
    assert "\n" not in str(caught.value)
