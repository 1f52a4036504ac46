"""The queue of photos to fetch: at most one waiting photo for each item, in jobs."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lookalike.errors import UnknownNameError
from lookalike.jobs.database import JobDatabase
from lookalike.jobs.job import Failure, Job, NewPhoto, State, WaitingPhoto
from lookalike.remote.addresses import shown
from lookalike.storage.json_texts import json_texts

KEPT_S: Final = 7 * 86_400.0
"""Seconds for which finished jobs are kept."""

KEPT_PHOTOS: Final = 1_000_000
"""Photos of finished jobs that are kept, of the latest jobs."""

LONGEST_MESSAGE: Final = 500

COLUMNS: Final = "photos.line, item, url, host, fields, photos.number, jobs.id, tries"
WAITING: Final = f"SELECT {COLUMNS} FROM photos JOIN jobs ON jobs.number = photos.job WHERE state = 'waiting'"


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a waiting photo.

    Attributes:
        number: Number of the photo.
        state: Its last state.
        code: Code of an error; empty without one.
        message: What was wrong.
    """

    number: int
    state: State
    code: str = ""
    message: str = ""


class JobQueue:
    """Jobs of one gallery in a file. Thread-safe; other processes may read it.

    Args:
        path: Path of the file.
        create: Create it if it is missing, and allow writing; else it is only read.

    Raises:
        LookalikeError: The file cannot be opened.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._database = JobDatabase(path, create=create)

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self._database.path

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, photos: Sequence[NewPhoto]) -> str:
        """Queue photos of distinct items in a new job, in place of those that their items wait for. Returns its id."""
        now, job_id = time.time(), secrets.token_hex(8)
        with self._database.writing() as connection:
            overtaken = _end_of_items(connection, [photo.item for photo in photos])
            number = connection.execute("INSERT INTO jobs (id, created) VALUES (?, ?)", (job_id, now)).lastrowid
            connection.executemany(
                "INSERT INTO photos (job, line, item, url, host, fields, due) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(number, each.line, each.item, each.url, each.host, each.fields, now) for each in photos],
            )
            _end_jobs(connection, overtaken, now)
        return job_id

    def extend(self, job_id: str, photos: Sequence[NewPhoto]) -> None:
        """Queue further photos in a job that `add` has made."""
        now = time.time()
        with self._database.writing() as connection:
            overtaken = _end_of_items(connection, [photo.item for photo in photos])
            connection.executemany(
                """INSERT INTO photos (job, line, item, url, host, fields, due)
                   SELECT number, ?, ?, ?, ?, ?, ? FROM jobs WHERE id = ?""",
                [(each.line, each.item, each.url, each.host, each.fields, now, job_id) for each in photos],
            )
            connection.execute("UPDATE jobs SET finished = NULL WHERE id = ?", (job_id,))
            _end_jobs(connection, overtaken, now)

    def waiting_for(self, items: Iterable[str]) -> dict[str, WaitingPhoto]:
        """Photos that items wait for, by item."""
        statement = f"{WAITING} AND item IN (SELECT value FROM json_each(?))"
        with self._database.reading() as connection:
            found = connection.execute(statement, (json_texts(items, ensure_ascii=True),))
            return {photo.item: photo for photo in (WaitingPhoto(*row) for row in found)}

    def still_waiting(self, numbers: Iterable[int]) -> dict[int, WaitingPhoto]:
        """Those of some photos that still wait, by number, as they are now."""
        statement = f"{WAITING} AND photos.number IN (SELECT value FROM json_each(?))"
        with self._database.reading() as connection:
            found = connection.execute(statement, (json.dumps([*numbers]),))
            return {photo.number: photo for photo in (WaitingPhoto(*row) for row in found)}

    def due(self, host: str, *, limit: int, without: Collection[int]) -> list[WaitingPhoto]:
        """Photos of a host that may be fetched now, those that are due longest first.

        Args:
            host: Host, as `hosts` gives it.
            limit: Largest number of photos.
            without: Numbers of photos to leave out: those that are being fetched.
        """
        statement = f"""{WAITING} AND host = ? AND due <= ? AND photos.number NOT IN (SELECT value FROM json_each(?))
                        ORDER BY due, photos.number LIMIT ?"""
        with self._database.reading() as connection:
            found = connection.execute(statement, (host, time.time(), json.dumps([*without]), limit))
            return [WaitingPhoto(*row) for row in found]

    def hosts(self) -> list[str]:
        """Hosts of waiting photos."""
        with self._database.reading() as connection:
            return [host for (host,) in connection.execute("SELECT DISTINCT host FROM photos WHERE state = 'waiting'")]

    def seconds_until_due(self) -> float | None:
        """Seconds until the next photo is due; None if none waits for a later time."""
        now = time.time()
        with self._database.reading() as connection:
            (first,) = connection.execute(
                "SELECT min(due) FROM photos WHERE state = 'waiting' AND due > ?", (now,)
            ).fetchone()
        return None if first is None else max(0.0, first - now)

    def change(self, fields: Iterable[tuple[int, str]]) -> None:
        """Change what is to be written with waiting photos: numbers and fields as JSON."""
        with self._database.writing() as connection:
            connection.executemany(
                "UPDATE photos SET fields = ? WHERE number = ? AND state = 'waiting'",
                [(text, number) for number, text in fields],
            )

    def retry(self, number: int, *, after_s: float, message: str, counted: bool = True) -> None:
        """Try a waiting photo again later.

        Args:
            number: Number of the photo.
            after_s: Seconds until then.
            message: What was wrong.
            counted: Whether it counts as a try.
        """
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE photos SET tries = tries + ?, due = ?, message = ? WHERE number = ? AND state = 'waiting'",
                (int(counted), time.time() + after_s, message[:LONGEST_MESSAGE], number),
            )

    def finish(self, photos: Iterable[Done]) -> None:
        """Record the ends of waiting photos, in one transaction."""
        ended = set[int]()
        with self._database.writing() as connection:
            for each in photos:
                found = connection.execute(
                    """UPDATE photos SET state = ?, code = ?, message = ?, fields = '', tries = tries + 1
                       WHERE number = ? AND state = 'waiting' RETURNING job""",
                    (each.state, each.code, each.message[:LONGEST_MESSAGE], each.number),
                )
                ended.update(job for (job,) in found)
            _end_jobs(connection, ended, time.time())

    def supersede(self, items: Iterable[str]) -> None:
        """Drop the photos that items wait for, since a later write has overtaken them."""
        with self._database.writing() as connection:
            _end_jobs(connection, _end_of_items(connection, items), time.time())

    def cancel(self, job_id: str) -> Job:
        """Drop the waiting photos of a job. A finished job stays as it is.

        Raises:
            UnknownNameError: There is no such job.
        """
        now = time.time()
        with self._database.writing() as connection:
            number = _number_of(connection, job_id)
            dropped = connection.execute(
                "UPDATE photos SET state = 'cancelled', fields = '' WHERE job = ? AND state = 'waiting'", (number,)
            ).rowcount
            if dropped:
                connection.execute("UPDATE jobs SET cancelled = 1 WHERE number = ?", (number,))
            _end_jobs(connection, {number}, now)
            return _job(connection, number)

    def job(self, job_id: str) -> Job:
        """Read a job.

        Raises:
            UnknownNameError: There is no such job, or it was dropped.
        """
        with self._database.reading() as connection:
            return _job(connection, _number_of(connection, job_id))

    def jobs(self, *, offset: int = 0, limit: int = 50) -> tuple[int, list[Job]]:
        """Number of jobs, and a page of them, the latest first."""
        with self._database.reading() as connection:
            (total,) = connection.execute("SELECT count(*) FROM jobs").fetchone()
            page = "SELECT number FROM jobs ORDER BY number DESC LIMIT ? OFFSET ?"
            return total, [
                _job(connection, number) for (number,) in connection.execute(page, (limit, offset)).fetchall()
            ]

    def failures(self, job_id: str, *, offset: int = 0, limit: int = 100) -> list[Failure]:
        """A page of the photos of a job that failed, in the order of their lines.

        Raises:
            UnknownNameError: There is no such job, or it was dropped.
        """
        statement = """SELECT line, item, url, tries, code, message FROM photos
                       WHERE job = ? AND state = 'failed' ORDER BY number LIMIT ? OFFSET ?"""
        with self._database.reading() as connection:
            found = connection.execute(statement, (_number_of(connection, job_id), limit, offset))
            return [Failure(line, item, shown(url), *rest) for line, item, url, *rest in found]

    def waiting(self) -> int:
        """Number of waiting photos."""
        with self._database.reading() as connection:
            (count,) = connection.execute("SELECT count(*) FROM photos WHERE state = 'waiting'").fetchone()
        return int(count)

    def purge(self, *, now: float | None = None) -> int:
        """Drop jobs that finished more than `KEPT_S` seconds ago, and the oldest beyond `KEPT_PHOTOS`.

        Returns:
            Number of dropped jobs.
        """
        before = (time.time() if now is None else now) - KEPT_S
        with self._database.writing() as connection:
            statement = """SELECT number FROM (
                               SELECT number, finished, sum((SELECT count(*) FROM photos WHERE job = jobs.number))
                                   OVER (ORDER BY number DESC) AS later
                               FROM jobs WHERE finished IS NOT NULL)
                           WHERE finished < ? OR later > ?"""
            gone = connection.execute(statement, (before, KEPT_PHOTOS)).fetchall()
            connection.executemany("DELETE FROM photos WHERE job = ?", gone)
            connection.executemany("DELETE FROM jobs WHERE number = ?", gone)
        return len(gone)


def _end_of_items(connection: sqlite3.Connection, items: Iterable[str]) -> set[int]:
    """Supersede the photos that items wait for. Returns the numbers of their jobs."""
    statement = """UPDATE photos SET state = 'superseded', fields = '' WHERE item = ? AND state = 'waiting'
                   RETURNING job"""
    return {job for item in items for (job,) in connection.execute(statement, (item,))}


def _end_jobs(connection: sqlite3.Connection, jobs: Iterable[int], now: float) -> None:
    """Finish those of some jobs that wait for no photo any more."""
    connection.executemany(
        """UPDATE jobs SET finished = ? WHERE number = ? AND finished IS NULL
           AND NOT EXISTS (SELECT 1 FROM photos WHERE job = jobs.number AND state = 'waiting')""",
        [(now, number) for number in jobs],
    )


def _number_of(connection: sqlite3.Connection, job_id: str) -> int:
    found = connection.execute("SELECT number FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if found is None:
        raise UnknownNameError("job", job_id, [])
    return int(found[0])


def _job(connection: sqlite3.Connection, number: int) -> Job:
    job_id, created, finished, cancelled = connection.execute(
        "SELECT id, created, finished, cancelled FROM jobs WHERE number = ?", (number,)
    ).fetchone()
    by_state = connection.execute("SELECT state, count(*) FROM photos WHERE job = ? GROUP BY state", (number,))
    counts: dict[State, int] = dict(by_state.fetchall())
    (retrying,) = connection.execute(
        "SELECT count(*) FROM photos WHERE job = ? AND state = 'waiting' AND tries > 0", (number,)
    ).fetchone()
    return Job(job_id, created, finished, bool(cancelled), counts, retrying)
