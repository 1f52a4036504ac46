"""Jobs, the photos that they wait for, and their JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from lookalike.moments import moment
from lookalike.types import JSON

State: TypeAlias = Literal["waiting", "added", "updated", "unchanged", "failed", "cancelled", "superseded"]
"""State of a photo: not fetched yet; written to the gallery; given up; or overtaken by a later write of its item."""

STATES: Final[tuple[State, ...]] = get_args(State)


@dataclass(frozen=True, slots=True)
class NewPhoto:
    """A photo to fetch.

    Attributes:
        line: Line of the request, from 1.
        item: Id of the item.
        url: Address of the photo.
        host: Host of the address, with its port if it has one.
        fields: What else is to be written of the item, as JSON.
    """

    line: int
    item: str
    url: str
    host: str
    fields: str


@dataclass(frozen=True, slots=True)
class WaitingPhoto(NewPhoto):
    """A photo that waits to be fetched.

    Attributes:
        number: Number of the photo in the file.
        job: Id of its job.
        tries: How often it was tried.
    """

    number: int
    job: str
    tries: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that could not be written.

    Attributes:
        line: Line of the request, from 1.
        item: Id of the item.
        url: Address of the photo, without what may be secret.
        tries: How often it was tried.
        code: Code of the error.
        message: What was wrong.
    """

    line: int
    item: str
    url: str
    tries: int
    code: str
    message: str

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "line": self.line,
            "id": self.item,
            "photo_url": self.url,
            "tries": self.tries,
            "error": {"code": self.code, "message": self.message},
        }


@dataclass(frozen=True, slots=True)
class Job:
    """The photos of one request.

    Attributes:
        id: Id of the job.
        created: When it was queued, seconds since 1970.
        finished: When its last photo was done, seconds since 1970; None while photos wait.
        cancelled: Whether it was cancelled.
        counts: Number of photos by state.
        retrying: Number of waiting photos that were tried before.
    """

    id: str
    created: float
    finished: float | None
    cancelled: bool
    counts: Mapping[State, int]
    retrying: int

    @property
    def state(self) -> str:
        """`running`, `finished` or `cancelled`."""
        return "cancelled" if self.cancelled else "running" if self.finished is None else "finished"

    def to_json(self, failures: Sequence[Failure] | None = None) -> dict[str, JSON]:
        """JSON form, the same for the command line and HTTP."""
        told: dict[str, JSON] = {
            "id": self.id,
            "state": self.state,
            "created": moment(self.created),
            "finished": None if self.finished is None else moment(self.finished),
            "total": sum(self.counts.values()),
            **{state: self.counts.get(state, 0) for state in STATES},
            "retrying": self.retrying,
        }
        if failures is not None:
            told["failures"] = [failure.to_json() for failure in failures]
        return told
