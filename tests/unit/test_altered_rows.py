"""The record of a commit: which rows it altered, in a bounded space, so that the words of items follow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.gallery.local import metadata_table
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.local.metadata_table import altered_since, ranges_of, rows_of
from lookalike.spaces import Space
from lookalike.types import Item

COUNT = 3_000


def items(title: str, numbers: list[int]) -> list[Item]:
    return [Item(str(number), f"{number}.jpg", attributes={"title": title}) for number in numbers]


@pytest.fixture
def gallery(tmp_path: Path) -> LocalGallery:
    opened = LocalGallery(tmp_path / "shop.gallery", create=True)
    rows = np.random.default_rng(0).standard_normal((COUNT, 4)).astype(np.float32)
    opened.add(items("plain dress", [*range(COUNT)]), {"deep": rows}, spaces=(Space("deep", 4, "tiny@1"),))
    return opened


def found(gallery: LocalGallery, word: str) -> set[int]:
    return set(gallery.full_text([word], k=COUNT).rows.tolist())


def altered(gallery: LocalGallery, since: int) -> tuple[set[int] | None, int]:
    """What the records after a commit say, and the length of the longest."""
    with gallery._database.reading() as connection:
        (longest,) = connection.execute("SELECT max(length(value)) FROM meta WHERE key GLOB 'change *'").fetchone()
        return altered_since(connection, since), longest


def test_rows_become_ranges_and_back() -> None:
    random = np.random.default_rng(1)
    for _ in range(200):
        rows = random.integers(1, 60, size=random.integers(40)).tolist()
        assert list(rows_of(",".join(ranges_of(rows)))) == sorted(set(rows))
    assert ranges_of(range(1, 100_001)) == ["1-100000"]


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize("by_hand", [False, True])
def test_words_follow_many_updates_in_one_commit(
    gallery: LocalGallery, monkeypatch: pytest.MonkeyPatch, scattered: bool, by_hand: bool
) -> None:
    """Also those of which the record does not say the rows, since there are too many ranges."""
    monkeypatch.setattr(metadata_table, "MOST_RANGES", 100)
    assert len(found(gallery, "plain")) == COUNT
    changed = [*range(0, COUNT, 3)] if scattered else [*range(1_000)]
    overrides = [{"title": "velvet dress"}] * len(changed) if by_hand else None
    gallery.update(items("plain dress" if by_hand else "velvet dress", changed), overrides=overrides)
    rows, longest = altered(gallery, 1)
    assert rows == (None if scattered else set(range(1, 1_001)))
    assert longest < 100
    assert len(found(gallery, "velvet")) == 1_000
    assert len(found(gallery, "plain")) == COUNT - 1_000
    assert gallery.verify().problems == ()


def test_overrides_of_many_items_are_those_of_each(gallery: LocalGallery) -> None:
    overrides = [{"title": None}, {}, {"price": 1, "unknown": None}, {"unknown": 2}, {"unknown": None}]
    gallery.update(items("new dress", [*range(5)]), overrides=overrides)
    assert [dict(gallery.get(str(number)).attributes) for number in range(6)] == [
        {},
        {"title": "new dress"},
        {"title": "new dress", "price": 1},
        {"title": "new dress", "unknown": 2},
        {"title": "new dress"},
        {"title": "plain dress"},
    ]
    assert [dict(each.overrides) for each in gallery.stored_items(list("01234")).values()] == [
        {"title": None},
        {},
        {"price": 1},
        {"unknown": 2},
        {"unknown": None},
    ]
    assert gallery.verify().problems == ()
