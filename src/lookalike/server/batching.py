"""Micro-batching: photos of simultaneous requests are embedded together.

No request waits for a batch to fill. If the network is idle, the thread of a request runs it at once; photos that
arrive meanwhile are queued, and when the network is idle again a waiting thread runs it on the whole queue, up to a
limit. A single request is not delayed, and simultaneous ones share a run. There is no dedicated thread:
passing photos and vectors between threads costs more than a small network itself.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from lookalike.embedding.calibration import Calibration
from lookalike.embedding.protocol import Embedder, Embeddings, PhotoMap, Prepared
from lookalike.spaces import Space
from lookalike.types import Float32


@dataclass(slots=True, eq=False)
class _Pending:
    """A photo that is queued or being embedded."""

    prepared: Prepared
    taken: bool = False
    embedded: Embeddings | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.embedded is not None or self.error is not None


class BatchingEmbedder:
    """Thread-safe embedder that batches the calls of simultaneous threads.

    Implements `lookalike.embedding.protocol.Embedder`.

    Attributes:
        observe: Called with the size of each batch.
        concurrent: Always True: any number of threads may call.
        parallel_calls: Batches that run at the same time.
        gathers: Whether photos of several threads should gather for a batch: the network runs one at a time.
    """

    def __init__(self, embedder: Embedder, *, largest: int, at_once: int = 1, gathers: bool = True) -> None:
        """Wrap an embedder.

        Args:
            embedder: Embedder that runs the network.
            largest: Largest batch size.
            at_once: Batches that run at the same time; above 1 for a `concurrent` embedder only.
            gathers: See the attribute.
        """
        self.observe: Callable[[int], None] | None = None
        self.concurrent, self.gathers = True, gathers
        self._embedder, self._largest = embedder, largest
        self._waiting: deque[_Pending] = deque()
        self._changed = threading.Condition()  # guards the queue, the free slots and the pending photos
        self._free = self.parallel_calls = at_once

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Spaces of the vectors."""
        return self._embedder.spaces

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model."""
        return self._embedder.fingerprint

    @property
    def wanted_size(self) -> int:
        """Least side of decoded photos, in pixels."""
        return self._embedder.wanted_size

    @property
    def labels(self) -> Mapping[str, Sequence[str]]:
        """Class names by head."""
        return self._embedder.labels

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of the model."""
        return self._embedder.calibration

    def prepare(self, photo: Image) -> Prepared:
        """Prepare one photo for the network."""
        return self._embedder.prepare(photo)

    def embed_prepared(self, batch: Sequence[Prepared]) -> Embeddings:
        """Embed B prepared photos, together with those of other threads."""
        pending = [_Pending(prepared) for prepared in batch]
        with self._changed:
            self._waiting.extend(pending)
        while taken := self._turn(pending):
            self._run(taken)
        failed = next((each.error for each in pending if each.error is not None), None)
        if failed is not None:
            raise failed
        done = [each.embedded for each in pending if each.embedded is not None]
        return Embeddings(joined([each.vectors for each in done]), joined([each.labels for each in done]))

    def embed(self, photos: Sequence[Image]) -> dict[str, Float32]:
        """Prepare and run: (B, D) float32 unit rows for each space."""
        return self.embed_prepared([self.prepare(photo) for photo in photos]).vectors

    def map_of(self, photo: Image) -> PhotoMap:
        """Last feature map of a photo, computed when the network is idle, and not in a batch."""
        with self._changed:
            while not self._free:
                self._changed.wait()
            self._free -= 1
        try:
            return self._embedder.map_of(photo)
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _turn(self, pending: Sequence[_Pending]) -> list[_Pending]:
        """Wait until these photos are done, or it is this thread's turn to run the network.

        Returns:
            The batch to run: the photos that have waited longest. Empty when all of these photos are done.
        """
        with self._changed:
            while not all(each.done for each in pending):
                if self._free and not all(each.taken for each in pending):
                    self._free -= 1
                    taken = [self._waiting.popleft() for _ in range(min(self._largest, len(self._waiting)))]
                    for each in taken:
                        each.taken = True
                    return taken
                self._changed.wait()
        return []

    def _run(self, taken: Sequence[_Pending]) -> None:
        """Run the network on a batch, and wake the waiting threads."""
        embedded: Embeddings | None = None
        failed: BaseException = RuntimeError("the network was interrupted")
        try:
            embedded = self._embedder.embed_prepared([each.prepared for each in taken])
        except Exception as error:  # noqa: BLE001 - raised again in the waiting threads
            failed = error
        finally:  # no thread waits in vain
            with self._changed:
                for at, each in enumerate(taken):
                    if embedded is not None:
                        each.embedded = Embeddings(row_of(embedded.vectors, at), row_of(embedded.labels, at))
                    else:
                        each.error = failed
                self._free += 1
                self._changed.notify_all()
        if embedded is not None and self.observe is not None:
            self.observe(len(taken))


def joined(parts: Sequence[Mapping[str, Float32]]) -> dict[str, Float32]:
    """Concatenate rows by name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def row_of(rows: Mapping[str, Float32], at: int) -> dict[str, Float32]:
    """Rows of one photo by name, (1, D) each."""
    return {name: part[at : at + 1] for name, part in rows.items()}
