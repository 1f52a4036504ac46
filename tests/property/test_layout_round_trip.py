"""Drawn data sets are read as they were drawn, in every layout."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.sample.drawing.categories import CATEGORIES
from lookalike.catalogue.sample.layouts.attributes import FINE
from lookalike.catalogue.sample.layouts.table import write_layout
from lookalike.catalogue.sample.layouts.writing import Drawn
from lookalike.images import open_image
from lookalike.types import Item

FEW = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BENCHMARKS = ("attributes", "attributes-fine", "inshop", "consumer2shop")


def as_drawn(item: Item) -> Drawn:
    """The drawn photo that an item should equal."""
    assert item.box
    x1, y1, x2, y2 = (int(corner) for corner in item.box.to_list())
    return Drawn(item.id, item.product or "", (x1, y1, x2, y2), dict(item.attributes))


@pytest.mark.parametrize("layout", BENCHMARKS)
@FEW
@given(products=st.integers(4, 5), photos=st.integers(2, 4), seed=st.integers(0, 10**6))
def test_the_reader_finds_what_was_drawn(layout: str, products: int, photos: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        drawn = write_layout(Path(folder), layout=layout, products=products, photos=photos, seed=seed)
        items = list(open_catalogue(folder).items())
        assert sorted(map(as_drawn, items), key=lambda photo: photo.name) == sorted(drawn, key=lambda photo: photo.name)
        assert len(items) == products * photos == len({item.id for item in items})
        for item in items[::7]:
            x1, y1, x2, y2 = as_drawn(item).box
            assert open_image(item.location, box=item.box).size == (x2 - x1, y2 - y1)


def test_every_other_drawn_photo_has_fine_annotations_and_one_answer_to_each_question(tmp_path: Path) -> None:
    drawn = write_layout(tmp_path, layout="attributes-fine", products=5, photos=3, seed=2)
    by_name = {photo.name: photo for photo in drawn}
    items = list(open_catalogue(str(tmp_path / "Anno_fine")).items())
    assert {item.id for item in items} == {photo.name for photo in drawn[::2]}
    for item in items:
        for name in ("split", "category", "clothes_type"):
            assert item.attributes[name] == by_name[item.id].attributes[name]
        for question, answers in FINE.items():
            assert item.attributes[question] in answers


def test_the_same_seed_draws_the_same_files_and_another_one_others(tmp_path: Path) -> None:
    def files(name: str, seed: int) -> dict[str, bytes]:
        root = tmp_path / name
        write_layout(root, layout="inshop", products=3, photos=4, seed=seed)
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    first = files("first", 1)
    assert files("second", 1) == first
    other = files("third", 2)
    assert set(other) == set(first)
    assert all(other[name] != first[name] for name in first if name.endswith(".jpg"))


def test_drawn_files_have_the_quirks_of_the_published_ones(tmp_path: Path) -> None:
    inshop, coarse = tmp_path / "inshop", tmp_path / "coarse"
    write_layout(inshop, layout="inshop", products=4, photos=4)
    write_layout(coarse, layout="attributes", products=2, photos=1)
    count, names, *rows = (inshop / "Eval/list_eval_partition.txt").read_text().splitlines()
    assert (int(count), names) == (16, "image_name item_id evaluation_status")
    assert all(row.endswith(" ") and "   " in row.rstrip() for row in rows)
    assert (inshop / "Anno/list_item_inshop.txt").read_text().splitlines()[:2] == ["4", "id_00000001"]
    assert "\t" not in (inshop / "Anno/list_bbox_inshop.txt").read_text()
    colors = (inshop / "Anno/attributes/list_color_cloth.txt").read_text().splitlines()[2:]
    assert any("/" in row.rpartition(".jpg")[2] for row in colors)
    assert any(len(row.split()) > 2 for row in colors)
    attributes = (coarse / "Anno/list_attr_cloth.txt").read_text().splitlines()
    assert attributes[0] == "1000"
    assert len(attributes) == 1002
    assert any(len(row.split()) == 4 for row in attributes[2:])
    assert len((coarse / "Anno/list_category_cloth.txt").read_text().splitlines()) == 52
    ragged = {len(row.split()) for row in (inshop / "Anno/list_landmarks_inshop.txt").read_text().splitlines()[2:]}
    assert ragged <= {3 + 3 * points for points in (4, 6, 8)}
    assert len(ragged) > 1


def test_the_four_merged_categories_have_no_photos() -> None:
    without = [category.name for category in CATEGORIES if not category.has_photos]
    assert without == ["Cape", "Nightdress", "Shirtdress", "Sundress"]
    assert len(CATEGORIES) == 50


@pytest.mark.parametrize("layout", ["imagefolder", "table"])
def test_plain_layouts_have_two_splits_that_share_no_product(tmp_path: Path, layout: str) -> None:
    drawn = write_layout(tmp_path, layout=layout, products=5, photos=2)
    source = tmp_path / "catalogue.csv" if layout == "table" else tmp_path
    items = list(open_catalogue(str(source)).items())
    assert [(item.photo, item.attributes["split"]) for item in items] == [
        (photo.name, photo.attributes["split"]) for photo in drawn
    ]
    splits = [str(item.attributes["split"]) for item in items]
    assert {split: splits.count(split) for split in splits} == {"train": 8, "dev" if layout == "table" else "val": 2}


def test_no_picture_of_a_layout_is_like_another(tmp_path: Path) -> None:
    write_layout(tmp_path, layout="consumer2shop", products=4, photos=4)
    photos = [Image.open(path).resize((8, 8)).tobytes() for path in sorted(tmp_path.rglob("*.jpg"))]
    assert len(set(photos)) == 16
