"""Walking through a folder and all folders in it: links are followed once, and what cannot be listed is remembered."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, TypeAlias

from lookalike.catalogue.exclusions import Exclusions
from lookalike.catalogue.protocol import Skip
from lookalike.errors import CatalogueError

Place: TypeAlias = tuple[int, int] | str
"""Device and inode of a folder; its real path where the file system has no inodes."""

ROOT: Final = ""


class Walk:
    """One walk through a folder.

    All real folders are walked first, then those that links lead to, in the order of the links' paths. A link to a
    folder in which the walk has been is passed over, so a loop of links ends and no photo has thousands of paths.

    Attributes:
        skipped: Links, folders and files that cannot be followed, listed or read.
        unlisted: Paths beneath which there may be photos that were not met.
        passed_over: Links to folders that are walked elsewhere.
    """

    def __init__(self, root: str, exclusions: Exclusions) -> None:
        """Prepare it.

        Args:
            root: An absolute path.
            exclusions: Paths left out of the walk.
        """
        self._root, self._exclusions = root, exclusions
        self._been: set[Place] = set()
        self._links: list[str] = []
        self.skipped: list[Skip] = []
        self.unlisted: list[str] = []
        self.passed_over = 0

    def files(self) -> Iterator[tuple[str, os.stat_result | None]]:
        """Yield what is no folder: its path relative to the root, and None for a file, else what it is.

        Raises:
            CatalogueError: The root cannot be listed.
        """
        yield from self._beneath(ROOT, by_link=False)
        while self._links:
            links, self._links = sorted(self._links), []
            for link in links:
                yield from self._beneath(link, by_link=True)

    def path(self, relative: str) -> str:
        """The whole path of something in the root."""
        return f"{self._root.rstrip('/')}/{relative}" if relative else self._root

    def skip(self, relative: str, reason: str) -> None:
        """Remember what is left out; a name that is not UTF-8 is written out."""
        self.skipped.append(Skip(os.fsencode(relative).decode("utf-8", "backslashreplace"), reason))

    def _beneath(self, start: str, *, by_link: bool) -> Iterator[tuple[str, os.stat_result | None]]:
        """Walk through the real folders from a place on; collect the links to folders."""
        waiting = [start]
        while waiting:
            folder = waiting.pop()
            for entry in self._entries(folder, by_link=by_link):
                relative = f"{folder}/{entry.name}" if folder else entry.name
                if self._exclusions.excludes_entry(relative):
                    self._leave_out(entry)
                    continue
                try:
                    if entry.is_symlink():
                        status = entry.stat()
                        if stat.S_ISDIR(status.st_mode):
                            self._links.append(relative)
                            continue
                    elif entry.is_dir(follow_symlinks=False):
                        waiting.append(relative)
                        continue
                    elif entry.is_file(follow_symlinks=False):
                        yield relative, None
                        continue
                    else:
                        status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    what = "the link cannot be followed" if _is_link(entry) else "it cannot be looked at"
                    self._out_of_reach(relative, f"{what}: {(error.strerror or str(error)).lower()}")
                    continue
                yield relative, None if stat.S_ISREG(status.st_mode) else status

    def _entries(self, folder: str, *, by_link: bool) -> list[os.DirEntry[str]]:
        """What is in a folder, in order; nothing where the walk has been, or cannot be."""
        path = self.path(folder)
        try:
            place = _place(path)
            if by_link and place in self._been:
                self.passed_over += 1
                return []
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if folder == ROOT:
                raise CatalogueError(f"{path}: {(error.strerror or str(error)).lower()}") from None
            self._out_of_reach(folder, f"the folder cannot be listed: {(error.strerror or str(error)).lower()}")
            return []
        self._been.add(place)
        return entries

    def _leave_out(self, entry: os.DirEntry[str]) -> None:
        """Do not come back by a link to a folder that is left out."""
        with suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                self._been.add(_place(entry.path))

    def _out_of_reach(self, relative: str, reason: str) -> None:
        self.skip(relative, reason)
        self.unlisted.append(relative)


def _place(path: str) -> Place:
    status = os.stat(path)  # noqa: PTH116 - millions of Paths would be made for nothing
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def _is_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink()
    except OSError:
        return False
