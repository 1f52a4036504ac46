"""The dev measure: blocks of queries give the same result as all queries, in bounded memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.images import open_image
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.data.augmentation import Augmentation
from lookalike.training.data.dataset import Split, TrainingPhotos
from lookalike.training.run import dev_measure as measuring
from lookalike.training.run.dev_measure import DevRanking, measure, rank
from lookalike.training.run.hits_and_misses import RIGHT, WRONG, draw_hits_and_misses_grid
from lookalike.training.settings.run_settings import AugmentationSettings, DataSettings
from lookalike.types import Float32, Item

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def split_of(count: int, *, kinds: int = 3, colors: int = 4) -> Split:
    items = [
        Item(
            id=str(number),
            photo=f"{number}.png",
            product=f"p{number // 2}",
            attributes={"kind": f"k{number % kinds}", "colour": f"c{number % colors}"},
        )
        for number in range(count)
    ]
    return Split(DataSettings("nowhere", grades=("kind", "colour"), apart="product"), items)


def random_rows(count: int, dimension: int = 4) -> Float32:
    rows = np.random.default_rng(count).normal(size=(count, dimension)).astype(np.float32)
    unit: Float32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def test_ranks_are_those_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    split, rows = split_of(40), random_rows(40)
    monkeypatch.setattr(measuring, "CELLS", 100)  # two queries at a time
    found = rank(split, rows)
    for query, item in enumerate(split.items):
        others = [place for place, other in enumerate(split.items) if other.product != item.product]
        best = sorted(others, key=lambda place: -float(rows[query] @ rows[place]))[:10]
        assert found.answers[query].tolist() == best
        same = [split.items[place].attributes["kind"] == item.attributes["kind"] for place in best]
        assert found.right[query].tolist() == same

        def gain(place: int, item: Item = item) -> float:
            other = split.items[place].attributes
            kind = other["kind"] == item.attributes["kind"]
            return 2.0 ** (kind + (kind and other["colour"] == item.attributes["colour"])) - 1

        gained = sum(gain(place) / np.log2(number + 2) for number, place in enumerate(best))
        ideal = sorted((gain(place) for place in others), reverse=True)[:10]
        most = sum(each / np.log2(number + 2) for number, each in enumerate(ideal))
        assert found.ndcg[query] == pytest.approx(gained / most)


def test_memory_does_not_grow_with_queries_times_gallery() -> None:
    def peak(count: int) -> int:
        split, rows = split_of(count), random_rows(count)
        tracemalloc.start()
        rank(split, rows)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = peak(1000), peak(5000)
    assert large < 5000 * 5000 * 4  # less than one matrix of all similarities
    assert large < small * 2  # where all at once would take 25 times as much


@pytest.fixture
def photos(tmp_path: Path) -> Split:
    """Ten photos of one colour each, kinds by hue; one of them is no photo."""
    split = split_of(10, kinds=2)
    for number, item in enumerate(split.items):
        color = (250 - number, 20, 20) if number % 2 else (20, 20, 250 - number)
        Image.new("RGB", (40, 50), color).save(tmp_path / item.photo)
    (tmp_path / "4.png").write_text("no photo", encoding="utf-8")
    return Split(split.settings, [replace(item, root=str(tmp_path)) for item in split.items])


def mean_colors(photos: list[Image.Image]) -> Float32:
    rows = np.stack([np.asarray(photo.resize((1, 1)), dtype=np.float32)[0, 0] for photo in photos])
    unit: Float32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


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


def test_an_unreadable_photo_neither_asks_nor_answers(photos: Split) -> None:
    skipped: list[str] = []
    measured = measure(
        mean_colors,  # type: ignore[arg-type]
        [photos],
        changes={},
        at_least=32,
        skip=lambda item, reason: skipped.append(item.id),
    )
    assert skipped == ["4"]
    assert measured.figures["0/precision@1"] == 1.0  # blue finds blue, and red finds red
    assert measured.ranked is not None and len(measured.ranked.items) == 9
    assert measure(mean_colors, [], changes={}, at_least=32).figures == {}  # type: ignore[arg-type]


def test_hits_and_misses_are_drawn_with_frames(photos: Split) -> None:
    readable = [item for item in photos.items if item.id != "4"]
    answers = np.array([[2, 1], [0, 3]])
    right = np.array([[True, False], [False, True]])
    ranked = DevRanking(readable, np.array([0, 1]), answers, right, np.array([1.0, 0.2]))
    picture = np.asarray(draw_hits_and_misses_grid(ranked, label="kind"))
    frames = [(picture == color).all(axis=2) for color in (RIGHT, WRONG)]
    rows = np.array_split(np.arange(len(picture)), 2)
    columns = [np.flatnonzero(frame[rows[row]].any(axis=0)) for row in (0, 1) for frame in frames]
    hit_right, hit_wrong, miss_right, miss_wrong = (int(found[0]) for found in columns)
    assert hit_right < hit_wrong  # the hit: first right, then wrong
    assert miss_wrong < miss_right
