"""Tags: missing attributes filled by what a model sees."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.cli import main
from lookalike.errors import UnknownNameError, UsageError
from lookalike.types import Box

COLORS = {"red": (200, 30, 40), "green": (30, 180, 60), "grey": (128, 128, 128), "dim": (120, 60, 60)}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table with a photo of each colour, some of whose kinds are known, and one that cannot be read."""
    for name, color in COLORS.items():
        Image.new("RGB", (40, 40), color).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"no photo")
    rows = ["red,red.png,,5", "green,green.png,Gown,6", "grey,grey.png,,7", "dim,dim.png,,8", "broken,broken.png,,9"]
    path = tmp_path / "shop.csv"
    path.write_text("\n".join(["id,image,kind,price", *rows]), encoding="utf-8")
    return path


def tags_of(made: lookalike.Tagging) -> dict[tuple[str, str], str]:
    return {(each.id, each.attribute): each.value for each in made.tags}


def test_missing_attributes_are_filled_and_others_stay(table: Path, labelled_model: Path) -> None:
    made = lookalike.tag(table, model=labelled_model, least=0.7)
    found = tags_of(made)
    assert found["red", "kind"] == "dress" and ("green", "kind") not in found
    assert not any(item == "grey" for item, _ in found)  # shows no garment
    assert (made.photos, len(made.skipped)) == (4, 1) and made.skipped[0].startswith("broken.png")
    for each in made.tags:
        with lookalike.open(table.parent / "g", model=labelled_model) as shop:
            shop.index(table)
            answer = shop.search(table.parent / f"{each.id}.png")
        assert answer.labels is not None and answer.labels[each.attribute][0] == (each.value, each.probability)
        assert each.probability >= 0.7
    most = max(each.probability for each in made.tags)
    sure = lookalike.tag(table, model=labelled_model, least=most)
    assert {*sure.tags} == {each for each in made.tags if each.probability == most} < {*made.tags}


def test_a_tagged_table_is_a_catalogue(table: Path, labelled_model: Path, tmp_path: Path) -> None:
    made = lookalike.tag(table, model=labelled_model, least=0.7, heads={"kind": "kind", "gender": "for"})
    made.write_table(tmp_path / "tagged.csv")
    with (tmp_path / "tagged.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert rows["red"]["kind"] == "dress" and rows["green"]["kind"] == "Gown" and rows["grey"]["kind"] == ""
    assert rows["red"]["price"] == "5" and "for" in rows["red"] and "gender" not in rows["red"]
    with lookalike.open(tmp_path / "shop.gallery", model=labelled_model) as shop:
        report = shop.index(tmp_path / "tagged.csv")
        assert (report.added, len(report.skipped)) == (4, 1)
        assert shop.gallery.get("red").attributes["kind"] == "dress"
        assert shop.gallery.get("red").attributes["price"] == 5


def test_a_gallery_is_tagged_once_and_keeps_it(table: Path, labelled_model: Path, tmp_path: Path) -> None:
    address = tmp_path / "shop.gallery"
    with lookalike.open(address, model=labelled_model) as shop:
        shop.index(table)
        shop.gallery.override("dim", {"kind": "coat", "price": None})
        before = [item for batch in shop.gallery.records() for item in batch.current_items]
        lookalike.tag(gallery=address, least=0.7, dry_run=True)
        assert [item for batch in shop.gallery.records() for item in batch.current_items] == before
        made = lookalike.tag(gallery=address, least=0.7)
        assert tags_of(made)["red", "kind"] == "dress" and made.items == ()
        kinds = {item.id: item.attributes.get("kind") for item in shop.gallery.list(limit=None)[1]}
        assert kinds == {"red": "dress", "green": "Gown", "grey": None, "dim": "coat"}
        assert "price" not in shop.gallery.get("dim").attributes  # other overrides stay
        assert shop.search(item="red", same_kind=True).query.kind == "dress"
        shop.index(table)
        assert shop.gallery.get("red").attributes["kind"] == "dress"
        again = lookalike.tag(gallery=address, least=0.7)
        assert ("red", "kind") not in tags_of(again)
        vectors = shop.gallery.vectors("red")["deep"]
        np.testing.assert_allclose(np.linalg.norm(vectors), 1.0, atol=1e-5)


def test_the_part_of_a_photo_is_tagged(labelled_model: Path, tmp_path: Path) -> None:
    photo = Image.new("RGB", (80, 40), COLORS["red"])
    photo.paste(COLORS["green"], (40, 0, 80, 40))
    photo.save(tmp_path / "both.png")
    rows = ["id,image,box", 'left,both.png,"0,0,40,40"', 'right,both.png,"40,0,80,40"']
    (tmp_path / "boxes.csv").write_text("\n".join(rows), encoding="utf-8")
    made = lookalike.tag(tmp_path / "boxes.csv", model=labelled_model, heads=["kind"], least=0.5)
    assert tags_of(made) == {("left", "kind"): "dress", ("right", "kind"): "skirt"}
    assert [item.box for item in made.items] == [Box(0, 0, 40, 40), Box(40, 0, 80, 40)]


def test_the_command_shows_and_writes_the_tags(
    table: Path, labelled_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", str(labelled_model), "--least", "0.7", "--head", "kind"]
    assert main(["tag", str(table), *options, "--out", str(tmp_path / "tagged.csv")]) == 3  # one photo is broken
    output = capsys.readouterr()
    assert output.out == "1 tag of 3 photos with missing attributes\n"
    assert "skipped broken.png" in output.err and (tmp_path / "tagged.csv").is_file()
    assert main(["tag", str(table), *options]) == 3
    assert "red  kind       dress" in capsys.readouterr().out
    assert main(["tag", str(table), *options, "--json"]) == 3
    assert (
        json.loads(capsys.readouterr().out)
        == lookalike.tag(table, model=labelled_model, least=0.7, heads=["kind"]).to_json()
    )


def test_rows_that_are_no_items_are_listed(
    table: Path, labelled_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = f"id,image_link,title,price\nred,{table.parent / 'red.png'},Décolleté,1.299 EUR\nnone,,,1 EUR\n"
    (tmp_path / "feed.csv").write_text(rows, encoding="cp1252")
    options = ["--model", str(labelled_model), "--head", "kind", "--encoding", "cp1252"]
    assert main(["tag", str(tmp_path / "feed.csv"), *options, "--out", str(tmp_path / "tagged.csv")]) == 3
    told = capsys.readouterr().err
    assert "skipped feed.csv:3: " in told
    assert "can be read in two ways, are left out: 1" in told
    assert "Décolleté" in (tmp_path / "tagged.csv").read_text(encoding="utf-8")


def test_wrong_calls_say_what_is_wrong(table: Path, labelled_model: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="either a catalogue, or the gallery"):
        lookalike.tag()
    with pytest.raises(UsageError, match="either a catalogue, or the gallery"):
        lookalike.tag(table, gallery=tmp_path)
    with pytest.raises(UsageError, match="least must be from 0 to 1"):
        lookalike.tag(table, model=labelled_model, least=8)
    with pytest.raises(UsageError, match="has no labels"):
        lookalike.tag(table, model=tiny_model)
    with pytest.raises(UnknownNameError, match="did you mean 'kind'"):
        lookalike.tag(table, model=labelled_model, heads=["kinds"])
    with pytest.raises(UsageError, match="cannot be written"):
        lookalike.tag(table, model=labelled_model).write_table(tmp_path / "none" / "tagged.csv")
    assert main(["tag", "--gallery", str(tmp_path / "g"), "--out", str(tmp_path / "x.csv")]) == 2
