"""Opening a source, as a user names it, as a catalogue."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from lookalike.catalogue.boxes import Boxes, cropped
from lookalike.catalogue.deepfashion.annotation_file import PHOTO_FOLDERS
from lookalike.catalogue.exclusions import Exclusions
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError, UnknownNameError, UsageError
from lookalike.remote.addresses import EXPECTED, is_address, is_remote, shown
from lookalike.storage.files import open_regular

LOG: Final = logging.getLogger(__name__)

PARQUET_SIGNATURE = b"PAR1"
OTHER_FILES = {
    b"PK\x03\x04": "a workbook, such as Excel's, or another ZIP archive; save it as CSV",
    b"\xd0\xcf\x11\xe0": "a workbook of old Excel; save it as CSV",
    b"SQLite format 3": "an SQLite database; export a table of it as CSV",
    b"ARROW1\0\0": "an Arrow or Feather file; save it as Parquet",
    b"\xff\xff\xff\xff": "a stream of Arrow batches; save it as Parquet",
    b"FEA1": "an old Feather file; save it as Parquet",
    b"Obj\x01": "an Avro file; save it as Parquet",
    b"\x89HDF": "an HDF5 file; save it as Parquet",
    b"\x93NUMPY": "a NumPy array; save it as Parquet",
    b"%PDF-": "a PDF document; save its table as CSV",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it",
    b"\xfd7zXZ": "compressed by xz; unpack it",
    b"version https://git-lfs": "a pointer of Git LFS to a file; fetch the file with: git lfs pull",
}
"""Files of other formats by their first bytes, and what to do with them."""

OTHER_PATTERNS: Final = {
    re.compile(rb"PARE[^ -~\t]"): "an encrypted Parquet table; decrypt it",  # and no column called PARENT
    re.compile(rb"ORC[^ -~\t]"): "an ORC file; save it as Parquet",
    re.compile(rb"BZh[1-9]1AY&SY"): "compressed by bzip2; unpack it",
    re.compile(rb'(\xef\xbb\xbf)?\s*(\{\s*["}]|\[\s*[\[{"\d\]])'): "JSON; save it as CSV or Parquet",
    re.compile(rb"(\xef\xbb\xbf)?\s*<[?!a-zA-Z]"): "XML or HTML, as some shops name .csv or .xls; save it as CSV",
}
"""Files of other formats by a pattern of their first bytes, and what to do with them."""


def open_catalogue(
    source: str,
    *,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    exclude: Sequence[str] = (),
    boxes: Boxes | None = None,
    photos: str | None = None,
) -> Catalogue:
    """Open a folder, a CSV or Parquet table, `drawn` (the built-in sample) or `-` (paths on standard input).

    Folders and tables may be in an object store, `s3://bucket/photos`, and tables on the web; see
    `lookalike.catalogue.readers.object_store`.

    Feeds of shops (Google Merchant, Shopify, WooCommerce, Product Search) are recognised by their content, unless
    `columns` are given; see `lookalike.catalogue.readers.feeds`.

    Published benchmarks, and trees such as `train/dress/1.jpg`, are recognised; see
    `lookalike.catalogue.folder_layouts`.

    Args:
        source: Folder, table, URL, `drawn` or `-`. A folder called `drawn` is `./drawn`.
        columns: Column names of a table by the expected names (`id`, `image`, `product`, `box`), such as
            `{"image": "file"}`.
        encoding: Encoding of a CSV table without a byte order mark, such as `cp1252`; None is UTF-8.
        exclude: Globs of files and folders of a folder to leave out; see
            `lookalike.catalogue.exclusions.Exclusions`.
        boxes: True crops photos to their boxes, False uses whole photos, and a number such as 0.1 crops to the box and
            that part of its sides around it; None is True, or what the papers of a benchmark do.
        photos: Folder of DeepFashion's photos, `img` or `img_highres`; None takes the first that is there.

    Raises:
        CatalogueError: There is nothing there, or it cannot be read.
        AnnotationError: A row of the table, or a line of a benchmark's files, is malformed.
        UnknownNameError: `columns` or `photos` names something that does not exist.
        UsageError: The source is empty, `columns` or `encoding` is given for a source that is not a table,
            `exclude` for one that is not a folder, or `photos` for one that is not DeepFashion; or `boxes` is
            malformed.
        MissingExtraError: The library for its object store is not installed.
    """
    catalogue = open_unlogged(source, columns=columns, encoding=encoding, exclude=exclude, boxes=boxes, photos=photos)
    for note in catalogue.notes:
        LOG.info("%s: %s", catalogue.source, note)
    return catalogue


def open_unlogged(
    source: str,
    *,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    exclude: Sequence[str] = (),
    boxes: Boxes | None = None,
    photos: str | None = None,
) -> Catalogue:
    """Open a catalogue as `open_catalogue` does, without logging its notes; arguments and errors are the same."""
    if not source.strip():
        raise UsageError("expected a folder or a table, got an empty name")
    if columns is not None and not isinstance(columns, Mapping):
        raise UsageError(f"columns must be a dict such as {{'image': 'file'}}, got {columns!r:.200}")
    if photos is not None and photos not in PHOTO_FOLDERS:
        raise UnknownNameError("folder of photos", photos, PHOTO_FOLDERS)
    catalogue = _open(source, columns or {}, encoding, Exclusions(exclude), photos)
    if photos is not None and not catalogue.photos:
        raise UsageError(
            f"photos is {PHOTO_FOLDERS[0]} or {PHOTO_FOLDERS[1]} of DeepFashion, and {source} is another source"
        )
    if exclude and catalogue.kind not in ("folder", "imagefolder"):
        raise UsageError(f"exclude works on folders of photos, and {source} lists its photos")
    return cropped(catalogue, boxes)


def _open(
    source: str, columns: Mapping[str, str], encoding: str | None, exclusions: Exclusions, photos: str | None
) -> Catalogue:
    open_table = partial(_open_table, encoding=encoding)
    if is_remote(source):
        from lookalike.catalogue.readers.object_store import open_stored

        return open_stored(source, columns=columns, exclusions=exclusions, open_table=open_table)
    if is_address(source):
        raise CatalogueError(f"{shown(source)}: {EXPECTED}")
    path = Path(os.path.abspath(source))  # noqa: PTH100 - resolve() follows links, which may point elsewhere tomorrow
    mode = None if source in ("-", "drawn") else _mode(path, source)
    is_table = mode is not None and stat.S_ISREG(mode)
    if (columns or encoding) and not is_table:
        raise UsageError(f"columns and encoding are for tables only, and {source} is not a table")
    if source == "-":
        from lookalike.catalogue.readers.stdin_paths import open_standard_input

        return open_standard_input()
    if source == "drawn":
        from lookalike.catalogue.sample.drawn import open_drawn

        return open_drawn()
    if mode is not None and stat.S_ISDIR(mode):
        from lookalike.catalogue.folder_layouts import open_recognised
        from lookalike.catalogue.readers.folder import open_folder

        return open_recognised(path, exclusions=exclusions, photos=photos) or open_folder(path, exclusions=exclusions)
    if not is_table:
        raise CatalogueError(f"{source} is neither a folder nor a file; for paths on standard input give -")
    return open_table(path, columns)


def _mode(path: Path, source: str) -> int:
    """Mode of a path.

    Raises:
        CatalogueError: There is no such path, or it cannot be read.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise CatalogueError(f"{source}: there is no such folder or table") from None
    except OSError as error:
        raise CatalogueError(f"{source}: {(error.strerror or str(error)).lower()}") from None


