"""The part of a gallery on Milvus that needs no rows: address, roots, model, and what only folders have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lookalike.errors import UsageError
from lookalike.gallery.milvus.address import Address
from lookalike.gallery.milvus.metadata import ROOM
from lookalike.gallery.milvus.state import State
from lookalike.gallery.request import SearchRequest
from lookalike.types import Garment, Int64


class MilvusRoots:
    """Methods of `lookalike.gallery.milvus.gallery.MilvusGallery` that read no rows."""

    address: Address
    _state: State

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the address; unpickling opens the gallery again."""
        return type(self), (self.address,)

    @property
    def model(self) -> str | None:
        """Model that filled the gallery: `default` or a path; None if unknown."""
        return self._state.metadata().model

    def remember_model(self, model: str) -> None:
        """Store the model that fills the gallery: `default` or a path."""
        if model != self._state.metadata(fresh=True).model:
            self._state.remember({"model": model})

    @property
    def version(self) -> None:
        """None: Milvus has no versions of its data."""

    @property
    def photo_folder(self) -> None:
        """None: the gallery is not a folder."""

    @property
    def skipped_list(self) -> None:
        """None: the gallery is not a folder."""

    @property
    def has_exclusive_writer(self) -> bool:
        """False: `writing` does not keep other writers out."""
        return False

    @property
    def garment_count(self) -> None:
        """None: a row of the collection is an item, so it keeps no garments."""

    def garments(self, rows: Sequence[int], *, version: object = None) -> dict[int, Garment]:
        """Garments by row number: none."""
        del rows, version
        return {}

    def photo_owner(self) -> Sequence[str]:
        """Name of the gallery's photo folder."""
        return [self._state.photo_owner()]

    def full_text(self, words: Sequence[str], *, k: int, where: str | None = None) -> None:
        """Offer no full text: Milvus has it from 2.5 on, and in collections that were made for it."""

    def item_rows(self, rows: Int64) -> Int64:
        """The rows themselves: an item has one."""
        return rows

    def writing(self) -> AbstractContextManager[None]:
        """Lock nothing: processes may write concurrently."""
        return nullcontext()

    def has_index(self, name: str) -> bool:
        """Whether an index can be searched without being built first: the collection's one index always can."""
        del name
        return True

    def load_index(self, request: SearchRequest) -> None:
        """Do nothing: the server has the index."""

    def prepare_filter(self, where: str) -> None:
        """Do nothing: the server evaluates filters."""

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders and URLs that photos were indexed from."""
        return self._state.metadata().roots

    def remember_roots(self, more: Iterable[str]) -> None:
        """Add roots.

        Raises:
            UsageError: There are too many.
        """
        known = self._state.metadata(fresh=True)
        new = {f"root.{root}": "1" for root in more if root not in known.roots}
        if known.bytes + sum(len(name.encode()) + 20 for name in new) > ROOM:
            raise UsageError(
                f"the photos lie in {len(new):,} more folders, more than a gallery on Milvus can store; index a folder "
                "that holds them all"
            )
        if new:
            self._state.remember(new)
