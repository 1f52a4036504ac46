"""Text encoder small enough to load and run in a millisecond: the vector of a text is the sum of those of its words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

from lookalike.models.text_encoder_file import describe_text_encoder

PADDING, UNKNOWN = "[PAD]", "[UNK]"


def write_tiny_text_encoder(
    path: Path, vectors: Mapping[str, npt.NDArray[np.float32]], *, photo_model: str, learnt: bool = True
) -> Path:
    """Write a text encoder whose words have these vectors, (D,); other words have none.

    Args:
        path: ONNX file.
        vectors: Vectors by word, lower case.
        photo_model: Model id of the photo model.
        learnt: Whether the file lists the words, so that others are unknown.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    dimension = len(next(iter(vectors.values())))
    table = np.stack([np.zeros((dimension,)), np.zeros((dimension,)), *vectors.values()]).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["embedding"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "text",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", "words"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dimension])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(path))
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate([PADDING, UNKNOWN, *vectors])}, UNKNOWN))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(pad_id=0, pad_token=PADDING)
    words = list(vectors) if learnt else None
    describe_text_encoder(path, name="tiny", photo_model=photo_model, tokenizer=tokenizer.to_str(), words=words)
    return path