def _open_table(path: Path, columns: Mapping[str, str], *, encoding: str | None) -> Catalogue:
    """Open a table in the format of its first bytes."""
    from lookalike.catalogue.readers.folder import begins_like_an_image

    try:
        with open_regular(path) as file:
            start = file.read(32)
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from None
    if start.startswith(PARQUET_SIGNATURE):
        if encoding:
            raise UsageError(f"encoding is for CSV tables only, and {path} is a Parquet table")
        from lookalike.catalogue.readers.parquet import open_parquet

        return open_parquet(path, columns=columns)
    if begins_like_an_image(start):
        raise CatalogueError(f"{path} is a photo; a catalogue is a folder of photos, or a CSV or Parquet table")
    from lookalike.catalogue.readers.delimited import check_encoding, open_delimited
    from lookalike.catalogue.readers.feeds import open_document, open_feed_table

    known_encoding = check_encoding(encoding) if encoding else None
    if (feed := None if columns else open_document(path, start, encoding=known_encoding)) is not None:
        return feed
    signed = (what for signature, what in OTHER_FILES.items() if start.startswith(signature))
    other = next(signed, None) or next((what for pattern, what in OTHER_PATTERNS.items() if pattern.match(start)), None)
    if other:
        raise CatalogueError(f"{path} is {other}; a table is a CSV or Parquet file")
    if (feed := None if columns else open_feed_table(path, encoding=known_encoding)) is not None:
        return feed
    return open_delimited(path, columns=columns, encoding=known_encoding)
