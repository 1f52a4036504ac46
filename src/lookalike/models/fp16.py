"""ONNX files of half the size: weights are stored in 16 bits, and still computed with in 32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HALF = ":half"
"""What the names of weights that are stored in 16 bits end in."""

SMALLEST = 1024
"""Numbers; smaller tensors, such as scales and shapes, stay as they are."""


def halved(file: Path) -> Path:
    """Write an ONNX file anew with float16 weights, each turned back to float32 where it is used.

    Runtimes do that once, when they load the file. A weight keeps 11 bits of its 24.

    Args:
        file: To read.

    Returns:
        The new file, `half.onnx` beside the other.
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
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + HALF))
        casts.append(helper.make_node("Cast", [name + HALF], [name], f"{name}:whole", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    made = file.with_name("half.onnx")
    onnx.save(model, str(made))
    return made
