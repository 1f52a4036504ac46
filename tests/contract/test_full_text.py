"""Full text of a gallery in a folder: items by their words, against a search of plain sets of words."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lookalike.errors import FilterError, UsageError
from lookalike.gallery.full_text import LONGEST_WORD, MOST_WORDS
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.transfer.copy import copy_gallery
from lookalike.spaces import Space, unit_rows
from lookalike.types import JSON, Box, FullText, Garment, Item

SPACES = (Space("deep", 4, "tiny@1"),)
COLORS = ("red", "green", "navy blue", "écru")
KINDS = ("dress", "coat", "skirt", "trousers", "belt")
BRANDS = ("Acme", "Zanzibar & Sons", "Größer", "O'Neill", "Über-Mode")

Titles = Mapping[str, tuple[str, str]]
"""Title and all other text of each item, by id."""


def an_item(item_id: str, title: str, *, garments: int = 0, **attributes: JSON) -> Item:
    found = tuple(Garment(Box(0, 0, 9, 9 + number), KINDS[number], 0.9) for number in range(garments))
    return Item(
        id=item_id,
        photo=f"{item_id}.jpg",
        product=f"style {item_id}",
        attributes={"title": title, **attributes},
        garments=found,
        finder="finder@1" if garments else None,
    )


def drawn_items(count: int, *, seed: int = 0, first: int = 0) -> list[Item]:
    random = np.random.default_rng(seed)

    def one(names: Sequence[str]) -> str:
        return names[random.integers(len(names))]

    return [
        an_item(
            f"sku-{number}",
            " ".join(one(COLORS) for _ in range(random.integers(1, 4))) + f" {one(KINDS)}",
            brand=one(BRANDS),
            price=number % 10,
            tags=[one(KINDS), {"season": one(("summer", "winter"))}],
        )
        for number in range(first, first + count)
    ]


def put(gallery: LocalGallery, items: Sequence[Item], **about: Any) -> None:
    rows = sum(len(item.parts) for item in items)
    vectors = np.random.default_rng(len(items)).standard_normal((rows, 4)).astype(np.float32)
    gallery.add(items, {"deep": unit_rows(vectors)}, spaces=SPACES, **about)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shop.gallery"


@pytest.fixture
def gallery(folder: Path) -> Iterable[LocalGallery]:
    with LocalGallery(folder, create=True) as opened:
        yield opened


def all_text(value: JSON) -> list[str]:
    """Every text in a value."""
    if isinstance(value, str):
        return [value]
    parts = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return [text for part in parts for text in all_text(part)]


def texts(item: Item) -> tuple[str, str]:
    """Title and all other text of an item."""
    rest = [item.id, item.product or "", *all_text([v for n, v in item.attributes.items() if n != "title"])]
    return "\n".join(all_text(item.attributes.get("title"))), "\n".join(rest)


def words(text: str) -> set[str]:
    """Words of a text without case and accents."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return set(re.findall(r"[^\W_]+", plain.lower()))


def slow_search(
    items: Sequence[Item], asked: Sequence[str], passes: Callable[[Item], bool] = lambda _: True
) -> list[tuple[str, float]]:
    """Ids with BM25, in the order of answers: every item is looked at, word by word."""
    told = [(item, *texts(item)) for item in items]
    average = sum(len(title) + len(rest) for _, title, rest in told) / len(told)
    having = {word: sum(word in words(title) | words(rest) for _, title, rest in told) for word in asked}
    scores: dict[str, tuple[bool, float]] = {}
    for item, title, rest in told:
        has = [word for word in asked if word in words(title) | words(rest)]
        score = 0.0
        for word in has:
            count = 2 * (word in words(title)) + (word in words(rest))
            length = (len(title) + len(rest)) / average
            rarity = math.log(1 + (len(items) - having[word] + 0.5) / (having[word] + 0.5))
            score += rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length))
        if has and passes(item):
            scores[item.id] = len(has) == len(asked), score
    places = {item.id: place for place, item in enumerate(items)}
    ranking = sorted(scores, key=lambda each: (not scores[each][0], -scores[each][1], places[each]))
    return [(item_id, scores[item_id][1]) for item_id in ranking]


