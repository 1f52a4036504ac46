"""Files of equal tensors and metadata are equal byte for byte, and are what the library reads."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

from lookalike.models.checkpoint import save_checkpoint
from lookalike.models.export import export_onnx
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.safetensors_file import save_safetensors

METADATA = {
    f"key.{number}": text for number, text in enumerate(["plain", "é\u2028€", 'a"b\\c', "\x01\n\t\x7f", "", "{}"])
}


def test_equal_contents_have_equal_bytes_and_are_read_as_they_were(tmp_path: Path) -> None:
    state = {"b": torch.arange(5, dtype=torch.int64), "a": torch.rand(3, 2), "half": torch.ones(3, dtype=torch.float16)}
    written = set()
    for number in range(8):  # the library's order is random
        path = tmp_path / f"{number}.safetensors"
        save_safetensors(path, state, metadata=METADATA)
        written.add(path.read_bytes())
        with safe_open(path, framework="pt") as file:
            assert file.metadata() == METADATA
            assert all(torch.equal(file.get_tensor(name), tensor) for name, tensor in state.items())
    assert len(written) == 1


def test_equal_networks_give_equal_checkpoints_and_onnx_files(tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        torch.manual_seed(0)
        network = Network(NetworkSettings("test_convnext", embedding=8), heads={"type": 3, "colour": 2})
        path = tmp_path / f"{name}.safetensors"
        classes = {"type": ["a", "b", "c"], "colour": ["d", "e"]}
        save_checkpoint(path, network.eval(), preprocessing=Preprocessing(32, 32), name="x", classes=classes)
        export_onnx(path, tmp_path / f"{name}.onnx", labels=["type"])
        written.append((path.read_bytes(), (tmp_path / f"{name}.onnx").read_bytes()))
    assert written[0] == written[1]
