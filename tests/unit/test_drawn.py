"""The drawn sample: deterministic, complete, and with distinguishable products."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.sample import drawn
from lookalike.catalogue.sample.drawing.categories import CATEGORIES
from lookalike.catalogue.sample.drawing.cloth import COLORS, COMPANIONS
from lookalike.catalogue.sample.drawing.scene import BACKGROUNDS, PHOTO_SIZE
from lookalike.catalogue.sample.layouts.garments import make_garments
from lookalike.errors import CatalogueError, UsageError

HASH_OF_A_SAMPLE = """
import hashlib
from lookalike.catalogue.sample.drawn import draw_photos, make_products
digest = hashlib.sha256()
for product in make_products(3, seed=5):
    for name, photo in draw_photos(product, 2):
        digest.update(name.encode() + photo.tobytes())
print(digest.hexdigest())
"""


def hash_of_a_sample(hash_seed: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", HASH_OF_A_SAMPLE], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, check=True
    )
    return run.stdout.decode()


def middle_color(photo: Image.Image) -> np.ndarray:
    """The mean colour around the middle of a photo, where the garment lies."""
    width, height = photo.size
    middle = photo.crop((width * 2 // 5, height * 2 // 5, width * 3 // 5, height * 3 // 5))
    return np.asarray(middle, dtype=np.float64).mean(axis=(0, 1))


def test_every_process_draws_the_same_pixels() -> None:
    assert hash_of_a_sample("1") == hash_of_a_sample("2")


def test_another_seed_draws_other_products() -> None:
    first, second = (drawn.make_products(15, seed=seed) for seed in (0, 1))
    assert [(p.color, p.pattern) for p in first] != [(p.color, p.pattern) for p in second]


def test_the_catalogue_that_is_written_is_complete(tmp_path: Path) -> None:
    table = drawn.write_drawn(tmp_path, products=4, photos=2)
    items = list(open_catalogue(str(table)).items())
    assert [item.id for item in items] == [f"d{p:03}-{n}" for p in range(1, 5) for n in (1, 2)]
    assert [item.product for item in items] == [f"d{p:03}" for p in range(1, 5) for _ in (1, 2)]
    for item in items:
        assert set(item.attributes) == {"title", "type", "colour", "pattern", "gender", "season", "price"}
        assert isinstance(item.attributes["price"], int)
        with Image.open(item.location) as photo:
            assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", PHOTO_SIZE)
    assert {path.name for path in (tmp_path / "photos").iterdir()} == {f"{item.id}.jpg" for item in items}


def test_a_product_does_not_depend_on_how_many_there_are() -> None:
    (alone,) = drawn.make_products(1)
    among_others = drawn.make_products(20)[0]
    assert alone == among_others
    one = next(photo for _, photo in drawn.draw_photos(alone, 1))
    first_of_four = next(photo for _, photo in drawn.draw_photos(among_others, 4))
    assert one.tobytes() == first_of_four.tobytes()


def test_no_two_products_of_the_sample_are_alike() -> None:
    products = drawn.make_products(60)
    assert len({(product.type.name, product.color, product.pattern) for product in products}) == 60
    assert {product.type.name for product in products} == {kind.name for kind in drawn.TYPES}


def test_every_type_can_be_painted_in_every_pattern_it_comes_in() -> None:
    for kind in drawn.TYPES:
        for pattern in ("plain", *kind.patterns):
            garment = drawn.Product("x", kind, "green", "white", pattern, f"{kind.name}/{pattern}").paint()
            covered = np.asarray(garment.getchannel("A"), dtype=np.float64).mean() / 255
            assert garment.mode == "RGBA"
            assert 0.08 < covered < 0.8, (kind.name, pattern)


def test_colors_and_their_companions_belong_together() -> None:
    for name, others in COMPANIONS.items():
        assert len(set(others) - {name}) == len(others) >= 3
        assert set(others) | {name} <= set(COLORS)
    assert set(COMPANIONS) == set(COLORS)


def test_photos_of_a_product_resemble_each_other_more_than_those_of_others() -> None:
    colors = []
    for product in drawn.make_products(8):
        colors.append([middle_color(photo) for _, photo in drawn.draw_photos(product, 3)])
    spots = np.array(colors)
    within = np.linalg.norm(spots - spots.mean(axis=1, keepdims=True), axis=2).mean()
    between = np.linalg.norm(spots.mean(axis=1) - spots.mean(axis=(0, 1)), axis=1).mean()
    assert between > 1.5 * within


def test_the_changed_photo_is_a_new_one_of_the_same_garment() -> None:
    product = drawn.make_products(7)[6]
    changed = drawn.changed_photo(product)
    photos = [photo for _, photo in drawn.draw_photos(product, 4)]
    assert changed.size == PHOTO_SIZE
    assert all(changed.tobytes() != photo.tobytes() for photo in photos)
    assert changed.tobytes() == drawn.changed_photo(product).tobytes()


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_background_fills_the_photo(background: str) -> None:
    product = drawn.make_products(1)[0]
    photo = product.photo("any", garment=product.paint(), background=background)
    assert (photo.mode, photo.size) == ("RGB", PHOTO_SIZE)
    darkest_row = np.asarray(photo.convert("L"), dtype=np.float64)[:, :6].mean(axis=1).min()
    assert darkest_row > 15, "no row at the edge was left black"


@pytest.mark.parametrize(("products", "photos"), [(0, 4), (4, 0)])
def test_an_empty_sample_is_refused(tmp_path: Path, products: int, photos: int) -> None:
    with pytest.raises(UsageError, match="at least one product"):
        drawn.write_drawn(tmp_path / "sample", products=products, photos=photos)
    assert not (tmp_path / "sample").exists()


@pytest.fixture
def small_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a sample that is quickly drawn."""
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(drawn, "write_drawn", partial(drawn.write_drawn, products=2, photos=1))
    return tmp_path / "cache"


