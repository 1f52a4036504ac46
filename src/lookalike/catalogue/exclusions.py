"""Excluded files and folders of a catalogue: hidden ones, system folders, and matches of globs."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from lookalike.errors import UsageError

OF_SYSTEMS: Final = frozenset(
    {
        *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot"),
        *("$recycle.bin", "recycler", "recycled", "system volume information", "thumbs.db", "ehthumbs.db"),
        *("desktop.ini", "__macosx", "network trash folder", "temporary items", "lost+found"),
    }
)
"""Lower-case names of recycle bins, snapshots and thumbnails of NAS systems, Windows, macOS and file systems."""

ANY_DEPTH: Final = "**"


class Exclusions:
    """Set of excluded paths, relative to a source.

    Hidden files and folders (their names begin with a dot), system folders, and matches of a glob are excluded, and
    so are the contents of excluded folders. A glob without a slash matches names at any depth; one with a slash
    matches paths relative to the source, where `*` matches within a name and `**` any number of folders.
    """

    def __init__(self, globs: Sequence[str] = ()) -> None:
        """Parse the globs.

        Raises:
            UsageError: A glob is empty, or `globs` is a single text.
        """
        if isinstance(globs, str):
            raise UsageError(f"exclude is a list of globs, got the text {globs!r}")
        self._names: list[str] = []
        self._paths: list[list[str]] = []
        for glob in globs:
            bare = glob.removeprefix("./").rstrip("/")
            if not bare.strip("/"):
                raise UsageError(f"expected a glob such as '*.psd' or 'returns/**', got {glob!r}")
            if "/" in bare:
                self._paths.append(bare.lstrip("/").split("/"))
            else:
                self._names.append(bare)

    def excludes_entry(self, path: str) -> bool:
        """Whether a file or folder of a folder that is not excluded is excluded."""
        name = path.rpartition("/")[2]
        if name.startswith(".") or name.lower() in OF_SYSTEMS:
            return True
        if any(fnmatchcase(name, glob) for glob in self._names):
            return True
        return any(_matches(path.split("/"), glob) for glob in self._paths)

    def excludes(self, path: str) -> bool:
        """Whether a path or one of its parent folders is excluded."""
        parts = path.split("/")
        return any(self.excludes_entry("/".join(parts[:depth])) for depth in range(1, len(parts) + 1))


DEFAULT_EXCLUSIONS: Final = Exclusions()


def _matches(parts: Sequence[str], glob: Sequence[str]) -> bool:
    """Whether a path matches a glob, part by part."""
    if not glob:
        return not parts
    if glob[0] == ANY_DEPTH:
        return any(_matches(parts[start:], glob[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], glob[0]) and _matches(parts[1:], glob[1:])
