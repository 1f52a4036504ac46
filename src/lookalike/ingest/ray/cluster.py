"""Connection to a Ray cluster, and the share of it that each worker gets."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, cast

from lookalike.errors import MissingExtraError, UsageError

ANY: Final = "auto"
"""Address of the cluster that runs on this machine; without one, a cluster of this machine alone is started."""

CLIENT: Final = "ray://"
KNOCK_S: Final = 10.0
"""Timeout of the first connection to a cluster, seconds."""

WAIT: Final = "RAY_gcs_server_port_wait_time_s"
TRIES_TO_CONNECT: Final = "3"
"""Ray's number of tries, about a second each; its default is 20."""

LAST_PORT: Final = 65_535

QUIET: Final[Mapping[str, str]] = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # it reports lost machines on standard output, which is for results
}


@dataclass(frozen=True, slots=True)
class Share:
    """Resources of one worker.

    Attributes:
        processors: Number of processors.
        gpus: Number of GPUs.
        memory: Bytes.
        workers: Number of workers in the cluster.
    """

    processors: int
    gpus: int
    memory: int
    workers: int


def share_of(nodes: Sequence[Mapping[str, Any]], *, device: str) -> Share:
    """Divide a cluster among workers: each has one GPU and its part of the processors, or one processor.

    Args:
        nodes: Result of `ray.nodes()`.
        device: `cpu` leaves the GPUs alone.

    Raises:
        UsageError: No machine has the processors or GPUs that are needed.
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


def nodes() -> Sequence[Mapping[str, Any]]:
    """Machines of the connected cluster, as Ray describes them."""
    import ray

    ask: Any = ray.nodes  # Ray has no types for it
    return cast(Sequence[Mapping[str, Any]], ask())


def import_ray() -> None:
    """Import Ray with `QUIET`, which it reads at import; variables that the user has set stay.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray.data  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("lookalike"):
            raise
        raise MissingExtraError("embedding photos on a Ray cluster", "ray") from error


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to a cluster; an open connection is used and stays open.

    Raises:
        UsageError: There is no cluster at the address, or it refuses the connection.
    """
    import ray
    from ray.data import DataContext
    from ray.exceptions import RayError

    if began := not ray.is_initialized():
        if address != ANY:
            _knock(address)
        try:
            with _speechless(), _few_tries() if address != ANY else nullcontext():
                ray.init(None if address == ANY else address, logging_level=logging.ERROR, log_to_driver=False)
        except (RayError, ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(_why_not_connected(address, error)) from None
    context = DataContext.get_current()
    before, context.enable_progress_bars = context.enable_progress_bars, False
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # the report lists failures
    try:
        yield
    finally:
        logger.setLevel(level)
        context.enable_progress_bars = before
        if began:
            ray.shutdown()


@contextmanager
def _few_tries() -> Iterator[None]:
    """Limit Ray to a few seconds for an address that accepts connections and does not answer."""
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
    """Silence Ray's native part, which writes to standard error directly."""
    spoken, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(spoken, 2)
        for descriptor in (spoken, nowhere):
            os.close(descriptor)


def _why_not_connected(address: str, error: BaseException) -> str:
    """Cause of a failed connection in one line; Ray hides it in the text of an error that it has caught."""
    if any(word in f"{error!r} {error.__context__!r}" for word in ("AuthenticationError", "InvalidAuthToken")):
        return (
            f"the Ray cluster at {address} wants its token: set RAY_AUTH_MODE=token, "
            "and copy ~/.ray/auth_token here from its first machine"
        )
    return f"no Ray cluster can be reached at {address}: {in_one_line(error)}"


def in_one_line(error: BaseException) -> str:
    """Message of an error without line breaks."""
    return " ".join(str(error).split())


def _knock(address: str) -> None:
    """Check that an address accepts connections; Ray itself would try for minutes.

    Raises:
        UsageError: It does not, or it is not an address.
    """
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not host or not port.isdecimal() or int(port) > LAST_PORT:
        raise UsageError(f"a Ray cluster has an address such as 192.168.1.7:6379, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"no Ray cluster can be reached at {address}: {reason}") from None
