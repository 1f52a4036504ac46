"""A finder small enough to load and run in a millisecond; it detects colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.models.content_hash import append_checksum
from lookalike.models.finder.file_format import FORMAT, INPUT, SCORES, SIDES, STRIDES

FOUND = ("top", "skirt", "trousers")
"""Kinds of the tiny finder: what is red, green or blue."""


def write_tiny_finder(path: Path, *, fingerprint: str = "0123456789abcdef") -> Path:
    """Write a finder for which the red, green and blue parts of a photo are tops, skirts and trousers."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    weights = np.full((3, 3, 1, 1), -1.0, dtype=np.float32)
    weights[range(3), range(3)] = 2.0
    held = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.zeros((4, 3, 1, 1), dtype=np.float32), "nothing"),
    ]
    nodes = []
    for stride in STRIDES:  # only the coarsest map sees anything; a box reaches 40 pixels from its location
        limits = np.full(3, -6.3 if stride == STRIDES[-1] else -30.0, dtype=np.float32)
        held += [
            numpy_helper.from_array(limits, f"limits{stride}"),
            numpy_helper.from_array(np.full(4, 40, dtype=np.float32), f"reach{stride}"),
            numpy_helper.from_array(np.array([1, 3, -1]), f"kinds{stride}"),
            numpy_helper.from_array(np.array([1, 4, -1]), f"four{stride}"),
        ]
        nodes += [
            helper.make_node(
                "AveragePool", ["photos"], [f"cells{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2
            ),
            helper.make_node("Conv", [f"cells{stride}", "weights", f"limits{stride}"], [f"logits{stride}"]),
            helper.make_node("Conv", [f"cells{stride}", "nothing", f"reach{stride}"], [f"distances{stride}"]),
            helper.make_node("Reshape", [f"logits{stride}", f"kinds{stride}"], [f"row{stride}"]),
            helper.make_node("Reshape", [f"distances{stride}", f"four{stride}"], [f"box{stride}"]),
        ]
    nodes += [
        helper.make_node("Concat", [f"row{stride}" for stride in STRIDES], ["rows"], axis=2),
        helper.make_node("Concat", [f"box{stride}" for stride in STRIDES], ["boxes"], axis=2),
        helper.make_node("Transpose", ["rows"], ["logits"], perm=[0, 2, 1]),
        helper.make_node("Sigmoid", ["logits"], [SCORES]),
        helper.make_node("Transpose", ["boxes"], [SIDES], perm=[0, 2, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "finder",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3, "h", "w"])],
        [
            helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, [1, "a", 3]),
            helper.make_tensor_value_info(SIDES, TensorProto.FLOAT, [1, "a", 4]),
        ],
        held,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    metadata = {
        "lookalike.format": FORMAT,
        "lookalike.name": "tiny",
        "lookalike.fingerprint": fingerprint,
        "lookalike.kinds": ",".join(FOUND),
        "lookalike.pixels": "16384",
    }
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    append_checksum(path)
    return path
