"""Catalogue of the photos of a folder and its sub-folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from lookalike.catalogue.exclusions import Exclusions
from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.directory_walk import ROOT, Walk
from lookalike.errors import CatalogueError, PhotoError
from lookalike.images import content_type
from lookalike.storage.files import kind_of, open_regular
from lookalike.types import Item

IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".png", ".webp", ".avif", ".gif", ".bmp"),
    *(".tif", ".tiff", ".heic", ".heif", ".ppm", ".pgm", ".pbm", ".tga"),
)
"""Suffixes of photos; a file with one of them that cannot be read is listed as skipped."""

RAW: Final = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".k25", ".kdc", ".mef", ".mos"),
    *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
)
PICTURES: Final[Mapping[str, str]] = {
    ".jxl": "JPEG XL",
    ".svg": "SVG drawings",
    ".svgz": "SVG drawings",
    ".psd": "Photoshop files",
    ".psb": "Photoshop files",
    ".xcf": "GIMP files",
    ".kra": "Krita files",
    ".eps": "PostScript drawings",
    ".ai": "Illustrator drawings",
    ".jxr": "JPEG XR",
    ".wdp": "JPEG XR",
    ".exr": "OpenEXR",
    ".hdr": "Radiance pictures",
    ".dds": "DirectDraw surfaces",
    ".pcx": "PCX",
    ".ico": "icons",
    ".wmf": "Windows metafiles",
    ".emf": "Windows metafiles",
}
"""Suffixes of images that cannot be read, and names of their formats."""

NAMED_LIKE_PHOTOS: Final = (*IMAGE_ENDINGS, *RAW, *PICTURES)

SAVE_IT: Final = "save it as JPEG or PNG"

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
    """Whether the first 16 bytes of a file are those of a common image format."""
    if start.startswith(IMAGE_SIGNATURES):
        return True
    if start[:4] == b"RIFF":
        return start[8:12] == b"WEBP"
    if start[:2] == b"BM":
        return start[6:10] == b"\x00" * 4  # the reserved field; text may begin with BM too
    return start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis", b"mif1", b"heic", b"heix")


def unreadable(name: str, start: bytes) -> str | None:
    """Return why a file with the suffix of an image cannot be read; None if it can, or has another suffix.

    The suffix decides for raw files of cameras, which begin like a TIFF whose first image is a small preview.

    Args:
        name: File name.
        start: Its first bytes, `SIGNATURE_BYTES` or more; empty where only the name is known.
    """
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 - called for millions of paths
    if ending in RAW:
        return f"raw files of cameras ({ending}) cannot be read; {SAVE_IT}"
    if ending not in PICTURES:
        return None
    try:
        content_type(start, name=name)
    except PhotoError:
        return f"{PICTURES[ending]} ({ending}) cannot be read; {SAVE_IT}"
    return None


def open_folder(folder: Path, *, exclusions: Exclusions) -> Catalogue:
    """Open the photos of a folder and its sub-folders as a catalogue, in the order of their paths.

    A file is a photo if it begins like an image or has the suffix of one. Links to folders are followed, each folder
    once, by its real path or else by that of the first link. A link to a file is a separate photo. An item's id is the
    path of its photo relative to the folder, and photos in sub-folders have the attribute `folder`.

    Args:
        folder: An absolute path.
        exclusions: Paths left out of the catalogue.

    Raises:
        CatalogueError: The folder cannot be listed, or has no photos.
    """
    search = _Search(Walk(str(folder), exclusions))
    walk, photos = search.walk, sorted(search.photos())
    others = f"{search.others} other {'file' if search.others == 1 else 'files'}"
    if not photos and not walk.skipped:
        raise CatalogueError(f"{folder}: there are no photos in it, and {others}")

    def items() -> Iterator[Item]:
        for photo in photos:
            parent, _, _ = photo.rpartition("/")
            yield Item(id=photo, photo=photo, root=str(folder), attributes={"folder": parent} if parent else {})

    notes = {
        f"{others} passed over: not named like a photo, and no image inside": search.others,
        f"{walk.passed_over} links to folders passed over: their photos have another path": walk.passed_over,
    }
    return Catalogue(
        kind="folder",
        source=str(folder),
        items=items,
        count=len(photos),
        skipped=tuple(sorted(walk.skipped, key=lambda skip: skip.photo)),
        # A folder without any photo left is more likely an unmounted one than an emptied one.
        unlisted=frozenset(walk.unlisted if photos else [ROOT]),
        notes=tuple(note for note, count in notes.items() if count),
    )


class _Search:
    """Finds photos among the files of a walk, and counts other files."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.others = 0

    def photos(self) -> Iterator[str]:
        """Yield paths relative to the root."""
        for relative, status in self.walk.files():
            if status is not None:
                if relative.lower().endswith(NAMED_LIKE_PHOTOS):
                    self.walk.skip(relative, f"it is {kind_of(status)}, and only files are read")
            elif self._is_photo(relative) and self._has_text_name(relative):
                yield relative

    def _is_photo(self, relative: str) -> bool:
        name = relative.lower()
        if name.endswith(IMAGE_ENDINGS):
            return True
        try:
            with open_regular(self.walk.path(relative)) as file:
                start = file.read(SIGNATURE_BYTES)
        except OSError as error:
            self.walk.skip(relative, f"cannot be opened: {(error.strerror or str(error)).lower()}")
            return False
        if reason := unreadable(name, start):
            self.walk.skip(relative, reason)
            return False
        if begins_like_an_image(start) or name.endswith(NAMED_LIKE_PHOTOS):
            return True
        self.others += 1
        return False

    def _has_text_name(self, relative: str) -> bool:
        try:
            relative.encode()
        except UnicodeEncodeError:
            self.walk.skip(relative, "its name is not UTF-8; rename it")
            return False
        return True
