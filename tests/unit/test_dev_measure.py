"""The dev measure: what is measured on which photos, by whose rules, and how its pictures look."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import ConfigError, TrainingError
from lookalike.evaluation.ranking import evaluate_rows
from lookalike.evaluation.task import grades_task, product_task
from lookalike.images import open_image
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.data.augmentation import Augmentation
from lookalike.training.data.dataset import Split, TrainingPhotos, sampled_products
from lookalike.training.run.dev_measure import Described, measure
from lookalike.training.run.dev_splits import measured_splits
from lookalike.training.run.hits_and_misses import RIGHT, WRONG, draw_hits_and_misses_grid
from lookalike.training.settings.photo_settings import AugmentationSettings
from lookalike.training.settings.run_settings import DataSettings
from lookalike.types import Float32, Item

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture
def photos(tmp_path: Path) -> Split:
    """Ten photos of one colour each, in products of two, kinds by hue; one of them is no photo."""
    items = []
    for number in range(10):
        color = (250 - number, 20, 20) if number % 2 else (20, 20, 250 - number)
        Image.new("RGB", (40, 50), color).save(tmp_path / f"{number}.png")
        attributes = {"kind": f"k{number % 2}", "colour": f"c{number % 4}"}
        product = f"p{number // 2}"
        items.append(Item(str(number), f"{number}.png", product=product, attributes=attributes, root=str(tmp_path)))
    (tmp_path / "4.png").write_text("no photo", encoding="utf-8")
    return Split(DataSettings("nowhere", grades=("kind", "colour")), items)


def mean_colors(photos: list[Image.Image]) -> Described:
    """A network that sees the mean colour, and is sure that what is red is of the kind k1."""
    rows = np.stack([np.asarray(photo.resize((1, 1)), dtype=np.float32)[0, 0] for photo in photos])
    unit: Float32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return Described(unit, {"kind": rows[:, [2, 0]]})


def rows_of(split: Split) -> Float32:
    rows = np.zeros((len(split.items), 3), dtype=np.float32)
    for place, item in enumerate(split.items):
        if item.id != "4":
            rows[place] = mean_colors([open_image(item)]).rows[0]
    return rows


def test_searches_are_measured_as_evaluate_measures_them(photos: Split) -> None:
    skipped: list[str] = []
    [dev] = measured_splits([photos], classes={}, tags={})
    measured = measure(mean_colors, [dev], changes={}, at_least=32, skip=lambda item, reason: skipped.append(item.id))
    assert skipped == ["4"]
    absent = np.array([item.id == "4" for item in photos.items])
    task = grades_task(photos.items, ("kind", "colour"))
    expected = evaluate_rows({"deep": rows_of(photos)}, weights={"deep": 1.0}, task=task, absent=absent).figures()
    assert measured.figures == pytest.approx({f"0/{name}": value for name, value in expected.items()}, abs=1e-9)
    assert measured.figures["0/precision@1[kind]"] == 0.9  # blue finds blue and red red; what cannot be read, nothing
    assert measure(mean_colors, [], changes={}, at_least=32).figures == {}


def test_grades_of_products_are_the_protocol_product(photos: Split) -> None:
    """Photos of a product are the right answers, not kept apart from each other."""
    split = Split(DataSettings("nowhere", grades=("product",), apart=("kind",)), photos.items)
    [dev] = measured_splits([split], classes={}, tags={})
    assert dev.leading() == ["0/hit_rate@1"]
    found = measure(mean_colors, [dev], changes={}, at_least=32)
    task = product_task(split.items, apart=("kind",))
    absent = np.array([item.id == "4" for item in split.items])
    expected = evaluate_rows({"deep": rows_of(split)}, weights={"deep": 1.0}, task=task, absent=absent).figures()
    assert found.figures == pytest.approx({f"0/{name}": value for name, value in expected.items()}, abs=1e-9)
    assert found.figures["0/hit_rate@10"] > 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DataSettings("shop", grades=("product", "kind")), r"\[\[data\]\] 0, shop: .*'product' is no grade"),
        (DataSettings("shop", grades=("product",), apart=("product",)), "leave 'product' out of apart"),
    ],
)
def test_a_measure_that_could_only_give_0_is_refused(photos: Split, settings: DataSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        measured_splits([Split(settings, photos.items)], classes={}, tags={})


def test_products_without_a_second_photo_cannot_be_measured(photos: Split) -> None:
    single = Split(DataSettings("shop", grades=("product",)), photos.items[::2])
    with pytest.raises(ConfigError, match="at least two different photos"):
        measured_splits([single], classes={}, tags={})


def test_products_of_copies_are_refused_before_the_first_step(photos: Split, tmp_path: Path) -> None:
    """Copies never query each other; a product with two different photos is enough."""
    for number in range(0, 10, 2):
        (tmp_path / f"{number + 1}.png").write_bytes((tmp_path / f"{number}.png").read_bytes())
    split = Split(DataSettings("shop", grades=("product",)), photos.items)
    with pytest.raises(ConfigError, match=r"\[\[data\]\] 0, shop: .*at least two different photos"):
        measured_splits([split], classes={}, tags={})
    Image.new("RGB", (40, 50), "green").save(tmp_path / "7.png")
    [dev] = measured_splits([split], classes={}, tags={})
    assert dev.metrics[0] == "hit_rate@1"


def test_heads_are_measured_by_photo_and_by_class(photos: Split) -> None:
    """Photo 4 cannot be read and 9 is labelled wrongly: 8 of 10 are right; 4 of 5 of each kind, but k2 of one photo."""
    items = [*photos.items[:9], replace(photos.items[9], attributes={"kind": "k2"})]
    split = Split(DataSettings("nowhere", heads={"kind": 1.0}), items)
    [dev] = measured_splits([split], classes={"kind": ["k0", "k1"]}, tags={})
    assert dev.figures([]) == ["0/accuracy@1[kind]", "0/balanced_accuracy[kind]"]
    found = measure(mean_colors, [dev], changes={}, at_least=32)
    assert found.figures["0/accuracy@1[kind]"] == pytest.approx(0.8)
    assert found.figures["0/balanced_accuracy[kind]"] == pytest.approx((4 / 5 + 4 / 4 + 0) / 3)
    assert {name: (one["queries"], one["accuracy@1[kind]"]) for name, one in found.classes["0/kind"].items()} == {
        "k0": (5, pytest.approx(0.8)),
        "k1": (4, 1.0),
        "k2": (1, 0.0),
    }


def test_a_head_whose_classes_dev_does_not_show_is_not_measured(photos: Split) -> None:
    """Held-out products are no classes of the training data."""
    split = Split(DataSettings("nowhere", heads={"product": 1.0}), photos.items)
    [dev] = measured_splits([split], classes={"product": ["x", "y"]}, tags={})
    assert dev.heads == {} and dev.figures(["changed"]) == ["0/hit_rate@1[changed]"] == dev.leading()


def test_tags_are_measured(photos: Split) -> None:
    items = [replace(item, attributes={"tags": [item.attributes["kind"]]}) for item in photos.items]
    split = Split(DataSettings("nowhere", tags={"tags": 1.0}), items)
    [dev] = measured_splits([split], classes={}, tags={"tags": ["k0", "k1", "t2", "t3"]})

    def sure(photos: list[Image.Image]) -> Described:
        seen = mean_colors(photos)
        scores = np.full((len(photos), 4), 100.0, dtype=np.float32)
        scores[:, :2] = seen.scores["kind"]
        return Described(seen.rows, {"tags": scores})

    found = measure(sure, [dev], changes={}, at_least=32)
    assert found.figures == {"0/attribute_recall@3[tags]": pytest.approx(0.9)}


def test_changed_photos_look_for_their_originals(photos: Split) -> None:
    [dev] = measured_splits([photos], classes={}, tags={})
    settings = AugmentationSettings(smallest_crop=0.6, light=0.0, hue=0.0, rotation=0.0, spoil=0.0)
    changes = {"changed": Augmentation(settings, size=(32, 32), backgrounds=())}
    found = measure(mean_colors, [dev], changes=changes, at_least=32)
    assert 0.5 < found.figures["0/hit_rate@1[changed]"] <= 1.0
    assert {*found.figures} == {*dev.figures(changes)}


def test_a_split_of_which_nothing_can_be_read_ends_the_run(photos: Split, tmp_path: Path) -> None:
    gone = [replace(item, root=str(tmp_path / "gone")) for item in photos.items]
    dev = measured_splits([Split(photos.settings, gone)], classes={}, tags={})
    with pytest.raises(TrainingError, match="none of the 10 dev photos can be read"):
        measure(mean_colors, dev, changes={}, at_least=32)


def test_whole_products_are_sampled_whatever_the_order() -> None:
    items = [Item(f"{p}-{n}", "x.png", product=f"product{p}") for p in range(40) for n in range(1 + p % 4)]
    items += [Item(f"alone{n}", "x.png") for n in range(10)]
    whole = Counter(item.product for item in items)
    for most in (10, 25, 60):
        data = DataSettings("shop", dev_photos=most)
        chosen = sampled_products(items, data)
        assert most - 4 < len(chosen) <= most
        assert all(whole[name] == count for name, count in Counter(one.product for one in chosen).items() if name)
        assert {item.id for item in sampled_products(items[::-1], data)} == {item.id for item in chosen}
    assert len(sampled_products(items, DataSettings("shop", dev_photos=1000))) == len(items)
    with pytest.raises(ConfigError, match="dev_photos = 3 of shop is less than the photos of one product"):
        sampled_products([Item(str(n), "x.png", product="p") for n in range(4)], DataSettings("shop", dev_photos=3))


def test_training_sees_as_much_of_a_photo_as_search_does(tmp_path: Path) -> None:
    """An input that is wider than high: decoded for its height alone, a big JPEG would lose what the width shows."""
    stripes = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 320, 3), dtype=np.uint8), 640, axis=0)
    Image.fromarray(stripes).resize((640, 640)).save(tmp_path / "a.jpg")
    split = Split(DataSettings("nowhere"), [Item("a", "a.jpg", root=str(tmp_path))])
    photos = TrainingPhotos([split], classes={}, tags={})
    steps = Preprocessing(16, 128)
    still = AugmentationSettings(smallest_crop=1.0, stretch=1.0, light=0.0, hue=0.0, rotation=0.0, spoil=0.0)
    photos.show_as(Augmentation(still, size=(16, 128), backgrounds=()), steps)
    shown = photos[0, 0][0].numpy()
    expected = steps(open_image(tmp_path / "a.jpg", at_least=steps.wanted_size))
    assert min(np.abs(view - expected).mean() for view in (shown, shown[:, :, ::-1])) < 0.02


def test_hits_and_misses_are_drawn_with_frames(photos: Split) -> None:
    """Two photos ask: the first finds its kind and then another, the second another and then its kind."""
    items = photos.items[:4]
    rows = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.6, 0.5], [0.3, 0.3, 0.9]], dtype=np.float32)
    task = replace(grades_task(items, ("kind",)), queries=np.array([0, 1]))
    searched = evaluate_rows({"deep": rows}, weights={"deep": 1.0}, task=task)
    assert searched.answers[:, :3].tolist() == [[2, 3, -1], [2, 3, -1]]  # photos of a product are kept apart
    picture = np.asarray(draw_hits_and_misses_grid(searched, label="kind"))
    frames = [(picture == color).all(axis=2) for color in (RIGHT, WRONG)]
    halves = np.array_split(np.arange(len(picture)), 2)
    columns = [np.flatnonzero(frame[halves[row]].any(axis=0)) for row in (0, 1) for frame in frames]
    hit_right, hit_wrong, miss_right, miss_wrong = (int(found[0]) for found in columns)
    assert hit_right < hit_wrong  # the hit: first right, then wrong
    assert miss_wrong < miss_right
