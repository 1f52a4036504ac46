"""Fixtures of several test folders: a model small enough to load and run in a millisecond."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from lookalike.cli.running import show_notes
from lookalike.models.content_hash import append_checksum
from lookalike.models.preprocessing import Preprocessing
from tiny_finder import write_tiny_finder

pytest_plugins = ["milvus_server", "fault_tries", "alone", "inherited_signals", "skipped_parts"]


def write_tiny_model(
    path: Path, *, name: str = "tiny", fingerprint: str = "0123456789abcdef", seed: int = 0, attention: bool = False
) -> Path:
    """Write an ONNX file whose embedding is 16 random mixtures of a photo's 48 mean colours, scaled to length 1."""
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
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("photos", TensorProto.FLOAT, ["n", 3, side, side])],
        outputs,
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([1]), "channels")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    metadata = {
        "lookalike.format": "1",
        "lookalike.name": name,
        "lookalike.fingerprint": fingerprint,
        "lookalike.preprocessing": Preprocessing(side, side).to_json(),
    }
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    append_checksum(path)
    return path


@pytest.fixture(scope="session")
def tiny_finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a finder that goes by colours."""
    return write_tiny_finder(tmp_path_factory.mktemp("model") / "finder.onnx")


@pytest.fixture(autouse=True)
def loggers_of_its_own() -> None:
    """Give each test the loggers of a new process: commands and servers that run in the tests' process set them up."""
    show_notes.cache_clear()
    for name in ("lookalike", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with the space `deep` of 16 dimensions."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that describes photos otherwise than `tiny_model`."""
    path = tmp_path_factory.mktemp("model") / "other.onnx"
    return write_tiny_model(path, name="other", fingerprint="fedcba9876543210", seed=1)


@pytest.fixture(scope="session")
def attentive_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that gives its attention too, so that there is a space `color-original`."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "attentive.onnx", attention=True)
