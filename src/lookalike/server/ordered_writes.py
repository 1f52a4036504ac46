"""Writes of items in the order of their requests, also of items whose photos are still to be fetched.

A line with an address waits in the queue until its photo is there, and is then written as a whole. A later write of
the same item wins: one with a photo, or that deletes the item, takes the place of what waits; another one is written
at once if the item exists, and becomes part of what waits. All this runs under the `writes` limiter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Final

from lookalike.errors import LookalikeError, UsageError
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.records import json_text
from lookalike.gallery.storable_text import NUL
from lookalike.gallery.stored_item import StoredItem
from lookalike.jobs.job import NewPhoto, WaitingPhoto
from lookalike.jobs.queue import JobQueue
from lookalike.remote.addresses import shown
from lookalike.server.errors import ApiError, busy
from lookalike.server.item_write import ItemWrite
from lookalike.server.item_writer import ItemWriter, Outcome, Written
from lookalike.server.photo_fetching import checked

LONGEST_FIELDS: Final = 16_384
"""Characters of what is written with a fetched photo, as JSON."""

FULL_S: Final = 60
"""Seconds after which to try again when the queue is full."""


class OrderedWrites:
    """Writes of one gallery.

    Args:
        writer: Writes items at once.
        queue: Queue of photos to fetch; None without one.
        hosts: Hosts that photos may be fetched from.
        room: Largest number of waiting photos.
    """

    def __init__(self, writer: ItemWriter, queue: JobQueue | None, *, hosts: frozenset[str], room: int) -> None:
        self.writer, self.queue = writer, queue
        self._hosts, self._room = hosts, room

    @property
    def gallery(self) -> Gallery:
        """Gallery to write to."""
        return self.writer.gallery

    def request(self) -> RequestWrites:
        """Writes of one request, whose addresses become one job."""
        return RequestWrites(self)

    def put(self, write: ItemWrite) -> tuple[Written, str | None]:
        """Write one item. Returns what became of it, and the id of its job if it waits for its photo.

        Raises:
            ApiError: There is no such item, and no photo of it.
            PhotoError: The photo cannot be read.
            NoFinderError: Its garments are to be found, and there is no finder.
            MismatchError: The gallery was filled by another model.
            LookalikeError: The item cannot be written; nothing was changed.
        """
        request = self.request()
        [outcome] = request.write([(1, write)])
        if isinstance(outcome, LookalikeError):
            raise outcome
        if outcome.status == "queued" and request.job is None:  # with a photo that waits already
            return outcome, (self.queue.waiting_for([write.id])[write.id].job if self.queue is not None else None)
        return outcome, request.job

    def change(self, write: ItemWrite) -> StoredItem:
        """Change an item that exists, without a new photo. Returns the item as committed.

        Raises:
            UnknownNameError: There is no such item.
            LookalikeError: The item cannot be written; nothing was changed.
        """
        with self.gallery.writing():
            self.gallery.get(write.id)
            written, _ = self.put(write)
        assert written.stored is not None
        return written.stored

    def remove(self, item_id: str) -> None:
        """Remove an item, its photo if it was uploaded, and what waits for it.

        Raises:
            UnknownNameError: There is no such item, and none waits for its photo.
            LookalikeError: The item cannot be removed.
        """
        with self.gallery.writing():
            if not (self.queue and self.queue.waiting_for([item_id])):
                self.gallery.get(item_id)
            self.put(ItemWrite(item_id, delete=True))

    def fetched(self, photos: Sequence[tuple[WaitingPhoto, bytes]]) -> list[Outcome]:
        """Write items whose photos were fetched."""
        return self.writer.write([replace(_waiting_write(photo), photo=data) for photo, data in photos])

    def check_queued(self, write: ItemWrite) -> NewPhoto:
        """Check a write whose photo is to be fetched, as far as that is possible before.

        Raises:
            ApiError: Its address may not be fetched, or it is too long.
            UsageError: An attribute cannot be stored.
        """
        assert write.photo_url is not None
        address = checked(write.photo_url, self._hosts)
        if self.queue is None:
            raise ApiError("not_ready", "this server has no queue of photos")
        return NewPhoto(0, write.id, write.photo_url, address.host, fields_of(write))

    def check_room(self, more: int) -> None:
        """Check that the queue has room.

        Raises:
            ApiError: Too many photos wait.
        """
        assert self.queue is not None
        waiting = self.queue.waiting()
        if waiting + more > self._room:
            raise busy(f"{waiting:,} photos wait to be fetched, and {self._room:,} may", seconds=FULL_S)


def fields_of(write: ItemWrite) -> str:
    """What waits with a photo in the queue, as JSON.

    Raises:
        ApiError: It is too long.
        UsageError: An attribute cannot be stored.
    """
    json_text(write.attributes, write.id)
    fields = json.dumps(write.to_json())
    try:
        "".join([write.id, write.photo_url or "", json.dumps(write.to_json(), ensure_ascii=False)]).encode()
    except UnicodeEncodeError:
        raise UsageError(f"the item {write.id!r} has text that is not Unicode") from None
    if NUL.search(fields) or "\0" in write.id:
        raise UsageError(f"the item {write.id!r} has text with the character U+0000")
    if len(fields) > LONGEST_FIELDS:
        message = f"attributes: expected at most {LONGEST_FIELDS:,} characters of JSON beside a photo_url"
        raise ApiError("invalid", f"{message}, got {len(fields):,}")
    return fields


class RequestWrites:
    """Writes of one request.

    Attributes:
        job: Id of the job of its addresses; None before there is one.
    """

    def __init__(self, ordered: OrderedWrites) -> None:
        self._ordered = ordered
        self.job: str | None = None

    def write(self, lines: Sequence[tuple[int, ItemWrite]]) -> list[Outcome]:
        """Write items of distinct ids, by their lines; one that fails does not stop the others.

        Raises:
            GalleryLockedError: Another process is writing; nothing was changed.
            LookalikeError: The gallery or the queue cannot be read.
        """
        writes = [write for _, write in lines]
        at_once = [write for write in writes if write.photo_url is None]
        # What waits is read and changed under one lock: another process may be about to write it.
        with self._ordered.gallery.writing() if at_once or self._waiting_for(writes) else nullcontext():
            waiting = self._waiting_for(writes)
            outcomes = self._written(at_once, waiting)
            outcomes |= self._queued([(line, write) for line, write in lines if write.photo_url is not None], waiting)
        return [outcomes[write.id] for write in writes]

    def _waiting_for(self, writes: Sequence[ItemWrite]) -> dict[str, WaitingPhoto]:
        """Photos that items wait for, by item."""
        queue = self._ordered.queue
        return {} if queue is None else queue.waiting_for([write.id for write in writes])

    def _written(self, writes: Sequence[ItemWrite], waiting: dict[str, WaitingPhoto]) -> dict[str, Outcome]:
        """Write what needs no address, and bring what waits up to date."""
        merged, outcomes = _merged(writes, waiting)
        writes = [write for write in writes if write.id not in outcomes]
        if not writes:
            return outcomes
        whole = [
            _waiting_write(waiting[write.id]).followed_by(write)
            if write.id in waiting and write.photo is not None
            else write
            for write in writes
        ]
        overtaken, changed = list[str](), list[tuple[int, str]]()
        for write, outcome in zip(writes, self._ordered.writer.write(whole), strict=True):
            outcomes[write.id] = outcome
            photo = waiting.get(write.id)
            if photo is None:
                continue
            comes_later = isinstance(outcome, ApiError) and outcome.code == "photo_needed"
            if not comes_later and isinstance(outcome, LookalikeError):
                continue
            if write.delete or write.photo is not None:
                overtaken.append(write.id)
            else:
                changed.append((photo.number, merged[write.id]))
            if comes_later:
                outcomes[write.id] = Written(None, "queued")
            elif write.delete:
                outcomes[write.id] = Written(None, "deleted")
        if self._ordered.queue is not None and overtaken:
            self._ordered.queue.supersede(overtaken)
        if self._ordered.queue is not None and changed:
            self._ordered.queue.change(changed)
        return outcomes

    def _queued(self, lines: Sequence[tuple[int, ItemWrite]], waiting: dict[str, WaitingPhoto]) -> dict[str, Outcome]:
        """Queue what has an address."""
        outcomes: dict[str, Outcome] = {}
        photos: list[NewPhoto] = []
        for line, write in lines:
            before = waiting.get(write.id)
            try:
                whole = write if before is None else _waiting_write(before).followed_by(write)
                photos.append(replace(self._ordered.check_queued(whole), line=line))
            except LookalikeError as error:
                outcomes[write.id] = error
        queue = self._ordered.queue
        if queue is None or not photos:
            return outcomes
        try:
            self._ordered.check_room(len(photos))
            if self.job is None:
                self.job = queue.add(photos)
            else:
                queue.extend(self.job, photos)
        except LookalikeError as error:
            return outcomes | {photo.item: error for photo in photos}
        return outcomes | {photo.item: Written(None, "queued") for photo in photos}


def _merged(
    writes: Sequence[ItemWrite], waiting: Mapping[str, WaitingPhoto]
) -> tuple[dict[str, str], dict[str, Outcome]]:
    """What waits after writes without a photo, and the errors of those that cannot wait, both by item."""
    merged: dict[str, str] = {}
    errors: dict[str, Outcome] = {}
    for write in writes:
        if write.id in waiting and write.photo is None and not write.delete:
            try:
                merged[write.id] = fields_of(_waiting_write(waiting[write.id]).followed_by(write))
            except LookalikeError as error:
                errors[write.id] = error
    return merged, errors


def _waiting_write(photo: WaitingPhoto) -> ItemWrite:
    """What is to be written with a photo that waits."""
    return replace(
        ItemWrite.from_json(photo.item, json.loads(photo.fields)), photo_url=photo.url, name=shown(photo.url)
    )
