"""Check of the texts of items: what every gallery can hold, and find again."""

from __future__ import annotations

import json
import re
from typing import Final

from lookalike.errors import UsageError
from lookalike.types import Item, item_json

NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""The character U+0000 in JSON."""


def check_text(item: Item) -> None:
    """Check that the text of an item can be stored; names of files need not be Unicode.

    Raises:
        UsageError: It is not Unicode, or has the character U+0000, which SQLite takes for the end of a text.
    """
    text = json.dumps([item_json(item), item.root], ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the item {item.id!r} has text that is not Unicode") from None
    if NUL.search(text):
        raise UsageError(f"the item {item.id!r} has text with the character U+0000")
