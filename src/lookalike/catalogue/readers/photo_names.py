"""Matching of photo paths in tables to file names in other Unicode forms or with backslashes."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator


def as_in_folder(root: str, photo: str) -> str:
    r"""Find the spelling of a photo's path in a folder.

    A path is taken as it is written where there is such a file. Else `\` stands for `/`, as Windows writes it, and
    each name may be composed or decomposed (`é` in one character or in two): macOS writes the second, most editors
    and programs the first.

    Args:
        root: Folder of relative paths.
        photo: Path in the table.

    Returns:
        Path that was found, else `photo`.
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
