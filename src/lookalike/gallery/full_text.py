"""Words that full text is searched for: limits that all galleries share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lookalike.errors import UsageError

MOST_WORDS: Final = 128
"""Words of a search."""

LONGEST_WORD: Final = 256
"""Characters of a word of a search."""


def check_words(words: Sequence[str]) -> None:
    """Check the words of a search.

    Raises:
        UsageError: There are too many words, or one is too long or not Unicode.
    """
    if len(words) > MOST_WORDS:
        raise UsageError(f"full text is searched for at most {MOST_WORDS} words, got {len(words)}; give fewer")
    longest = max(words, key=len, default="")
    if len(longest) > LONGEST_WORD:
        raise UsageError(
            f"a word has at most {LONGEST_WORD} characters, got one of {len(longest)} that begins with {longest[:20]!r}"
        )
    try:
        "".join(words).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object[:100]!r} is not Unicode text") from None
