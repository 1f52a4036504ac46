"""The shipped presets: listed, found by name, and each of them completes a short run on drawn data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lookalike.cli.commands import make_app
from lookalike.errors import UnknownNameError, UsageError
from lookalike.models.checkpoint import load_checkpoint
from lookalike.training.data.augmentation import Augmentation
from lookalike.training.run.loop import train
from lookalike.training.settings.photo_settings import AugmentationSettings
from lookalike.training.settings.presets import find_settings, presets
from lookalike.training.settings.run_settings import load_settings
from lookalike.types import Box

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

STAGES = "[{epochs = 0.01, learning_rate = 1e-3}, {epochs = 0.01, learning_rate = 1e-3, backbone_rate = 1e-4}]"
TINY = [
    *("products=4", "photos=2", "workers=0", "precision=no", "device=cpu", "measure_every=0", f"stage={STAGES}"),
    "epoch_photos=1600",  # two batches in each stage
    *("network.init=", "network.embedding=16", "input.height=32", "input.width=32"),
]
CROPPED = ["input.short_side=32", "augmentation.short_side=36"]
CHANGES = {
    "original": ["network.backbone=test_resnet", "sampler.classified=4", "sampler.triplets=2", *CROPPED],
    "inshop-r50-arcface": ["network.backbone=test_resnet"],
    "inshop-vits-triplet": ["network.backbone=test_vit"],
    "inshop-proxy-anchor": ["network.backbone=test_resnet", "loss.1.memory=16", *CROPPED],
    "cub-proxy-anchor": ["network.backbone=test_resnet", *CROPPED],
    "sop-proxy-anchor": ["network.backbone=test_resnet", *CROPPED],
    "inshop-unicom": ["network.backbone=test_vit", *CROPPED],
    "unlabelled": ["network.backbone=test_resnet"],
    "attributes-multitask": ["network.backbone=test_resnet", "products=8", "photos=1"],
    "catalogue-mobile": ["network.backbone=test_resnet", "network.init_names="],
    "catalogue-mobile-kinds": ["network.backbone=test_resnet"],
    "catalogue-mobile-relevance": ["network.backbone=test_resnet"],
    "catalogue-mobile-items": ["network.backbone=test_resnet"],
    "catalogue-mobile-long": ["network.backbone=test_resnet"],
    "catalogue-mobile-worn": ["network.backbone=test_resnet", "products=8"],
}
OTHER_TASKS = {"finder-mobile", "text-default"}
"""Presets of other tasks, which `test_finder.py` and `test_text_training.py` run."""

SOURCES = {
    "original": ["deepfashion", "inshop"],
    "attributes-multitask": ["deepfashion"],
    "cub-proxy-anchor": ["cub"],
    "sop-proxy-anchor": ["sop"],
    "unlabelled": ["photos"],
    "catalogue-mobile": ["myntra/labels.csv", "myntra/labels.csv", "clothing/labels.csv"],
    "catalogue-mobile-kinds": ["myntra/labels.csv", "myntra/labels.csv", "clothing/labels.csv"],
    "catalogue-mobile-relevance": ["myntra/labels.csv", "myntra/labels.csv", "clothing/labels.csv"],
    "catalogue-mobile-items": ["myntra/labels.csv", "myntra/labels.csv", "clothing/labels.csv"],
    "catalogue-mobile-long": ["myntra/labels.csv", "myntra/labels.csv", "clothing/labels.csv"],
    "catalogue-mobile-worn": [
        *("myntra/labels.csv", "myntra/labels.csv", "clothing/labels.csv"),
        *("worn/labels.csv", "boxed/labels.csv", "nothing/labels.csv"),
    ],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The least of what each preset reads, in the published layouts; the photos are noise."""
    root = tmp_path_factory.mktemp("data")
    _write_attributes(root / "deepfashion")
    _write_inshop(root / "inshop")
    _write_cub(root / "cub")
    _write_sop(root / "sop")
    for number in range(24):
        _noise(root / "photos" / f"{number}.png", seed=400 + number)
    for name, labels in (
        ("myntra", "articleType,baseColour,gender,subCategory,kind,type,colour,group_id,photo"),
        ("clothing", "label,articleType,kind,type,sender_id"),
        ("worn", "articleType,kind,type,colour"),
        ("boxed", "articleType,kind,type,colour"),
        ("nothing", "kind,type"),
    ):
        rows = [f"file,split,{labels}"]
        for number in range(27):
            _noise(root / name / f"{number}.png", seed=number)
            size = ("s60x80", "sq224", "p225x300")[number // 3 % 3]
            values = [f"{label}{number % 3}" if label != "photo" else size for label in labels.split(",")]
            rows.append(",".join([f"{number}.png", "dev" if number >= 18 else "train", *values]))
        (root / name / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    (root / "ccp").mkdir()
    _noise(root / "ccp" / "street.png", seed=99)
    (root / "ccp" / "labels.csv").write_text("file\nstreet.png\n", encoding="utf-8")
    return root


def _noise(path: Path, *, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(path)


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_attributes(root: Path) -> None:
    names = [f"img/Title_{number // 2}/img_{number:08}.jpg" for number in range(24)]
    splits = [("train", "train", "val", "test")[number // 2 % 4] for number in range(24)]
    for number, name in enumerate(names):
        _noise(root / "Img" / name, seed=number)
    rows = list(enumerate(zip(names, splits, strict=True)))
    _write(
        root / "Eval/list_eval_partition.txt",
        ["24", "image_name evaluation_status", *(f"{n} {s}" for _, (n, s) in rows)],
    )
    kinds = ["Blouse 1", "Tee 1", "Jeans 2"]
    _write(root / "Anno/list_category_cloth.txt", ["3", "category_name category_type", *kinds])
    categories = [f"{name} {number % 3 + 1}" for number, (name, _) in rows]
    _write(root / "Anno/list_category_img.txt", ["24", "image_name category_label", *categories])
    _write(root / "Anno/list_attr_cloth.txt", ["2", "attribute_name attribute_type", "a-line 3", "abstract print 1"])
    labels = [f"{name} {1 if number % 2 else -1} {1 if number % 5 else -1}" for number, (name, _) in rows]
    _write(root / "Anno/list_attr_img.txt", ["24", "image_name attribute_labels", *labels])


def _write_inshop(root: Path) -> None:
    names = [f"img/WOMEN/{('Tees', 'Denim')[n // 4 % 2]}/id_{n // 2:08}/0{1 + n % 2}_1_front.jpg" for n in range(24)]
    for number, name in enumerate(names):
        _noise(root / "Img" / name, seed=100 + number)
    products = [f"id_{number // 2:08}" for number in range(24)]
    splits = ["train" if number < 20 else ("query", "gallery")[number % 2] for number in range(24)]
    rows = [" ".join(row) for row in zip(names, products, splits, strict=True)]
    _write(root / "Eval/list_eval_partition.txt", ["24", "image_name item_id evaluation_status", *rows])
    boxes = [f"{name} 1 1 2 2 30 30" for name in names]
    _write(root / "Anno/list_bbox_inshop.txt", ["24", "image_name clothes_type pose_type x_1 y_1 x_2 y_2", *boxes])


def _write_cub(root: Path) -> None:
    names = [f"{number // 2 + 1:03}.Bird/{number}.png" for number in range(24)]
    for number, name in enumerate(names):
        _noise(root / "images" / name, seed=200 + number)
    _write(root / "images.txt", [f"{number} {name}" for number, name in enumerate(names, start=1)])
    _write(root / "image_class_labels.txt", [f"{number + 1} {number // 2 + 1}" for number in range(24)])


def _write_sop(root: Path) -> None:
    rows = [f"{number} {number // 2 + 1} 1 chair_final/{number}.png" for number in range(28)]
    for number, row in enumerate(rows):
        _noise(root / row.split()[3], seed=300 + number)
    for split, some in (("train", rows[:24]), ("test", rows[24:])):
        _write(root / f"Ebay_{split}.txt", ["image_id class_id super_class_id path", *some])


@pytest.mark.parametrize("name", CHANGES)
def test_a_preset_completes_a_short_run(name: str, data: Path, tmp_path: Path) -> None:
    file, _ = find_settings(name)
    sources = SOURCES.get(name, ["inshop"])
    chosen = [f"data.{place}.source={source}" for place, source in enumerate(sources)]
    trained = train(file, base=data, overrides=[*TINY, *CHANGES[name], *chosen], out=tmp_path / "run")
    assert load_checkpoint(trained.checkpoint).name in (name, "default")
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert entries and not trained.skipped


@pytest.mark.parametrize("name", CHANGES)
def test_a_preset_says_what_it_is_for(name: str) -> None:
    file, base = find_settings(name)
    settings = load_settings(file)
    assert base == Path() and settings.name in (name, "default")
    assert settings.about == presets()[name] and settings.about.summary
    if name.startswith("catalogue-mobile"):
        return
    assert settings.about.measured == "not measured"
    assert settings.about.aim or name == "unlabelled"  # which is for data of its user
    assert bool(settings.about.aim) == bool(settings.about.source) == bool(settings.about.curve)
    assert settings.about.verified.startswith("two batches")  # as the test above runs


def test_the_list_names_each_with_its_aim() -> None:
    done = CliRunner().invoke(make_app(), ["train", "--list"])
    assert done.exit_code == 0 and presets().keys() == CHANGES.keys() | OTHER_TASKS
    for name, about in presets().items():
        assert f"{name}: {about.summary}" in done.stdout
        assert all(text in done.stdout for text in (about.aim, about.source, about.curve, about.verified))
    assert done.stdout.count("not measured") == len(presets()) - 7


def test_a_preset_is_named_and_a_file_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'original'"):
        find_settings("orginal")
    with pytest.raises(UsageError, match=r"mine\.toml: no such file"):
        find_settings("mine.toml")
    monkeypatch.chdir(tmp_path)
    Path("original").write_text("name = 'x'", encoding="utf-8")
    assert find_settings("original") == (Path("original"), Path())


def test_a_crop_like_the_input_keeps_to_its_area_and_shape() -> None:
    settings = AugmentationSettings(
        crop="input", smallest_crop=0.25, stretch=1.2, light=0.0, hue=0.0, rotation=0.0, spoil=0.0
    )
    change = Augmentation(settings, size=(50, 100), backgrounds=())
    across, down = np.meshgrid(np.arange(200), np.arange(100))
    place = np.stack([across, down, np.zeros_like(across)], axis=2).astype(np.uint8)
    for seed in range(40):
        view = np.asarray(change(Image.fromarray(place), random=np.random.default_rng(seed))).astype(float)
        width, height = np.ptp(view[:, :, 0]) * 100 / 99, np.ptp(view[:, :, 1]) * 50 / 49
        assert 0.22 <= width * height / 20000 <= 1.03
        assert 2 / 1.3 <= width / height <= 2 * 1.3


def test_boxes_vary_as_a_finder_errs_and_widen_to_the_shape_of_the_input() -> None:
    box = Box(40, 50, 60, 130)  # 20 x 80, in an input of 3:4 it is widened to 60 x 80
    change = Augmentation(AugmentationSettings(box_widen=1.0), size=(120, 90), backgrounds=())
    widths = []
    for seed in range(200):
        wider = change.varied_box(box, random=np.random.default_rng(seed))
        assert (wider.y1, wider.y2) == (50, 130)
        assert wider.x1 + wider.x2 == pytest.approx(100)
        widths.append(wider.x2 - wider.x1)
    assert 20 <= min(widths) < 22 and 58 < max(widths) <= 60
    change = Augmentation(AugmentationSettings(box_jitter=0.1), size=(120, 90), backgrounds=())
    moved = [change.varied_box(box, random=np.random.default_rng(seed)).to_list() for seed in range(2000)]
    errors = (np.array(moved) - box.to_list()) / [20, 80, 20, 80]
    np.testing.assert_allclose(errors.std(axis=0), 0.1, atol=0.01)
    np.testing.assert_allclose(errors.mean(axis=0), 0.0, atol=0.01)
    assert (
        Augmentation(AugmentationSettings(), size=(120, 90), backgrounds=()).varied_box(
            box, random=np.random.default_rng(0)
        )
        is box
    )
