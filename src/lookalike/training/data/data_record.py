"""Record of the data of a run, by which a resumed run tells whether its photos and labels are still the same.

Photos are compared by their content: the size and time of a file only tell whether it has to be read again, so a
catalogue that was copied to another folder is the same, and a photo that was replaced by another is not.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from lookalike.errors import ConfigError, TrainingError
from lookalike.remote.addresses import is_remote
from lookalike.storage.files import write_whole
from lookalike.training.data.shared import PhotoDigests, digest, put_beside, shared_beside

FILE: Final = "data.csv"
BEGUN: Final = ".begun"
"""Suffix of the record of a run of a sweep that has not ended."""

COLUMNS: Final = ("catalogue", "part", "id", "labels", "box", "size", "modified_ns", "sha256")
READERS: Final = 4
"""Threads that read photos."""


@dataclass(frozen=True, slots=True)
class DataRow:
    """What a run reads of one item.

    Attributes:
        catalogue: Number of the catalogue in the settings, from 0, or `backgrounds`.
        part: Split, `train` or `dev`.
        id: Id of the item.
        labels: Its product and the labels that the run uses, by name.
        box: Part of its photo, as text; empty for the whole photo.
        photo: Path or URL of its photo. The content of a photo with a URL is not compared, but the URL is.
        sha256: Content where there is no file; empty reads that of the photo.
    """

    catalogue: str
    part: str
    id: str
    labels: Mapping[str, object]
    box: str = ""
    photo: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One line of a record: a row with the state of its photo's file."""

    part: str
    labels: str
    box: str
    size: int
    modified_ns: int
    sha256: str


def record_or_compare(folder: Path, rows: Sequence[DataRow], *, resumed: bool, chosen_by: object) -> None:
    """Record the data of a new run, or compare those of a resumed one with its record.

    A new run of a sweep is compared with the first one whose data were chosen by the same settings.

    Args:
        folder: Run folder.
        rows: The data now.
        resumed: Whether the run is resumed.
        chosen_by: Settings that choose the data; equal ones have equal texts.

    Raises:
        ConfigError: The data have changed, or the record is missing or damaged.
        TrainingError: The record cannot be written.
    """
    if resumed:
        _compare(folder / FILE, rows, folder=folder, what="run")
        return
    shared = shared_beside(folder)
    first = None if shared is None else shared / f"data-{hashlib.sha256(repr(chosen_by).encode()).hexdigest()[:16]}.csv"
    if first is not None and first.is_file():
        _compare(first, rows, folder=folder.parent, what="sweep")
    write_record(folder, rows)
    if first is not None and not first.is_file():
        begun = first.with_suffix(BEGUN)
        try:
            put_beside(folder / FILE, begun)
        except OSError as error:
            raise TrainingError(f"{begun}: cannot be written: {error.strerror or error}") from None


def keep_records(shared: Path) -> None:
    """Keep the records of runs that have ended, for the runs of the sweep after them.

    Args:
        shared: Folder that the runs share.
    """
    for begun in shared.glob(f"data-*{BEGUN}"):
        begun.replace(begun.with_suffix(".csv"))


def drop_records(shared: Path) -> None:
    """Drop the records of runs that have not ended, whose data may be repaired before they begin again.

    Args:
        shared: Folder that the runs share.
    """
    for begun in shared.glob(f"data-*{BEGUN}"):
        begun.unlink()


def _compare(record: Path, rows: Sequence[DataRow], *, folder: Path, what: str) -> None:
    if changes := changes_since(record, rows):
        raise ConfigError(
            f"{folder}: the data changed since the {what} began: {changes}; bring back what was there, or begin a new "
            f"{what} with another name"
        )


def write_record(folder: Path, rows: Sequence[DataRow]) -> None:
    """Write the record of a run's data into its folder; every photo is read once, in a sweep by its first run.

    Raises:
        TrainingError: The record cannot be written.
    """
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    digests = PhotoDigests(shared_beside(folder))
    with ThreadPoolExecutor(READERS) as pool:
        states = pool.map(lambda row: _state_of(row, digests), rows)
        for row, (size, modified_ns, sha256) in zip(rows, states, strict=True):
            writer.writerow((row.catalogue, row.part, row.id, _text_of(row.labels), row.box, size, modified_ns, sha256))
    try:
        write_whole(folder / FILE, text.getvalue().encode("utf-8", "surrogateescape"))
        digests.save()
    except OSError as error:
        raise TrainingError(f"{folder / FILE}: cannot be written: {error.strerror or error}") from None


