"""Refresh: builds a new segment when too many rows have changed, in the caller or in the background."""

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
"""Number of matches that the index built ahead of searches is chosen for."""

BUILDS: Final = 5
"""Largest number of attempts to build a segment while another program writes into the database."""


class BackgroundBuild:
    """Thread that builds a segment while searches use the old one; a build takes a second for each 10,000 rows.

    Attributes:
        stopping: Event that asks a running build to stop.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failed: Version | None = None

    def start(self, work: Callable[[], None], now: Version) -> None:
        """Start a build, unless one is running, or one failed and few rows have changed since.

        Args:
            work: Function that builds.
            now: Present version of the database.
        """
        failed = self._failed
        if failed is not None and failed.generation == now.generation and not has_outgrown(failed, now):
            return
        with self._guard:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, args=(work, now), name="build-segment")
                self._thread.start()

    def stop(self) -> None:
        """Stop a running build and wait for its end, at most for one batch of rows or one index."""
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
            log.error("%s", error)  # noqa: TRY400 - the message says it all
            return
        except (LookalikeError, RuntimeError, MemoryError) as error:  # such as a full disk, or an index too large
            log.warning("the index could not be built, so searches stay slow: %s", str(error) or type(error).__name__)
            return
        self._failed = None


def build_usual_index(segment: Segment, weights: Mapping[str, float] | None, *, keep: bool) -> None:
    """Load or build the index that `auto` chooses for most queries.

    Args:
        segment: Segment to index.
        weights: Learned weights of the gallery; None without.
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
    """A segment that is not stale: the saved one, or a new one, unless another process is about to build it.

    In that case the old segment, if any, and many unindexed rows are searched for the moment.

    Args:
        database: The database.
        segment_files: Its segment files.
        held: Segment of the current snapshot.
        now: Present version of the database.
        wait_s: Seconds to wait for another process that builds one. 0 is for a search, which needs a result: a segment
            that cannot be saved is built in memory.
        stop: See `SegmentFiles.build`.

    Raises:
        SegmentFolderError: The segment cannot be saved, and `wait_s` is above 0.
    """
    kept = saved_segment(database, segment_files)
    if not is_stale(kept, now):
        return kept
    if not database.writable:
        return built_segment(database, segment_files, keep=False, stop=stop)
    if wait_s == 0 and is_written_to(database):  # the writer builds it at its end
        return newer(held, kept)
    try:
        with segment_files.building(wait_s=wait_s) as mine:
            if not mine:
                return newer(held, kept)
            kept = saved_segment(database, segment_files)  # another process may have been first
            if kept is not None and not is_stale(kept, now):
                return kept
            made = built_segment(database, segment_files, keep=True, stop=stop)
            segment_files.keep_only(made)
            return made
    except SegmentFolderError as error:
        if wait_s > 0:
            raise
        logging.getLogger(__name__).warning("%s; searches are answered from memory", error)
        return built_segment(database, segment_files, keep=False, stop=stop)


def built_segment(
    database: Database, segment_files: SegmentFiles, *, keep: bool, stop: threading.Event | None = None
) -> Segment | None:
    """A segment of the present state.

    SQLite cannot tell when another program writes into the database's file: of what is read meanwhile, one part may be
    from before and another from after. So rows are read again unless only commits came in between.

    Args:
        database: The database.
        segment_files: Its segment files.
        keep: See `SegmentFiles.build`.
        stop: See `SegmentFiles.build`.

    Raises:
        LookalikeError: The file was written to each time.
    """
    for _ in range(BUILDS):
        with database.viewing() as reader:
            made = segment_files.build(reader.connection, keep=keep, stop=stop)
            if made is None or database.is_untouched(reader):
                return made
        if has_only_commits_since(database, made.version):
            return made
        segment_files.refuse(made, delete=keep)
    raise LookalikeError(f"{database.path} is written to by another program all the time; ask again when it has ended")


def has_only_commits_since(database: Database, version: Version) -> bool:
    """Whether commits were made since a version: they explain that the file has changed."""
    with database.reading() as connection:
        return version.is_past_of(connection) and version.change < Version.now(connection).change


def is_written_to(database: Database) -> bool:
    """Whether another process or thread is writing now."""
    try:
        with database.locked(patience_s=0):
            return False
    except GalleryLockedError:
        return True
    except LookalikeError:  # the gallery cannot be written at all
        return False


def saved_segment(database: Database, segment_files: SegmentFiles) -> Segment | None:
    """Open the newest saved segment; None without one."""
    with database.reading() as connection:
        return segment_files.open(connection)
