"""Strict parser of multipart/form-data: incomplete forms and text other than UTF-8 are errors.

It is the part of Starlette's parser that this server needs, on the same library: parts stay in memory, where `Intake`
counts them, so that no file is made, written and read again. That takes half the time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lookalike.server.errors import ApiError
from lookalike.types import JSON

LONGEST_NAME: Final = 200
LONGEST_FIELD: Final = 65_536
MOST_PART_HEADERS: Final = 16
PLAIN_CHARSETS: Final = ("utf-8", "utf8", "us-ascii")
"""Charsets of forms. Any other could name a Python codec that takes seconds."""

NAME_CHARSETS: Final = {b"utf-8": "utf-8", b"iso-8859-1": "latin-1"}
"""Charsets of file names. Source: RFC 5987, section 3.2."""

EXTENDED: Final = re.compile(rb""";\s*filename\*\s*=\s*"?([\w-]+)'[^';]*'([^;"\s]*)""", re.IGNORECASE)


class Upload(BytesIO):
    """An uploaded file; its name is for messages only."""

    def __init__(self, data: bytes, *, name: str) -> None:
        super().__init__(data)
        self.name = name


@dataclass(frozen=True, slots=True)
class Form:
    """A parsed form.

    Attributes:
        fields: Values of the fields by name; empty ones are left out.
        files: Files by name of the part.
        untouched: Names of empty parts: browsers send optional inputs like this when nothing was entered or chosen,
            so they count as not given.
    """

    fields: Mapping[str, Sequence[str]]
    files: Mapping[str, Sequence[Upload]]
    untouched: Sequence[str] = ()


class FormParser:
    """Parser of one form."""

    def __init__(self, content_type: str, *, parts: int) -> None:
        """Begin.

        Args:
            content_type: `Content-Type` header of the form.
            parts: Largest number of fields, and of files.

        Raises:
            ApiError: The header has no boundary, or declares another charset than UTF-8.
        """
        options = parse_options_header(content_type)[1]
        self._codec = charset_of(options)
        if b"boundary" not in options:
            raise malformed("Missing boundary in multipart.")
        self._most = parts
        self._fields: dict[str, list[str]] = {}
        self._files: dict[str, list[Upload]] = {}
        self._untouched: list[str] = []
        self._counts = {"fields": 0, "files": 0}
        self._ended = False
        self._on_part_begin()
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._on_part_begin,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise malformed(INVALID) from error

    def write(self, chunk: bytes) -> None:
        """Parse the next bytes of the form.

        Raises:
            ApiError: The form is malformed, not UTF-8, or has too many parts.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise malformed(INVALID) from error
        except (LookupError, ValueError) as error:  # raised by the library at malformed headers of parts
            raise ApiError("bad_request", "the form cannot be read: the headers of a part are malformed") from error

    def form(self) -> Form:
        """Finish the form.

        Raises:
            ApiError: The form is incomplete.
        """
        del self._parser  # whose callbacks hold this object, and that the files
        if not self._ended:
            raise malformed("its final boundary is missing; nothing was done")
        return Form(self._fields, self._files, self._untouched)

    def _on_end(self) -> None:
        """Record the final boundary; the library accepts a form without it."""
        self._ended = True

    def _on_part_begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._header = self._value = b""
        self._name = ""
        self._file_name: str | None = None
        self._data = BytesIO()  # grows in place: a list would have an object for each piece that arrives
        self._length = 0

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers.append((self._header.lower(), self._value))
        self._header = self._value = b""
        if len(self._headers) > MOST_PART_HEADERS:
            raise malformed(f"a part has more than {MOST_PART_HEADERS} headers")

    def _on_headers_finished(self) -> None:
        """Begin a field or a file: also a part is one whose media type is an image, or whose name is in RFC 5987."""
        headers = dict(self._headers)
        encoded = headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        if encoded not in (b"binary", b"8bit", b"7bit"):
            raise malformed(
                f"a part has Content-Transfer-Encoding {encoded.decode('latin-1')!r}; send the bytes unencoded"
            )
        disposition = headers.get(b"content-disposition", b"")
        options = parse_options_header(disposition)[1]
        if b"name" not in options:
            raise malformed('The Content-Disposition header field "name" must be provided.')
        self._name = self._text(options[b"name"])
        if b"filename" in options:
            self._file_name = self._text(options[b"filename"])
        else:
            self._file_name = extended_name(disposition)
            is_image = headers.get(b"content-type", b"").strip().lower().startswith(b"image/")
            if self._file_name is None and is_image:
                self._file_name = "photo"
        kind = "fields" if self._file_name is None else "files"
        self._counts[kind] += 1
        if self._counts[kind] > self._most:
            message = f"the form has more than the {self._most} parts allowed"
            raise ApiError("too_many_parts", message, details={"limit": self._most})

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._length += end - start
        if self._file_name is None and self._length > LONGEST_FIELD:
            message = f"a field is longer than the {LONGEST_FIELD:,} bytes allowed"
            raise ApiError("too_large", message, details={"limit": LONGEST_FIELD})
        self._data.write(data[start:end])

    def _on_part_end(self) -> None:
        data = self._data.getvalue()
        self._data = BytesIO()
        if self._file_name is None:
            try:
                data.decode()
            except UnicodeDecodeError:
                raise malformed(f"the field {self._name[:LONGEST_NAME]!r} is not UTF-8") from None
            if data:
                self._fields.setdefault(self._name, []).append(self._text(data))
                return
        elif data or self._file_name:
            upload = Upload(data, name=printable_name(self._file_name))
            self._files.setdefault(self._name, []).append(upload)
            return
        self._untouched.append(self._name)

    def _text(self, data: bytes) -> str:
        """Text in the charset of the form, or else in Latin-1, which has a letter for any byte."""
        try:
            return data.decode(self._codec)
        except UnicodeDecodeError:
            return data.decode("latin-1")


INVALID: Final = "Invalid multipart data."


def malformed(reason: str) -> ApiError:
    """Error 400, for a form that cannot be read."""
    return ApiError("bad_request", f"the form cannot be read: {reason}")


def printable_name(name: str) -> str:
    """Printable part of a client's file name, without folders."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(letter for letter in last if letter.isprintable())
    return printable[:LONGEST_NAME] or "photo"


def extended_name(disposition: bytes) -> str | None:
    """File name given as `filename*=UTF-8''...`, or None.

    Source: RFC 5987, section 3.2. RFC 7578 forbids it in forms, but some clients send it.
    """
    found = EXTENDED.search(disposition)
    if found is None:
        return None
    charset = NAME_CHARSETS.get(found[1].lower())
    if charset is None:
        return "photo"
    name = unquote_to_bytes(found[2]).decode(charset, "replace")
    return "".join(letter for letter in name if letter.isprintable() and letter not in '"\\') or "photo"


def charset_of(options: Mapping[bytes, bytes]) -> str:
    """Charset of a form, from the parameters of its media type.

    Raises:
        ApiError: The form declares another charset than UTF-8.
    """
    charset = options.get(b"charset", b"utf-8").decode("latin-1").strip().lower()
    if charset not in PLAIN_CHARSETS:
        got = f"charset={charset[:LONGEST_NAME]}"
        details: dict[str, JSON] = {"expected": ["charset=utf-8"], "got": got}
        raise ApiError("unsupported_media_type", f"expected a form in UTF-8, got one with {got}", details=details)
    return charset
