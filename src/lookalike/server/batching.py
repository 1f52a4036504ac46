"""Micro-batching: photos of simultaneous requests go through the network together.

Nobody waits for a batch to fill. A photo that finds the network free goes through it at once, in the thread that brings
it; while the network runs, photos gather, and when it is free again, one of those who wait takes all of them, up to a
limit, through it. So a lone request is as quick as ever, and many are quicker together. There is no thread that does
nothing else: handing photos to it and rows back costs more than a small network itself.
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
    taken: bool = False
    rows: Rows | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.rows is not None or self.error is not None


class BatchingEmbedder:
    """An embedder for any number of threads, made of one that runs its network for a few at a time.

    Implements `lookalike.embedding.protocol.Embedder`.

    Attributes:
        observe: Is told the size of each batch.
        concurrent: Always True: any number of threads may call.
    """

    def __init__(self, embedder: Embedder, *, largest: int, at_once: int = 1) -> None:
        """Wrap an embedder.

        Args:
            embedder: The one that does the work.
            largest: Most photos of a batch.
            at_once: Batches that the network is run on at the same time; above 1 for a `concurrent` embedder only.
        """
        self.observe: Callable[[int], None] | None = None
        self.concurrent = True
        self._embedder, self._largest = embedder, largest
        self._waiting: deque[_Asked] = deque()
        self._changed = threading.Condition()  # guards what waits, what is free, and all that is noted of a photo
        self._free = at_once

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
        with self._changed:
            self._waiting.extend(asked)
        while taken := self._turn(asked):
            self._run(taken)
        failed = next((each.error for each in asked if each.error is not None), None)
        if failed is not None:
            raise failed
        rows = [each.rows for each in asked if each.rows is not None]
        return {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}

    def embed(self, photos: Sequence[Image]) -> Rows:
        """Prepare and run: (B, D) float32 unit rows for each space."""
        return self.embed_prepared([self.prepare(photo) for photo in photos])

    def _turn(self, asked: Sequence[_Asked]) -> list[_Asked]:
        """Wait until these photos are done, or it is their thread's turn to run the network.

        Returns:
            The photos that have waited longest, to be run on now; none when all that were asked for are done.
        """
        with self._changed:
            while not all(each.done for each in asked):
                if self._free and not all(each.taken for each in asked):
                    self._free -= 1
                    taken = [self._waiting.popleft() for _ in range(min(self._largest, len(self._waiting)))]
                    for each in taken:
                        each.taken = True
                    return taken
                self._changed.wait()
        return []

    def _run(self, taken: Sequence[_Asked]) -> None:
        """Run the network on photos, and tell those who wait."""
        rows: Rows = {}
        failed: BaseException = RuntimeError("the network was interrupted")
        try:
            rows = self._embedder.embed_prepared([each.prepared for each in taken])
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            failed = error
        finally:  # whatever happened, nobody waits in vain
            with self._changed:
                for at, each in enumerate(taken):
                    if rows:
                        each.rows = {name: part[at : at + 1] for name, part in rows.items()}
                    else:
                        each.error = failed
                self._free += 1
                self._changed.notify_all()
        if rows and self.observe is not None:
            self.observe(len(taken))