def ids(gallery: LocalGallery, found: FullText) -> list[str]:
    items = gallery.items(found.rows.tolist(), version=found.version)
    return [items[row].id for row in found.rows.tolist()]


def check(
    gallery: LocalGallery, items: Sequence[Item], *asked: str, where: str | None = None, k: int = 1000, **about: Any
) -> None:
    """The answer is the slow one: the same items in the same order with the same scores."""
    found = gallery.full_text(asked, k=k, where=where)
    expected = slow_search(items, [word for text in asked for word in re.findall(r"\w+", text)], **about)[:k]
    assert ids(gallery, found) == [item_id for item_id, _ in expected]
    assert_allclose(found.scores, [score for _, score in expected], rtol=1e-5)
    assert (dict(found.corrected), found.unknown) == ({}, ())


QUESTIONS = (
    ("red",),
    ("red", "dress"),
    ("zanzibar", "navy", "winter"),
    ("green", "green", "coat"),
    ("style", "sku"),
    ("sku-17",),
    ("ecru", "neill"),
    ("navy blue", "belt"),
)


@pytest.mark.parametrize("count", [1, 60, 1500])
def test_answers_are_those_of_a_slow_search(gallery: LocalGallery, folder: Path, count: int) -> None:
    items = drawn_items(count)
    put(gallery, items)
    for asked in QUESTIONS if count > 1 else [("sku",), ("style", "0")]:
        distinct = [*dict.fromkeys(word for text in asked for word in re.findall(r"\w+", text))]
        check(gallery, items, *distinct)
        assert ids(gallery, gallery.full_text(asked, k=7)) == [each for each, _ in slow_search(items, distinct)][:7]
    assert bool([*folder.glob("derived/text-*/words.db")]) == (count > 1000)
    assert gallery.verify().problems == ()


@pytest.mark.parametrize("k", [1, 2, 10, 149, 5000])
def test_pages_of_any_depth_are_cut_from_one_ranking(gallery: LocalGallery, k: int) -> None:
    items = drawn_items(300)
    put(gallery, items)
    check(gallery, items, "red", "coat", k=k)


def test_a_filter_leaves_out_items_and_changes_no_score(gallery: LocalGallery) -> None:
    items = drawn_items(200)
    put(gallery, items)
    check(gallery, items, "red", "coat", where="price < 3", passes=lambda item: item.attributes["price"] < 3)
    check(gallery, items, "red", where="brand = 'Acme'", passes=lambda item: item.attributes["brand"] == "Acme")
    assert not len(gallery.full_text(["red"], k=9, where="price > 100").rows)
    with pytest.raises(FilterError):
        gallery.full_text(["red"], k=9, where="price <")


@pytest.mark.parametrize("count", [50, 1500])
def test_every_change_is_in_the_next_answer(gallery: LocalGallery, folder: Path, count: int) -> None:
    items = {item.id: item for item in drawn_items(count)}
    put(gallery, [*items.values()])

    def check_all(*more: str) -> None:
        in_order = sorted(items.values(), key=lambda item: rows[item.id])
        for asked in (("red", "dress"), ("sku", "velvet"), *((each,) for each in more)):
            known = [word for word in asked if any(word in words(" ".join(texts(item))) for item in in_order)]
            check(gallery, in_order, *known)

    rows = {item_id: place for place, item_id in enumerate(items)}
    check_all()
    items["sku-3"] = gallery.override("sku-3", {"title": "velvet bag", "brand": None})
    check_all("velvet", "bag")
    changed = an_item("sku-4", "velvet hat")
    gallery.update([changed])
    items["sku-4"] = changed
    check_all("velvet")
    gallery.remove(["sku-5", "sku-6"])
    del items["sku-5"], items["sku-6"]
    check_all("sku")
    again = an_item("sku-3", "red velvet gloves")
    put(gallery, [again])
    items["sku-3"] = gallery.get("sku-3")  # the overrides stay
    assert items["sku-3"].attributes["title"] == "velvet bag"
    rows["sku-3"] = count + 1
    check_all("velvet")
    more = {item.id: item for item in drawn_items(1200, seed=1, first=count)}
    put(gallery, [*more.values()])
    rows |= {item_id: count + 2 + place for place, item_id in enumerate(more)}
    items |= more
    check_all("sku")
    gallery.compact()
    check_all("velvet")
    with LocalGallery(folder) as other:
        assert ids(other, other.full_text(["velvet"], k=9)) == ids(gallery, gallery.full_text(["velvet"], k=9))
    assert gallery.verify().problems == ()


