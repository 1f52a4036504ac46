"""Forms with files (multipart/form-data), parsed more strictly than Starlette does: all of the form, and in UTF-8."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from lookalike.server.errors import Refusal
from lookalike.types import JSON

LONGEST_NAME: Final = 200
MOST_PART_HEADERS: Final = 16
PLAIN_CHARSETS: Final = ("utf-8", "utf8", "us-ascii")
"""Of forms: a client that could name any of Python's codecs could name one that takes seconds."""

NAME_CHARSETS: Final = {b"utf-8": "utf-8", b"iso-8859-1": "latin-1"}
"""Of file names. Source: RFC 5987, section 3.2."""

EXTENDED: Final = re.compile(rb""";\s*filename\*\s*=\s*"?([\w-]+)'[^';]*'([^;"\s]*)""", re.IGNORECASE)


class FormParser(MultiPartParser):
    """Parses one form; files are kept in memory, where `Intake` counts them.

    Attributes:
        ended: Whether the boundary that ends the form has come; Starlette takes a form without it for whole.
    """

    spool_max_size = 2**40
    ended = False

    def on_end(self) -> None:
        """Take down that the form is whole."""
        self.ended = True

    async def parse(self) -> FormData:
        """Read the form.

        Raises:
            MultiPartException: It is none, or its end is cut off.
        """
        data = await super().parse()
        if not self.ended:
            for file in self._files_to_close_on_error:  # those that came whole, and the last one
                file.close()
            raise MultiPartException("its end is cut off; nothing was done")
        return data

    def on_part_end(self) -> None:
        """Take a part down.

        Raises:
            MultiPartException: It is a field, and not text in UTF-8.
        """
        part = self._current_part
        if part.file is None:
            try:
                part.data.decode()
            except UnicodeDecodeError:
                raise MultiPartException(f"the field {part.field_name[:LONGEST_NAME]!r} is not UTF-8") from None
        super().on_part_end()

    def on_header_end(self) -> None:
        """Take a header of a part down; more than a few are refused.

        Raises:
            MultiPartException: There are too many.
        """
        super().on_header_end()
        if len(self._current_part.item_headers) > MOST_PART_HEADERS:
            raise MultiPartException(f"a part has more than {MOST_PART_HEADERS} headers")

    def on_headers_finished(self) -> None:
        """Take a part for a file that is declared to be a picture, or has a name only as RFC 5987 writes it."""
        part = self._current_part
        given = part.content_disposition or b""
        headers = dict(part.item_headers)
        encoded = headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        if encoded not in (b"binary", b"8bit", b"7bit"):
            raise MultiPartException(
                f"a part has Content-Transfer-Encoding {encoded.decode('latin-1')!r}; send it as it is"
            )
        if b"filename" not in parse_options_header(given)[1]:
            name = extended_name(given)
            if name is None and headers.get(b"content-type", b"").strip().lower().startswith(b"image/"):
                name = "photo"
            if name is not None:
                part.content_disposition = given + b'; filename="' + name.encode() + b'"'
        super().on_headers_finished()


def extended_name(disposition: bytes) -> str | None:
    """The file name that a part gives as `filename*=UTF-8''...`; None where there is none.

    Source: RFC 5987, section 3.2. RFC 7578 forbids it in forms, and some clients send it all the same.
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
    """Refuse a form whose text is not UTF-8.

    Raises:
        Refusal: It declares another charset.
    """
    charset = parse_options_header(content_type)[1].get(b"charset", b"utf-8").decode("latin-1").strip().lower()
    if charset not in PLAIN_CHARSETS:
        got = f"charset={charset[:LONGEST_NAME]}"
        facts: dict[str, JSON] = {"expected": ["charset=utf-8"], "got": got}
        raise Refusal("unsupported_media_type", f"expected a form in UTF-8, got one with {got}", facts=facts)
