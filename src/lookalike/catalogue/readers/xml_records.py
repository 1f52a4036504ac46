"""Streaming reader of records in untrusted XML: no DTD, no entity declarations, no network, with limits."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from xml.parsers import expat

from lookalike.errors import CatalogueError

BYTES_AT_ONCE: Final = 2**16

DEEPEST: Final = 32
"""Most elements within each other."""

LONGEST_VALUE: Final = 2**20
"""Most characters of the text of an element."""

LONGEST_RECORD: Final = 2**22
"""Most characters of the texts of a record."""

LONGEST_PIECE: Final = 2**22
"""Most bytes of a tag, a comment or another piece of markup, which the parser holds in memory."""

MOST_VALUES: Final = 10_000
"""Most elements of a record."""

Record = list[tuple[str, str]]
"""Names (namespace, a space and the local name) and texts of the elements of a record, in their order. The text of a
link without one is its attribute `href`."""


class XmlRecords:
    """A document whose records are elements of some names, at any depth.

    Args:
        path: An absolute path.
        encoding: Encoding to read it in, whatever it declares; None goes by its declaration.
        names: Local names of the elements that are records.

    Attributes:
        root: Name of the outermost element, once it is read.
    """

    def __init__(self, path: Path, *, encoding: str | None, names: Collection[str]) -> None:
        self._path, self._names = path, names
        self._parser = expat.ParserCreate(encoding, " ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._depth, self._inside = 0, 0
        self._line = 0
        self._record: Record | None = None
        self._value: list[str] | None = None
        self._length = self._held = 0
        self._href = ""
        self._done: list[tuple[int, Record]] = []
        self.root = ""

    def __iter__(self) -> Iterator[tuple[int, Record]]:
        """Yield the line, from 1, and the elements of each record.

        Raises:
            CatalogueError: The document is not well-formed, is cut short, has a DTD, or exceeds a limit.
        """
        fed = 0
        try:
            with self._path.open("rb") as file:
                while piece := file.read(BYTES_AT_ONCE):
                    self._parser.Parse(piece, False)
                    fed += len(piece)
                    if fed - max(self._parser.CurrentByteIndex, 0) > LONGEST_PIECE:
                        raise self._refused(f"a piece of markup is longer than {LONGEST_PIECE >> 20} MiB")
                    yield from self._taken()
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            what = expat.ErrorString(error.code)
            raise CatalogueError(f"{self._path}:{error.lineno}: not well-formed XML: {what}") from None
        except (LookupError, ValueError) as error:  # an encoding that Python does not know, or of several bytes
            raise CatalogueError(f"{self._path}: XML in an encoding that is not read ({error})") from None
        except OSError as error:
            raise CatalogueError(f"{self._path}: {error.strerror}") from None
        yield from self._taken()

    def begin(self) -> str | None:
        """Local name of the outermost element, from the first bytes; None if they are not the beginning of XML."""
        with self._path.open("rb") as file, suppress(expat.ExpatError, CatalogueError, ValueError):
            self._parser.Parse(file.read(BYTES_AT_ONCE), False)
        return self.root.rpartition(" ")[2] or None

    def _taken(self) -> Iterator[tuple[int, Record]]:
        done, self._done = self._done, []
        yield from done

    def _refused(self, what: str) -> CatalogueError:
        return CatalogueError(f"{self._path}:{self._parser.CurrentLineNumber}: {what}, which no feed needs")

    def _doctype(self, name: str, *_: object) -> None:
        self.root = name
        raise self._refused("the document declares a document type (DTD)")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.root = self.root or name
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._refused(f"elements are nested more than {DEEPEST} deep")
        if self._record is None:
            if name.rpartition(" ")[2] in self._names:
                self._record, self._inside, self._line = [], self._depth, self._parser.CurrentLineNumber
                self._held = 0
        elif self._depth == self._inside + 1:
            self._value, self._length = [], 0
            self._href = attributes.get("href", "") if attributes.get("rel", "alternate") == "alternate" else ""
            if len(self._record) == MOST_VALUES:
                raise self._refused(f"a record has more than {MOST_VALUES:,} elements")

    def _end(self, name: str) -> None:
        if self._record is not None and self._depth == self._inside:
            self._done.append((self._line, self._record))
            self._record = None
        elif self._record is not None and self._value is not None and self._depth == self._inside + 1:
            self._record.append((name, "".join(self._value).strip() or self._href))
            self._value = None
        self._depth -= 1

    def _text(self, text: str) -> None:
        if self._value is None or self._depth != self._inside + 1:
            return
        self._length += len(text)
        self._held += len(text)
        if self._length > LONGEST_VALUE:
            raise self._refused(f"the text of an element is longer than {LONGEST_VALUE:,} characters")
        if self._held > LONGEST_RECORD:
            raise self._refused(f"the texts of a record are longer than {LONGEST_RECORD:,} characters")
        self._value.append(text)


def root_of(path: Path, *, encoding: str | None) -> str | None:
    """Local name of the outermost element of an XML document, or that of its DTD; None if a file begins otherwise."""
    try:
        return XmlRecords(path, encoding=encoding, names=()).begin()
    except (LookupError, OSError):
        return None
