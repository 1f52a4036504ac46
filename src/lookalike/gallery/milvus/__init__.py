"""Galleries in Milvus collections, with the interface of those in folders."""

from __future__ import annotations

import os
from typing import Final

SCHEMES: Final = ("milvus", "milvus+tls")
"""Schemes of the addresses of galleries on Milvus."""


def is_on_milvus(address: str | os.PathLike[str]) -> bool:
    """Whether an address is that of a gallery on Milvus, by its scheme."""
    scheme, colon, _ = os.fspath(address).partition(":")
    return bool(colon) and scheme in SCHEMES
