"""Checksum files beside exports, in the format of `sha256sum`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lookalike.errors import CatalogueError

FILE: Final = "SHA256SUMS"


def write(folder: Path, names: Iterable[str]) -> None:
    """Write the checksum file of a folder.

    Raises:
        OSError: A file cannot be read, or the checksum file cannot be written.
    """
    text = "".join(f"{sha256(folder / name)}  {name}\n" for name in names)
    (folder / FILE).write_text(text, encoding="utf-8", newline="\n")


def check(folder: Path, names: Iterable[str]) -> None:
    """Check files of a folder against its checksum file, if there is one; files of other programs have none.

    Raises:
        CatalogueError: A file or the checksum file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        for name in names:
            if wanted.get(name) != sha256(folder / name):
                raise CatalogueError(
                    f"{folder / name} is damaged, or was changed: it does not fit its checksum in {path}; "
                    "export the gallery again, or bring the files back from a copy"
                )
    except UnicodeDecodeError:
        raise CatalogueError(f"{path} is damaged: expected a checksum and the name of a file on each line") from None
    except OSError as error:
        raise CatalogueError(f"{error.filename or path}: {error.strerror or error}") from None


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
