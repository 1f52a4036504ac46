"""Micro-batching: photos of simultaneous requests go through the network together.

Nobody waits for a batch to fill. While the network runs, photos gather; when it is free, one of those who wait takes
all of them, up to a limit, through it. So a lone request is as quick as ever, and many are quicker together. There is
no thread that does nothing else: handing photos to it and rows back costs more than a small network itself.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL.Image import Image

from lookalike.embedding.protocol import Embedder, Prepared
from lookalike.spaces import Space
from lookalike.types import Float32

Rows: TypeAlias = dict[str, Float32]


@dataclass(slots=True, eq=False)
class _Asked:
    """A photo on its way through the network."""

    prepared: Prepared
    rows: Rows | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.rows is not None or self.error is not None


class BatchingEmbedder:
    """An embedder for many threads at once, made of one that runs its network for one caller at a time.

    Implements `lookalike.embedding.protocol.Embedder`.

    Attributes:
        observe: Is told the size of each batch.
    """

    def __init__(self, embedder: Embedder, *, largest: int) -> None:
        """Wrap an embedder.

        Args:
            embedder: The one that does the work.
            largest: Most photos of a batch.
        """
        self.observe: Callable[[int], None] | None = None
        self._embedder, self._largest = embedder, largest
        self._waiting: deque[_Asked] = deque()
        self._network = threading.Lock()

    @property
    def spaces(self) -> tuple[Space, ...]:
        """What it makes."""
        return self._embedder.spaces

    @property
    def fingerprint(self) -> str:
        """Names the model exactly."""
        return self._embedder.fingerprint

    @property
    def wanted_size(self) -> int:
        """Decode photos so that both sides keep at least this many pixels."""
        return self._embedder.wanted_size

    def prepare(self, photo: Image) -> Prepared:
        """Do all that is done photo by photo."""
        return self._embedder.prepare(photo)

    def embed_prepared(self, batch: Sequence[Prepared]) -> Rows:
        """Take B prepared photos through the network, with those of others: (B, D) float32 rows for each space."""
        asked = [_Asked(prepared) for prepared in batch]
        self._waiting.extend(asked)
        for each in asked:
            while not each.done:
                with self._network:
                    if not each.done:  # then it still waits: whatever was taken is done before the network is free
                        self._run_some()
        failed = next((each.error for each in asked if each.error is not None), None)
        if failed is not None:
            raise failed
        rows = [each.rows for each in asked if each.rows is not None]
        return {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}

    def embed(self, photos: Sequence[Image]) -> Rows:
        """Prepare and run: (B, D) float32 unit rows for each space."""
        return self.embed_prepared([self.prepare(photo) for photo in photos])

    def _run_some(self) -> None:
        """Run the network on the photos that have waited longest."""
        taken = [self._waiting.popleft() for _ in range(min(self._largest, len(self._waiting)))]
        try:
            rows = self._embedder.embed_prepared([each.prepared for each in taken])
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            for each in taken:
                each.error = error
            return
        if self.observe is not None:
            self.observe(len(taken))
        for at, each in enumerate(taken):
            each.rows = {name: part[at : at + 1] for name, part in rows.items()}
