"""Strict parser of multipart/form-data: incomplete forms and text other than UTF-8 are errors, unlike in Starlette."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from lookalike.server.errors import ApiError
from lookalike.types import JSON

LONGEST_NAME: Final = 200
MOST_PART_HEADERS: Final = 16
PLAIN_CHARSETS: Final = ("utf-8", "utf8", "us-ascii")
"""Charsets of forms. Any other could name a Python codec that takes seconds."""

NAME_CHARSETS: Final = {b"utf-8": "utf-8", b"iso-8859-1": "latin-1"}
"""Charsets of file names. Source: RFC 5987, section 3.2."""

EXTENDED: Final = re.compile(rb""";\s*filename\*\s*=\s*"?([\w-]+)'[^';]*'([^;"\s]*)""", re.IGNORECASE)


class FormParser(MultiPartParser):
    """Parser of one form; files are kept in memory, where `Intake` counts them.

    Attributes:
        ended: Whether the final boundary has come; Starlette accepts a form without it.
    """

    spool_max_size = 2**40
    ended = False

    def on_end(self) -> None:
        """Record the final boundary."""
        self.ended = True

    async def parse(self) -> FormData:
        """Read the form.

        Raises:
            MultiPartException: The form is malformed or incomplete.
        """
        data = await super().parse()
        if not self.ended:
            for file in self._files_to_close_on_error:  # complete ones, and the last one
                file.close()
            raise MultiPartException("its final boundary is missing; nothing was done")
        return data

    def on_part_end(self) -> None:
        """Finish a part.

        Raises:
            MultiPartException: A field is not UTF-8.
        """
        part = self._current_part
        if part.file is None:
            try:
                part.data.decode()
            except UnicodeDecodeError:
                raise MultiPartException(f"the field {part.field_name[:LONGEST_NAME]!r} is not UTF-8") from None
        super().on_part_end()

    def on_header_end(self) -> None:
        """Finish a header of a part.

        Raises:
            MultiPartException: The part has too many headers.
        """
        super().on_header_end()
        if len(self._current_part.item_headers) > MOST_PART_HEADERS:
            raise MultiPartException(f"a part has more than {MOST_PART_HEADERS} headers")

    def on_headers_finished(self) -> None:
        """Treat a part as a file if its media type is an image, or its file name is encoded by RFC 5987."""
        part = self._current_part
        given = part.content_disposition or b""
        headers = dict(part.item_headers)
        encoded = headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        if encoded not in (b"binary", b"8bit", b"7bit"):
            raise MultiPartException(
                f"a part has Content-Transfer-Encoding {encoded.decode('latin-1')!r}; send the bytes unencoded"
            )
        if b"filename" not in parse_options_header(given)[1]:
            name = extended_name(given)
            if name is None and headers.get(b"content-type", b"").strip().lower().startswith(b"image/"):
                name = "photo"
            if name is not None:
                part.content_disposition = given + b'; filename="' + name.encode() + b'"'
        super().on_headers_finished()


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


def check_charset(content_type: str) -> None:
    """Check the charset of a form.

    Raises:
        ApiError: The form declares another charset than UTF-8.
    """
    charset = parse_options_header(content_type)[1].get(b"charset", b"utf-8").decode("latin-1").strip().lower()
    if charset not in PLAIN_CHARSETS:
        got = f"charset={charset[:LONGEST_NAME]}"
        details: dict[str, JSON] = {"expected": ["charset=utf-8"], "got": got}
        raise ApiError("unsupported_media_type", f"expected a form in UTF-8, got one with {got}", details=details)
