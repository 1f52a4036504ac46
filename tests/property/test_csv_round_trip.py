"""Random CSV tables: items have the values of their rows."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lookalike.catalogue import open_catalogue

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
TEXTS = st.text(CHARACTERS, max_size=12).map(lambda text: text.rstrip(" \t\u00a0"))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": TEXTS.map(lambda text: f"i{text}"),
            "image": TEXTS.map(lambda text: f"p{text}"),
            "product": TEXTS.map(lambda text: f"g{text}"),
            "title": TEXTS.map(lambda text: f"t{text}"),
            "stock": st.none() | st.integers(-(10**11), 10**11),
            "price": st.none() | st.floats(-1e9, 1e9).map(lambda number: round(number, 3)),
        }
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row["id"],
)
DELIMITERS = st.sampled_from(",;\t|")
QUOTINGS = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])


@given(rows=ROWS, delimiter=DELIMITERS, quoting=QUOTINGS)
def test_a_written_table_is_read_back(rows: list[dict[str, object]], delimiter: str, quoting: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, quoting=quoting)
            writer.writeheader()
            writer.writerows(rows)
        items = list(open_catalogue(str(path)).items())
    for row, item in zip(rows, items, strict=True):
        assert (item.id, item.photo, item.product) == (row["id"], row["image"], row["product"])
        known = {name: row[name] for name in ("title", "stock", "price") if row[name] is not None}
        assert item.attributes == known
