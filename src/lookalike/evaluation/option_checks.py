"""Checks that the options of an evaluation go with its protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lookalike.errors import UnknownNameError, UsageError
from lookalike.evaluation.protocol import Protocol
from lookalike.gallery.request_checks import check_share

MODIFIED: Final = ("fashioniq", "fashion200k")
"""Benchmarks whose queries are a photo and words."""

RESAMPLED: Final = ("query", "product")
"""What the bootstrap of the intervals may draw."""


def check_words(
    protocol: Protocol,
    *,
    metrics: Mapping[str, str] | None,
    apart: str | Sequence[str],
    text_weight: float | None,
    by: str | None,
    unknown: str | Sequence[str],
) -> None:
    """Check that the options go with a protocol that asks in words, or with one that does not.

    Raises:
        UsageError: One does not, or the weight of the words is not from 0 to 1.
    """
    if protocol.asks_in_words and (metrics or apart):
        raise UsageError(f"the protocol {protocol.name!r} searches by words; leave metrics and apart out")
    check_share("text_weight", text_weight)
    if text_weight is not None and protocol.name not in ("changed-words", *MODIFIED):
        raise UsageError(
            "text_weight is that of words beside a photo, for 'changed-words', 'fashioniq' and 'fashion200k' alone"
        )
    if protocol.name in MODIFIED and (by or unknown):
        raise UsageError(
            f"the protocol {protocol.name!r} has categories and labels of its own; leave by and unknown out"
        )


def check_resample(resample: str, *, in_words: bool) -> None:
    """Check what the intervals are to resample.

    Args:
        resample: `query` or `product`.
        in_words: Whether the queries are words, which have no product.

    Raises:
        UnknownNameError: There is no such choice.
        UsageError: The queries are words, and products are to be resampled.
    """
    if resample not in RESAMPLED:
        raise UnknownNameError("resample", resample, RESAMPLED)
    if resample == "product" and in_words:
        raise UsageError("queries in words have no product; leave resample out")


def check_folder(folder: Path) -> None:
    """Check that a report folder can be created, before any work is done.

    Raises:
        UsageError: The path is a file, or its parent does not exist.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; a report is a folder")
    if not folder.parent.is_dir():
        raise UsageError(f"{folder.parent}: no such folder")
