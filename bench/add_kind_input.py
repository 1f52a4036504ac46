"""Add the input `kinds` to a model that was exported without it; embeddings without known kinds stay the same.

    python bench/add_kind_input.py model.onnx out.onnx --classes articleType=myntra/kinds.csv

`lookalike export` writes this input by itself. The class names of the heads are those of the file's labels; those of
other heads are, as in training, the sorted values of that column of a table.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from lookalike.kinds import KINDS
from lookalike.models.kind_evidence import KindEvidence
from lookalike.models.onnx_file import write_metadata


def main() -> None:
    """Read, change and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--classes", action="append", default=[], metavar="HEAD=TABLE")
    given = parser.parse_args()
    model = onnx.load(str(given.model))
    about = {entry.key: entry.value for entry in model.metadata_props if entry.key != "lookalike.content"}
    classes = json.loads(about["lookalike.labels"])
    for each in given.classes:
        head, _, table = each.partition("=")
        with Path(table).open(encoding="utf-8", newline="") as file:
            classes[head] = sorted({row[head] for row in csv.DictReader(file)} - {""})
    add_input(model.graph, KindEvidence(classes))
    shutil.copy(given.model, given.out)
    onnx.save(model, str(given.out))
    write_metadata(given.out, about | {"lookalike.kinds": json.dumps(list(KINDS))})


def add_input(graph: onnx.GraphProto, evidence: KindEvidence) -> None:
    """Add the input, and what it adds to the logits of the relevance parts."""
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    graph.input.append(onnx.helper.make_tensor_value_info("kinds", onnx.TensorProto.FLOAT, [batch, len(KINDS)]))
    for place, head in enumerate(evidence.heads):
        table = evidence.get_buffer(f"table_{place}").numpy().astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(table, f"kinds_of_{head}"))
        weight = f"network.heads.head_{head}.weight"
        at, layer = next((at, node) for at, node in enumerate(graph.node) if list(node.input[1:2]) == [weight])
        (logits,) = layer.output
        softmax = next(node for node in graph.node if node.op_type == "Softmax" and logits in node.input)
        (plain,) = softmax.output
        added, summed, informed = f"{logits}_evidence", f"{logits}_of_kinds", f"{plain}_of_kinds"
        for node in graph.node:
            if "labels" not in node.output:
                node.input[:] = [informed if name == plain else name for name in node.input]
        for node in (
            onnx.helper.make_node("Softmax", [summed], [informed], axis=1),
            onnx.helper.make_node("Add", [logits, added], [summed]),
            onnx.helper.make_node("MatMul", ["kinds", f"kinds_of_{head}"], [added]),
        ):
            graph.node.insert(at + 1, node)


if __name__ == "__main__":
    main()
