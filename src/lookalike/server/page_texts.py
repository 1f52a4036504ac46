"""Texts of the page in its languages, and which of them a browser gets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final, TypeAlias

WANTED: Final = re.compile(r"([A-Za-z]{1,8})(?:-[A-Za-z0-9-]{1,40})?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?")
"""A language of an `Accept-Language` header with its weight. Source: RFC 9110, section 12.5.4."""

LONGEST_HEADER: Final = 500

Text: TypeAlias = str | Mapping[str, str]
"""A text, or its plural forms."""


def read_texts(language: str, folder: Path) -> Mapping[str, Mapping[str, Text]]:
    """Texts of a language by part of the page: `html`, `first` for what every visitor runs, `later` for the rest.

    Args:
        language: Such as `fr`.
        folder: Folder of the page.
    """
    parts: Mapping[str, Mapping[str, Text]] = json.loads(
        (folder / "texts" / f"{language}.json").read_text(encoding="utf-8")
    )
    return parts


def texts_of(language: str, folder: Path) -> Mapping[str, str]:
    """Texts of a language that have no plural forms, escaped for HTML.

    Args:
        language: Such as `fr`.
        folder: Folder of the page.
    """
    texts = (entry for part in read_texts(language, folder).values() for entry in part.items())
    return {key: escape(text) for key, text in texts if isinstance(text, str)}


def language_of(accepted: str, asked: str | None, languages: Sequence[str]) -> str:
    """Language for a browser.

    Args:
        accepted: `Accept-Language` header; empty if there is none.
        asked: Language of the address, which goes first if there are texts in it.
        languages: Languages to choose from; the first is for browsers that want none of them.
    """
    if asked is not None and asked in languages:
        return asked
    best, most = languages[0], 0.0
    for part in accepted[:LONGEST_HEADER].split(","):
        found = WANTED.fullmatch(part.strip())
        if found is None or found[1].lower() not in languages:
            continue
        weight = float(found[2] or 1)
        if weight > most:
            best, most = found[1].lower(), weight
    return best
