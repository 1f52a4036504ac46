"""Photos of known contents: they get the vectors of the item that has them, bit for bit, and are not embedded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from test_pipeline import MeanColor, colored

from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import PhotoError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.record_batch import RecordBatch
from lookalike.images import Limits, Source, open_image
from lookalike.ingest import pipeline
from lookalike.ingest.known_contents import KnownContents
from lookalike.ingest.pipeline import index_catalogue
from lookalike.ingest.report import IndexReport
from lookalike.types import Box, Content, FileStamp, Float32, Garment, Item

COLORS = [(20 * number, 255 - 20 * number, 7 * number % 256) for number in range(12)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, color in enumerate(COLORS):
        colored(photos / f"{number}.png", color)
    return photos


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[LocalGallery]:
    with LocalGallery(tmp_path / "g.gallery", create=True) as opened:
        yield opened


class Left:
    """Finds the left half of a photo, and in every other one the right half as well."""

    def __init__(self, model_id: str = "halves@1") -> None:
        self.model_id, self.asked = model_id, 0

    def find(self, source: Source, *, limits: Limits) -> Sequence[Garment]:
        self.asked += 1
        halves = [Garment(Box(0, 0, 4, 8), "top", 0.9), Garment(Box(4, 0, 8, 8), "skirt", 0.8)]
        return halves[: 1 + np.asarray(open_image(source, limits=limits))[0, 0, 0] % 2]


def indexed(
    gallery: LocalGallery,
    items: Sequence[Item],
    *,
    source: str = "shop",
    embedder: MeanColor | None = None,
    **options: object,
) -> IndexReport:
    catalogue = Catalogue("csv", source, lambda: iter(items), len(items))
    return index_catalogue(catalogue, embedder or MeanColor(), gallery, **options)  # type: ignore[arg-type]


def photos(folder: Path, shown: Mapping[str, int]) -> list[Item]:
    """Items by id, each with the photo of a number."""
    return [Item(item_id, f"{number}.png", root=str(folder)) for item_id, number in shown.items()]


def expected(number: int) -> Float32:
    mean = np.array(COLORS[number], dtype=np.float32) + 1
    unit: Float32 = mean / np.linalg.norm(mean)
    return unit


def check(gallery: LocalGallery, shown: Mapping[str, int]) -> None:
    """Every item has the vector of the photo that it shows."""
    assert {item.id for item in gallery.list(limit=None)[1]} == shown.keys()
    for item_id, number in shown.items():
        np.testing.assert_allclose(gallery.vectors(item_id)["deep"][0], expected(number), atol=1e-6)


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_a_photo_of_several_items_is_embedded_once(folder: Path, gallery: LocalGallery, batch: int) -> None:
    shown = {"a/s": 0, "a/m": 0, "b/s": 1, "c": 2, "a/l": 0, "b/m": 1, "d": 3, "a/xl": 0}
    embedder = MeanColor()
    report = indexed(gallery, photos(folder, shown), embedder=embedder, batch=batch)
    assert (report.added, report.embedded, report.reused, sum(embedder.batches)) == (8, 4, 4, 4)
    assert [item.id for item in gallery.list()[1]] == list(shown)
    check(gallery, shown)
    for one, other in combinations(["a/s", "a/m", "a/l", "a/xl"], 2):
        assert_array_equal(gallery.vectors(one)["deep"], gallery.vectors(other)["deep"])


def test_a_moved_folder_under_any_source_embeds_nothing(folder: Path, gallery: LocalGallery) -> None:
    shown = {f"{number}": number for number in range(len(COLORS))}
    indexed(gallery, photos(folder, shown))
    before = {item_id: gallery.vectors(item_id)["deep"] for item_id in shown}
    moved = folder.rename(folder.with_name("moved"))
    for path in moved.iterdir():
        os.utime(path, ns=(1, 1))
    embedder = MeanColor()
    named_otherwise = {f"new {item_id}": number for item_id, number in shown.items()}
    report = indexed(gallery, photos(moved, named_otherwise), source="other", embedder=embedder)
    assert (report.added, report.reused, report.embedded, embedder.prepared) == (len(COLORS), len(COLORS), 0, 0)
    for item_id, vectors in before.items():
        assert_array_equal(gallery.vectors(f"new {item_id}")["deep"], vectors)
    assert gallery.verify().problems == ()
    same = indexed(gallery, photos(moved, shown))
    assert (same.updated, same.reused, same.embedded) == (len(COLORS), 0, 0)


def test_another_box_or_content_is_embedded(folder: Path, gallery: LocalGallery) -> None:
    whole = Item("whole", "1.png", root=str(folder))
    boxed = Item("boxed", "1.png", root=str(folder), box=Box(0, 0, 4, 4))
    finer = Item("finer", "1.png", root=str(folder), box=Box(0, 0, 4.00001, 4))
    twice = Item("twice", "1.png", root=str(folder), box=Box(0, 0, 4, 4))
    indexed(gallery, [whole])
    report = indexed(gallery, [boxed, finer, twice], source="boxes")
    assert (report.embedded, report.reused) == (2, 1)
    assert gallery.get("twice").box == boxed.box


def test_garments_are_copied_with_their_vectors(folder: Path, gallery: LocalGallery) -> None:
    shown = {f"{number}": number for number in range(6)}
    finder = Left()
    first = indexed(gallery, photos(folder, shown), finder=finder)
    assert (finder.asked, first.garments) == (6, gallery.garment_count)
    before = {item.id: item for item in gallery.list()[1]}
    copy = shutil.copytree(folder, folder.with_name("copy"))
    again = {f"new {item_id}": number for item_id, number in shown.items()}
    report = indexed(gallery, photos(copy, again), source="copy", finder=finder)
    assert (report.added, report.reused, report.garments, finder.asked) == (6, 6, 0, 6)
    assert gallery.garment_count == 2 * (first.garments or 0)
    for item_id, item in before.items():
        assert gallery.get(f"new {item_id}").garments == item.garments
    for item_id in shown:
        [batch] = gallery.records([item_id, f"new {item_id}"])
        assert_array_equal(*rows_of(batch))
    assert gallery.verify().problems == ()
    whole = indexed(gallery, photos(copy, {"whole": 0}), source="whole")
    other = indexed(gallery, photos(copy, {"other": 0}), source="other", finder=Left("halves@2"))
    assert (whole.embedded, whole.reused, other.embedded, other.reused) == (1, 0, 1, 0)


def rows_of(batch: RecordBatch) -> list[Float32]:
    return [batch.vectors["deep"][rows.start : rows.stop] for rows in batch.rows]


def test_photos_that_change_places_get_their_own_vectors(
    folder: Path, gallery: LocalGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each commit overwrites an item whose content a later one has; what is lost by then is embedded again."""
    monkeypatch.setattr(pipeline, "WRITE_ROWS", 2)
    luck = Random(5)
    shown = {f"{number}": number for number in range(len(COLORS))}
    indexed(gallery, photos(folder, shown), batch=2)
    for step in range(12):
        order = [luck.randrange(len(COLORS)) for _ in shown] if step % 3 == 2 else [*shown.values()]
        shown = dict(zip(shown, order[1:] + order[:1] if step % 3 else order[-1:] + order[:-1], strict=True))
        report = indexed(gallery, photos(folder, shown), batch=2)
        assert report.embedded + report.reused + report.unchanged == len(shown)
        assert report.updated + report.unchanged == len(shown)
        check(gallery, shown)


