"""Whether photos are cropped to the boxes of their catalogue, and with how much around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeAlias

from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import UsageError
from lookalike.types import Box, Item

Boxes: TypeAlias = bool | float
"""True crops to the box, False uses the whole photo, a number crops to the box with that part of its width and height
added on each side."""

MOST: Final = 1.0
EXPECTED: Final = f"boxes are true, false, or a margin above 0 and up to {MOST:g}"


def checked(boxes: Boxes) -> Boxes:
    """Return a value of `boxes` after checking it.

    Raises:
        UsageError: It is neither a truth value nor a margin.
    """
    if isinstance(boxes, bool) or (isinstance(boxes, int | float) and 0 < boxes <= MOST):
        return boxes
    raise UsageError(f"{EXPECTED}, got {boxes!r:.100}")


def parse(text: str) -> Boxes:
    """Parse `true`, `false` or a margin such as `0.1`.

    Raises:
        UsageError: It is none of them.
    """
    if text in ("true", "false"):
        return text == "true"
    try:
        return checked(float(text))
    except (ValueError, UsageError):
        raise UsageError(f"{EXPECTED}, got {text[:100]!r}") from None


def with_margin(box: Box, margin: float) -> Box:
    """Widen a box on each side by a part of its width and height; the photo's edges cut it when it is opened.

    Args:
        box: Box in a photo.
        margin: Part of the width that is added left and right, and of the height above and below.
    """
    across, down = margin * (box.x2 - box.x1), margin * (box.y2 - box.y1)
    return Box(max(0, box.x1 - across), max(0, box.y1 - down), box.x2 + across, box.y2 + down)


def cropped(catalogue: Catalogue, boxes: Boxes | None) -> Catalogue:
    """Return a catalogue whose items have the boxes that are wanted.

    Args:
        catalogue: Catalogue as it was read.
        boxes: What is wanted; None is what the papers of its benchmark do, and the boxes of other catalogues.

    Raises:
        UsageError: `boxes` is malformed.
    """
    usual = catalogue.benchmark.boxes if catalogue.benchmark else True
    wanted = usual if boxes is None else checked(boxes)
    if wanted is True:
        return replace(catalogue, boxes=True)

    def items() -> Iterator[Item]:
        for item in catalogue.items():
            kept = None if wanted is False or item.box is None else with_margin(item.box, wanted)
            yield replace(item, box=kept)

    return replace(catalogue, items=items, boxes=wanted)
