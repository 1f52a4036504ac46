"""Worker of a Ray cluster: loads one model and embeds shards of photos."""

from __future__ import annotations

import os
import socket
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
from lookalike.finding.catalogue_finder import CatalogueFinder
from lookalike.finding.finder import Finder
from lookalike.ingest.ray.shards import Shard, read_result, read_work, reused_keys, write_result
from lookalike.ingest.report import PHASES
from lookalike.projection import Projection
from lookalike.remote import object_store
from lookalike.spaces import Space, format_spaces

if TYPE_CHECKING:
    import pyarrow as pa

ON_GPU: Final = 128
GPU_BYTES: Final = 4 * 2**30
"""Largest batch on a GPU, and GPU memory that is assumed to be free, bytes."""

TRIES: Final = 3
"""Number of starts after which a shard counts as the cause of lost machines."""

PER_INPUT: Final = 64
"""Largest memory of a network for each byte of its input; ResNet-50 and MobileNetV2 at 224 x 224 need about 40."""


@dataclass(frozen=True, slots=True)
class Task:
    """Settings of a run, sent to every worker.

    Attributes:
        models: `default`, or the name of a model's file and a reference to its bytes.
        runtime: Runtime, see `lookalike.open`.
        device: Device, see `lookalike.open`.
        spaces: Spaces of the models and projections; a worker with other spaces has another version.
        source: Source of the catalogue.
        projections: Projections of the gallery.
        shards: A folder or URL that keeps finished shards; None keeps none.
        batch: Photos for the network at once; None goes by the memory.
        workers: Threads that decode; None takes one for each processor of the worker.
        processors: Processors of the worker.
        memory: Memory of the worker, bytes.
        gpu: Whether the worker has a GPU.
        tries: Actor of class `Tries`.
        finder: Reference to the bytes of a finder's file; None embeds whole photos.
        known: Reference to the keys of the contents that need not be embedded; None embeds all photos.
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
    finder: Any = None
    known: Any = None


class Tries:
    """Counts how often each shard was started; Ray repeats a shard that kills its process without limit."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, name: str) -> int:
        """Count one start; returns the number of starts."""
        self._begun[name] += 1
        return self._begun[name]


class ShardWorker:
    """Embeds shards, one at a time; Ray restarts it when its process or machine is lost."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __call__(self, table: pa.Table) -> pa.Table:
        """Embed the shards of a block.

        Args:
            table: Columns `name` and `work`.

        Returns:
            Columns `name`, `result`, and `error`, which ends the run. Both are empty for a shard that was started
            `TRIES` times and never finished.
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
                except LookalikeError as error:  # Ray would wrap it in a long traceback
                    told = str(error)
            results.append(result)
            errors.append(told)
        kinds = {"name": pa.string(), "result": pa.large_binary(), "error": pa.string()}
        kind = pa.schema([pa.field(column, of) for column, of in kinds.items()])
        return pa.table({"name": names, "result": results, "error": errors}, schema=kind)

    def result(self, shard: Shard) -> bytes:
        """Result of a shard: read from the finished shards, or computed and stored there."""
        task = self._task
        kept = None if task.shards is None else f"{task.shards.rstrip('/')}/{shard.name}.parquet"
        if kept is not None and object_store.exists(kept):
            data = object_store.read(kept)
            try:
                outcomes, _ = read_result(shard, data, task.spaces)
            except ValueError:
                pass  # damaged, so it is computed again
            else:
                if all(key in self._known for key in reused_keys(outcomes)):  # the gallery may have lost one since
                    return data
        _check_reach(shard)
        took = dict.fromkeys(PHASES, 0.0)
        workers = task.workers or task.processors
        embedded = embed_photos(
            shard.work,
            took,
            embedder=self._embedder,
            batch=self._batch,
            workers=workers,
            finder=self._finder,
            known=None if task.known is None else self._known,
        )
        data = write_result(
            embedded, source=task.source, spaces=task.spaces, took=took, with_garments=shard.with_garments
        )
        if kept is not None:
            object_store.write(kept, data)
        return data

    @cached_property
    def _embedder(self) -> Embedder:
        """Load the models.

        Raises:
            MismatchError: Their spaces differ from those of the machine that started the run.
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
                f"a machine of the cluster makes {format_spaces(projected.spaces)}, "
                f"and this one {format_spaces(task.spaces)}; "
                "install the same version of Lookalike on all of them"
            )
        return projected

    @cached_property
    def _known(self) -> Collection[bytes]:
        """Fetch the keys of known contents."""
        import ray

        known: Collection[bytes] = () if self._task.known is None else ray.get(self._task.known)
        return known

    @cached_property
    def _finder(self) -> CatalogueFinder | None:
        """Load the finder."""
        import ray

        if self._task.finder is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "finder.onnx"
            path.write_bytes(ray.get(self._task.finder))
            return CatalogueFinder(Finder(path))

    @cached_property
    def _batch(self) -> int:
        return self._task.batch or batch_for(self._embedder, memory=self._task.memory, gpu=self._task.gpu)


def _check_reach(shard: Shard) -> None:
    """Check that this machine has the folders of the photos; every photo would be skipped without them.

    Raises:
        LookalikeError: A folder is missing.
    """
    for folder in sorted({work.item.root for work in shard.work if work.item.location != work.item.photo}):
        if "://" not in folder and not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir may raise
            raise LookalikeError(
                f"{socket.gethostname()}, a machine of the cluster, has no folder {folder}; photos must be in a store, "
                "or on a disk that all machines have at the same path"
            )


def batch_for(embedder: Embedder, *, memory: int, gpu: bool) -> int:
    """Batch size of the network.

    Args:
        embedder: Embedder with the network.
        memory: Memory of the worker, bytes; a quarter of it may be used.
        gpu: Whether the network runs on a GPU; its memory counts then.
    """
    photo = 3 * 4 * embedder.wanted_size**2 * PER_INPUT
    fits = (GPU_BYTES if gpu else memory // 4) // photo
    return max(1, min(ON_GPU if gpu else BATCH, fits))
