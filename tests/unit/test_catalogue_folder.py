"""Folders as catalogues: which files are photos, and notes and errors about the others."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.readers.folder import SIGNATURE_BYTES, begins_like_an_image
from lookalike.catalogue.readers.stdin_paths import open_listing
from lookalike.errors import CatalogueError, UsageError
from lookalike.gallery.opening import open_gallery
from unprivileged import start


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
    (tmp_path / "text.heic").write_text("no photo")
    assert ids(tmp_path) == ["empty.jpg", "text.heic"]


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
    assert open_catalogue(str(tmp_path)).notes == ("1 links to folders passed over: their photos have another path",)


def test_folders_that_are_linked_to_each_other_are_walked_once(tmp_path: Path) -> None:
    """Seven folders, each with a link to every other: every path through them is one, and there are thousands."""
    for number in range(7):
        put_photo(tmp_path / f"{number}" / "photo.png")
        for other in range(7):
            if other != number:
                (tmp_path / f"{number}" / f"to{other}").symlink_to(tmp_path / f"{other}")
    assert ids(tmp_path) == [f"{number}/photo.png" for number in range(7)]


def test_a_folder_outside_is_found_by_the_first_link_to_it(tmp_path: Path) -> None:
    put_photo(tmp_path / "pool" / "a.png")
    put_photo(tmp_path / "pool" / "deep" / "b.png")
    put_photo(tmp_path / "shop" / "c.png")
    (tmp_path / "shop" / "y").symlink_to("../pool/deep")
    (tmp_path / "shop" / "x").symlink_to("../pool")
    (tmp_path / "shop" / "z.png").symlink_to("../pool/a.png")  # a link to a photo is a photo of its own
    assert ids(tmp_path / "shop") == ["c.png", "x/a.png", "x/deep/b.png", "z.png"]


BAD_LINKS = {
    "to itself": ("to itself", "too many levels"),
    "of a pair": ("of a pair 2", "too many levels"),
    "of a pair 2": ("of a pair", "too many levels"),
    "below a file": ("good.png/below", "not a directory"),
    "nowhere": ("/nowhere/at/all", "no such file"),
    "long": ("n" * 300, "name too long"),
    "gone.jpg": ("nowhere.jpg", "no such file"),
}


def test_a_bad_link_is_skipped_with_the_reason_and_stops_nothing(tmp_path: Path) -> None:
    put_photo(tmp_path / "good.png")
    for name, (target, _) in BAD_LINKS.items():
        (tmp_path / name).symlink_to(target)
    catalogue = open_catalogue(str(tmp_path))
    assert [item.id for item in catalogue.items()] == ["good.png"]
    assert sorted(skip.photo for skip in catalogue.skipped) == sorted(BAD_LINKS)
    for skip in catalogue.skipped:
        assert BAD_LINKS[skip.photo][1] in skip.reason
    assert catalogue.unlisted == set(BAD_LINKS)


@pytest.fixture
def deep_folder() -> Iterator[Path]:
    """A folder for a tree that neither pytest nor `shutil` could remove: they recurse once for each level."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)
        subprocess.run(["rm", "-rf", f"{made}/d"], check=True)


def test_a_tree_deeper_than_paths_can_be_long_is_walked_as_far_as_they_go(deep_folder: Path) -> None:
    put_photo(deep_folder / "photo.png")
    here = os.open(deep_folder, os.O_RDONLY)
    for depth in range(2100):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        if depth == 1200:
            os.link(deep_folder / "photo.png", "deep.png", dst_dir_fd=here)
    os.close(here)
    catalogue = open_catalogue(str(deep_folder))
    assert [item.id for item in catalogue.items()] == ["d/" * 1201 + "deep.png", "photo.png"]
    assert ["too long" in skip.reason for skip in catalogue.skipped] == [True]


@pytest.mark.parametrize("ending", ["svg", "psd", "jxl", "NEF", "cr2", "dng", "raw", "eps", "xcf"])
def test_a_picture_that_cannot_be_read_is_skipped_with_the_reason(tmp_path: Path, ending: str) -> None:
    put_photo(tmp_path / "good.png")
    (tmp_path / f"picture.{ending}").write_bytes(b"II*\x00" + bytes(60) if ending in ("NEF", "dng") else b"text")
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "sheet.pdf").write_text("%PDF-1.7")
    catalogue = open_catalogue(str(tmp_path))
    assert [item.id for item in catalogue.items()] == ["good.png"]
    assert [skip.photo for skip in catalogue.skipped] == [f"picture.{ending}"]
    assert "cannot be read; save it as JPEG or PNG" in catalogue.skipped[0].reason
    assert catalogue.notes == ("2 other files passed over: not named like a photo, and no image inside",)


def test_a_photo_with_the_ending_of_another_picture_is_a_photo(tmp_path: Path) -> None:
    put_photo(tmp_path / "really.psd", "JPEG")
    assert ids(tmp_path) == ["really.psd"]


def test_pipes_sockets_and_devices_are_never_opened(tmp_path: Path) -> None:
    put_photo(tmp_path / "good.png")
    for name in ("pipe.jpg", "pipe"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "linked.png").symlink_to("pipe")
    catalogue = open_catalogue(str(tmp_path))
    assert [item.id for item in catalogue.items()] == ["good.png"]
    assert [(skip.photo, skip.reason) for skip in catalogue.skipped] == [
        ("device.png", "it is a device, and only files are read"),
        ("linked.png", "it is a pipe, and only files are read"),
        ("pipe.jpg", "it is a pipe, and only files are read"),
    ]
    with pytest.raises(CatalogueError, match="neither a folder nor a file"):
        open_catalogue(str(tmp_path / "pipe"))


