"""Model small enough to load and run in a millisecond, whose outputs a test can compute word by word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from lookalike.models.content_hash import append_checksum
from lookalike.models.preprocessing import Preprocessing

TINY_LABELS = {"kind": ["dress", "skirt", "top", "nothing"], "gender": ["men", "women"]}
"""Classes of the heads of a tiny model."""

LABEL_WEIGHTS = np.array([[2, -1, -1, 0, -1, 1], [-1, 2, -1, 0, -1, 1], [-1, -1, 2, 0, -1, 1]], dtype=np.float32)
LABEL_BIAS = np.array([0, 0, 0, 2, 0, 0], dtype=np.float32)
"""Logits of a tiny model's classes: (3, 6) by the mean of each normalised channel, and what is added."""


def write_tiny_model(
    path: Path,
    *,
    name: str = "tiny",
    fingerprint: str = "0123456789abcdef",
    seed: int = 0,
    attention: bool = False,
    labels: bool = False,
    mapped: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write an ONNX file whose embedding is 16 random mixtures of a photo's 48 mean colours, scaled to length 1.

    With labels, red is a dress, green a skirt, blue a top, and grey nothing; bright is women's, dark men's. Mapped, it
    gives the mean colours, too: 4 x 4 cells of three normalised channels.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    side = 224 if attention else 32
    weights = np.random.default_rng(seed).normal(size=(3 * 16, 16)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["photos"], ["cells"], kernel_shape=[side // 4] * 2, strides=[side // 4] * 2),
        helper.make_node("Flatten", ["cells"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["mixed"]),
        helper.make_node("LpNormalization", ["mixed"], ["embedding"], axis=1, p=2),
    ]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 16])]
    if attention:
        nodes += [
            helper.make_node("AveragePool", ["photos"], ["maps"], kernel_shape=[32, 32], strides=[32, 32]),
            helper.make_node("ReduceMean", ["maps", "channels"], ["attention"], keepdims=0),
        ]
        outputs.append(helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["n", 7, 7]))
    if labels:
        nodes += [
            helper.make_node("GlobalAveragePool", ["photos"], ["means"]),
            helper.make_node("Flatten", ["means"], ["colours"]),
            helper.make_node("Gemm", ["colours", "LABEL_WEIGHTS", "LABEL_BIAS"], ["logits"]),
            helper.make_node("Split", ["logits", "sizes"], ["kind", "gender"], axis=1),
            helper.make_node("Softmax", ["kind"], ["kinds"], axis=1),
            helper.make_node("Softmax", ["gender"], ["genders"], axis=1),
            helper.make_node("Concat", ["kinds", "genders"], ["labels"], axis=1),
        ]
        outputs.append(helper.make_tensor_value_info("labels", TensorProto.FLOAT, ["n", 6]))
    if mapped:
        nodes.append(helper.make_node("Identity", ["cells"], ["map"]))
        outputs.append(helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 3, 4, 4]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("photos", TensorProto.FLOAT, ["n", 3, side, side])],
        outputs,
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1]), "channels"),
            numpy_helper.from_array(np.array([4, 2]), "sizes"),
            numpy_helper.from_array(LABEL_WEIGHTS, "LABEL_WEIGHTS"),
            numpy_helper.from_array(LABEL_BIAS, "LABEL_BIAS"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    about = {
        "lookalike.format": "1",
        "lookalike.name": name,
        "lookalike.fingerprint": fingerprint,
        "lookalike.preprocessing": Preprocessing(side, side).to_json(),
    }
    if labels:
        about["lookalike.labels"] = json.dumps(TINY_LABELS)
    helper.set_model_props(model, about | dict(metadata or {}))
    onnx.save(model, path)
    append_checksum(path)
    return path
