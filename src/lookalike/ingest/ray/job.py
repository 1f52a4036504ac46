"""Driver of `lookalike index --ray`: Ray Data sends shards to workers on all machines; results go to the gallery.

Only this process writes to the gallery. It commits shard by shard; committed items stay, and the next run continues
from there.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from lookalike.catalogue.protocol import Catalogue
from lookalike.embedding.batch_embedding import timed
from lookalike.embedding.model_choice import ModelFile
from lookalike.embedding.photo_reading import size_and_time
from lookalike.embedding.photo_tasks import Outcome, PhotoTask, Unreadable
from lookalike.embedding.protocol import Embedder
from lookalike.errors import LookalikeError, PhotoError, UsageError
from lookalike.finding.catalogue_finder import CatalogueFinder
from lookalike.gallery.protocol import Gallery
from lookalike.ingest.ray.cluster import Share, connected, import_ray, in_one_line, nodes, share_of
from lookalike.ingest.ray.shards import Shard, cut, read_result
from lookalike.ingest.ray.worker import ShardWorker, Task, Tries
from lookalike.remote import object_store

NO_FILE: Final = "no such file"
NOT_INSTALLED: Final = "No module named 'lookalike'"

WAVE, WAVE_OF_WORKER = 256, 32
"""Smallest number of shards that are given to Ray at a time, and shards for each worker. It limits how much of the
catalogue is in memory. Each wave starts new workers, which takes some seconds."""


class RayEmbedding:
    """Embeds photos on a Ray cluster; a `lookalike.embedding.photo_tasks.EmbedPhotos`."""

    def __init__(
        self,
        address: str,
        *,
        catalogue: Catalogue,
        embedder: Embedder,
        model: ModelFile | Embedder,
        gallery: Gallery,
        shards: str | None = None,
        batch: int | None = None,
        workers: int | None = None,
        finder: CatalogueFinder | None = None,
    ) -> None:
        """Plan a run.

        Args:
            address: Address of the cluster, `host:port`, or `auto`.
            catalogue: Catalogue of the photos.
            embedder: Embedder whose spaces the workers' embedders must have.
            model: Model of the embedder.
            gallery: Gallery with the stored model and projections.
            shards: A folder or URL that every machine reaches and that keeps finished shards until the run is complete.
            batch: Batch size of the network.
            workers: Decoding threads of each worker.
            finder: Finds the garments to embed; None embeds whole photos.

        Raises:
            UsageError: The model is an embedder of this process, which cannot be sent to others.
        """
        if not isinstance(model, ModelFile):
            raise UsageError("a Ray cluster needs a model that can be sent to it: open the gallery with a model's name")
        self._address, self._count = address, catalogue.count
        self._models = [
            (name, None) if name == "default" else (Path(name).name, Path(name)) for name in model.named(gallery.model)
        ]
        self._finder = None if finder is None else finder.file
        self._finished: list[str] = []
        self._task = Task(
            models=(),
            runtime=model.runtime,
            device=model.device,
            spaces=embedder.spaces,
            source=catalogue.source,
            projections=dict(gallery.projections),
            shards=shards if shards is None or "://" in shards else str(Path(shards).absolute()),
            batch=batch,
            workers=workers,
        )

    def __call__(
        self,
        work: Iterable[PhotoTask],
        seconds: MutableMapping[str, float],
        *,
        known: Collection[bytes] | None = None,
    ) -> Generator[Outcome, None, None]:
        """Embed photos; see `lookalike.embedding.photo_tasks.EmbedPhotos`.

        Raises:
            MissingExtraError: Ray is not installed.
            UsageError: There is no cluster at the address.
            LookalikeError: The cluster was lost.
        """
        shards = cut(work, count=self._count, spaces=self._task.spaces)
        first = next(shards, None)
        if first is None:
            return  # nothing to embed, so no cluster is needed
        import_ray()
        import ray

        with ExitStack() as connection:
            with timed(seconds, "wait"):
                connection.enter_context(connected(self._address))
            share = share_of(nodes(), device=self._task.device)
            task = replace(
                self._task,
                models=[(name, None if place is None else ray.put(place.read_bytes())) for name, place in self._models],
                finder=None if self._finder is None else ray.put(self._finder.read_bytes()),
                known=None if known is None else ray.put(frozenset(known)),
                processors=share.processors,
                memory=share.memory,
                gpu=share.gpus > 0,
                tries=ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Tries).remote(),
            )
            shards, size = chain([first], shards), max(WAVE, WAVE_OF_WORKER * share.workers)
            while wave := list(islice(shards, size)):
                yield from self._wave(wave, task, share, seconds)

    def clear(self) -> None:
        """Remove the kept shards of this run, once the gallery has all that is in them."""
        if self._task.shards is None:
            return
        for name in self._finished:
            object_store.remove(f"{self._task.shards.rstrip('/')}/{name}.parquet")

    def _wave(
        self, shards: Sequence[Shard], task: Task, share: Share, seconds: MutableMapping[str, float]
    ) -> Iterator[Outcome]:
        """Embed some shards. One that is lost with each worker is halved, down to the photo that ends them."""
        lost = {shard.name: shard for shard in shards}
        for name, data in _results(list(lost.values()), task, share, seconds):
            shard = lost.pop(name)
            outcomes, took = read_result(shard, data, task.spaces)
            seconds["decode"] += took["decode"]
            self._finished.append(name)
            yield from map(_seen_from_here, outcomes)
        if len(lost) == len(shards) > 1:
            raise LookalikeError(
                "the workers of the cluster were lost, each several times; give them more memory or a smaller --batch"
            )
        again: list[Shard] = []
        for shard in lost.values():
            halves = shard.halves(task.spaces)
            again += halves
            if not halves:
                item = shard.work[0].item
                yield Unreadable(item, PhotoError(item.location, "the process that reads it is lost, each time"))
        if again:
            yield from self._wave(again, task, share, seconds)


def _seen_from_here(outcome: Outcome) -> Outcome:
    """Explain a photo that a worker did not find and this machine has."""
    if isinstance(outcome, Unreadable) and outcome.error.reason == NO_FILE and size_and_time(outcome.item.location):
        reason = f"{NO_FILE} on the machine of the cluster that was to read it, though there is one here"
        return Unreadable(outcome.item, PhotoError(outcome.error.source, reason))
    return outcome


def _results(
    shards: Sequence[Shard], task: Task, share: Share, seconds: MutableMapping[str, float]
) -> Iterator[tuple[str, bytes]]:
    """Send shards to workers, and yield names and results as they come; shards lost each time are left out."""
    import ray.data
    from ray.exceptions import RayError, RayTaskError

    rows = [{"name": shard.name, "work": shard.text} for shard in shards]
    described = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        ShardWorker,
        fn_constructor_kwargs={"task": task},
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(share.workers, len(rows))),
        num_cpus=share.processors,
        num_gpus=share.gpus,
    )
    tables: Iterator[Any] = iter(described.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
    while True:
        with timed(seconds, "wait"):
            try:
                table = next(tables, None)
            except RayTaskError as error:
                if NOT_INSTALLED not in str(error):
                    raise
                raise LookalikeError(
                    "a machine of the cluster has no Lookalike; install the same version on all of them"
                ) from None
            except RayError as error:
                raise LookalikeError(f"the Ray cluster was lost: {in_one_line(error)}") from error
        if table is None:
            return
        for name, data, told in zip(*(table.column(each).to_pylist() for each in table.column_names), strict=True):
            if told:
                raise LookalikeError(told)
            if data:
                yield name, data
