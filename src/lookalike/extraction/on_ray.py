"""`lookalike index --ray`: Ray Data hands shards to workers on all machines, and what comes back goes to the gallery.

Only the gallery's own writer writes, here, and commits shard by shard; what is committed stays, and the next run goes
on from there.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from lookalike.catalogue.protocol import Catalogue
from lookalike.embedding.describing import Outcome, Refused, Work, timed
from lookalike.embedding.model_file import ModelFile
from lookalike.embedding.protocol import Embedder
from lookalike.errors import LookalikeError, MissingExtraError, PhotoError, UsageError
from lookalike.extraction.shards import Shard, cut, read_result
from lookalike.extraction.worker import ShardWorker, Task, Tries
from lookalike.gallery.protocol import Gallery
from lookalike.remote import stores

ANY: Final = "auto"
"""The address of whatever cluster runs on this machine; where none does, one of this machine alone is started."""

CLIENT: Final = "ray://"
KNOCK_S: Final = 10.0
WAIT: Final = "RAY_gcs_server_port_wait_time_s"
TRIES_TO_CONNECT: Final = "3"
"""Ray's own setting, about a second for each; by itself it makes 20."""

LAST_PORT: Final = 65_535

WAVE: Final = 256
"""Shards that are handed to Ray at a time: it bounds what of the catalogue is in memory, however long it is."""


@dataclass(frozen=True, slots=True)
class Share:
    """What of a machine one worker gets.

    Attributes:
        processors: How many.
        gpus: How many.
        memory: Bytes.
        workers: How many such shares the cluster has.
    """

    processors: int
    gpus: int
    memory: int
    workers: int


class OnRay:
    """Describes photos on a Ray cluster; it is a `lookalike.embedding.describing.Describe`."""

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
    ) -> None:
        """Plan a run.

        Args:
            address: Of the cluster, `host:port`, or `auto`.
            catalogue: What is to be described.
            embedder: What the workers' must equal.
            model: Which model that is.
            gallery: Remembers a model, and has projections.
            shards: A folder or URL that every machine reaches and that keeps finished shards until the run is complete.
            batch: Photos for a network at once.
            workers: Threads that decode, of each worker.

        Raises:
            UsageError: The embedder is an object of this process, of no model that could be sent to others.
        """
        if not isinstance(model, ModelFile):
            raise UsageError("a Ray cluster needs a model that can be sent to it: open the gallery with a model's name")
        self._address, self._count = address, catalogue.count
        self._models = [
            (name, None) if name == "default" else (Path(name).name, Path(name)) for name in model.named(gallery.model)
        ]
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

    def __call__(self, work: Iterable[Work], seconds: MutableMapping[str, float]) -> Generator[Outcome, None, None]:
        """Describe photos; see `lookalike.embedding.describing.Describe`.

        Raises:
            MissingExtraError: Ray is not installed.
            UsageError: There is no cluster at the address.
            LookalikeError: The cluster was lost.
        """
        shards = cut(work, count=self._count, spaces=self._task.spaces)
        wave = list(islice(shards, WAVE))
        if not wave:
            return  # all is known, and no cluster is needed to say so
        _import_ray()
        import ray

        with ExitStack() as connection:
            with timed(seconds, "wait"):
                connection.enter_context(_connected(self._address))
            share = share_of(_nodes(), device=self._task.device)
            task = replace(
                self._task,
                models=[(name, None if place is None else ray.put(place.read_bytes())) for name, place in self._models],
                processors=share.processors,
                memory=share.memory,
                gpu=share.gpus > 0,
                tries=ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Tries).remote(),
            )
            while wave:
                yield from self._wave(wave, task, share, seconds)
                wave = list(islice(shards, WAVE))

    def clear(self) -> None:
        """Remove the kept shards of this run, once the gallery has all that is in them."""
        if self._task.shards is None:
            return
        for name in self._finished:
            stores.remove(f"{self._task.shards.rstrip('/')}/{name}.parquet")

    def _wave(
        self, shards: Sequence[Shard], task: Task, share: Share, seconds: MutableMapping[str, float]
    ) -> Iterator[Outcome]:
        """Describe some shards. One that is lost with each worker is halved, down to the photo that ends them."""
        lost = {shard.name: shard for shard in shards}
        for name, data in _results(list(lost.values()), task, share, seconds):
            shard = lost.pop(name)
            outcomes, took = read_result(shard, data, task.spaces)
            seconds["decode"] += took["decode"]
            self._finished.append(name)
            yield from outcomes
        if len(lost) == len(shards) > 1:
            raise LookalikeError("the workers of the cluster were lost, each several times; is there memory enough?")
        again: list[Shard] = []
        for shard in lost.values():
            halves = shard.halves(task.spaces)
            again += halves
            if not halves:
                item = shard.work[0].item
                yield Refused(item, PhotoError(item.location, "the process that reads it is lost, each time"))
        if again:
            yield from self._wave(again, task, share, seconds)