def test_of_several_garments_an_item_comes_once(gallery: LocalGallery) -> None:
    items = [an_item(f"look-{at}", f"red outfit {at}", garments=at % 4) for at in range(40)]
    put(gallery, items)
    check(gallery, items, "red", "outfit")
    found = gallery.full_text(["outfit"], k=100)
    assert found.rows.tolist() == gallery.item_rows(found.rows).tolist()
    alike = gallery.full_text(["outfit"], k=100, where="title like '%outfit%'")
    assert alike.rows.tolist() == found.rows.tolist()
    skirts = gallery.full_text(["outfit"], k=100, where="garment = 'skirt'")
    assert sorted(ids(gallery, skirts)) == sorted(item.id for item in items if len(item.garments) == 3)
    assert {garment.kind for garment in gallery.garments(skirts.rows.tolist()).values()} == {"skirt"}
    assert set(gallery.item_rows(skirts.rows)) < set(found.rows)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("ECRU", ["b"]),
        ("Écru", ["b"]),
        ("e\u0301cru", ["b"]),
        ("größer", ["a"]),
        ("GRÖSSER", ["a"]),  # as a misspelt one
        ("платье", ["c"]),
        ("ПЛАТЬЕ", ["c"]),
        ("裙子", ["d"]),
        ("o'neill", ["d"]),
        ("O’Neill", ["d"]),  # noqa: RUF001
        ("ab", ["a"]),
        ("साड़ी", ["e"]),
        ("साल", ["f"]),  # the letters of the one before, with other vowel signs
        ("กางเกง", ["f"]),
    ],
)
def test_case_accents_and_scripts(gallery: LocalGallery, asked: str, answer: list[str]) -> None:
    put(
        gallery,
        [
            an_item("a", "Robe", brand="Größer", code="AB-1234"),
            an_item("b", "robe écru"),
            an_item("c", "красное платье"),
            an_item("d", "裙子", brand="O'Neill"),
            an_item("e", "लाल साड़ी"),
            an_item("f", "साल", color="กางเกง"),
        ],
    )
    assert ids(gallery, gallery.full_text([asked], k=9)) == answer


@pytest.mark.parametrize(
    "asked",
    ['"', "*", ":", "^", "(", ")", "-", "NEAR(", '" OR "', "title:", "{title rest} : red", "'; DROP TABLE items; --",
     "\x00", "", " ", "\ud800", "AND", "OR", "NOT", "title", 'red" OR "coat', "😀"],
)  # fmt: skip
def test_nothing_in_a_word_is_an_operator(gallery: LocalGallery, asked: str) -> None:
    """The answer holds only what has the letters, and a search afterwards works."""
    items = [an_item("a", "red coat"), an_item("b", "and or not near title")]
    put(gallery, items)
    letters = words(asked.replace("\ud800", ""))
    try:
        found = gallery.full_text([asked], k=9)
    except UsageError:
        assert asked == "\ud800"
    else:
        expected = {item.id for item in items if letters & words(" ".join(texts(item)))}
        assert set(ids(gallery, found)) == expected
    check(gallery, items, "red")


