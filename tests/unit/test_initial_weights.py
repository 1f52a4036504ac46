"""Invalid files of pretrained weights."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import ModelError
from lookalike.models.weight_readers import read_tensors


def pickled(path: Path) -> None:
    np.savez(path, a=np.array([{}], dtype=object))


NO_NPZ: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("weights"),
    "cut short": lambda path: (np.savez(path, a=np.ones(999)), path.write_bytes(path.read_bytes()[:500])),
    "half an archive": lambda path: path.write_bytes(b"PK\3\4" + bytes(100)),
    "one array": lambda path: path.write_bytes(npy()),
    "words": lambda path: np.savez(path, a=np.array(["a"])),
    "pickled": pickled,
}


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


@pytest.mark.parametrize("case", NO_NPZ)
def test_an_npz_that_is_none_is_refused(tmp_path: Path, case: str) -> None:
    NO_NPZ[case](tmp_path / "w.npz")
    with pytest.raises(ModelError, match=r"not an \.npz of arrays of numbers"):
        read_tensors(tmp_path / "w.npz")