def _results(
    shards: Sequence[Shard], task: Task, share: Share, seconds: MutableMapping[str, float]
) -> Iterator[tuple[str, bytes]]:
    """Hand shards to workers: names and results as they come; those that were lost again and again do not."""
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
            except RayTaskError:
                raise
            except RayError as error:
                raise LookalikeError(f"the Ray cluster was lost: {str(error).splitlines()[0]}") from error
        if table is None:
            return
        for name, data, told in zip(*(table.column(each).to_pylist() for each in table.column_names), strict=True):
            if told:
                raise LookalikeError(told)
            if data:
                yield name, data


def _nodes() -> Sequence[Mapping[str, Any]]:
    import ray

    nodes: Any = ray.nodes  # it has no types
    return cast(Sequence[Mapping[str, Any]], nodes())


def share_of(nodes: Sequence[Mapping[str, Any]], *, device: str) -> Share:
    """Divide a cluster among workers: each has one GPU and its part of the processors, or one processor.

    Args:
        nodes: As `ray.nodes()` describes them.
        device: `cpu` leaves the GPUs alone.

    Raises:
        UsageError: There is nothing to divide.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    with_gpus = [each for each in alive if each.get("GPU", 0) >= 1 and each.get("CPU", 0) >= 1 and device != "cpu"]
    if device == "cuda" and not with_gpus:
        raise UsageError("there is no GPU in the cluster")
    machines = with_gpus or [each for each in alive if each.get("CPU", 0) >= 1]
    if not machines:
        raise UsageError("no machine of the cluster has a processor for work; start them with --num-cpus")
    shares = [int(each["GPU"] if with_gpus else each["CPU"]) for each in machines]
    return Share(
        processors=min(max(1, int(each["CPU"]) // count) for each, count in zip(machines, shares, strict=True)),
        gpus=1 if with_gpus else 0,
        memory=int(min(each.get("memory", 2**30) / count for each, count in zip(machines, shares, strict=True))),
        workers=sum(shares),
    )


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """Be connected to a cluster; a connection that there is already is used, and stays."""
    import ray
    from ray.data import DataContext
    from ray.exceptions import RayError

    if began := not ray.is_initialized():
        if address != ANY:
            _knock(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        try:
            with _speechless(), _few_tries() if address != ANY else nullcontext():
                ray.init(None if address == ANY else address, logging_level=logging.ERROR, log_to_driver=False)
        except (RayError, ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(_why_not_connected(address, error)) from None
    context = DataContext.get_current()
    before, context.enable_progress_bars = context.enable_progress_bars, False
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # what fails is told by the report
    try:
        yield
    finally:
        logger.setLevel(level)
        context.enable_progress_bars = before
        if began:
            ray.shutdown()


@contextmanager
def _few_tries() -> Iterator[None]:
    """Have Ray give up on an address after a few seconds, where somebody listens who does not let it in."""
    if WAIT in os.environ:
        yield
        return
    os.environ[WAIT] = TRIES_TO_CONNECT
    try:
        yield
    finally:
        del os.environ[WAIT]


@contextmanager
def _speechless() -> Iterator[None]:
    """Keep Ray's native part, which writes to C's standard error, past Python, from telling how it connects."""
    spoken, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(spoken, 2)
        for descriptor in (spoken, nowhere):
            os.close(descriptor)


def _why_not_connected(address: str, error: BaseException) -> str:
    """What keeps Ray from a cluster, in one line. It hides the cause in the text of an error that it has caught."""
    if any(word in f"{error!r} {error.__context__!r}" for word in ("AuthenticationError", "InvalidAuthToken")):
        return (
            f"the Ray cluster at {address} wants its token: set RAY_AUTH_MODE=token, "
            "and copy ~/.ray/auth_token here from its first machine"
        )
    return f"no Ray cluster can be reached at {address}: {str(error).splitlines()[0]}"


def _knock(address: str) -> None:
    """See whether anybody listens at an address: Ray itself would go on asking for minutes.

    Raises:
        UsageError: Nobody does, or it is no address.
    """
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not host or not port.isdecimal() or int(port) > LAST_PORT:
        raise UsageError(f"a Ray cluster has an address such as 192.168.1.7:6379, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"no Ray cluster can be reached at {address}: {reason}") from None


def _import_ray() -> None:
    try:
        import ray.data  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("lookalike"):
            raise
        raise MissingExtraError("describing photos on a Ray cluster", "ray") from error
