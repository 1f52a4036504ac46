"""What a shop decides of duplicates: these are one product, keep one photo, or these are apart."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from lookalike.errors import UsageError, short_reason
from lookalike.storage.files import read_file
from lookalike.types import JSON

What: TypeAlias = Literal["merge", "remove", "apart"]

MOST_DECISIONS: Final = 20_000
MOST_ITEMS: Final = 1_000
"""Largest numbers of decisions of a file, and of items of a decision."""

LONGEST_FILE: Final = 32 << 20
"""Largest size of a file of decisions, bytes."""

FIELDS: Final = {"decision", "items", "product", "keep"}
ITEM_FIELDS: Final = {"id", "product", "content"}


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided of some items.

    Attributes:
        what: `merge`: their products become one. `remove`: all but one are removed. `apart`: they stay as they are.
            Merged items and those that are apart are not shown as duplicates again.
        items: Ids. With `merge` and no product, and with `apart`, a single one changes nothing.
        product: With `merge`, the product; None takes that of the first item that has one, or else the id of the first.
        keep: With `remove`, the id of the item that stays; it becomes one of the items.
        reviewed: What the items had when they were looked at, by id: `product`, and `content` as in the JSON of
            `find_duplicates`. An item that has another one now is left out. What is not given is not compared.

    Raises:
        UsageError: They do not fit each other.
    """

    what: What
    items: Sequence[str]
    product: str | None = None
    keep: str | None = None
    reviewed: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.what not in get_args(What):
            raise UsageError(f"expected the decision {', '.join(get_args(What))}, got {self.what!r:.100}")
        if not 1 <= len(self.items) <= MOST_ITEMS:
            raise UsageError(f"{self.what} expects 1 to {MOST_ITEMS:,} items, got {len(self.items):,}")
        if self.product is not None and self.what != "merge":
            raise UsageError(f"a product is given with merge only, and not with {self.what}")
        if self.product == "":
            raise UsageError("expected the name of a product, got an empty text")
        if (self.keep is None) == (self.what == "remove"):
            raise UsageError("remove, and no other decision, needs the id of an item to keep")
        together = dict.fromkeys(self.items if self.keep is None else (*self.items, self.keep))
        object.__setattr__(self, "items", tuple(together))

    def to_json(self) -> dict[str, JSON]:
        """JSON form, as `read_decisions` reads it."""
        told: dict[str, JSON] = {"decision": self.what}
        told["items"] = [{"id": item_id, **self.reviewed.get(item_id, {})} for item_id in self.items]
        told |= {} if self.product is None else {"product": self.product}
        return told if self.keep is None else {**told, "keep": self.keep}


def read_decisions(path: str | os.PathLike[str]) -> list[Decision]:
    """Read a file of decisions, such as the page of `lookalike gallery duplicates --html` saves.

    Raises:
        UsageError: The file cannot be read, is too large or has another form.
    """
    file = Path(path)
    try:
        data = read_file(file, most=LONGEST_FILE)
    except OSError as error:
        too_large = "; save the decisions of fewer groups at a time" if error.errno == errno.EFBIG else ""
        raise UsageError(f"{file} cannot be read: {short_reason(error)}{too_large}") from None
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: expected JSON with decisions: {short_reason(error)}") from None
    try:
        return decisions_of(told)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None


def decisions_of(told: object) -> list[Decision]:
    """Decisions from their JSON, `{"decisions": [...]}`.

    Raises:
        UsageError: It has another form.
    """
    listed = told.get("decisions") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(listed, list) or len(told) != 1:
        raise UsageError('expected {"decisions": [...]} and nothing else')
    if len(listed) > MOST_DECISIONS:
        raise UsageError(f"expected at most {MOST_DECISIONS:,} decisions, got {len(listed):,}")
    decisions = []
    for number, each in enumerate(listed, start=1):
        try:
            decisions.append(_decision(each))
        except UsageError as error:
            raise UsageError(f"decision {number}: {error}") from None
    return decisions


def _decision(told: object) -> Decision:
    if not isinstance(told, dict) or not told.keys() <= FIELDS or not isinstance(told.get("items"), list):
        raise UsageError(f"expected an object with decision, items, and product or keep, got {json.dumps(told):.200}")
    items = [_item(each) for each in told["items"]]
    product, keep = (_text(told.get(name), name) for name in ("product", "keep"))
    reviewed = {item["id"]: {name: item[name] for name in item if name != "id"} for item in items}
    what: Any = told.get("decision")
    return Decision(what, tuple(item["id"] for item in items), product, keep, reviewed)


def _item(told: object) -> dict[str, Any]:
    if not isinstance(told, dict) or not told.keys() <= ITEM_FIELDS or not isinstance(told.get("id"), str):
        raise UsageError(f"expected an item with id, product and content, got {json.dumps(told):.200}")
    return {name: _text(value, name) for name, value in told.items()}


def _text(value: object, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise UsageError(f"{name}: expected a text, got {json.dumps(value):.100}")
