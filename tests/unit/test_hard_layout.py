"""The hard benchmark: families of near-duplicates, in splits of whole families, with the answers known exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.sample.drawing.crowded import FRONTS, MOST_COVERED, crowded_photo
from lookalike.catalogue.sample.drawing.scene import PHOTO_SIZE
from lookalike.catalogue.sample.drawing.siblings import DETAILS, SEEN, changed_fraction, siblings
from lookalike.catalogue.sample.drawn import TYPES, make_products
from lookalike.catalogue.sample.layouts.table import write_layout
from lookalike.errors import UsageError


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*.*"))}


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("hard") / "drawn"
    write_layout(root, layout="hard", products=15, photos=3, seed=2)
    yield root


def test_counts_splits_and_answers(hard: Path) -> None:
    items = list(open_catalogue(str(hard / "catalogue.csv")).items())
    assert len(items) == 15 * 3
    assert set(Counter(item.product for item in items).values()) == {3}
    families: dict[object, set[str | None]] = {}
    for item in items:
        families.setdefault(item.attributes["family"], set()).add(item.product)
    assert [len(products) for products in families.values()] == [3] * 5
    splits = {family: {i.attributes["split"] for i in items if i.attributes["family"] == family} for family in families}
    assert all(len(found) == 1 for found in splits.values())
    assert {"train", "dev", "test"} == {split for found in splits.values() for split in found}
    assert {str(item.attributes["detail"]) for item in items} <= {"none", *DETAILS}
    views = Counter(str(item.attributes["view"]) for item in items)
    assert views == {"shop": 15, "crowded": 30}
    assert all(0 <= float(str(item.attributes["covered"])) <= MOST_COVERED for item in items)
    for item in items:
        with Image.open(hard / "photos" / f"{item.id}.jpg") as photo:
            assert photo.size == PHOTO_SIZE


def test_the_same_seed_draws_the_same_bytes(hard: Path, tmp_path: Path) -> None:
    write_layout(tmp_path / "again", layout="hard", products=15, photos=3, seed=2)
    write_layout(tmp_path / "other", layout="hard", products=9, photos=2, seed=3)
    assert contents(tmp_path / "again") == contents(hard)
    photos = {name for name in contents(hard) if name.endswith(".jpg")}
    other = contents(tmp_path / "other")
    assert not {contents(hard)[name] for name in photos} & {other[name] for name in other if name.endswith(".jpg")}


def test_siblings_differ_in_a_detail_alone() -> None:
    """One product of each type: same outline, and every two siblings differ visibly, but not much."""
    for product in make_products(len(TYPES), seed=4):
        family = siblings(product, 3)
        assert len(family) == 3
        assert family[0][0] == "none"
        for (detail, first), (other, second) in combinations(family, 2):
            told = (product.type.name, detail, other)
            assert changed_fraction(first, second) >= SEEN / 2, told
            outlines = [np.asarray(each.getchannel("A")) > 127 for each in (first, second)]
            assert (outlines[0] != outlines[1]).mean() < 0.01, told


def test_enough_details_for_many_families() -> None:
    for product in make_products(2 * len(TYPES), seed=11):
        rng = Random(0)
        assert sum(change(product, rng) is not None for change in DETAILS.values()) >= 4, product


def test_what_is_covered_is_what_is_in_front() -> None:
    """Each kind of thing in front changes a photo, and the covered fraction is within its limit."""
    product = make_products(1, seed=5)[0]
    garment, others = product.paint(), [each.paint() for each in make_products(3, seed=6)]
    for name, front in FRONTS.items():
        layer = front(Random(f"{name}/1"), others)
        assert layer.size == PHOTO_SIZE
        assert layer.mode == "RGBA"
        assert 0.001 < np.asarray(layer.getchannel("A")).mean() / 255 < 0.7, name
    covered = [crowded_photo(garment, Random(seed), others=others)[1] for seed in range(8)]
    assert min(covered) == 0
    assert 0.02 < max(covered) <= MOST_COVERED
    assert len(set(covered)) > 3


@pytest.mark.parametrize(("products", "photos"), [(13, 2), (6, 2), (12, 1)])
def test_families_are_whole(products: int, photos: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"hard needs families of 3 products, .* got {products} and {photos}"):
        write_layout(tmp_path / "out", layout="hard", products=products, photos=photos)
    assert not (tmp_path / "out").exists()