def test_a_content_that_is_lost_before_it_is_copied_is_embedded(folder: Path, gallery: LocalGallery) -> None:
    """As when another process writes to the same gallery on a server."""
    indexed(gallery, photos(folder, {"old": 1}))

    class Meanwhile:
        def __getattr__(self, name: str) -> object:
            return getattr(gallery, name)

        def __len__(self) -> int:
            return len(gallery)

        def records(self, ids: Sequence[str]) -> Iterator[RecordBatch]:
            if "old" in ids:
                gallery.remove("old")
            return gallery.records(ids)

    embedder = MeanColor()
    report = indexed(Meanwhile(), photos(folder, {"new": 1}), source="other", embedder=embedder)  # type: ignore[arg-type]
    assert (report.added, report.reused, report.embedded, embedder.prepared) == (1, 0, 1, 1)
    check(gallery, {"new": 1})


def test_every_item_of_a_damaged_photo_is_skipped(folder: Path, gallery: LocalGallery) -> None:
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:40])
    report = indexed(gallery, photos(folder, {"a": 1, "b": 2, "c": 1, "d": 2}))
    assert (report.added, [one.id for one in report.skipped]) == (2, ["a", "c"])
    with pytest.raises(PhotoError):
        indexed(gallery, photos(folder, {"c": 1, "b": 2}), strict=True)


def test_the_gallery_is_asked_for_contents_only_when_a_photo_is_read(folder: Path, gallery: LocalGallery) -> None:
    asked: list[str | None] = []

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(gallery, name)

        def __len__(self) -> int:
            return len(gallery)

        def contents(self, *, without_source: str | None = None) -> Iterator[tuple[str, Content]]:
            asked.append(without_source)
            return gallery.contents(without_source=without_source)

    items = photos(folder, {"a": 1, "b": 2})
    for added, times in ((2, 1), (0, 1)):
        assert indexed(Watched(), items).added == added  # type: ignore[arg-type]
        assert asked == ["shop"] * times


def test_known_contents_are_those_of_the_gallery_and_follow_it(gallery: LocalGallery) -> None:
    spaces, stamp = MeanColor.spaces, FileStamp(1, 1, "a" * 64)
    gallery.add([Item("x", "x.png")], {"deep": np.ones((1, 3), np.float32)}, spaces=spaces, file_stamps=[stamp])
    known = KnownContents(gallery, source="shop", items=[(Item("y", "y.png"), FileStamp(1, 1, "b" * 64))])
    one, other = Content("a" * 64), Content("b" * 64)
    assert (one.key in known, other.key in known, Content("c" * 64).key in known, len(known)) == (True, True, False, 2)
    assert set(known) == {one.key, other.key}
    [(item, vectors)] = known.find([one, other, Content("c" * 64)]).values()
    assert item.id == "x"
    assert_array_equal(vectors["deep"], np.ones((1, 3), np.float32))
    known.forget(Item("z", "z.png"), stamp)  # another item of the same content
    assert one.key in known
    known.forget(Item("x", "x.png"), stamp)
    known.add(Item("y", "y.png"), stamp)
    assert one.key in known


def test_keys_differ_where_the_vectors_do() -> None:
    contents = [
        Content("a" * 64),
        Content("b" * 64),
        Content("a" * 64, Box(0, 0, 1, 1)),
        Content("a" * 64, Box(0, 0, 1.0000001, 1)),
        Content("a" * 64, None, "finder@1"),
        Content("a" * 64, None, "finder@2"),
        Content("a" * 64, None, "None"),
    ]
    assert len({content.key for content in contents}) == len(contents)