def changes_since(record: Path, rows: Sequence[DataRow]) -> str | None:
    """Compare the data of a run with a record.

    Args:
        record: File of the record.
        rows: The data now.

    Returns:
        What changed, for a message; None if nothing did.

    Raises:
        ConfigError: The record is missing or damaged.
    """
    then = dict(_read(record))
    now = {(row.catalogue, row.id): row for row in rows}
    told: list[tuple[str, str]] = [("removed", id_) for catalogue, id_ in then.keys() - now.keys()]
    told += [("added", id_) for catalogue, id_ in now.keys() - then.keys()]
    both = [(then[key], row) for key, row in now.items() if key in then]
    with ThreadPoolExecutor(READERS) as pool:
        same_photo = pool.map(lambda pair: _has_same_photo(*pair), both)
        for (old, row), is_same in zip(both, same_photo, strict=True):
            told += [("in another split", row.id)] if old.part != row.part else []
            told += [("with other labels", row.id)] if old.labels != _text_of(row.labels) else []
            told += [("with another box", row.id)] if old.box != row.box else []
            told += [("with another photo", row.id)] if not is_same else []
    if told:
        counts = Counter(kind for kind, _ in told)
        first = {kind: min(id_ for each, id_ in told if each == kind) for kind in counts}
        return "; ".join(
            f"{count:,} item{'s' if count > 1 else ''} {kind}, the first {first[kind]!r:.80}"
            for kind, count in sorted(counts.items())
        )
    return "the items are in another order" if list(then) != list(now) else None


def training_content(folder: Path) -> str:
    """SHA-256 over the photos that a run trains on, and their boxes, in order, by the record in its folder.

    Raises:
        ConfigError: The record is missing or damaged.
    """
    content = hashlib.sha256()
    for (catalogue, _), row in _read(folder / FILE):
        if row.part == "train" and catalogue.isdecimal():  # not the backgrounds
            content.update(f"{row.box} {row.sha256}\n".encode())
    return content.hexdigest()


def _read(path: Path) -> Iterator[tuple[tuple[str, str], Recorded]]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            for row in csv.DictReader(file, strict=True):
                yield (
                    (row["catalogue"], row["id"]),
                    Recorded(
                        row["part"],
                        row["labels"],
                        row["box"],
                        int(row["size"]),
                        int(row["modified_ns"]),
                        row["sha256"],
                    ),
                )
    except (OSError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: the record of the run's data is missing or damaged ({type(error).__name__}), so it is unknown "
            "whether they are the same; start the run again"
        ) from None


def _has_same_photo(old: Recorded, row: DataRow) -> bool:
    """Whether a photo has the content that it had; its file is read only if its size or time differs."""
    if row.sha256 or is_remote(row.photo):
        return _content_of(row) == old.sha256
    size, modified_ns = _stat(row.photo)
    if size != old.size:
        return False
    return modified_ns == old.modified_ns or digest(row.photo) == old.sha256


def _state_of(row: DataRow, digests: PhotoDigests) -> tuple[int, int, str]:
    """Size, time and checksum of an item's photo; -1, 0 and empty for a file that cannot be read."""
    if row.sha256 or is_remote(row.photo):
        return 0, 0, _content_of(row)
    size, modified_ns = _stat(row.photo)
    return size, modified_ns, digests.of(row.photo, size=size, modified_ns=modified_ns)


def _content_of(row: DataRow) -> str:
    """Checksum of an item that has one without a file, or of the URL of its photo."""
    return row.sha256 or hashlib.sha256(row.photo.encode("utf-8", "surrogateescape")).hexdigest()


def _stat(photo: str) -> tuple[int, int]:
    try:
        found = os.stat(photo)  # noqa: PTH116 - of 200,000 files
    except OSError:
        return -1, 0
    return found.st_size, found.st_mtime_ns


def _text_of(labels: Mapping[str, object]) -> str:
    return json.dumps(labels, sort_keys=True, ensure_ascii=False, default=str)
