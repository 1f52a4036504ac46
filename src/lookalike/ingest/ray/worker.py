"""What runs on each machine of a cluster: one model, and shard after shard of photos that it describes."""

from __future__ import annotations

import os
import socket
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lookalike.embedding.batch_embedding import BATCH, embed_photos
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.embedding.projected import ProjectedEmbedder
from lookalike.embedding.protocol import Embedder
from lookalike.errors import LookalikeError, MismatchError
from lookalike.gallery.local.writes import in_words
from lookalike.ingest.ray.shards import Shard, read_result, read_work, write_result
from lookalike.ingest.report import PHASES
from lookalike.projection import Projection
from lookalike.remote import object_store
from lookalike.spaces import Space

if TYPE_CHECKING:
    import pyarrow as pa

ON_GPU: Final = 128
GPU_BYTES: Final = 4 * 2**30
"""Largest batch on a GPU, and the memory that every GPU is taken to have for it."""

TRIES: Final = 3
"""How often a shard is begun: machines are lost now and then, but not all of them by chance with the same shard."""

PER_INPUT: Final = 64
"""Bytes that a network needs at a time for each byte of its input, at most: ResNet-50 and MobileNetV2 at 224 x 224
need about 40."""


@dataclass(frozen=True, slots=True)
class Task:
    """What every worker of a run has to know; it travels to each of them.

    Attributes:
        models: `default`, or the name of a model's file and a reference to its bytes.
        runtime: As for `lookalike.open`.
        device: Likewise.
        spaces: What the models make, with the projections: a worker with others is of another version.
        source: Of the catalogue.
        projections: Of the gallery.
        shards: A folder or URL that keeps finished shards; None keeps none.
        batch: Photos for the network at once; None goes by the memory.
        workers: Threads that decode; None takes one for each processor of the worker.
        processors: Of the worker.
        memory: Of the worker, in bytes.
        gpu: Whether it has one.
        tries: An actor that is a `Tries`.
    """

    models: Sequence[tuple[str, Any]]
    runtime: str
    device: str
    spaces: tuple[Space, ...]
    source: str
    projections: Mapping[str, Projection] = field(default_factory=dict)
    shards: str | None = None
    batch: int | None = None
    workers: int | None = None
    processors: int = 1
    memory: int = 2**30
    gpu: bool = False
    tries: Any = None


class Tries:
    """Counts how often each shard was begun; Ray itself would try one that ends its process again for ever."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, name: str) -> int:
        """Count one more; says how many it makes."""
        self._begun[name] += 1
        return self._begun[name]


class ShardWorker:
    """Describes shards, one at a time; Ray starts it again when its process or machine is lost."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __call__(self, table: pa.Table) -> pa.Table:
        """Embed the shards of a block.

        Args:
            table: Their `name` and their `work`.

        Returns:
            Their `name`, the `result`, and the `error` that should end the run; neither for one that was begun
            `TRIES` times and never came to its end.
        """
        import pyarrow as pa
        import ray

        names, work = ([str(each) for each in table.column(column).to_pylist()] for column in ("name", "work"))
        results: list[bytes] = []
        errors: list[str] = []
        for name, text in zip(names, work, strict=True):
            result, told = b"", ""
            if ray.get(self._task.tries.begin.remote(name)) <= TRIES:
                try:
                    result = self.result(Shard(name, text, read_work(text)))
                except LookalikeError as error:  # Ray would wrap it in pages of its own
                    told = str(error)
            results.append(result)
            errors.append(told)
        kinds = {"name": pa.string(), "result": pa.large_binary(), "error": pa.string()}
        kind = pa.schema([pa.field(column, of) for column, of in kinds.items()])
        return pa.table({"name": names, "result": results, "error": errors}, schema=kind)

    def result(self, shard: Shard) -> bytes:
        """What becomes of a shard: found where finished shards are kept, or made, and then kept there."""
        task = self._task
        kept = None if task.shards is None else f"{task.shards.rstrip('/')}/{shard.name}.parquet"
        if kept is not None and object_store.exists(kept):
            data = object_store.read(kept)
            try:
                read_result(shard, data, task.spaces)
            except ValueError:
                pass  # damaged, so it is made once more
            else:
                return data
        _check_reach(shard)
        took = dict.fromkeys(PHASES, 0.0)
        workers = task.workers or task.processors
        outcomes = embed_photos(shard.work, took, embedder=self._embedder, batch=self._batch, workers=workers)
        data = write_result(outcomes, source=task.source, spaces=task.spaces, took=took)
        if kept is not None:
            object_store.write(kept, data)
        return data

    @cached_property
    def _embedder(self) -> Embedder:
        """Loads the models.

        Raises:
            MismatchError: They make something else here than where the run was started.
        """
        import ray

        task = self._task
        with tempfile.TemporaryDirectory() as folder:
            places = []
            for number, (name, reference) in enumerate(task.models):
                place = name
                if reference is not None:
                    path = Path(folder) / str(number) / name
                    path.parent.mkdir()
                    path.write_bytes(ray.get(reference))
                    place = str(path)
                places.append(place)
            networks = [
                open_network(place, runtime=task.runtime, device=task.device, threads=task.processors)
                for place in places
            ]
        embedder = PhotoEmbedder(*networks)
        projected = ProjectedEmbedder(embedder, task.projections) if task.projections else embedder
        if projected.spaces != task.spaces:
            raise MismatchError(
                f"a machine of the cluster makes {in_words(projected.spaces)}, and this one {in_words(task.spaces)}; "
                "install the same version of Lookalike on all of them"
            )
        return projected

    @cached_property
    def _batch(self) -> int:
        return self._task.batch or batch_for(self._embedder, memory=self._task.memory, gpu=self._task.gpu)


def _check_reach(shard: Shard) -> None:
    """See whether this machine has the folders that photos lie in; without them every photo would be skipped.

    Raises:
        LookalikeError: It has not.
    """
    for folder in sorted({work.item.root for work in shard.work if work.item.location != work.item.photo}):
        if "://" not in folder and not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir may raise
            raise LookalikeError(
                f"{socket.gethostname()}, a machine of the cluster, has no folder {folder}; photos must be in a store, "
                "or on a disk that all machines have at the same path"
            )


def batch_for(embedder: Embedder, *, memory: int, gpu: bool) -> int:
    """How many photos the network should get at once.

    Args:
        embedder: It is.
        memory: Of the worker, in bytes; a quarter of it may be taken.
        gpu: Whether the network runs on one; then it is its memory that counts.
    """
    photo = 3 * 4 * embedder.wanted_size**2 * PER_INPUT
    fits = (GPU_BYTES if gpu else memory // 4) // photo
    return max(1, min(ON_GPU if gpu else BATCH, fits))
