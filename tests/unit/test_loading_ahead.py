"""The index of a search, loaded ahead of it: only what is saved, and only what the search uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.spaces import Space, unit_rows
from lookalike.types import Item

ROWS = unit_rows(np.random.default_rng(0).standard_normal((1500, 32), dtype=np.float32))


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    folder = tmp_path / "shop.gallery"
    with LocalGallery(folder, create=True) as gallery:
        gallery.add([Item(str(at), "x.jpg") for at in range(1500)], {"deep": ROWS}, spaces=[Space("deep", 32, "tests")])
        gallery.search({"deep": ROWS[:1]}, SearchRequest(index="ivf"))
    return folder


def loaded(gallery: LocalGallery) -> list[str]:
    segment = gallery._current.present().segment
    assert segment is not None
    return sorted(segment._indexes)


@pytest.mark.parametrize(("index", "expected"), [("ivf", ["ivf"]), ("hnsw", []), ("auto", []), ("exact", [])])
def test_an_index_is_loaded_if_it_is_saved_and_will_be_used(filled: Path, index: str, expected: list[str]) -> None:
    with LocalGallery(filled) as gallery:
        gallery.load_index(SearchRequest(index=index))
        assert loaded(gallery) == expected
    assert [path.name for path in filled.glob("derived/*/index-*")] == ["index-ivf"]


@pytest.mark.parametrize(("index", "expected"), [("auto", []), ("ivf", ["ivf"])])
def test_no_index_is_loaded_that_a_filter_may_make_useless(
    filled: Path, monkeypatch: pytest.MonkeyPatch, index: str, expected: list[str]
) -> None:
    monkeypatch.setattr("lookalike.index.auto.SMALL", 1000)
    with LocalGallery(filled) as gallery:
        gallery.load_index(SearchRequest(k=1, index=index, where="id in ('3', '5')"))
        assert loaded(gallery) == expected
        gallery.load_index(SearchRequest(k=1, index=index))
        assert loaded(gallery) == ["ivf"]


def test_a_search_by_a_metric_uses_no_index(filled: Path) -> None:
    with LocalGallery(filled) as gallery:
        gallery.load_index(SearchRequest(index="auto", metrics={"deep": "euclidean"}))
        assert loaded(gallery) == []


def test_a_small_gallery_has_no_index(tmp_path: Path) -> None:
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        gallery.add([Item("a", "x.jpg")], {"deep": ROWS[:1]}, spaces=[Space("deep", 32, "tests")])
        gallery.load_index(SearchRequest())
        assert gallery.search({"deep": ROWS[:1]}, SearchRequest()).rows.tolist() == [[1]]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_index_is_built_again(filled: Path, read_only: bool) -> None:
    [path] = filled.glob("derived/*/index-ivf")
    path.write_bytes(path.read_bytes()[:-1])
    with LocalGallery(filled, read_only=read_only) as gallery:
        gallery.load_index(SearchRequest(index="ivf"))
        assert loaded(gallery) == ["ivf"]
        found = gallery.search({"deep": ROWS[700:710]}, SearchRequest(k=1, index="ivf"))
    assert found.rows[:, 0].tolist() == list(range(701, 711))
