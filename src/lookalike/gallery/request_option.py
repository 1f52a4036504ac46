"""Description of an option of a search, from which its forms in HTTP are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """Description of a field of `SearchRequest`, from which HTTP's form, JSON model and OpenAPI document are made.

    Attributes:
        description: One sentence for the OpenAPI document; empty if the name says it.
        least: Smallest number; None for fields that are not numbers.
        most: Largest number; None is no limit.
        most_served: Largest number over HTTP; None is `most`.
        choices: Valid names; empty for fields that are not a choice.
        examples: Examples for the OpenAPI document.
        of_photo: Whether it needs a single photo; the JSON model lacks it, since JSON has no photos.
    """

    description: str = ""
    least: int | None = None
    most: int | None = None
    most_served: int | None = None
    choices: Sequence[str] = ()
    examples: Sequence[object] = ()
    of_photo: bool = False
