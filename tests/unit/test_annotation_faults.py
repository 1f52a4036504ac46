"""Damaged, foreign and hostile annotation files: read correctly, or refused with a clear line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.deepfashion.annotation_file import LONGEST_LINE, is_photo_name
from lookalike.catalogue.deepfashion.positive_labels import positive_labels
from lookalike.catalogue.folder_layouts import recognise
from lookalike.errors import AnnotationError, AnnotationErrors, CatalogueError

PHOTOS = [f"img/WOMEN/Dresses/id_{product:08d}/02_{number}_front.jpg" for product in (1, 2) for number in (1, 2)]
SPLITS = ["train", "train", "query", "gallery"]
PARTITION = "Eval/list_eval_partition.txt"
BOXES = "Anno/list_bbox_inshop.txt"
LANDMARKS = "Anno/list_landmarks_inshop.txt"
LABELS = "Anno/attributes/list_attr_items.txt"


def tree(root: Path) -> Path:
    """A small In-shop benchmark without faults."""
    rows = [f"{name}   {name.split('/')[3]} {split}  " for name, split in zip(PHOTOS, SPLITS, strict=True)]
    put(root / PARTITION, "4", "image_name item_id evaluation_status", *rows)
    columns = "image_name clothes_type pose_type x_1 y_1 x_2 y_2"
    put(root / BOXES, "4", columns, *[f"{name} 1 1 010 020 110 220" for name in PHOTOS])
    columns = "image_name clothes_type variation_type landmark_visibility_1 ..."
    put(root / LANDMARKS, "4", columns, *[f"{name} 2 1 {'0 010 020 ' * 4}" for name in PHOTOS])
    put(root / "Anno/list_item_inshop.txt", "2", "id_00000001", "id_00000002")
    put(root / "Anno/attributes/list_attr_cloth.txt", "3", "attribute_name", "a-line", "two words", "zip")
    put(root / LABELS, "2", "item_name labels", "id_00000001 1 -1 0", "id_00000002 -1 -1 1")
    (root / "Img" / "img").mkdir(parents=True)
    return root


def put(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def facts(root: Path) -> list[object]:
    """All that a catalogue says, wherever it lies."""
    return [(item.id, item.product, item.box, item.attributes) for item in open_catalogue(str(root)).items()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path / "a folder with spaces")


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "expected"),
    [
        (PARTITION, "4\n", "5\n", 1, "expected 4, the number of rows that follow, got '5'"),
        (PARTITION, "4\n", "four\n", 1, "expected the number of rows, got 'four'"),
        (PARTITION, "4\n", "4" * 5000 + "\n", 1, "expected the number of rows, got '444"),
        (BOXES, "1 1 010", f"1 1 {'1' * 5000}", 3, "expected a name, then whole numbers"),
        (
            PARTITION,
            "image_name item_id evaluation_status\n",
            "",
            2,
            "expected the names of the columns, image_name item",
        ),
        (PARTITION, "query", "validation", 5, "expected one of train, query, gallery, got 'validation'"),
        (
            PARTITION,
            " id_00000002 query",
            " id_00000002",
            5,
            r"expected 3 fields \(image_name item_id evaluation_status\)",
        ),
        (PARTITION, PHOTOS[1], PHOTOS[0], 4, "expected a photo that has not come before"),
        (PARTITION, PHOTOS[1], "/etc/passwd", 4, "expected the path of a photo below img/, got '/etc/passwd'"),
        (PARTITION, PHOTOS[1], "img/../../secret.jpg", 4, "expected the path of a photo below img/"),
        (PARTITION, PHOTOS[1], "http://elsewhere/img/a.jpg", 4, "expected the path of a photo below img/"),
        (PARTITION, PHOTOS[1], "img/a\x00b.jpg", 4, "expected the path of a photo below img/"),
        (BOXES, "1 1 010", "1 1 1O", 3, "expected a name, then whole numbers"),
        (BOXES, "1 1 010", "1 1 1_0", 3, "expected a name, then whole numbers"),
        (BOXES, "1 1 010", "1 1 99999", 3, "expected a name, then whole numbers"),
        (BOXES, "1 1 010", "1 10", 3, "expected 7 fields"),
        (BOXES, PHOTOS[1], PHOTOS[0], 4, "expected a photo that has not come before"),
        (
            LANDMARKS,
            "0 010 020 0 010 020",
            "0 010 020",
            3,
            "expected 4 landmarks of 3 whole numbers each from field 4, not 9",
        ),
        (LANDMARKS, " 2 1 ", " 4 1 ", 3, "expected a type of clothes from 1 to 3 and its landmarks"),
        (LABELS, "1 -1 0", "1 -1", 3, "expected 3 labels, each 1, -1 or 0, after the name, not 2 words"),
        (LABELS, "1 -1 0", "1 -1 2", 3, "expected 3 labels, each 1, -1 or 0"),
        (LABELS, "id_00000002", "id_00000001", 4, "expected a name that has not come before"),
        ("Anno/list_item_inshop.txt", "id_00000002", "id_00000001", 3, "expected the id of a product"),
    ],
)
def test_a_bad_line_is_named(root: Path, file: str, old: str, new: str, line: int, expected: str) -> None:
    change(root / file, old, new)
    with pytest.raises(AnnotationError, match=expected) as caught:
        open_catalogue(str(root))
    assert (caught.value.path, caught.value.line) == (root / file, line)
    assert str(caught.value).startswith(f"{root / file}:{line}: ")


def test_all_bad_lines_are_named_up_to_twenty(root: Path) -> None:
    rows = [f"img/a/id_1/{number}.jpg id_1 nowhere" for number in range(7)]
    put(root / PARTITION, "7", "image_name item_id evaluation_status", *rows)
    with pytest.raises(AnnotationErrors, match=r"7 such problems in all; `lookalike catalogue check") as caught:
        open_catalogue(str(root))
    assert [error.line for error in caught.value.problems if isinstance(error, AnnotationError)] == [*range(3, 10)]
    assert caught.value.complete
    put(root / PARTITION, "99", "image_name item_id evaluation_status", *rows * 9)
    with pytest.raises(AnnotationErrors, match="at least 20 such problems") as caught:
        open_catalogue(str(root))
    assert len(caught.value.problems) == 20
    assert not caught.value.complete


def test_problems_of_several_files_are_named_together(root: Path) -> None:
    change(root / BOXES, "010", "x")
    change(root / LABELS, "1 -1 0", "1 -1")
    with pytest.raises(AnnotationErrors) as caught:
        open_catalogue(str(root))
    assert [error.path.name for error in caught.value.problems if isinstance(error, AnnotationError)] == [
        "list_bbox_inshop.txt",
        "list_attr_items.txt",
    ]


@pytest.mark.parametrize("cut", range(1, 400, 13))
def test_a_file_that_breaks_off_is_never_read_as_whole(root: Path, cut: int) -> None:
    path = root / PARTITION
    data = path.read_bytes().rstrip()
    path.write_bytes(data[: max(len(data) - cut, 0)])
    with pytest.raises(CatalogueError):
        open_catalogue(str(root))


def _crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def _bom(data: bytes) -> bytes:
    return b"\xef\xbb\xbf" + data


def _tabs(data: bytes) -> bytes:
    count, names, *rows = data.split(b"\n")
    return b"\n".join([count, names, *(b"\t".join(row.split()) for row in rows)])


def _no_last_newline(data: bytes) -> bytes:
    return data.rstrip()


def _blank_lines_at_the_end(data: bytes) -> bytes:
    return data + b"\n  \n\n"


@pytest.mark.parametrize("as_written", [_crlf, _bom, _tabs, _no_last_newline, _blank_lines_at_the_end])
def test_what_editors_do_to_files_does_no_harm(root: Path, as_written: Callable[[bytes], bytes]) -> None:
    before = facts(root)
    for file in (PARTITION, BOXES, LANDMARKS, LABELS):
        path = root / file
        path.write_bytes(as_written(path.read_bytes()))
    assert facts(root) == before


@pytest.mark.parametrize("file", [PARTITION, BOXES, LABELS])
def test_an_empty_file_is_refused(root: Path, file: str) -> None:
    (root / file).write_bytes(b"")
    with pytest.raises(CatalogueError, match=r"list_\w+\.txt:1: expected the number of rows, got ''"):
        open_catalogue(str(root))


def test_bytes_that_are_no_text_are_refused(root: Path) -> None:
    path = root / PARTITION
    path.write_bytes(path.read_bytes().replace(b"id_00000002 query", b"id_\xff\xfe query"))
    with pytest.raises(AnnotationError, match=r"partition.txt:5: expected UTF-8 text"):
        open_catalogue(str(root))


@pytest.mark.alone
def test_a_line_without_an_end_is_refused_at_once(root: Path) -> None:
    (root / PARTITION).write_bytes(b"4\nimage_name item_id evaluation_status\n" + b"x" * (50 * LONGEST_LINE))
    started = time.perf_counter()
    with pytest.raises(AnnotationError, match=r"partition.txt:3: expected a line of at most 1,048,576 bytes") as caught:
        open_catalogue(str(root))
    assert len(str(caught.value)) < 400
    assert time.perf_counter() - started < 5


def test_a_folder_in_place_of_a_file_counts_as_missing(root: Path) -> None:
    (root / PARTITION).unlink()
    (root / PARTITION).mkdir()
    with pytest.raises(CatalogueError, match=r"partition.txt is missing; looked in Eval/, Anno/, .*the folder itself"):
        open_catalogue(str(root))


def test_all_that_is_missing_is_named(root: Path) -> None:
    (root / PARTITION).unlink()
    (root / "Img" / "img").rmdir()
    with pytest.raises(AnnotationErrors) as caught:
        open_catalogue(str(root))
    assert [str(problem).split(": ", 1)[1].split(";")[0] for problem in caught.value.problems] == [
        "list_eval_partition.txt is missing",
        "the photos are missing",
    ]


def test_a_linked_folder_of_photos_is_followed(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other disk"
    (root / "Img").rename(elsewhere)
    (root / "Img").symlink_to(elsewhere)
    first = next(open_catalogue(str(root)).items())
    assert first.location == str(root / "Img" / PHOTOS[0])


def test_a_loop_of_links_is_no_benchmark_and_no_trap(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path)
    (tmp_path / "Anno").symlink_to(tmp_path / "Anno")
    assert recognise(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "positive"),
    [
        ("1 -1 0", [0]),
        ("  -1   -1  1 ", [2]),
        ("1 1 1", [0, 1, 2]),
        ("0 0 0", []),
        ("1 -1", None),
        ("1 -1 0 0", None),
        ("1 -1 2", None),
        ("1 -1 --1", None),
        ("11 -1 0", None),
        ("1 -1 +1", None),
        ("", None),
    ],
)
def test_labels(text: str, positive: list[int] | None) -> None:
    assert positive_labels(text, 3) == positive


@pytest.mark.parametrize("name", ["img/a/b.jpg", "img/Sheer_Pleated-Front_Blouse/img_00000001.jpg", "img/\u4e2d.jpg"])
def test_names_of_photos(name: str) -> None:
    assert is_photo_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "img", "img/", "a.jpg", "/img/a.jpg", "img//a.jpg", "img/./a.jpg", "img/../a.jpg", "img/.."),
        *(
            "../img/a.jpg",
            "img\\..\\a.jpg",
            "img/a\\..\\b.jpg",
            "img/http://x/a.jpg",
            "file:///img/a.jpg",
            "img/a\n.jpg",
        ),
    ],
)
def test_names_that_lead_elsewhere(name: str) -> None:
    assert not is_photo_name(name)
