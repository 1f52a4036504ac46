"""Batch samplers: composition of batches, and resuming at any step."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.errors import CatalogueError, ConfigError, UnknownNameError
from lookalike.training.data.batch import CLASSIFIED, UNKNOWN, View
from lookalike.training.data.dataset import Split, TrainingPhotos, label_classes, read_splits, tag_classes
from lookalike.training.data.sampling import GroupSampler, check_batch, make_sampler, products_by_share, steps_in_epoch
from lookalike.training.data.shuffling import Shuffles
from lookalike.training.settings.objective_settings import LossSettings, SamplerSettings
from lookalike.training.settings.presets import find_settings
from lookalike.training.settings.run_settings import DataSettings, StageSettings, TrainingSettings, load_settings
from lookalike.types import Box, Item

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def items(count: int, *, photos: int = 3, kinds: str = "abbb") -> list[Item]:
    """Products with photos; their kinds by turns."""
    return [
        Item(
            id=f"{p}-{n}",
            photo="x.jpg",
            product=f"p{p}",
            attributes={"kind": kinds[p % len(kinds)], "tags": ["t", "u"][: p % 3]},
        )
        for p in range(count)
        for n in range(photos)
    ]


def photos_of(*splits: Split) -> TrainingPhotos:
    names = sorted({head for split in splits for head in split.settings.heads})
    return TrainingPhotos(splits, classes=label_classes(splits, names), tags=tag_classes(splits))


def settings_of(*data: DataSettings, **changes: Any) -> TrainingSettings:
    loss = changes.pop("loss", (LossSettings("SupConLoss"),))
    return TrainingSettings(name="x", data=data, stage=(StageSettings(1.0, 0.1),), loss=loss, **changes)


def batches(settings: TrainingSettings, photos: TrainingPhotos, *, start: int = 0, seed: int = 3) -> list[list[View]]:
    return list(make_sampler(settings, photos, steps=12, start=start, seed=seed))


def test_a_batch_has_p_products_with_k_photos_of_each() -> None:
    data = DataSettings("s")
    photos, settings = photos_of(Split(data, items(8))), settings_of(data, products=4, photos=2)
    for batch in batches(settings, photos):
        counts = Counter(photos.items[view.place].product for view in batch)
        assert len(counts) == 4 and set(counts.values()) == {2}
        assert len({view.place for view in batch}) == 8  # with 3 photos of each there is no need to repeat one
        assert len({view.seed for view in batch}) == 8


def test_photos_of_unknown_products_are_products_of_their_own() -> None:
    """`NA`, and what `ignore` names, is nothing that photos have in common."""
    names = ["a", "a", "NA", "NA", "none", "none", None]
    data = DataSettings("s", ignore=("none",))
    photos = photos_of(Split(data, [Item(f"{n}", "x.jpg", product=name) for n, name in enumerate(names)]))
    assert photos.products.tolist() == [0, 0, 1, 2, 3, 4, 5]


def test_a_product_with_few_photos_is_shown_changed_twice() -> None:
    data = DataSettings("s")
    photos, settings = photos_of(Split(data, items(4, photos=1))), settings_of(data, products=4, photos=2)
    for batch in batches(settings, photos):
        assert set(Counter(view.place for view in batch).values()) == {2}
        assert len({view.seed for view in batch}) == 8


def test_each_value_comes_as_often_as_any_other() -> None:
    data = DataSettings("s")
    sampler = SamplerSettings("balanced", balance="kind")
    photos = photos_of(Split(data, items(16)))  # 4 products of kind a, 12 of kind b
    settings = settings_of(data, products=4, photos=2, sampler=sampler)
    shown: Counter[str | None] = Counter()
    for batch in batches(settings, photos):
        kinds = Counter(photos.items[view.place].attributes["kind"] for view in batch)
        assert kinds == {"a": 4, "b": 4}
        shown.update(photos.items[view.place].product for view in batch[::2])
    # 12 batches with 2 products of each kind: each of the 4 of kind a comes 6 times, each of the 12 of kind b twice.
    by_kind = {kind: sorted(shown[f"p{p}"] for p in range(16) if (p % 4 == 0) == (kind == "a")) for kind in "ab"}
    assert by_kind == {"a": [6] * 4, "b": [2] * 12}


@pytest.mark.parametrize("name", ["products", "balanced", "triplets"])
def test_the_same_seed_and_step_give_the_same_batch(name: Any) -> None:
    data = DataSettings("s", heads={"kind": 1.0})
    sampler = SamplerSettings(name, balance="kind", classified=3, triplets=2)
    photos, settings = photos_of(Split(data, items(9))), settings_of(data, products=4, photos=2, sampler=sampler)
    whole = batches(settings, photos)
    assert batches(settings, photos, start=7) == whole[7:]
    assert batches(settings, photos, seed=4) != whole


def test_drawn_triplets_are_of_one_catalogue_and_what_they_say() -> None:
    classified = DataSettings("s", heads={"kind": 1.0}, positives="kind", share=0.2)
    inshop = DataSettings("i", positives="product", share=0.8)
    others = [Item(id=f"i{n}", photo="x.jpg", product=f"q{n // 2}") for n in range(9)]  # the last has no second photo
    photos = photos_of(Split(classified, items(8)), Split(inshop, others))
    settings = settings_of(classified, inshop, sampler=SamplerSettings("triplets", classified=6, triplets=5))
    sampler = make_sampler(settings, photos, steps=200, start=0, seed=1)
    origins, anchors = Counter[int](), Counter[str]()
    for batch in sampler:
        first, rest = batch[:6], batch[6:]
        assert all(view.role == CLASSIFIED and photos.origin[view.place] == 0 for view in first)
        assert [view.role for view in rest] == list(range(15))
        places = [view.place for view in rest]
        origin = {int(photos.origin[place]) for place in places}
        assert len(origin) == 1
        origins.update(origin)
        labels = photos.field("kind" if origin == {0} else "product")
        for a, p, n in zip(places[0::3], places[1::3], places[2::3], strict=True):
            assert labels[a] == labels[p] != labels[n] and a != p
            anchors[photos.items[a].id] += 1
    assert 140 <= origins[1] <= 180  # 160 of 200 are expected, with a standard deviation of 6
    assert "i8" not in anchors and len(anchors) == 24 + 8


def test_every_photo_is_classified_once_before_any_comes_again() -> None:
    data = DataSettings("s", heads={"kind": 1.0}, positives="kind")
    photos = photos_of(Split(data, items(8)))
    settings = settings_of(data, sampler=SamplerSettings("triplets", classified=4, triplets=1))
    shown = [view.place for batch in batches(settings, photos)[:6] for view in batch[:4]]
    assert sorted(shown) == list(range(24))
    assert steps_in_epoch(settings, photos) == 6
    assert steps_in_epoch(settings_of(data, products=4, photos=2), photos) == 3


def test_triplets_that_cannot_be_drawn_are_refused() -> None:
    data = DataSettings("s", heads={"kind": 1.0})
    photos = photos_of(Split(data, items(8, photos=1)))
    with pytest.raises(ConfigError, match="two classes of 'product', and two photos of one"):
        batches(settings_of(data, sampler=SamplerSettings("triplets")), photos)
    unlabelled = DataSettings("s", positives="kind")
    with pytest.raises(ConfigError, match="finds no photos to classify"):
        batches(settings_of(unlabelled, sampler=SamplerSettings("triplets")), photos_of(Split(unlabelled, items(8))))


def test_sampling_is_fair_within_each_catalogue() -> None:
    products = np.array([0, 0, 0, 1, 2, 2, 3, 4, 5])
    origin = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    drawn = list(GroupSampler(products, origin, counts=[2, 1], photos=2, steps=9, start=0, seed=3))
    counts = np.bincount([products[view.place] for batch in drawn for view in batch])
    assert counts.tolist() == [12, 12, 12, 6, 6, 6]  # two photos each of 9 x 2 and 9 x 1 products
    assert all(sum(origin[view.place] == 1 for view in batch) == 2 for batch in drawn)


@pytest.mark.parametrize(("size", "together"), [(5, 5), (7, 5), (9, 5), (14, 5), (15, 5), (16, 5), (50, 16), (2, 1)])
def test_nothing_is_drawn_twice_together_and_all_equally_often(size: int, together: int) -> None:
    shuffles = Shuffles(7)
    drawn = [shuffles.at(number, size=size, key=(0,), together=together) for number in range(size * together * 4)]
    assert np.bincount(drawn).tolist() == [together * 4] * size
    for start in range(0, len(drawn), together):
        assert len({*drawn[start : start + together]}) == together
    for number in (0, 3, len(drawn) // 2, len(drawn) - 1):
        assert Shuffles(7).at(number, size=size, key=(0,), together=together) == drawn[number]


def test_a_folder_of_folders_is_shown_by_its_classes_without_repeats(tmp_path: Path) -> None:
    """Its photos have no products, so that a batch of products would show each photo twice."""
    for number in range(40):
        path = tmp_path / "train" / f"class{number % 4}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    data = DataSettings(str(tmp_path), heads={"class": 1.0})
    photos = photos_of(read_splits(data, folder=Path())["train"])
    for loss, products in (((LossSettings("SupConLoss", labels="class"),), 3), ((), 6)):
        settings = settings_of(data, products=products, photos=4, loss=loss)
        check_batch(settings, photos)
        shown = Counter[int]()
        for batch in batches(settings, photos):
            places = [view.place for view in batch]
            assert len(places) == len({*places}) == products * 4
            classes = Counter(photos.items[place].attributes["class"] for place in places)
            assert not loss or sorted(classes.values()) == [4, 4, 4]
            shown.update(places)
        assert len(shown) == 40
    with pytest.raises(
        ConfigError, match=r"products = 5, photos = 4: a batch has 5 values of 'class' of .*, whose .* 4;"
    ):
        check_batch(settings_of(data, products=5, photos=4, loss=(LossSettings("SupConLoss", labels="class"),)), photos)
    with pytest.raises(
        ConfigError, match=r"a batch has 48 photos of .*, whose training split has 40; lower `products`$"
    ):
        check_batch(settings_of(data, products=12, photos=4, loss=()), photos)
    with pytest.raises(ConfigError, match="a batch has 41 products"):
        check_batch(settings_of(data, products=41), photos)


def test_products_are_divided_by_share() -> None:
    assert products_by_share([0.8, 0.2], 64) == [51, 13]
    assert products_by_share([1.0, 0.001], 10) == [9, 1]
    assert sum(products_by_share([1.0, 1.0, 1.0], 64)) == 64
    with pytest.raises(ConfigError, match="cannot be divided"):
        products_by_share([1.0, 1.0, 1.0], 2)


def test_labels_are_joined_counted_and_unknown_where_a_part_is() -> None:
    data = DataSettings("s", heads={"kind+colour": 1.0, "kind": 1.0}, ignore=("grey",), tags={"tags": 1.0})
    known = [("a", "red", ["x", "y"]), ("b", "red", []), ("a", "grey", None), ("a", None, ["y"]), ("a", "red", ["x"])]
    shown = [
        Item(id=str(n), photo="x.jpg", attributes={"kind": kind, "colour": colour, "tags": tags})
        for n, (kind, colour, tags) in enumerate(known)
    ]
    photos = photos_of(Split(data, shown))
    assert label_classes(photos.splits, ["kind+colour"]) == {"kind+colour": ["a+red", "b+red"]}
    batch = photos.batch(torch.arange(5), torch.full((5,), -1))
    assert batch.labels["kind+colour"].tolist() == [0, 1, UNKNOWN, UNKNOWN, 0]
    assert batch.labels["kind"].tolist() == [0, 1, 0, 0, 0]
    assert torch.equal(
        batch.tags["tags"].nan_to_num(-1.0),
        torch.tensor([[1.0, 1.0], [0.0, 0.0], [-1.0, -1.0], [0.0, 1.0], [1.0, 0.0]]),
    )


def test_products_outside_the_metric_losses_get_the_last_numbers() -> None:
    without, inside = DataSettings("a", instance_loss=False), DataSettings("b")
    photos = photos_of(Split(without, items(2, photos=1)), Split(inside, items(3, photos=1)))
    assert photos.metric_products == 3
    assert photos.batch(torch.arange(5), torch.full((5,), -1)).products.tolist() == [UNKNOWN, UNKNOWN, 0, 1, 2]


def test_a_product_head_of_two_catalogues_is_refused() -> None:
    data = DataSettings("a", heads={"product": 1.0})
    with pytest.raises(ConfigError, match="from one catalogue only"):
        label_classes([Split(data, items(2)), Split(data, items(2))], ["product"])


def test_splits_are_chosen_by_name_held_out_or_filtered(tmp_path: Any) -> None:
    from lookalike.training.data.dataset import read_splits

    lines = ["id,image,product,split,gender"]
    for number in range(40):
        split = ("train", "val", "test")[number % 3] if number < 30 else ""
        lines.append(f"{number},{number}.jpg,p{number},{split},{'women' if number % 2 else 'men'}")
    (tmp_path / "c.csv").write_text("\n".join(lines), encoding="utf-8")

    def parts(**changes: Any) -> tuple[set[str], set[str]]:
        read = read_splits(DataSettings("c.csv", **changes), folder=tmp_path)
        return {item.id for item in read["train"].items}, {item.id for item in read["dev"].items}

    train, dev = parts()
    assert train == {str(n) for n in range(30) if n % 3 == 0} | {str(n) for n in range(30, 40)}
    assert dev == {str(n) for n in range(30) if n % 3 == 1}
    assert parts(dev=("val", "test"))[1] == {str(n) for n in range(30) if n % 3}
    women, _ = parts(where={"gender": ("women",)})
    assert women == {number for number in train if int(number) % 2}
    kept, held_out = parts(dev=(), hold_out=0.4)
    assert kept | held_out == train and not kept & held_out and 2 <= len(held_out) <= 14
    assert parts(dev=(), hold_out=0.4) == (kept, held_out)
    with pytest.raises(UnknownNameError, match=r"value of 'split' in .*c\.csv 'tarin'; did you mean 'train'"):
        parts(train=("tarin",))
    with pytest.raises(UnknownNameError, match=r"unknown attribute of .*c\.csv 'splt'; did you mean 'split'"):
        parts(split="splt")
    with pytest.raises(UnknownNameError, match=r"value of 'gender' in .* 'wmen'; did you mean 'women'"):
        parts(where={"gender": ("men", "wmen")})
    with pytest.raises(UnknownNameError, match=r"value of 'gender' in .* 'boys'; known: men, women"):
        parts(dev_where={"gender": ("boys",)})
    with pytest.raises(CatalogueError, match=r"no training items: none that .* of train; there are 'train'"):
        parts(where={"split": ("val",)})
    with pytest.raises(CatalogueError, match=r"`dev_where` leaves none of the 10 dev items: none has split = train$"):
        parts(dev_where={"split": ("train",)})
    with pytest.raises(UnknownNameError, match="did you mean 'gender'"):
        parts(heads={"product+gendr": 1.0})


def test_boxes_are_shown_or_not_as_the_settings_say(tmp_path: Path) -> None:
    """The original system never cropped."""
    (tmp_path / "table.csv").write_text('image,product,box\na.png,p,"1,2,3,4"\nb.png,p,\n')
    for boxes in (True, False):
        split = read_splits(DataSettings("table.csv", boxes=boxes), folder=tmp_path)["train"]
        assert [item.box for item in split.items] == [Box(1, 2, 3, 4) if boxes else None, None]


def test_the_preset_of_the_original_crops_nothing() -> None:
    file, base = find_settings("original")
    assert [data.boxes for data in load_settings(file).data] == [False, False]
    assert base is not None
