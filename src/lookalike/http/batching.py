"""Micro-batching: photos of simultaneous requests go through the network together.

Nobody waits for a batch to fill. While the network runs, photos gather; when it is free it takes all of them, up to a
limit. So a lone request is as quick as ever, and many are quicker together.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeAlias

import numpy as np
from PIL.Image import Image

from lookalike.embedding.protocol import Embedder, Prepared
from lookalike.spaces import Space
from lookalike.types import Float32

Rows: TypeAlias = dict[str, Float32]


class BatchingEmbedder:
    """An embedder for many threads at once, made of one that runs its network for one caller at a time.

    Implements `lookalike.embedding.protocol.Embedder`.

    Attributes:
        observe: Is told the size of each batch.
    """

    def __init__(self, embedder: Embedder, *, largest: int) -> None:
        """Start the thread that runs the network.

        Args:
            embedder: The one that does the work.
            largest: Most photos of a batch.
        """
        self.observe: Callable[[int], None] | None = None
        self._embedder, self._largest = embedder, largest
        self._asked: queue.SimpleQueue[tuple[Prepared, Future[Rows]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="lookalike-network", daemon=True)
        self._thread.start()

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
        """Do all that is done photo by photo, in the caller's thread."""
        return self._embedder.prepare(photo)

    def embed_prepared(self, batch: Sequence[Prepared]) -> Rows:
        """Hand B prepared photos to the network's thread and wait: (B, D) float32 unit rows for each space."""
        futures: list[Future[Rows]] = [Future() for _ in batch]
        for asked in zip(batch, futures, strict=True):
            self._asked.put(asked)
        rows = [future.result() for future in futures]
        return {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}

    def embed(self, photos: Sequence[Image]) -> Rows:
        """Prepare and run: (B, D) float32 unit rows for each space."""
        return self.embed_prepared([self.prepare(photo) for photo in photos])

    def close(self) -> None:
        """Run what has been handed in, then stop the thread."""
        self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._asked.get()) is not None:
            batch = [first]
            while len(batch) < self._largest:
                try:
                    following = self._asked.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    self._asked.put(None)
                    break
                batch.append(following)
            self._answer(batch)

    def _answer(self, batch: list[tuple[Prepared, Future[Rows]]]) -> None:
        try:
            rows = self._embedder.embed_prepared([prepared for prepared, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            for _, future in batch:
                future.set_exception(error)
            return
        if self.observe is not None:
            self.observe(len(batch))
        for at, (_, future) in enumerate(batch):
            future.set_result({name: part[at : at + 1] for name, part in rows.items()})
