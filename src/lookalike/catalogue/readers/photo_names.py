"""Matching of photo paths in tables to file names in other Unicode forms or with backslashes."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator


def as_in_folder(root: str, photo: str) -> str:
    r"""Find the spelling of a photo's path in a folder.

    A path is kept if the file exists. Else `\` counts as `/`, as on Windows, and each name may be composed or
    decomposed (`é` as one character or two): macOS writes decomposed names, most programs composed ones.

    Args:
        root: Folder of relative paths.
        photo: Path in the table.

    Returns:
        The path that exists, else `photo`.
    """
    if (photo.isascii() and "\\" not in photo) or "://" in photo or "\0" in photo:
        return photo
    if os.path.lexists(os.path.join(root, photo)):  # noqa: PTH118 - a Path would tidy the spelling
        return photo
    found: list[str] = []
    for part in photo.replace("\\", "/").split("/"):
        spellings = ("/".join([*found, spelling]) for spelling in _spellings(part))
        there = next((one for one in spellings if os.path.lexists(os.path.join(root, one or "/"))), None)  # noqa: PTH118
        if there is None:
            return photo
        found = there.split("/")
    return "/".join(found)


def _spellings(name: str) -> Iterator[str]:
    yield name
    for form in ("NFC", "NFD"):
        yield unicodedata.normalize(form, name)