def test_too_many_or_too_long_words_are_refused(gallery: LocalGallery) -> None:
    put(gallery, [an_item("a", "red coat")])
    assert gallery.full_text(["x" * LONGEST_WORD], k=1).unknown == ("x" * LONGEST_WORD,)
    for wrong in (["x" * (LONGEST_WORD + 1)], ["x"] * (MOST_WORDS + 1), ["a.b." * 60]):
        if wrong == ["a.b." * 60]:
            assert len(gallery.full_text(wrong, k=1).rows) == 1  # only two different words
            continue
        with pytest.raises(UsageError, match="at most"):
            gallery.full_text(wrong, k=1)
    with pytest.raises(UsageError, match="at most"):
        gallery.full_text([".".join(map(str, range(MOST_WORDS + 1)))], k=1)
    with pytest.raises(UsageError):
        gallery.full_text(["red"], k=0)


def test_an_empty_gallery_says_so(gallery: LocalGallery) -> None:
    with pytest.raises(UsageError, match="is empty"):
        gallery.full_text(["red"], k=1)
    put(gallery, [an_item("a", "red coat")])
    gallery.remove("a")
    assert gallery.full_text(["red"], k=1).unknown == ("red",)


@pytest.mark.parametrize(
    ("asked", "corrected", "answer"),
    [
        ("flroal", "floral", ["a"]),  # two letters swapped
        ("floal", "floral", ["a"]),  # one missing
        ("floraal", "floral", ["a"]),  # one too many
        ("fkoral", "floral", ["a"]),  # a wrong one
        ("zanzibra", "zanzibar", ["b"]),
        ("znazibra", "zanzibar", ["b"]),  # two errors in a long word
        ("flrola", None, []),  # two in a short one
        ("rde", None, []),  # too short to tell
        ("2015", None, []),  # a number is another number
        ("flor", None, ["a"]),  # the beginning of a word
        ("coats", "coat", ["c", "b"]),
        ("c0at", None, []),
    ],
)
@pytest.mark.parametrize("more", [0, 1200])
def test_typing_errors(gallery: LocalGallery, asked: str, corrected: str | None, answer: list[str], more: int) -> None:
    """In a small gallery, and from the file of a large one."""
    put(gallery, [an_item(f"x{number}", "trousers") for number in range(more)])
    put(
        gallery,
        [an_item("a", "floral dress"), an_item("b", "zanzibar coat", year="2016"), an_item("c", "wool coat")],
    )
    found = gallery.full_text([asked], k=9)
    assert ids(gallery, found) == answer
    assert dict(found.corrected) == ({} if corrected is None else {asked: corrected})
    assert found.unknown == (() if answer else (asked,))


def test_a_word_of_removed_items_is_not_known(gallery: LocalGallery) -> None:
    put(gallery, [an_item("a", "velvet"), an_item("b", "velour"), *drawn_items(1500)])
    assert ids(gallery, gallery.full_text(["velvet"], k=9)) == ["a"]
    gallery.remove("a")
    found = gallery.full_text(["velvet"], k=9)
    assert (ids(gallery, found), found.unknown) == ([], ("velvet",))
    assert ids(gallery, gallery.full_text(["vel"], k=9)) == ["b"]


def test_a_copy_answers_alike(gallery: LocalGallery, tmp_path: Path) -> None:
    items = drawn_items(80)
    put(gallery, items)
    gallery.override("sku-7", {"title": "velvet"})
    with LocalGallery(tmp_path / "copy.gallery", create=True) as other:
        copy_gallery(gallery, other)
        assert ids(other, other.full_text(["velvet", "red"], k=99)) == ids(
            gallery, gallery.full_text(["velvet", "red"], k=99)
        )


def test_all_words_come_before_a_better_score_for_some(gallery: LocalGallery) -> None:
    """A rare word in a short title scores more than it and a frequent one far down in a long text."""
    both = an_item("both", "x", text=f"{'long ' * 60} velvet coat")
    items = [an_item("some", "velvet"), both, *(an_item(f"x{number}", "coat") for number in range(30))]
    put(gallery, items)
    check(gallery, items, "velvet", "coat")
    found = gallery.full_text(["velvet", "coat"], k=2)
    assert ids(gallery, found) == ["both", "some"]
    assert found.scores[0] < found.scores[1]
