"""What was decided of duplicates: items whose pairs need not be shown again, as long as their photos stay."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from lookalike.types import FileStamp, Item

Review: TypeAlias = Mapping[str, str | None]
"""Contents of items that were looked at together, as `content_of` gives them, by id."""

KEY: Final = "reviewed "
"""Prefix of the keys that galleries store reviews by."""


def content_of(item: Item, file_stamp: FileStamp | None) -> str | None:
    """Short digest of the photo of an item and of its box, 16 hexadecimal digits; None without a file stamp."""
    if file_stamp is None:
        return None
    box = None if item.box is None else item.box.to_list()
    return hashlib.sha256(f"{file_stamp.sha256} {box}".encode()).hexdigest()[:16]


def review_text(review: Review) -> str:
    """JSON of a review."""
    return json.dumps(dict(review), sort_keys=True, ensure_ascii=False)


def read_review(text: str) -> Review:
    """Read the result of `review_text`."""
    review: dict[str, str | None] = json.loads(text)
    return review


def key_of(text: str) -> str:
    """Key of the JSON of a review; equal ones are stored once."""
    return KEY + hashlib.sha256(text.encode()).hexdigest()[:32]


class ReviewedPairs:
    """Pairs of items that were looked at.

    Args:
        reviews: Reviews of the gallery.
        ids: Ids of N items.
        contents: Their present contents.
    """

    def __init__(self, reviews: Iterable[Review], ids: Sequence[str], contents: Sequence[str | None]) -> None:
        places = {item_id: place for place, item_id in enumerate(ids)}
        self._of: dict[int, set[int]] = {}
        for number, review in enumerate(reviews):
            for item_id, content in review.items():
                place = places.get(item_id)
                if place is not None and contents[place] == content:
                    self._of.setdefault(place, set()).add(number)

    def has(self, first: int, second: int) -> bool:
        """Whether two items, by their places, were looked at together, and have the photos that they had then."""
        one, other = self._of.get(first), self._of.get(second)
        return one is not None and other is not None and not one.isdisjoint(other)
