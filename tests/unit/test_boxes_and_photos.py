"""`boxes` and `photos`: which part of which photo is embedded, by command, setting and Python, and what reports say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lookalike
from lookalike.catalogue import open_catalogue
from lookalike.catalogue.boxes import parse, with_margin
from lookalike.catalogue.sample.layouts.table import write_layout
from lookalike.cli import main
from lookalike.embedding.model_loading import open_network
from lookalike.errors import ConfigError, ModelError, UnknownNameError, UsageError
from lookalike.evaluation.evaluate import evaluate
from lookalike.images import open_image
from lookalike.models.checkpoint import load_checkpoint, save_checkpoint
from lookalike.models.photo_choices import TRAINED_ON, choices_text, read_choices
from lookalike.training.data.dataset import read_splits
from lookalike.training.data.training_data import TrainingData
from lookalike.training.settings.run_settings import DataSettings, load_settings
from lookalike.types import Box, PhotoChoice

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def inshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn In-shop benchmark with both folders of photos; those of `img_highres` are twice as large."""
    root = tmp_path_factory.mktemp("inshop")
    write_layout(root, layout="inshop", products=4, photos=3)
    for photo in (root / "Img" / "img").rglob("*.jpg"):
        large = root / "Img" / "img_highres" / photo.relative_to(root / "Img" / "img")
        large.parent.mkdir(parents=True, exist_ok=True)
        picture = open_image(photo)
        picture.resize((2 * picture.width, 2 * picture.height)).save(large)
    return root


def boxes_of(source: Path, **options: Any) -> dict[str, Box | None]:
    return {item.id: item.box for item in open_catalogue(str(source), **options).items()}


def test_a_margin_is_a_part_of_each_side_and_ends_at_the_photo(tmp_path: Path) -> None:
    assert with_margin(Box(10, 20, 30, 60), 0.25) == Box(5, 10, 35, 70)
    assert with_margin(Box(2, 20, 30, 60), 0.5) == Box(0, 0, 44, 80)
    table = tmp_path / "catalogue.csv"
    shutil.copy(open_catalogue("drawn").items().__next__().location, tmp_path / "photo.jpg")
    size = open_image(tmp_path / "photo.jpg").size
    corners = (0, 0, *size)
    table.write_text(f'id,image,box\na,photo.jpg,"{",".join(map(str, corners))}"\nb,photo.jpg,\n', encoding="utf-8")
    whole, without = open_catalogue(str(table), boxes=0.3).items()
    assert open_image(whole, box=whole.box).size == size  # clipped when it is opened
    assert without.box is None


def test_boxes_are_kept_dropped_or_widened(inshop: Path) -> None:
    usual = boxes_of(inshop)
    assert all(usual.values()) and boxes_of(inshop, boxes=True) == usual
    assert boxes_of(inshop, boxes=0.1) == {name: with_margin(box, 0.1) for name, box in usual.items() if box}
    assert set(boxes_of(inshop, boxes=False).values()) == {None}


def test_birds_are_whole_unless_boxes_are_asked_for(tmp_path: Path) -> None:
    write_layout(tmp_path, layout="cub", products=2, photos=2)
    assert set(boxes_of(tmp_path).values()) == {None}
    assert open_catalogue(str(tmp_path)).boxes is False
    assert all(boxes_of(tmp_path, boxes=True).values())


def test_a_folder_of_photos_is_chosen(inshop: Path, tmp_path: Path) -> None:
    small, large = ([*open_catalogue(str(inshop), photos=name).items()] for name in ("img", "img_highres"))
    assert [item.id for item in small] == [item.id for item in large]
    assert small[0].photo.startswith("img/") and large[0].photo.startswith("img_highres/")
    assert large[0].box is None  # boxes are those of the small photos
    assert open_catalogue(str(inshop)).photos == "img"
    with pytest.raises(UnknownNameError, match="did you mean 'img_highres'"):
        open_catalogue(str(inshop), photos="img_highre")
    with pytest.raises(UsageError, match="photos is img or img_highres of DeepFashion, and drawn is another source"):
        open_catalogue("drawn", photos="img")
    shutil.rmtree(shutil.copytree(inshop, tmp_path / "half") / "Img" / "img_highres")
    with pytest.raises(
        lookalike.LookalikeError, match=r"looked for a folder img_highres in Img/ .* unpack img_highres.zip"
    ):
        open_catalogue(str(tmp_path / "half"), photos="img_highres")


