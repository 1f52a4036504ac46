"""Names of photos that a table writes otherwise than the folder has them, and that mean the same."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator


def as_in_folder(root: str, photo: str) -> str:
    r"""Find the way in which a folder spells the path of a photo.

    A path is taken as it is written where there is such a file. Else `\` stands for `/`, as Windows writes it, and
    each name may be composed or decomposed (`é` in one character or in two): macOS writes the second, most editors
    and programs the first.

    Args:
        root: The folder that the path is relative to.
        photo: As the table writes it.

    Returns:
        The path as it was found; as it is written where nothing was.
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
