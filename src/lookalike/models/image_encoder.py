"""Image encoders of others as models of Lookalike: any ONNX graph of one image input and an output of rows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper
from onnx.compose import add_prefix

from lookalike.errors import LookalikeError, ModelError, UnknownNameError, UsageError, short_reason
from lookalike.models.onnx_file import hidden_beside, write_metadata
from lookalike.models.preprocessing import Preprocessing
from lookalike.storage.durable import flush
from lookalike.types import Float32

FORMAT: Final = "1"
INPUT, EMBEDDING = "photos", "embedding"
INNER: Final = "encoder/"
"""Beginning of all names of the wrapped graph."""

LARGEST: Final = 2**31 - 2**24
"""Largest size of weights, in bytes; the rest of the 2 GiB of an ONNX file is for the graph."""

LEAST_COSINE: Final = 0.9999
PHOTOS: Final = 3
"""Photos of random numbers in the check."""


def export_graph(
    encoder: Path, file: Path, preprocessing: Preprocessing, *, output: str | None = None
) -> tuple[str, float]:
    """Write an image encoder as a photo model with unit embeddings.

    A fixed number of images is freed, which the check proves right.

    Args:
        encoder: ONNX file with one input (B, 3, H, W) float32.
        file: File to write atomically; its folder is created if missing.
        preprocessing: Preprocessing of photos; its size is that of the input.
        output: Name of the output (B, D); None for the only one.

    Returns:
        Model id, and the smallest cosine between the embeddings of the file and of the encoder, over images of random
        numbers.

    Raises:
        ModelError: The file is not ONNX, too large, or has other inputs or outputs than those.
        UnknownNameError: It has no such output.
        UsageError: It has several outputs, and none was named.
        LookalikeError: The embeddings of the new file differ.
    """
    model = _read(encoder)
    image = _image_input(model, encoder)
    rows = _chosen_output(model, encoder, output)
    _check_sides(image, preprocessing, encoder)
    shape = (PHOTOS, 3, preprocessing.height, preprocessing.width)
    images = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    theirs = _run_one_by_one(encoder, image.name, rows.name, images)
    wrapped = _wrapped(model, image.name, rows.name, preprocessing, dimension=theirs.shape[1])
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    with hidden_beside(file) as folder:
        made = folder / "model.onnx"
        onnx.save(wrapped, str(made))
        fingerprint = hashlib.sha256(made.read_bytes() + preprocessing.to_json().encode()).hexdigest()
        about = {
            "lookalike.format": FORMAT,
            "lookalike.name": encoder.stem,
            "lookalike.fingerprint": fingerprint,
            "lookalike.preprocessing": preprocessing.to_json(),
        }
        write_metadata(made, about)
        least = _least_cosine(theirs, made, images, encoder=encoder)
        flush(made)
        made.replace(file)
    return f"{encoder.stem}@{fingerprint[:8]}", least


def input_size(encoder: Path) -> tuple[int, int] | None:
    """Height and width of an encoder's images, in pixels; None if they are variable.

    Raises:
        ModelError: The file is not ONNX, or has another input than (B, 3, H, W) float32.
    """
    sides = _shape(_image_input(_read(encoder), encoder))[2:]
    return (sides[0], sides[1]) if all(isinstance(side, int) for side in sides) else None  # type: ignore[return-value]


def _read(encoder: Path) -> Any:  # noqa: ANN401 - onnx has no types
    if not encoder.is_file():
        raise ModelError(f"{encoder}: no such file")
    try:
        model = onnx.load(str(encoder))
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        raise ModelError(f"{encoder}: not an ONNX file that can be read: {short_reason(error)}") from None
    if model.ByteSize() > LARGEST:
        raise ModelError(f"{encoder}: an ONNX file holds 2 GiB, and this one is larger with its weights")
    return model


def _image_input(model: Any, encoder: Path) -> Any:  # noqa: ANN401
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    wanted = "an image encoder takes one input (B, 3, H, W) float32"
    if len(inputs) != 1:
        names = ", ".join(repr(value.name) for value in inputs) or "none"
        raise ModelError(f"{encoder}: {wanted}, this one takes {len(inputs)}: {names}")
    shape = _shape(inputs[0])
    if inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(inputs[0].type.tensor_type.elem_type).lower()
        raise ModelError(f"{encoder}: {wanted}, this one takes {kind} numbers")
    if len(shape) != 4 or shape[1] not in (3, None):
        raise ModelError(f"{encoder}: {wanted}, this one takes {_text(shape)}")
    return inputs[0]


def _chosen_output(model: Any, encoder: Path, name: str | None) -> Any:  # noqa: ANN401
    outputs = {value.name: value for value in model.graph.output}
    if name is None and len(outputs) != 1:
        raise UsageError(f"{encoder}: it has {len(outputs)} outputs; choose one with --output: {', '.join(outputs)}")
    if name is not None and name not in outputs:
        raise UnknownNameError("output of the image encoder", name, sorted(outputs))
    chosen = outputs[name] if name is not None else next(iter(outputs.values()))
    shape = _shape(chosen)
    if chosen.type.tensor_type.HasField("shape") and len(shape) != 2:
        raise ModelError(f"{encoder}: an image encoder gives rows (B, D), its output {chosen.name!r} is {_text(shape)}")
    if chosen.type.tensor_type.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16):
        raise ModelError(f"{encoder}: an image encoder gives numbers of 32 or 16 bits, {chosen.name!r} gives others")
    return chosen


def _check_sides(image: Any, preprocessing: Preprocessing, encoder: Path) -> None:  # noqa: ANN401
    sides = _shape(image)[2:]
    wanted = [preprocessing.height, preprocessing.width]
    if any(side not in (None, given) for side, given in zip(sides, wanted, strict=True)):
        raise ModelError(
            f"{encoder}: its images are {_text(sides)}, and the preprocessing makes {wanted[0]} x {wanted[1]}"
        )


def _run_one_by_one(encoder: Path, image: str, rows: str, images: Float32) -> Float32:
    """Rows of the encoder for images, in batches of the size that it declares or else of one: (B, D) float32."""
    try:
        session = onnxruntime.InferenceSession(str(encoder), providers=["CPUExecutionProvider"])
        declared = session.get_inputs()[0].shape[0]
        batch = declared if isinstance(declared, int) and declared > 0 else 1
        found = [session.run([rows], {image: np.repeat(one[None], batch, axis=0)})[0][:1] for one in images]
    except Exception as error:  # its exceptions have no common base but Exception
        raise ModelError(f"{encoder}: cannot be run here: {short_reason(error)}") from error
    if any(np.ndim(one) != 2 for one in found):
        raise ModelError(f"{encoder}: an image encoder gives rows (B, D), this one gives {_text(found[0].shape)}")
    theirs: Float32 = np.concatenate(found).astype(np.float32)
    if not np.isfinite(theirs).all() or not np.linalg.norm(theirs, axis=1).all():
        raise ModelError(f"{encoder}: it gives rows of zeros, or numbers that are not finite")
    return theirs


def _wrapped(model: Any, image: str, rows: str, preprocessing: Preprocessing, *, dimension: int) -> Any:  # noqa: ANN401
    """The model with our input and output around it."""
    inner = add_prefix(model, INNER)
    graph = inner.graph
    nodes = [
        helper.make_node("Identity", [INPUT], [f"{INNER}{image}"]),
        *graph.node,
        helper.make_node("Cast", [f"{INNER}{rows}"], ["rows"], to=TensorProto.FLOAT),
        helper.make_node("LpNormalization", ["rows"], [EMBEDDING], axis=1, p=2),
    ]
    del graph.node[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    kept = [value for value in graph.input if value.name != f"{INNER}{image}"]
    del graph.input[:]
    size = [preprocessing.height, preprocessing.width]
    graph.input.extend([helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["B", 3, *size]), *kept])
    graph.output.extend([helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["B", dimension])])
    del inner.metadata_props[:]
    return inner


def _least_cosine(theirs: Float32, made: Path, images: Float32, *, encoder: Path) -> float:
    try:
        session = onnxruntime.InferenceSession(str(made), providers=["CPUExecutionProvider"])
        ours = session.run([EMBEDDING], {INPUT: images})[0]
    except Exception as error:  # its exceptions have no common base but Exception
        raise ModelError(
            f"{encoder}: cannot embed several images at once: {short_reason(error)}; "
            "export it again with a variable number of images"
        ) from error
    wrong = ours.shape != theirs.shape
    least = -1.0 if wrong else float(((ours * theirs).sum(axis=1) / np.linalg.norm(theirs, axis=1)).min())
    if not least >= LEAST_COSINE:  # also for nan
        raise LookalikeError(
            f"{encoder}: several images at once get other embeddings than one by one (least cosine {least:.6f}); "
            "export it again with a variable number of images"
        )
    return least


def _shape(value: Any) -> list[int | None]:  # noqa: ANN401
    """Dimensions of an input or output; None where they are variable."""
    dimensions = value.type.tensor_type.shape.dim
    return [one.dim_value if one.HasField("dim_value") and one.dim_value > 0 else None for one in dimensions]


def _text(shape: Any) -> str:  # noqa: ANN401
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"
