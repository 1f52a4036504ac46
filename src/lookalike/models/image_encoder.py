"""Image encoders of others as models of Lookalike: any ONNX graph of one image input, with rows, tokens or maps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.compose import add_prefix

from lookalike.errors import LookalikeError, ModelError, UnknownNameError, UsageError, short_reason
from lookalike.models.onnx_file import OutputPooling, hidden_beside, write_metadata
from lookalike.models.preprocessing import Preprocessing
from lookalike.storage.durable import flush
from lookalike.types import Float32

FORMAT: Final = "1"
INPUT, EMBEDDING = "photos", "embedding"
CPU: Final = "CPUExecutionProvider"
INNER: Final = "encoder/"
"""Beginning of all names of the wrapped graph."""

LARGEST: Final = 2**31 - 2**24
"""Largest size of weights, in bytes; the rest of the 2 GiB of an ONNX file is for the graph."""

LEAST_OPSET: Final = 7
"""Oldest operators that ONNX Runtime promises to run."""

LEAST_COSINE: Final = 0.9999
PHOTOS: Final = 3
"""Photos of random numbers in the check."""


def export_graph(
    encoder: Path,
    file: Path,
    preprocessing: Preprocessing,
    *,
    output: str | None = None,
    pooling: str | None = None,
) -> tuple[str, float]:
    """Write an image encoder as a photo model with unit embeddings.

    A fixed number of images is freed, which the check proves right.

    Args:
        encoder: ONNX file with one input (B, 3, H, W) float32.
        file: File to write atomically; its folder is created if missing.
        preprocessing: Preprocessing of photos; its size is that of the input.
        output: Name of the output; None for the only one.
        pooling: Pooling of tokens (B, N, C) or maps (B, C, h, w): `average`, or of tokens `cls`, the first; None for an
            output of rows (B, D).

    Returns:
        Model id, and the smallest cosine between the embeddings of the file and of the encoder, over images of random
        numbers.

    Raises:
        ModelError: The file is not ONNX, too large, or has other inputs or outputs than those.
        UnknownNameError: It has no such output, or there is no such pooling.
        UsageError: It has several outputs, and none was named; or the pooling of its output is missing or not needed.
        LookalikeError: The embeddings of the new file differ.
    """
    if pooling not in (None, *get_args(OutputPooling)):
        raise UnknownNameError("pooling of an ONNX output", str(pooling), get_args(OutputPooling))
    model = _read(encoder)
    image = _image_input(model, encoder)
    rows = _chosen_output(model, encoder, output)
    _check_sides(image, preprocessing, encoder)
    shape = (PHOTOS, 3, preprocessing.height, preprocessing.width)
    images = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    found = _run_one_by_one(model, encoder, image.name, rows.name, images)
    theirs = _pooled(found, pooling, encoder, rows.name)
    nodes = _pooling_nodes(found.ndim, pooling)
    wrapped = _wrapped(model, image.name, rows.name, preprocessing, pooling=nodes, dimension=theirs.shape[1])
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
    except Exception as error:  # noqa: BLE001 - a damaged file can raise any error in the library
        raise ModelError(f"{encoder}: not an ONNX file that can be read: {short_reason(error)}") from None
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if not versions or versions[0] < LEAST_OPSET:
        raise ModelError(
            f"{encoder}: it has operators of version {versions[0] if versions else 'none'}, expected {LEAST_OPSET} or "
            "later; export it again with a newer opset"
        )
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
    if chosen.type.tensor_type.HasField("shape") and len(shape) not in (2, 3, 4):
        raise ModelError(
            f"{encoder}: an image encoder gives rows (B, D), tokens or maps, {chosen.name!r} is {_text(shape)}"
        )
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


def _run_one_by_one(model: Any, encoder: Path, image: str, rows: str, images: Float32) -> Float32:  # noqa: ANN401
    """Output of the encoder for images, in batches of the size that it declares or else of one: (B, ...) float32."""
    try:
        # The bytes that were read, so that ONNX Runtime opens no file that the model names
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=[CPU])
        declared = session.get_inputs()[0].shape[0]
        batch = declared if isinstance(declared, int) and declared > 0 else 1
        found = [session.run([rows], {image: np.repeat(one[None], batch, axis=0)})[0][:1] for one in images]
        return np.concatenate(found).astype(np.float32)
    except Exception as error:  # its exceptions have no common base but Exception
        raise ModelError(f"{encoder}: cannot be run here: {short_reason(error)}") from error


def _pooled(found: Float32, pooling: str | None, encoder: Path, output: str) -> Float32:
    """Rows of an output, pooled: (B, D) float32.

    Raises:
        UsageError: The pooling is missing, or not of such an output.
        ModelError: The rows are zeros or not finite, or the output is of another shape.
    """
    shape = _text(("B", *found.shape[1:]))
    if found.ndim not in (2, 3, 4):
        raise ModelError(f"{encoder}: an image encoder gives rows (B, D), tokens or maps, {output!r} is {shape}")
    if found.ndim > 2 and pooling is None:
        what = "tokens: --pooling average or cls" if found.ndim == 3 else "maps: --pooling average"
        raise UsageError(f"{encoder}: its output {output!r} is {shape}; say how it becomes a row, of {what}")
    if (found.ndim == 2 and pooling is not None) or (found.ndim == 4 and pooling == "cls"):
        raise UsageError(f"{encoder}: its output {output!r} is {shape}, which has no pooling {pooling!r}")
    if pooling == "cls":
        rows: Float32 = found[:, 0]
    else:
        rows = found if found.ndim == 2 else found.mean(axis=1 if found.ndim == 3 else (2, 3))
    if not np.isfinite(rows).all() or not np.abs(rows).max(axis=1).all():
        raise ModelError(f"{encoder}: it gives rows of zeros, or numbers that are not finite")
    return rows


def _pooling_nodes(dimensions: int, pooling: str | None) -> list[Any]:
    """Nodes from `whole` to `rows`, of operators that all versions have."""
    if pooling is None:
        return [helper.make_node("Identity", ["whole"], ["rows"])]
    if pooling == "cls":
        first = helper.make_tensor("first_token", TensorProto.INT64, [], [0])
        return [
            helper.make_node("Constant", [], ["first"], value=first),
            helper.make_node("Gather", ["whole", "first"], ["rows"], axis=1),
        ]
    channels_first = helper.make_node("Transpose", ["whole"], ["maps"], perm=[0, 2, 1])
    last = "maps" if dimensions == 3 else "whole"
    return [
        *([channels_first] if dimensions == 3 else []),
        helper.make_node("GlobalAveragePool", [last], ["means"]),
        helper.make_node("Flatten", ["means"], ["rows"], axis=1),
    ]


def _wrapped(
    model: Any,  # noqa: ANN401
    image: str,
    rows: str,
    preprocessing: Preprocessing,
    *,
    pooling: Sequence[Any],
    dimension: int,
) -> Any:  # noqa: ANN401
    """The model with our input and output around it."""
    inner = add_prefix(model, INNER)
    graph = inner.graph
    nodes = [
        helper.make_node("Identity", [INPUT], [f"{INNER}{image}"]),
        *graph.node,
        helper.make_node("Cast", [f"{INNER}{rows}"], ["whole"], to=TensorProto.FLOAT),
        *pooling,
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
        session = onnxruntime.InferenceSession(str(made), providers=[CPU])
        ours = session.run([EMBEDDING], {INPUT: images})[0]
    except Exception as error:  # its exceptions have no common base but Exception
        raise ModelError(
            f"{encoder}: cannot embed several images at once: {short_reason(error)}; "
            "export it again with a variable number of images"
        ) from error
    wrong = ours.shape != theirs.shape
    exact = theirs.astype(np.float64)  # squares of large numbers are beyond 32 bits
    least = -1.0 if wrong else float(((ours * exact).sum(axis=1) / np.linalg.norm(exact, axis=1)).min())
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
