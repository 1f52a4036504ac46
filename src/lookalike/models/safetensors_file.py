"""Writing of safetensors files whose bytes depend on their content alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

LENGTH_BYTES = 8
"""Bytes of the length of the header, at the beginning of a file."""


def save_safetensors(path: Path, state: Mapping[str, torch.Tensor], *, metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata: equal ones give equal bytes.

    The library writes the metadata in another order each time; here they are sorted in place afterwards.

    Args:
        path: File to write.
        state: Tensors by name, contiguous and on the CPU.
        metadata: Texts of the header by name.

    Raises:
        OSError: The file cannot be written.
        SafetensorError: The same.

    Source: the format's description, https://huggingface.co/docs/safetensors.
    """
    save_file(dict(state), path, metadata=dict(metadata))
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(text) <= length, "the header is as long as before"
        file.seek(LENGTH_BYTES)
        file.write(text.ljust(length))
