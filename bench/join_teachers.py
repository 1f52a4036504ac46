"""Join the embeddings by which several exported models tell items apart, as one teacher for `lookalike train`.

    python bench/join_teachers.py teacher.onnx default earlier.onnx

The models have the same input, and embeddings with relevance parts, which are left out: the labels teach those. The
teacher's embedding is the others beside each other, of unit length in all.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from pathlib import Path

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper
from onnx.utils import Extractor

from lookalike.models.default_model import SHIPPED_MODEL
from lookalike.models.onnx_file import read_metadata, write_metadata

PHOTOS, EMBEDDING = "photos", "embedding"
"""Input and output of an exported model."""

KEPT = ("lookalike.format", "lookalike.preprocessing", "lookalike.unit")
"""Metadata that the teacher has from the first model."""


def items_output(model: onnx.ModelProto) -> str:
    """Name of the unit embedding by which a model tells items apart, before it is scaled to the share that is left."""
    made = {output: node for node in model.graph.node for output in node.output}
    joined = made[EMBEDDING]
    scaled = made[joined.input[-1]]
    if joined.op_type != "Concat" or scaled.op_type != "Mul":
        raise SystemExit("expected a model whose embedding has relevance parts")
    return str(scaled.input[1])


def items_model(model: onnx.ModelProto, prefix: str) -> onnx.ModelProto:
    """Return the part of a model from the photos to that embedding; all its names but the photos' get a prefix."""
    output = items_output(model)
    if output not in {value.name for value in model.graph.value_info}:
        model.graph.value_info.append(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    part = compose.add_prefix(Extractor(model).extract_model([PHOTOS], [output]), prefix)
    for node in part.graph.node:
        for place, name in enumerate(node.input):
            if name == prefix + PHOTOS:
                node.input[place] = PHOTOS
    return part


def main() -> None:
    """Join, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="+", help="`default` or an ONNX file")
    given = parser.parse_args()
    files = [SHIPPED_MODEL if name == "default" else Path(name) for name in given.models]
    about = [read_metadata(file) for file in files]
    if len({each["lookalike.preprocessing"] for each in about}) > 1:
        parser.error("the models have different inputs")
    loaded = [onnx.load(str(file)) for file in files]
    first = loaded[0]
    if any(model.opset_import != first.opset_import for model in loaded):
        parser.error("the models have different versions of the operators; export them with the same version")
    parts = [items_model(model, f"{place}_") for place, model in enumerate(loaded)]
    outputs = [part.graph.output[0].name for part in parts]
    photos = next(value for value in first.graph.input if value.name == PHOTOS)
    embedding = helper.make_tensor_value_info(EMBEDDING, onnx.TensorProto.FLOAT, [None, None])
    share = numpy_helper.from_array(np.array(1.0 / math.sqrt(len(parts)), dtype=np.float32), "share")
    graph = helper.make_graph(
        [
            *(node for part in parts for node in part.graph.node),
            helper.make_node("Concat", outputs, ["joined"], axis=1),
            helper.make_node("Mul", ["joined", "share"], [EMBEDDING]),
        ],
        "teacher",
        [photos],
        [embedding],
        [*(weights for part in parts for weights in part.graph.initializer), share],
    )
    joined = helper.make_model(graph, opset_imports=list(first.opset_import), ir_version=first.ir_version)
    onnx.save(joined, str(given.out))
    fingerprint = hashlib.sha256(given.out.read_bytes()).hexdigest()
    named = {"lookalike.name": given.out.stem, "lookalike.fingerprint": fingerprint}
    write_metadata(given.out, {key: about[0][key] for key in KEPT} | named)
    print(f"wrote {given.out}: {len(parts)} models")


if __name__ == "__main__":
    main()
