"""A folder of photos: every file in it that is an image, at any depth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lookalike.catalogue.protocol import Catalogue, Skip
from lookalike.errors import CatalogueError
from lookalike.types import Item

IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".png", ".webp", ".avif", ".gif", ".bmp"),
    *(".tif", ".tiff", ".heic", ".heif", ".ppm", ".pgm", ".pbm", ".tga"),
)
"""A file that is named so is meant to be a photo: when it cannot be read, the user must hear of it."""

IMAGE_SIGNATURES = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\x00",  # TIFF, little endian
    b"MM\x00*",  # TIFF, big endian
    b"\x00\x00\x00\x0cjP  ",  # JPEG 2000
    b"\xffO\xffQ",  # JPEG 2000 codestream
)
SIGNATURE_BYTES = 16


def begins_like_an_image(start: bytes) -> bool:
    """Tell from its first 16 bytes whether a file is an image of one of the common kinds."""
    if start.startswith(IMAGE_SIGNATURES):
        return True
    if start[:4] == b"RIFF":
        return start[8:12] == b"WEBP"
    if start[:2] == b"BM":
        return start[6:10] == b"\x00" * 4  # the reserved field; text may begin with BM too
    return start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis", b"mif1", b"heic", b"heix")


def open_folder(folder: Path) -> Catalogue:
    """List the photos of a folder and of all folders in it, in the order of their paths.

    A file is a photo when it begins like an image, whatever its name, or when it is named like one. Hidden files and
    folders are left out, links to folders are followed once. An item's id is the path of its photo relative to the
    folder, and photos in sub-folders have the attribute `folder`.

    Args:
        folder: An absolute path.

    Raises:
        CatalogueError: It cannot be listed, or there is no photo in it.
    """
    walk = _Walk(folder)
    photos = sorted(walk.photos(folder, above=frozenset()))
    others = f"{walk.others} other {'file' if walk.others == 1 else 'files'}"
    if not photos and not walk.skipped:
        raise CatalogueError(f"{folder}: there are no photos in it, and {others}")

    def items() -> Iterator[Item]:
        for photo in photos:
            parent, _, _ = photo.rpartition("/")
            yield Item(id=photo, photo=photo, root=str(folder), attributes={"folder": parent} if parent else {})

    return Catalogue(
        kind="folder",
        source=str(folder),
        items=items,
        count=len(photos),
        skipped=tuple(sorted(walk.skipped, key=lambda skip: skip.photo)),
        notes=(f"{others} passed over: not named like a photo, and no image inside",) if walk.others else (),
    )


class _Walk:
    """One walk through a folder; counts what it passes over."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.skipped: list[Skip] = []
        self.others = 0

    def photos(self, folder: Path, *, above: frozenset[tuple[int, int]]) -> Iterator[str]:
        """Yield paths relative to the root; `above` are the folders that led here, so that no loop of links is run."""
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if folder == self.root:
                raise CatalogueError(f"{folder}: {error.strerror}") from None
            self.skip(folder, f"the folder cannot be listed: {error.strerror}")
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from self.photos(path, above=above | {here})
            elif self.is_photo(path) and self.has_text_name(path):
                yield path.relative_to(self.root).as_posix()

    def is_photo(self, path: Path) -> bool:
        if path.suffix.lower() in IMAGE_ENDINGS:
            return True
        try:
            if path.is_file():  # a pipe or a socket would keep us waiting
                with path.open("rb") as file:
                    if begins_like_an_image(file.read(SIGNATURE_BYTES)):
                        return True
        except OSError as error:
            self.skip(path, f"cannot be opened: {error.strerror}")
            return False
        self.others += 1
        return False

    def has_text_name(self, path: Path) -> bool:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            self.skip(path, "its name is not UTF-8; rename it")
            return False
        return True

    def skip(self, path: Path, reason: str) -> None:
        name = os.fsencode(path.relative_to(self.root)).decode("utf-8", "backslashreplace")
        self.skipped.append(Skip(name, reason))