def test_the_sample_is_drawn_once_and_kept(small_sample: Path) -> None:
    catalogue = open_catalogue("drawn")
    assert (catalogue.kind, catalogue.source, catalogue.count) == ("drawn", "drawn", 2)
    photo = Path(next(catalogue.items()).location)
    assert photo.is_relative_to(small_sample)
    drawn_at = photo.stat().st_mtime_ns
    assert next(open_catalogue("drawn").items()).location == str(photo)
    assert photo.stat().st_mtime_ns == drawn_at


def test_a_sample_that_lost_its_table_is_drawn_again(small_sample: Path) -> None:
    table = drawn.cached_sample()
    before = table.read_text()
    table.unlink()
    assert drawn.cached_sample().read_text() == before


def test_two_may_draw_at_once(small_sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both_have_drawn = threading.Barrier(2)
    write = drawn.write_drawn

    def write_and_wait(folder: Path) -> Path:
        table = write(folder)
        both_have_drawn.wait(timeout=60)
        return table

    monkeypatch.setattr(drawn, "write_drawn", write_and_wait)
    tables: list[Path] = []
    threads = [threading.Thread(target=lambda: tables.append(drawn.cached_sample())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tables) == 2
    assert tables[0] == tables[1]
    with tables[0].open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert [path.name for path in small_sample.iterdir()] == [tables[0].parent.name], "nothing unfinished is left"


def test_a_cache_that_cannot_be_written_is_an_error_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(CatalogueError, match="set LOOKALIKE_CACHE to a folder that can be written"):
        open_catalogue("drawn")


def test_the_cache_follows_the_desktop_convention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOKALIKE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(drawn, "write_drawn", partial(drawn.write_drawn, products=1, photos=1))
    assert drawn.cached_sample().is_relative_to(tmp_path / "lookalike")


def test_a_written_photo_is_the_drawn_one(tmp_path: Path) -> None:
    drawn.write_drawn(tmp_path, products=1, photos=1)
    (product,) = drawn.make_products(1)
    ((name, photo),) = drawn.draw_photos(product, 1)
    with Image.open(tmp_path / "photos" / f"{name}.jpg") as written:
        difference = np.abs(np.asarray(written, dtype=np.float64) - np.asarray(photo, dtype=np.float64)).mean()
    assert difference < 3, "only what JPEG leaves out"


@pytest.mark.parametrize("name", ["Kaftan", "Caftan"])
def test_the_widest_sleeves_are_painted_as_far_as_the_canvas_goes(name: str) -> None:
    """Their stripes ended outside of it with most seeds."""
    category = next(one for one in CATEGORIES if one.name == name)
    for seed in range(12):
        [garment] = make_garments([category], count=1, seed=seed)
        assert garment.paint().getbbox() is not None
