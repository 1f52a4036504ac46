"""Where a gallery on Milvus is, and the roots of its photos; see `lookalike.gallery.roots`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lookalike.errors import UsageError
from lookalike.gallery.milvus.address import Address
from lookalike.gallery.milvus.metadata import ROOM
from lookalike.gallery.milvus.state import State


class MilvusRoots:
    """The part of `lookalike.gallery.milvus.gallery.MilvusGallery` that keeps its address and its roots."""

    address: Address
    _state: State

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as the address, which is opened there."""
        return type(self), (self.address,)

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders and addresses that photos were indexed from."""
        return self._state.metadata().roots

    def remember_roots(self, more: Iterable[str]) -> None:
        """Keep more roots.

        Raises:
            UsageError: There are too many.
        """
        known = self._state.metadata(fresh=True)
        new = {f"root.{root}": "1" for root in more if root not in known.roots}
        if known.bytes + sum(len(name.encode()) + 20 for name in new) > ROOM:
            raise UsageError(
                f"the photos lie in {len(new):,} more folders, more than a gallery on Milvus can keep; index a folder "
                "that holds them all"
            )
        if new:
            self._state.remember(new)
