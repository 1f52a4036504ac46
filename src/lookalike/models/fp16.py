"""fp16 export: ONNX files with weights stored in 16 bits, which runtimes convert back to 32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FP16_SUFFIX = ":half"
"""Suffix of the names of fp16 weights."""

SMALLEST = 1024
"""Smallest size of a converted tensor, in elements; smaller ones, such as scales and shapes, stay float32."""


def to_fp16(file: Path) -> Path:
    """Convert the weights of an ONNX file to float16, each cast back to float32 where it is used.

    Runtimes fold the casts when they load the file. A weight keeps 11 of its 24 significant bits.

    Args:
        file: ONNX file with float32 weights.

    Returns:
        Path of the new file, `half.onnx` in the same folder.
    """
    model = onnx.load(str(file))
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + FP16_SUFFIX))
        casts.append(helper.make_node("Cast", [name + FP16_SUFFIX], [name], f"{name}:whole", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    made = file.with_name("half.onnx")
    onnx.save(model, str(made))
    return made
