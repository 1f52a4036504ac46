"""Lists of texts as a parameter for SQLite's `json_each`."""

from __future__ import annotations

import json
from collections.abc import Iterable


def json_texts(texts: Iterable[str], *, ensure_ascii: bool = False) -> str:
    r"""Write texts as a JSON list, without those that have the character U+0000.

    SQLite cuts what it reads from JSON at that character, so that `a\0b` would find `a`. Nothing with such texts can be
    added to a gallery.

    >>> json_texts(["a", "a\0b"])
    '["a"]'

    Args:
        texts: Texts.
        ensure_ascii: Write lone surrogates as escapes, which find nothing; sqlite3 refuses them otherwise.
    """
    return json.dumps([text for text in texts if "\0" not in text], ensure_ascii=ensure_ascii)
