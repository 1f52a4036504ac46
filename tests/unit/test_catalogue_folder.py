"""A folder as a catalogue: what counts as a photo, and what is said of the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.folder import SIGNATURE_BYTES, begins_like_an_image
from lookalike.catalogue.listing import open_listing
from lookalike.errors import CatalogueError, UsageError


def put_photo(path: Path, kind: str = "PNG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "teal").save(path, kind)


def ids(source: Path) -> list[str]:
    return [item.id for item in open_catalogue(str(source)).items()]


def test_photos_are_found_by_content_and_text_is_passed_over(tmp_path: Path) -> None:
    put_photo(tmp_path / "with an ending.png")
    put_photo(tmp_path / "none at all", "JPEG")
    put_photo(tmp_path / "wrong.txt", "WEBP")
    (tmp_path / "README").write_text("BM stands for many things")
    (tmp_path / "labels.csv").write_text("id,image\n")
    put_photo(tmp_path / ".hidden.png")
    put_photo(tmp_path / ".thumbnails" / "a.png")
    catalogue = open_catalogue(str(tmp_path))
    assert [item.id for item in catalogue.items()] == ["none at all", "with an ending.png", "wrong.txt"]
    assert catalogue.count == 3
    assert catalogue.kind == "folder"
    assert catalogue.source == str(tmp_path)
    assert catalogue.notes == ("2 other files passed over: not named like a photo, and no image inside",)


def test_a_file_named_like_a_photo_is_kept_so_that_its_failure_is_reported(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert ids(tmp_path) == ["empty.jpg", "gone.jpg"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000"])
def test_every_kind_that_pillow_writes_is_recognised(tmp_path: Path, kind: str) -> None:
    put_photo(tmp_path / "photo", kind)
    assert begins_like_an_image((tmp_path / "photo").read_bytes()[:SIGNATURE_BYTES])


@pytest.mark.parametrize("start", [b"", b"BM is a name", b"RIFF1234WAVEfmt ", b"%PDF-1.7", b"\x00\x00\x00 ftypisom"])
def test_other_beginnings_are_not(start: bytes) -> None:
    assert not begins_like_an_image(start)


def test_folders_below_are_walked_in_the_order_of_paths_and_named_in_an_attribute(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.png", "a/b/ü \n.png", "a.png"):
        put_photo(tmp_path / name)
    items = {item.id: item for item in open_catalogue(str(tmp_path)).items()}
    assert list(items) == sorted(["b.png", "a/z.png", "a/b/ü \n.png", "a.png"])
    assert items["a/b/ü \n.png"].attributes == {"folder": "a/b"}
    assert items["a.png"].attributes == {}
    assert all(Path(item.location).is_file() for item in items.values())


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    put_photo(tmp_path / "inner" / "a.png")
    (tmp_path / "inner" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert ids(tmp_path) == ["inner/a.png"]


def test_a_name_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    put_photo(tmp_path / "good.png")
    bad = os.fsencode(tmp_path) + b"/caf\xe9.png"
    os.link(tmp_path / "good.png", bad)
    catalogue = open_catalogue(str(tmp_path))
    assert [item.id for item in catalogue.items()] == ["good.png"]
    assert [(skip.photo, skip.reason) for skip in catalogue.skipped] == [
        ("caf\\xe9.png", "its name is not UTF-8; rename it")
    ]


def test_a_folder_without_photos_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none here")
    with pytest.raises(CatalogueError, match=r"no photos in it, and 1 other file$"):
        open_catalogue(str(tmp_path))


def test_a_source_that_is_not_there_or_is_a_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no such folder or table"):
        open_catalogue(str(tmp_path / "nowhere"))
    put_photo(tmp_path / "one.png")
    with pytest.raises(CatalogueError, match="is a photo; a catalogue is a folder"):
        open_catalogue(str(tmp_path / "one.png"))


def test_a_folder_has_no_columns_to_name(tmp_path: Path) -> None:
    put_photo(tmp_path / "one.png")
    with pytest.raises(UsageError, match="only a table has columns"):
        open_catalogue(str(tmp_path), columns={"image": "file"})


def test_the_source_is_the_same_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_photo(tmp_path / "photos" / "one.png")
    monkeypatch.chdir(tmp_path)
    written = ["photos", "./photos/", "photos/../photos", str(tmp_path / "photos")]
    assert {open_catalogue(source).source for source in written} == {str(tmp_path / "photos")}


def test_a_listing_has_a_path_on_each_line_and_each_only_once(tmp_path: Path) -> None:
    listing = b"./a.jpg\r\nsub/b c.jpg\n\nhttps://shop.example/x//y.jpg\na.jpg\n/abs/d.jpg"
    items = list(open_listing(listing, root=tmp_path).items())
    assert [item.id for item in items] == ["a.jpg", "sub/b c.jpg", "https://shop.example/x//y.jpg", "/abs/d.jpg"]
    assert [item.location for item in items] == [
        f"{tmp_path}/a.jpg",
        f"{tmp_path}/sub/b c.jpg",
        "https://shop.example/x//y.jpg",
        "/abs/d.jpg",
    ]


def test_a_listing_with_nul_may_have_newlines_in_its_names(tmp_path: Path) -> None:
    items = open_listing(b"one\nname.jpg\0two.jpg\0", root=tmp_path).items()
    assert [item.id for item in items] == ["one\nname.jpg", "two.jpg"]


def test_an_empty_listing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no path"):
        open_listing(b"\n\n", root=tmp_path)
