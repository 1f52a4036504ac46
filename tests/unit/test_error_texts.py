"""What other libraries say goes into our one line, and no further."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import CatalogueError, short_reason
from lookalike.gallery.transfer.original import read_array


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("one line"), "one line"),
        (ValueError("\n  the first\nallow_pickle=True helps"), "the first"),
        (ValueError(""), "ValueError"),
        (OSError(28, "No space left on device", "/data/x"), "No space left on device"),
        (OSError("torch hides the number"), "torch hides the number"),
        (ValueError("word " * 1000), "word " * 59 + "..."),
    ],
)
def test_the_first_line_is_the_reason(error: Exception, reason: str) -> None:
    assert short_reason(error) == reason


def test_an_array_with_an_endless_header_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "all_feat.npy"
    np.save(path, np.zeros((2, 3), np.float32))
    data = path.read_bytes()
    header = data[10 : 10 + int.from_bytes(data[8:10], "little")].rstrip() + b" " * 20_000 + b"\n"
    path.write_bytes(data[:8] + len(header).to_bytes(2, "little") + header + data[-24:])
    with pytest.raises(CatalogueError, match="Header info length") as caught:
        read_array(path, count=2)
    assert "\n" not in str(caught.value)
