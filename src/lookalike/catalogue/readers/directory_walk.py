"""Recursive walk of a folder that follows each link once and records what cannot be listed."""

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
"""Identity of a folder: device and inode, or its real path where the file system has no inodes."""

ROOT: Final = ""


class Walk:
    """Walk of a folder.

    Real folders are walked first, then targets of links, in the order of the links' paths. A link to a folder that has
    been walked is not followed, so loops of links end and each photo has one path.

    Attributes:
        skipped: Links, folders and files that cannot be followed, listed or read.
        unlisted: Paths of folders that may contain photos that were not found.
        passed_over: Number of links to folders that were walked by another path.
    """

    def __init__(self, root: str, exclusions: Exclusions) -> None:
        """Make a walk; `files` starts it.

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
        """Yield the relative path of each entry that is not a folder, with None for a regular file, else its status.

        Raises:
            CatalogueError: The root cannot be listed.
        """
        yield from self._beneath(ROOT, by_link=False)
        while self._links:
            links, self._links = sorted(self._links), []
            for link in links:
                yield from self._beneath(link, by_link=True)

    def path(self, relative: str) -> str:
        """Absolute path of a path relative to the root."""
        return f"{self._root.rstrip('/')}/{relative}" if relative else self._root

    def skip(self, relative: str, reason: str) -> None:
        """Record a skipped path; bytes of a name that are not UTF-8 are escaped."""
        self.skipped.append(Skip(os.fsencode(relative).decode("utf-8", "backslashreplace"), reason))

    def _beneath(self, start: str, *, by_link: bool) -> Iterator[tuple[str, os.stat_result | None]]:
        """Walk the real folders below a path; collect links to folders."""
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
                    what = "the link cannot be followed" if _is_link(entry) else "its type cannot be read"
                    self._out_of_reach(relative, f"{what}: {(error.strerror or str(error)).lower()}")
                    continue
                yield relative, None if stat.S_ISREG(status.st_mode) else status

    def _entries(self, folder: str, *, by_link: bool) -> list[os.DirEntry[str]]:
        """Entries of a folder, sorted; none if it was walked before or cannot be listed."""
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
        """Mark an excluded folder as walked, so that links to it are not followed."""
        with suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                self._been.add(_place(entry.path))

    def _out_of_reach(self, relative: str, reason: str) -> None:
        self.skip(relative, reason)
        self.unlisted.append(relative)


def _place(path: str) -> Place:
    status = os.stat(path)  # noqa: PTH116 - called for millions of paths
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def _is_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink()
    except OSError:
        return False
