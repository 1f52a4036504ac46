"""`lookalike gallery duplicates`: copies of photos, products that may be one, and similar ones, told apart."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import lookalike
from lookalike.cli import main
from lookalike.errors import UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.spaces import Space, unit_rows
from lookalike.tuning.duplicates import find
from lookalike.tuning.duplicates.find import SAME_PHOTO, SAME_PRODUCT, SIMILAR, find_duplicates
from lookalike.tuning.duplicates.near_pairs import near_pairs
from lookalike.tuning.duplicates.photo_difference import difference, small_copy

Capture = pytest.CaptureFixture[str]


def photo(seed: int) -> Image.Image:
    """A garment of its own: patches of colour on white."""
    luck = np.random.default_rng(seed)
    picture = Image.new("RGB", (240, 320), "white")
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = luck.integers(20, 160), luck.integers(20, 240)
        draw.rectangle((x, y, x + 60, y + 60), fill=tuple(int(value) for value in luck.integers(0, 256, 3)))
    return picture


def copies(picture: Image.Image, folder: Path) -> list[Path]:
    """The photo compressed, smaller, cropped, and all of it."""
    width, height = picture.size
    cropped = picture.crop((6, 4, width - 8, height - 10))
    made = {
        "compressed.jpg": (picture, 45),
        "smaller.jpg": (picture.resize((130, 173)), 85),
        "cropped.jpg": (cropped, 90),
        "all.jpg": (cropped.resize((180, 240)), 75),
    }
    for name, (changed, quality) in made.items():
        changed.save(folder / name, quality=quality)
    picture.save(folder / "other.png")
    return [folder / name for name in (*made, "other.png")]


def test_copies_of_a_photo_are_told_from_other_photos(tmp_path: Path) -> None:
    original = photo(0)
    small = small_copy(original)
    for path in copies(original, tmp_path):
        copy = small_copy(Image.open(path))
        assert difference(small, copy) == difference(copy, small)
        assert difference(small, copy) <= find.DIFFERENCE, path.name
    recoloured = Image.merge("RGB", original.split()[::-1])
    one_patch = original.copy()
    ImageDraw.Draw(one_patch).rectangle((100, 140, 150, 190), fill="lime")
    for other in (recoloured, one_patch, photo(1), Image.new("RGB", (240, 320), "white")):
        assert difference(small, small_copy(other)) > find.DIFFERENCE


def test_near_pairs_are_those_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.tuning.duplicates.near_pairs.TILE", 7)
    rows = unit_rows(np.random.default_rng(0).standard_normal((40, 6), dtype=np.float32))
    wanted = {
        (a, b): float(rows[a] @ rows[b]) for a in range(40) for b in range(a + 1, 40) if float(rows[a] @ rows[b]) >= 0.5
    }
    found = near_pairs(rows, least=0.5, most=1000)
    ends = [*zip(found.first.tolist(), found.second.tolist(), strict=True)]
    assert dict(zip(ends, found.cosine.tolist(), strict=True)) == pytest.approx(wanted)
    assert (np.diff(found.cosine) <= 0).all()
    assert found.least == 0.5
    few = near_pairs(rows, least=0.5, most=9)
    assert [*zip(few.first.tolist(), few.second.tolist(), strict=True)] == sorted(
        wanted, key=lambda pair: -wanted[pair]
    )[:9]
    assert few.least == pytest.approx(sorted(wanted.values())[-9])


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """Photos 0 and 1 with copies of 0 of another product; vectors that say which products are near each other."""
    (tmp_path / "photos").mkdir()
    for number in range(5):
        photo(number).save(tmp_path / "photos" / f"{number}.png")
    copies(photo(0), tmp_path / "photos")
    items, near = [], {"0": 0.0, "compressed": 0.05, "cropped": 0.1, "1": 0.15, "2": 0.5, "3": 1.5, "4": 1.52}
    for name, angle in near.items():
        file = next((tmp_path / "photos").glob(f"{name}.*"))
        product = {"0": "p", "1": "q", "3": "r", "4": "r"}.get(name, name)
        items.append((lookalike.Item(name, f"photos/{file.name}", root=str(tmp_path), product=product), angle))
    rows = np.array([[np.cos(angle), np.sin(angle)] for _, angle in items], dtype=np.float32)
    with LocalGallery(tmp_path / "shop.gallery", create=True) as shop:
        shop.remember_roots([str(tmp_path)])
        shop.add([item for item, _ in items], {"deep": rows}, spaces=[Space("deep", 2, "by hand")])
    return tmp_path / "shop.gallery"


def test_grades_are_told_apart(gallery: Path) -> None:
    """Of one product, 3 and 4 are no news; 1 is near 0 and its copies, 2 a little less."""
    found = find_duplicates(gallery)
    shown = [(group.grade, [item.id for item in group.items]) for group in found.groups]
    assert shown[:2] == [
        (SAME_PHOTO, ["0", "compressed", "cropped"]),
        (SAME_PRODUCT, ["0", "compressed", "cropped", "1"]),
    ]
    assert all(grade == SIMILAR and "2" in pair for grade, pair in shown[2:])
    (photos,) = found.of(SAME_PHOTO)
    assert photos.cosine == pytest.approx(np.cos(0.1), abs=1e-3)
    assert photos.difference is not None and photos.difference <= find.DIFFERENCE
    assert found.unreadable == {}


def test_files_of_one_content_are_found_without_being_read(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        photo(0).save(tmp_path / "photos" / f"{name}.png")
    photo(1).save(tmp_path / "photos" / "c.png")
    with lookalike.open(tmp_path / "shop.gallery") as shop:
        shop.index(tmp_path / "photos")
    (tmp_path / "photos" / "a.png").unlink()
    found = find_duplicates(tmp_path / "shop.gallery")
    assert [[item.id for item in group.items] for group in found.of(SAME_PHOTO)] == [["a.png", "b.png"]]
    assert list(found.unreadable) in ([], ["a.png"])


def test_the_command_prints_a_table_json_and_a_page(gallery: Path, tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / "duplicates.html"
    assert main(["gallery", "duplicates", "-g", str(gallery), "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("same photo: 1, same product: 1, similar: ")
    assert re.search(r"same photo +0\.995 +0, compressed, cropped", shown)
    text = page.read_text()
    assert text.count("<img") >= 8
    assert 'src="data:image/jpeg' in text
    assert text.count("<script>") == 1
    assert "default-src 'none'" in text
    assert "connect-src" not in text
    assert main(["gallery", "duplicates", "-g", str(gallery), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == find_duplicates(gallery).to_json()
    assert told["groups"][0]["items"][0] == {"id": "0", "product": "p", "photo": "photos/0.png", "content": None}


def in_terminal(capsys: Capture, *arguments: str, code: int = 0) -> dict[str, Any]:
    assert main(["gallery", *arguments, "--json"]) == code
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_products_are_merged_shown_no_more_and_brought_apart(gallery: Path, tmp_path: Path, capsys: Capture) -> None:
    place = ("-g", str(gallery))
    told = in_terminal(capsys, "merge", *place, "1", "compressed", "0", "--product", "p", "--dry-run")
    assert told["moved"] == [
        {"id": "compressed", "before": "compressed", "product": "p"},
        {"id": "1", "before": "q", "product": "p"},
    ]
    assert find_duplicates(gallery).to_json()["groups"][1]["items"][0]["product"] == "p"
    done = in_terminal(capsys, "merge", *place, "1", "compressed", "0", "--product", "p")
    assert {**done, "dry_run": True} == told
    assert in_terminal(capsys, "get", *place, "1")["overrides"] == {"product": "p"}
    found = [(group.grade, [item.id for item in group.items]) for group in find_duplicates(gallery).groups]
    joined = ["0", "compressed", "cropped"]  # by cropped, which was not decided
    assert found[:2] == [(SAME_PHOTO, joined), (SAME_PRODUCT, ["cropped", "1"])]
    apart = {
        "decisions": [{"decision": "apart", "items": [{"id": name} for name in ("0", "compressed", "1", "cropped")]}]
    }
    (tmp_path / "decisions.json").write_text(json.dumps(apart))
    in_terminal(capsys, "merge", *place, "--decisions", str(tmp_path / "decisions.json"))
    assert {group.grade for group in find_duplicates(gallery).groups} == {SIMILAR}
    assert in_terminal(capsys, "duplicates", *place)["groups"] == find_duplicates(gallery).to_json()["groups"]
    assert in_terminal(capsys, "duplicates", *place, "--reviewed")["groups"][0]["grade"] == SAME_PHOTO
    assert in_terminal(capsys, "unset", *place, "--product", "p") == {"items": ["compressed", "1"]}
    assert in_terminal(capsys, "get", *place, "1")["product"] == "q"


def test_the_terminal_tells_what_is_merged_and_left_out(gallery: Path, tmp_path: Path, capsys: Capture) -> None:
    decisions = [
        lookalike.Decision("merge", ("0", "1", "gone")),
        lookalike.Decision("remove", ("3", "4"), keep="4"),
    ]
    (tmp_path / "decisions.json").write_text(json.dumps({"decisions": [each.to_json() for each in decisions]}))
    assert main(["gallery", "merge", "-g", str(gallery), "--decisions", str(tmp_path / "decisions.json")]) == 3
    said = capsys.readouterr()
    assert said.out.startswith("1 item of another product, 1 removed\nid  before  product\n1   q       p")
    assert said.err.splitlines() == [
        "1 of the removed items came from a catalogue, which brings them again unless they are removed there: 3",
        "skipped gone of decision 1: is not in the gallery",
    ]
    assert main(["gallery", "unset", "-g", str(gallery), "--product", "p"]) == 0
    assert capsys.readouterr().out == "1 items have the product of their catalogue again\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["merge"], "give either --decisions FILE, or ids of items"),
        (["merge", "0", "--decisions", "d.json"], "give either --decisions FILE, or ids of items"),
        (["merge", "--decisions", "d.json", "--product", "p"], "give either --decisions FILE, or ids of items"),
        (["merge", "0"], "give two items or more, or --product NAME"),
        (["merge", "0", "0"], "give two items or more, or --product NAME"),
        (["merge", *map(str, range(1001))], "merge expects 1 to 1,000 items, got 1,001"),
        (["merge", "--decisions", "none.json"], "none.json cannot be read"),
        (["merge", "0", "2", "cropt"], "unknown item 'cropt'; did you mean 'cropped'?"),
        (["unset", "--product", "q"], "no item has the product 'q' set by hand"),
        (["unset"], "give the id of an item, or --product NAME"),
        (["unset", "0", "--product", "p"], "give either --product, or the id of an item"),
    ],
)
def test_mistakes_are_said(gallery: Path, capsys: Capture, arguments: list[str], message: str) -> None:
    assert main(["gallery", *arguments, "-g", str(gallery)]) == 2
    assert message in capsys.readouterr().err


def test_photos_out_of_reach_are_told(gallery: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "photos" / "1.png").unlink()
    assert main(["gallery", "duplicates", "-g", str(gallery)]) == 3
    assert "skipped 1: photos/1.png: " in capsys.readouterr().err


def test_an_empty_gallery_is_the_callers_mistake(tmp_path: Path) -> None:
    LocalGallery(tmp_path / "empty", create=True).close()
    with pytest.raises(UsageError, match="is empty"):
        find_duplicates(tmp_path / "empty")