SYSTEMS = ("@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "lost+found", "System Volume Information", "__MACOSX")


def test_what_systems_keep_for_themselves_is_left_out(tmp_path: Path) -> None:
    put_photo(tmp_path / "good.png")
    for name in (*SYSTEMS, ".Trash-1000", "sub/@eaDir"):
        put_photo(tmp_path / name / "thumb.jpg", "JPEG")
    for name in ("._good.png", ".DS_Store", "Thumbs.db"):
        put_photo(tmp_path / name)
    (tmp_path / "back").symlink_to("@eaDir")  # nor do links lead there
    assert ids(tmp_path) == ["good.png"]


@pytest.mark.parametrize(
    ("globs", "left"),
    [
        ((), ["a.png", "b.gif", "sub/a.png", "sub/deep/c.png"]),
        (["*.gif"], ["a.png", "sub/a.png", "sub/deep/c.png"]),
        (["a.png"], ["b.gif", "sub/deep/c.png"]),
        (["/a.png"], ["b.gif", "sub/a.png", "sub/deep/c.png"]),
        (["sub"], ["a.png", "b.gif"]),
        (["sub/"], ["a.png", "b.gif"]),
        (["sub/*.png"], ["a.png", "b.gif", "sub/deep/c.png"]),
        (["sub/**"], ["a.png", "b.gif"]),
        (["**/a.png"], ["b.gif", "sub/deep/c.png"]),
        (["**/deep", "[ab].*"], []),
    ],
)
def test_globs_leave_files_and_folders_out(tmp_path: Path, globs: list[str], left: list[str]) -> None:
    for name in ("a.png", "b.gif", "sub/a.png", "sub/deep/c.png", "z/kept.png"):
        put_photo(tmp_path / name)
    catalogue = open_catalogue(str(tmp_path), exclude=globs)
    assert [item.id for item in catalogue.items()] == [*left, "z/kept.png"]


@pytest.mark.parametrize("globs", [[""], ["/"], ["./"]])
def test_a_glob_of_nothing_is_refused(tmp_path: Path, globs: list[str]) -> None:
    put_photo(tmp_path / "a.png")
    with pytest.raises(UsageError, match="expected a glob"):
        open_catalogue(str(tmp_path), exclude=globs)


def test_only_a_folder_has_files_to_leave_out(tmp_path: Path) -> None:
    put_photo(tmp_path / "a.png")
    (tmp_path / "table.csv").write_text("image\na.png\n")
    with pytest.raises(UsageError, match="exclude works on folders of photos"):
        open_catalogue(str(tmp_path / "table.csv"), exclude=["*.png"])


def test_a_benchmark_whose_files_are_out_of_reach_is_not_just_photos(tmp_path: Path) -> None:
    """As a folder of photos it would lose its products, its splits and its attributes."""
    put_photo(tmp_path / "img" / "a.png")
    (tmp_path / "Anno").symlink_to("nowhere")
    with pytest.raises(CatalogueError, match=r"Anno: the target of the link does not exist$"):
        open_catalogue(str(tmp_path))
    (tmp_path / "Anno").unlink()
    (tmp_path / "Anno").symlink_to("Anno")
    catalogue = open_catalogue(str(tmp_path))  # no mount will ever bring that back: a bad link as any other
    assert [item.id for item in catalogue.items()] == ["img/a.png"]
    assert [(skip.photo, "too many levels" in skip.reason) for skip in catalogue.skipped] == [("Anno", True)]


def test_a_split_that_cannot_be_listed_is_a_split_all_the_same(tmp_path: Path) -> None:
    for name in ("train/dress/1.png", "val/dress/2.png"):
        put_photo(tmp_path / name)
    script = "import sys; from lookalike.catalogue import open_catalogue; c = open_catalogue(sys.argv[1]); "
    script += "print(c.kind, [(i.id, i.attributes['split']) for i in c.items()], sorted(c.unlisted))"
    (tmp_path / "val").chmod(0)
    try:
        with start("-c", script, str(tmp_path), stdout=subprocess.PIPE) as reader:
            assert reader.stdout is not None
            told = reader.stdout.read()
    finally:
        (tmp_path / "val").chmod(0o755)
    assert told == "imagefolder [('train/dress/1.png', 'train')] ['val']\n"


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
    with pytest.raises(UsageError, match="columns and encoding are for tables only"):
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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_at_the_beginning_is_no_part_of_the_first_path(tmp_path: Path, encoding: str) -> None:
    items = open_listing("Ärmel.jpg\r\nb.jpg\r\n".encode(encoding), root=tmp_path).items()
    assert [item.id for item in items] == ["Ärmel.jpg", "b.jpg"]


def test_a_listing_that_is_marked_as_utf_16_and_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="has a byte order mark of UTF-16 and is not valid"):
        open_listing(b"\xff\xfea.jpg", root=tmp_path)


def test_an_empty_listing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="expected paths of photos on standard input"):
        open_listing(b"\n\n", root=tmp_path)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A shell passes it on where a variable is not set."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UsageError, match="got an empty name"):
        open_catalogue(name)
    with pytest.raises(UsageError, match="got an empty name"):
        open_gallery(name, create=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.jpg"]
