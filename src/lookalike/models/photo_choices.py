"""What of its training photos a model saw, as text in its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from lookalike.errors import ModelError
from lookalike.types import PhotoChoice

TRAINED_ON: Final = "lookalike.trained_on"
"""Key of the text in the metadata of checkpoints and ONNX files."""


def choices_text(choices: Sequence[PhotoChoice]) -> str:
    """Return the text of choices, each once."""
    return json.dumps([asdict(choice) for choice in dict.fromkeys(choices)])


def read_choices(text: str, *, file: str) -> tuple[PhotoChoice, ...]:
    """Read the text of choices.

    Args:
        text: Value of `TRAINED_ON`.
        file: File name for messages.

    Raises:
        ModelError: It is damaged.
    """
    try:
        found = [
            PhotoChoice(one["boxes"], one["photos"], one.get("data", ""), one.get("earlier", False))
            for one in json.loads(text)
        ]
        texts = [part for one in found for part in (one.photos, one.data)]
        shown = all(isinstance(one.boxes, bool | int | float) and isinstance(one.earlier, bool) for one in found)
        if shown and all(isinstance(part, str) for part in texts):
            return tuple(found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise ModelError(f"{file}: damaged: {TRAINED_ON} is a list of boxes and photos, got {text[:80]!r}")
