"""The indexing pipeline: photos read again, items left unchanged, and errors."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from lookalike.catalogue.opening import open_catalogue
from lookalike.catalogue.protocol import Catalogue, Skip
from lookalike.embedding.protocol import Embeddings, Prepared
from lookalike.errors import AnnotationError, CatalogueError, MismatchError, PhotoError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.ingest.pipeline import WRITE_ROWS, index_catalogue
from lookalike.ingest.report import IndexReport
from lookalike.spaces import Space
from lookalike.types import Box, Float32, Item


class MeanColor:
    """Describes a photo by the direction of its mean colour, and counts what it is asked for."""

    spaces = (Space("deep", 3, "mean@1"),)
    fingerprint = "mean@1"
    wanted_size = 4
    parallel_calls = 1
    labels: Mapping[str, Sequence[str]] = {}
    calibration = None

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.prepared = 0
        self._counting = threading.Lock()

    def prepare(self, photo: Image.Image) -> Prepared:
        with self._counting:
            self.prepared += 1
        return {"mean": np.asarray(photo, dtype=np.float32).reshape(-1, 3).mean(axis=0) + 1}

    def embed_prepared(self, batch: Sequence[Prepared]) -> Embeddings:
        self.batches.append(len(batch))
        rows = np.stack([prepared["mean"] for prepared in batch])
        return Embeddings({"deep": rows / np.linalg.norm(rows, axis=1, keepdims=True)})

    def embed(self, photos: Sequence[Image.Image]) -> dict[str, Float32]:
        return self.embed_prepared([self.prepare(photo) for photo in photos]).vectors


def colored(path: Path, color: tuple[int, int, int]) -> None:
    Image.new("RGB", (8, 8), color).save(path, "PNG")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten photos of different greys and reds."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(10):
        colored(photos / f"{number}.png", (25 * number, 40, 40))
    return photos


@pytest.fixture
def gallery(tmp_path: Path) -> LocalGallery:
    return LocalGallery(tmp_path / "g.gallery", create=True)


def counts(report: IndexReport) -> tuple[int, int, int, int, int]:
    return report.added, report.updated, report.unchanged, report.removed, len(report.skipped)


def indexed(folder: Path, gallery: LocalGallery, **options: bool | int) -> tuple[IndexReport, MeanColor]:
    embedder = MeanColor()
    return index_catalogue(open_catalogue(str(folder)), embedder, gallery, **options), embedder  # type: ignore[arg-type]


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (4, 3), (64, 2)])
def test_every_photo_gets_its_own_vector_in_the_catalogues_order(
    folder: Path, gallery: LocalGallery, batch: int, workers: int
) -> None:
    report, embedder = indexed(folder, gallery, batch=batch, workers=workers)

    assert counts(report) == (10, 0, 0, 0, 0)
    assert report.embedded == sum(embedder.batches) == 10
    assert max(embedder.batches) <= batch
    assert [item.id for item in gallery.list()[1]] == [f"{number}.png" for number in range(10)]
    for number in range(10):
        mean = np.array([25 * number + 1, 41, 41], dtype=np.float64)
        expected = mean / np.linalg.norm(mean)
        np.testing.assert_allclose(gallery.vectors(f"{number}.png")["deep"][0], expected, atol=1e-6)


def test_what_has_not_changed_is_not_opened_again(folder: Path, gallery: LocalGallery) -> None:
    indexed(folder, gallery)
    report, embedder = indexed(folder, gallery)
    assert counts(report) == (0, 0, 10, 0, 0)
    assert embedder.prepared == 0


def test_a_new_time_with_the_same_content_is_read_once_and_not_embedded(folder: Path, gallery: LocalGallery) -> None:
    indexed(folder, gallery)
    os.utime(folder / "3.png", ns=(1, 1))
    report, embedder = indexed(folder, gallery)
    assert counts(report) == (0, 0, 10, 0, 0)
    assert embedder.prepared == 0
    file_stamp = gallery.source_items(str(folder))["3.png"][1]
    assert file_stamp is not None
    assert file_stamp.modified_ns == 1


def test_a_changed_photo_is_embedded_again(folder: Path, gallery: LocalGallery) -> None:
    indexed(folder, gallery)
    colored(folder / "3.png", (0, 255, 0))
    report, embedder = indexed(folder, gallery)
    assert counts(report) == (0, 1, 9, 0, 0)
    assert embedder.prepared == 1
    assert gallery.vectors("3.png")["deep"][0].argmax() == 1
    assert len(gallery) == 10


def table(folder: Path, rows: Sequence[str]) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join(["id,image,price,box", *rows]), encoding="utf-8")
    return path


def test_changed_attributes_are_kept_without_a_look_at_the_photo(folder: Path, gallery: LocalGallery) -> None:
    indexed(table(folder, ["a,1.png,10,", "b,2.png,20,"]), gallery)
    report, embedder = indexed(table(folder, ["a,1.png,10,", "b,2.png,25,"]), gallery)
    assert counts(report) == (0, 1, 1, 0, 0)
    assert embedder.prepared == 0
    assert gallery.get("b").attributes["price"] == 25
    assert report.embedded == 0


def test_another_box_or_another_photo_is_embedded_again(folder: Path, gallery: LocalGallery) -> None:
    indexed(table(folder, ["a,1.png,10,", "b,2.png,20,"]), gallery)
    report, embedder = indexed(table(folder, ['a,1.png,10,"0,0,4,4"', "b,3.png,20,"]), gallery)
    assert counts(report) == (0, 2, 0, 0, 0)
    assert embedder.prepared == 2
    assert gallery.get("a").box == Box(0, 0, 4, 4)


def test_whole_photos_are_described_where_boxes_are_not_wanted(folder: Path, gallery: LocalGallery) -> None:
    source = table(folder, ['a,1.png,10,"0,0,4,4"', "b,2.png,20,"])
    indexed(source, gallery)
    whole = index_catalogue(open_catalogue(str(source), boxes=False), MeanColor(), gallery)
    assert counts(whole) == (0, 1, 1, 0, 0)
    assert gallery.get("a").box is None


def test_prune_keeps_what_may_only_be_out_of_reach(folder: Path, gallery: LocalGallery) -> None:
    """Beneath a folder that was not listed, skipped itself, or anywhere when nothing at all was listed."""
    items = [
        Item(name, name, root=str(folder)) for name in ("0.png", "1.png", "far/2.png", "far/b/3.png", "farther/4.png")
    ]
    for item in items:
        (folder / item.photo).parent.mkdir(parents=True, exist_ok=True)
        colored(folder / item.photo, (9, 9, 9))

    def run(left: Sequence[Item], **facts: object) -> tuple[set[str], int]:
        catalogue = Catalogue("folder", "x", lambda: iter(left), len(left), **facts)  # type: ignore[arg-type]
        report = index_catalogue(catalogue, MeanColor(), gallery, prune=True)
        return {item.id for item in gallery.list()[1]}, report.kept

    every = {item.id for item in items}
    assert run(items) == (every, 0)
    assert run([], unlisted=frozenset({""})) == (every, 5)
    assert run(items[:1], unlisted=frozenset({"far"}), skipped=(Skip("1.png", "denied"),)) == (
        every - {"farther/4.png"},
        3,
    )
    assert run(items[:1], unlisted=frozenset({"far/b"})) == ({"0.png", "far/b/3.png"}, 1)
    assert run(items[:1]) == ({"0.png"}, 0)


def test_prune_removes_what_has_vanished_from_this_source_only(folder: Path, gallery: LocalGallery) -> None:
    indexed(folder, gallery)
    indexed(table(folder, ["a,1.png,10,"]), gallery)
    (folder / "table.csv").unlink()
    (folder / "9.png").unlink()
    kept, _ = indexed(folder, gallery)
    assert counts(kept) == (0, 0, 9, 0, 0)
    assert len(gallery) == 11
    pruned, _ = indexed(folder, gallery, prune=True)
    assert counts(pruned) == (0, 0, 9, 1, 0)
    assert "9.png" not in gallery.source_items(str(folder))
    assert gallery.get("a").id == "a"


def test_a_photo_that_became_unreadable_is_skipped_and_not_pruned(folder: Path, gallery: LocalGallery) -> None:
    source = table(folder, ["a,1.png,10,", "b,2.png,20,"])
    indexed(source, gallery)
    (folder / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    report, _ = indexed(source, gallery, prune=True)
    assert counts(report) == (0, 0, 1, 0, 1)
    assert (report.skipped[0].id, report.skipped[0].photo) == ("b", "2.png")
    assert "damaged" in report.skipped[0].reason or "cut short" in report.skipped[0].reason
    assert len(gallery) == 2


@pytest.mark.parametrize("cell", ["", " ", r"\N", "none.png", "broken.png"])
def test_a_row_whose_photo_is_out_of_order_for_a_run_keeps_its_item(
    folder: Path, gallery: LocalGallery, cell: str
) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    before = ["a,1.png,10,", "b,2.png,20,", "c,3.png,30,"]
    indexed(table(folder, before), gallery)
    gallery.override("b", {"price": 17})
    report, _ = indexed(table(folder, [before[0], f"b,{cell},20,"]), gallery, prune=True)
    assert counts(report) == (0, 0, 1, 1, 1)
    assert report.skipped[0].id == "b"
    assert {item.id for item in gallery.list()[1]} == {"a", "b"}
    restored, embedder = indexed(table(folder, before[:2]), gallery, prune=True)
    assert (counts(restored), embedder.prepared) == ((0, 0, 2, 0, 0), 0)
    assert gallery.get("b").attributes["price"] == 17


def test_a_row_of_a_parquet_table_without_a_photo_keeps_its_item(folder: Path, gallery: LocalGallery) -> None:
    source = folder / "table.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"id": [1, 2, 3], "image": ["1.png", "2.png", "3.png"]}), source)
    indexed(source, gallery)
    pyarrow.parquet.write_table(pyarrow.table({"id": [1, 2], "image": ["1.png", None]}), source)
    report, _ = indexed(source, gallery, prune=True)
    assert (counts(report), report.kept, report.skipped[0].id) == ((0, 0, 1, 1, 1), 1, "2")
    assert {item.id for item in gallery.list()[1]} == {"1", "2"}


def test_nothing_is_pruned_by_a_table_in_which_an_id_comes_twice(folder: Path, gallery: LocalGallery) -> None:
    indexed(table(folder, ["a,1.png,10,", "b,2.png,20,"]), gallery)
    with pytest.raises(AnnotationError, match="a unique id"):
        indexed(table(folder, ["a,1.png,10,", "a,3.png,10,"]), gallery, prune=True)
    report, _ = indexed(table(folder, ["a,1.png,10,", "a,,10,", "b,,20,", "b,2.png,20,"]), gallery, prune=True)
    assert counts(report) == (0, 0, 2, 0, 2)  # variants of one article, whose photo one row names
    assert len(gallery) == 2


def test_a_path_that_no_file_can_have_is_skipped(folder: Path, gallery: LocalGallery) -> None:
    source = table(folder, ["a,1.png,10,", "b,2\0.png,20,"])
    report, _ = indexed(source, gallery)
    assert counts(report) == (1, 0, 0, 0, 1)
    assert report.skipped[0].id == "b"


def test_strict_stops_at_the_first_unreadable_photo_and_keeps_those_before_it(
    folder: Path, gallery: LocalGallery
) -> None:
    source = table(folder, ["a,1.png,1,", "b,2.png,2,", "c,none.png,3,", "d,4.png,4,"])
    with pytest.raises(PhotoError, match="no such file"):
        indexed(source, gallery, strict=True, batch=1)
    assert {item.id for item in gallery.list()[1]} == {"a", "b"}


class TestParallelNetwork:
    """Networks that several threads may call run on a batch for each processor."""

    class Parallel(MeanColor):
        """Waits in the first batches until as many run as may."""

        parallel_calls = 3

        def __init__(self, *, at_once: int) -> None:
            super().__init__()
            self.started, self.running, self.most = 0, 0, 0
            self.together = threading.Barrier(at_once, timeout=60)

        def embed_prepared(self, batch: Sequence[Prepared]) -> Embeddings:
            with self._counting:
                self.started += 1
                self.running += 1
                self.most = max(self.most, self.running)
                is_first = self.started <= self.together.parties
            if is_first:
                self.together.wait()
            found = super().embed_prepared(batch)
            with self._counting:
                self.running -= 1
            return found

    def test_batches_run_at_once_and_come_in_order(self, folder: Path, gallery: LocalGallery) -> None:
        embedder = self.Parallel(at_once=3)
        report = index_catalogue(open_catalogue(str(folder)), embedder, gallery, batch=2, workers=3)
        assert (report.added, sorted(embedder.batches), embedder.most) == (10, [2] * 5, 3)
        assert [item.id for item in gallery.list()[1]] == [f"{number}.png" for number in range(10)]
        for number in range(10):
            mean = np.array([25 * number + 1, 41, 41], dtype=np.float64)
            expected = mean / np.linalg.norm(mean)
            np.testing.assert_allclose(gallery.vectors(f"{number}.png")["deep"][0], expected, atol=1e-6)

    def test_no_more_run_than_there_are_workers(self, folder: Path, gallery: LocalGallery) -> None:
        embedder = self.Parallel(at_once=2)
        report = index_catalogue(open_catalogue(str(folder)), embedder, gallery, batch=2, workers=2)
        assert (report.added, embedder.most) == (10, 2)

    def test_an_error_of_one_ends_the_run_and_keeps_what_came_before(self, folder: Path, gallery: LocalGallery) -> None:
        class Failing(MeanColor):
            parallel_calls = 3

            def embed_prepared(self, batch: Sequence[Prepared]) -> Embeddings:
                if any(prepared["mean"][0] == 25 * 7 + 1 for prepared in batch):
                    raise MismatchError("broken")
                return super().embed_prepared(batch)

        with pytest.raises(MismatchError, match="broken"):
            index_catalogue(open_catalogue(str(folder)), Failing(), gallery, batch=2, workers=3)
        assert [item.id for item in gallery.list()[1]] == [f"{number}.png" for number in range(6)]


def broken_off(items: list[Item], source: str) -> Catalogue:
    def read() -> object:
        yield from items
        raise CatalogueError("the listing broke off")

    return Catalogue("folder", source, read, len(items))  # type: ignore[arg-type]


def test_nothing_is_pruned_when_the_listing_breaks_off(folder: Path, gallery: LocalGallery) -> None:
    indexed(folder, gallery)
    first = Item("0.png", "0.png", root=str(folder))
    with pytest.raises(CatalogueError, match="broke off"):
        index_catalogue(broken_off([first], str(folder)), MeanColor(), gallery, prune=True)
    assert len(gallery) == 10


def test_an_id_that_comes_twice_is_refused(folder: Path, gallery: LocalGallery) -> None:
    twice = [Item("same", "1.png", root=str(folder)), Item("same", "2.png", root=str(folder))]
    with pytest.raises(CatalogueError, match="'same' comes twice"):
        index_catalogue(Catalogue("folder", "x", lambda: iter(twice), 2), MeanColor(), gallery)


def test_another_models_rows_are_refused(folder: Path, gallery: LocalGallery) -> None:
    indexed(folder, gallery)
    other = MeanColor()
    other.spaces = (Space("deep", 3, "mean@2"),)
    colored(folder / "new.png", (1, 2, 3))
    with pytest.raises(MismatchError, match="mean@2"):
        index_catalogue(open_catalogue(str(folder)), other, gallery)
    assert len(gallery) == 10


def test_what_was_embedded_before_ctrl_c_is_kept(folder: Path, gallery: LocalGallery) -> None:
    class Interrupted(MeanColor):
        def embed_prepared(self, batch: Sequence[Prepared]) -> Embeddings:
            if len(self.batches) == 3:
                raise KeyboardInterrupt
            return super().embed_prepared(batch)

    with pytest.raises(KeyboardInterrupt):
        index_catalogue(open_catalogue(str(folder)), Interrupted(), gallery, batch=2)
    assert len(gallery) == 6
    report, embedder = indexed(folder, gallery)
    assert counts(report) == (4, 0, 6, 0, 0)
    assert embedder.prepared == 4


def test_items_of_another_source_with_the_same_ids_are_replaced_and_counted(
    folder: Path, gallery: LocalGallery, tmp_path: Path
) -> None:
    indexed(folder, gallery)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("3.png", "10.png"):
        colored(other / name, (9, 99, 9))
    report, _ = indexed(other, gallery)
    assert (report.added, report.replaced_from, len(gallery)) == (1, {str(folder): 1}, 11)
    assert gallery.get("3.png").root == str(other)


def test_only_a_few_batches_of_photos_are_ever_in_memory(folder: Path, gallery: LocalGallery) -> None:
    """A slow network must hold the decoders back, however long the catalogue is."""
    many = [Item(f"{number}", f"{number % 10}.png", root=str(folder)) for number in range(WRITE_ROWS + 100)]
    ahead: list[int] = []
    written: list[int] = []

    class Watched(MeanColor):
        embedded = 0

        def embed_prepared(self, batch: Sequence[Prepared]) -> Embeddings:
            ahead.append(self.prepared - self.embedded)
            self.embedded += len(batch)
            return super().embed_prepared(batch)

    class Noted:
        def __getattr__(self, name: str) -> object:
            return getattr(gallery, name)

        def __len__(self) -> int:
            return len(gallery)

        def add(self, items: Sequence[Item], vectors: dict[str, Float32], **others: object) -> None:
            written.append(len(items))
            gallery.add(items, vectors, **others)  # type: ignore[arg-type]

    catalogue = Catalogue("folder", "many", lambda: iter(many), len(many))
    report = index_catalogue(catalogue, Watched(), Noted(), batch=4, workers=3)  # type: ignore[arg-type]
    assert report.added == len(gallery) == len(many)
    assert max(ahead) <= 2 * 4 + 3 + 4 + 2 * 4
    assert written[0] <= WRITE_ROWS + 4
    assert [item.id for item in gallery.list(limit=None)[1]] == [item.id for item in many]


def test_the_phases_add_up(folder: Path, gallery: LocalGallery) -> None:
    seen: list[int] = []
    report = index_catalogue(
        open_catalogue(str(folder)), MeanColor(), gallery, batch=2, progress=lambda so_far: seen.append(so_far.done)
    )
    seconds = report.seconds
    assert seen == sorted(seen)
    assert seen[-1] == 10
    assert 0 < seconds["wait"] + seconds["embed"] + seconds["write"] <= seconds["total"]
    assert report.to_json()["seconds"].keys() == seconds.keys()  # type: ignore[union-attr]
