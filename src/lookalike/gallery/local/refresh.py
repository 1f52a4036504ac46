"""Refresh: whether a segment is recent enough, and how a new one is made."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Final

from lookalike.errors import GalleryClosedError, GalleryDamagedError, GalleryLockedError, LookalikeError
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.segment import Segment
from lookalike.gallery.local.segment_files import SegmentFiles, SegmentFolderError, StoppedError, newer
from lookalike.gallery.local.snapshot import has_outgrown, is_stale
from lookalike.gallery.local.version import Version
from lookalike.index import choose
from lookalike.spaces import resolve_weights

USUAL_K: Final = 10


class BackgroundBuild:
    """One thread that derives, while searches go on with the rows at hand: it takes a second for each 10,000.

    Attributes:
        stopping: Set while what is being done should come to its end early.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failed: Version | None = None

    def start(self, work: Callable[[], None], now: Version) -> None:
        """Do some work, unless something is being done already, or failed when there was hardly less to do.

        Args:
            work: What to do.
            now: The present state of the database.
        """
        failed = self._failed
        if failed is not None and failed.generation == now.generation and not has_outgrown(failed, now):
            return
        with self._guard:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, args=(work, now), name="derive")
                self._thread.start()

    def stop(self) -> None:
        """Have it stop, and wait until it has: as long as a batch of rows takes, or an index that was begun."""
        with self._guard:
            if self._thread is not None:
                self.stopping.set()
                self._thread.join()
                self.stopping.clear()

    def _run(self, work: Callable[[], None], now: Version) -> None:
        log = logging.getLogger(__name__)
        self._failed = now
        try:
            work()
        except (StoppedError, GalleryClosedError):
            pass
        except GalleryDamagedError as error:
            log.error("%s", error)  # noqa: TRY400 - it says all there is
            return
        except (LookalikeError, RuntimeError, MemoryError) as error:  # the disk is full, say, or an index too large
            log.warning("searches stay slower than they could be: %s", str(error) or type(error).__name__)
            return
        self._failed = None


def build_usual_index(segment: Segment, weights: Mapping[str, float] | None, *, keep: bool) -> None:
    """Build, or load, the index that most queries ask for.

    Args:
        segment: The rows.
        weights: Those that were learned for the gallery, if any.
        keep: See `Segment.index`.
    """
    spaces = segment.version.spaces
    resolved = resolve_weights(None, spaces, stored=weights)
    usual = choose(count=len(segment), allowed=None, weights=resolved, spaces=spaces, k=USUAL_K)
    segment.index(usual, keep=keep)


def refreshed_segment(
    database: Database,
    segment_files: SegmentFiles,
    *,
    held: Segment | None,
    now: Version,
    wait_s: float,
    stop: threading.Event | None = None,
) -> Segment | None:
    """A segment that is not stale: the kept one, or a new one, unless another process is about to make it.

    In that case the segment at hand, if any, and many unindexed rows serve for the moment.

    Args:
        database: The database.
        segment_files: Its segment files.
        held: The rows at hand.
        now: The present state of the database.
        wait_s: Seconds to wait for another process that derives them. With 0, a search waits for it: a segment that
            cannot be kept is made in memory.
        stop: See `SegmentFiles.build`.

    Raises:
        SegmentFolderError: They cannot be kept, and were to be waited for.
    """
    kept = kept_segment(database, segment_files)
    if not is_stale(kept, now):
        return kept
    if not database.writable:
        return segment_in_memory(database, segment_files, stop=stop)
    if wait_s == 0 and is_written_to(database):  # the writer will do it when it has finished
        return newer(held, kept)
    try:
        with segment_files.building(wait_s=wait_s) as mine:
            if not mine:
                return newer(held, kept)
            kept = kept_segment(database, segment_files)  # another process may have been quicker
            if kept is not None and not is_stale(kept, now):
                return kept
            with database.reading() as connection:
                made = segment_files.build(connection, keep=True, stop=stop)
            segment_files.keep_only(made)
            return made
    except SegmentFolderError as error:
        if wait_s > 0:
            raise
        logging.getLogger(__name__).warning("%s; searches are answered from memory", error)
        return segment_in_memory(database, segment_files, stop=stop)


def segment_in_memory(
    database: Database, segment_files: SegmentFiles, *, stop: threading.Event | None
) -> Segment | None:
    """Rows that are new and not kept."""
    with database.reading() as connection:
        return segment_files.build(connection, keep=False, stop=stop)


def is_written_to(database: Database) -> bool:
    """Whether another process, or thread, is writing just now."""
    try:
        with database.locked(patience_s=0):
            return False
    except GalleryLockedError:
        return True
    except LookalikeError:  # there is no writing at all
        return False


def kept_segment(database: Database, segment_files: SegmentFiles) -> Segment | None:
    """The newest rows that were derived and kept."""
    with database.reading() as connection:
        return segment_files.open(connection)