@pytest.mark.parametrize("text", ["0", "-0.1", "1.5", "nan", "yes", "True", ""])
def test_other_values_are_refused_everywhere(text: str, inshop: Path, tmp_path: Path, capsys: Capture) -> None:
    told = f"boxes are true, false, or a margin above 0 and up to 1, got {text!r}"
    assert main(["evaluate", str(inshop), "--model", "default", "--boxes", text]) == 2
    assert told in capsys.readouterr().err
    assert main(["index", str(inshop), "-g", str(tmp_path / "g"), "--boxes", text]) == 2
    assert told in capsys.readouterr().err and not (tmp_path / "g").exists()
    with pytest.raises(UsageError, match="boxes are true, false, or a margin"):
        open_catalogue(str(inshop), boxes=text)  # type: ignore[arg-type]
    run = tmp_path / "run.toml"
    value = text if text in ("0", "-0.1", "1.5", "nan") else f'"{text}"'
    run.write_text(
        f'name = "x"\n[[data]]\nsource = "x"\nboxes = {value}\nheads = {{ type = 1 }}\n'
        "[[stage]]\nepochs = 1\nlearning_rate = 0.1\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=r"boxes: expected (true or false, or )?a number"):
        load_settings(run)


def test_training_reads_the_same_parts_of_the_same_photos(inshop: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.toml"
    run.write_text(
        'name = "x"\n[[data]]\nsource = "x"\nboxes = 0.1\nphotos = "img"\nheads = { category = 1 }\n'
        '[[data]]\nsource = "x"\nboxes = false\n[[data]]\nsource = "x"\n'
        "[[stage]]\nepochs = 1\nlearning_rate = 0.1\n",
        encoding="utf-8",
    )
    assert [data.boxes for data in load_settings(run).data] == [0.1, False, None]
    items = read_splits(DataSettings(str(inshop), boxes=0.1, photos="img_highres"), folder=tmp_path)["train"].items
    assert {item.photo.split("/")[0] for item in items} == {"img_highres"}
    items = read_splits(DataSettings(str(inshop), boxes=0.1), folder=tmp_path)["train"].items
    wide = boxes_of(inshop, boxes=0.1)
    assert all(item.box == wide[item.id] for item in items)


def test_reports_say_what_was_measured_and_galleries_of_other_boxes_are_told(
    inshop: Path, tiny_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    gallery = tmp_path / "wide.gallery"
    assert main(["index", str(inshop), "-g", str(gallery), "--model", str(tiny_model), "--boxes", "0.1"]) == 0

    def evaluated(*options: str) -> Any:
        capsys.readouterr()
        assert main(["evaluate", str(inshop), *options, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    same = evaluated("--gallery", str(gallery), "--boxes", "0.1", "--report", str(tmp_path / "report"))
    assert (same["boxes"], same["photos"], same["notes"]) == (0.1, "img", [])
    assert same == evaluated("--model", str(tiny_model), "--boxes", "0.1")
    kept = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert (kept["boxes"], kept["photos"]) == (0.1, "img")
    other = evaluated("--gallery", str(gallery))
    assert (other["boxes"], other["metrics"]) == (True, same["metrics"])
    (note,) = other["notes"]
    assert note == "the gallery has vectors of other boxes than asked for here, of 6 photos: they are what is measured"
    large = evaluated("--gallery", str(gallery), "--photos", "img_highres")
    assert large["photos"] == "img_highres" and "other photo files" in large["notes"][1]
    whole, cropped = (evaluate(inshop, model=str(tiny_model), boxes=boxes) for boxes in (False, True))
    assert (whole.to_json()["boxes"], cropped.to_json()["boxes"]) == (False, True)
    assert whole.embedded is not None and cropped.embedded is not None
    assert not np.allclose(whole.embedded.rows["deep"], cropped.embedded.rows["deep"])
    with lookalike.open(gallery) as shop:
        assert shop.index(inshop, boxes=0.1).unchanged == 12
        assert shop.index(inshop, boxes=True, photos="img").updated == 12


def test_parse_reads_the_three_forms() -> None:
    assert (parse("true"), parse("false"), parse("0.25"), parse("1")) == (True, False, 0.25, 1.0)
    assert isinstance(parse("1"), float)


def test_a_model_says_what_it_was_trained_on_and_another_choice_is_told(
    inshop: Path, tiny_model: Path, tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    from lookalike.models.content_hash import append_checksum

    model = onnx.load(tiny_model)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    seen = [PhotoChoice(0.1, "img"), PhotoChoice(False), PhotoChoice(False)]
    onnx.helper.set_model_props(model, {**facts, TRAINED_ON: choices_text(seen)})
    onnx.save(model, tmp_path / "trained.onnx")
    append_checksum(tmp_path / "trained.onnx")
    (note,) = evaluate(inshop, model=tmp_path / "trained.onnx").to_json()["notes"]
    trained_on = "photos cropped to boxes with a margin of 0.1 of img, whole photos"
    assert note == f"tiny was trained on {trained_on}; this is photos cropped to boxes of img"
    assert evaluate(inshop, model=tmp_path / "trained.onnx", boxes=0.1).to_json()["notes"] == []
    assert evaluate(inshop, model=tiny_model).to_json()["notes"] == []  # it does not say


def test_a_checkpoint_keeps_what_it_was_trained_on(inshop: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.toml"
    run.write_text(
        f'name = "x"\n[[data]]\nsource = "{inshop}"\nboxes = 0.1\nheads = {{ category = 1 }}\n'
        "[[stage]]\nepochs = 1\nlearning_rate = 0.1\n",
        encoding="utf-8",
    )
    data = TrainingData(
        load_settings(run, overrides=('network.backbone="test_resnet"', "network.init=", "products=2", "photos=1")),
        base=tmp_path,
    )
    network = data.make_network()
    save_checkpoint(
        tmp_path / "x.safetensors",
        network,
        preprocessing=data.preprocessing,
        name="x",
        classes=data.heads,
        trained_on=data.seen,
    )
    assert load_checkpoint(tmp_path / "x.safetensors").trained_on == (PhotoChoice(0.1, "img", "inshop"),)
    assert open_network(str(tmp_path / "x.safetensors")).identity.trained_on == (PhotoChoice(0.1, "img", "inshop"),)


@pytest.mark.parametrize("text", ["", "{}{", "[1]", '[{"boxes": true}]', '[{"boxes": "x", "photos": ""}]', "[" * 10**5])
def test_a_damaged_record_of_training_is_told(text: str) -> None:
    with pytest.raises(ModelError, match=r"m\.onnx: damaged: lookalike\.trained_on is a list of boxes and photos"):
        read_choices(text, file="m.onnx")
    assert read_choices(choices_text([PhotoChoice(True, "img")]), file="m") == (PhotoChoice(True, "img"),)
