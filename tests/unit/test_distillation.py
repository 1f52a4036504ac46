"""Distillation: a student learns the embeddings of a teacher, with or without labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

import lookalike
from lookalike.catalogue.opening import open_catalogue
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.errors import ConfigError, ModelError, TrainingError
from lookalike.training.data import shared, teacher_rows
from lookalike.training.data.data_record import FILE, DataRow, write_record
from lookalike.training.data.teacher_rows import make_teacher_rows, read_teacher_rows
from lookalike.training.data.training_data import TrainingData
from lookalike.training.losses.distillation import DistillationLoss, relative_distances
from lookalike.training.run.run_folder import TEACHER
from lookalike.training.settings.objective_settings import TeacherSettings
from lookalike.training.settings.run_settings import load_settings
from lookalike.training.sweep import sweep
from lookalike.types import Item
from tiny_clip import make_clip, write_folder
from tiny_model import write_tiny_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "student"
products = 6
photos = 2
workers = 0
[network]
backbone = "mobilenetv3_small_050"
embedding = 16
[input]
height = 32
width = 32
[augmentation]
light = 0.0
hue = 0.0
rotation = 0.0
spoil = 0.0
smallest_crop = 0.9
[[data]]
source = "sample/catalogue.csv"
[teacher]
model = "tiny.onnx"
relational = 0.5
[[stage]]
epochs = 6
learning_rate = 1e-2
backbone_rate = 1e-2
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    folder = tmp_path_factory.mktemp("distillation")
    write_drawn(folder / "sample", products=10, photos=2)
    (folder / "tiny.onnx").write_bytes(tiny_model.read_bytes())
    path = folder / "student.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    return path


def test_the_losses_are_those_of_the_formulas() -> None:
    random = np.random.default_rng(0)
    ours, theirs = (random.normal(size=(7, 5)).astype(np.float32) for _ in range(2))
    loss = DistillationLoss(TeacherSettings("t", cosine=2.0, relational=3.0), embedding=5, teacher=5)
    parts = loss(torch.from_numpy(ours), torch.from_numpy(theirs))
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    apart = np.abs(pdist(ours) / pdist(ours).mean() - pdist(theirs) / pdist(theirs).mean())
    huber = np.where(apart < 1, apart**2 / 2, apart - 0.5).mean()
    assert float(parts["teacher cosine"]) == pytest.approx(2.0 * (1 - cosines).mean(), abs=1e-5)
    assert float(parts["teacher relational"]) == pytest.approx(3.0 * huber, abs=1e-5)
    assert list(loss.parameters()) == []


def test_a_teacher_of_others_is_exported_by_itself(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name and a folder give the embeddings of the file that `export` writes, and a resumed run knows them again."""
    write_folder(config.parent / "clip", make_clip())
    file = lookalike.export_encoder(config.parent / "clip", config.parent / "clip.onnx").file
    rows = []
    for name, teacher in (("as-folder", "clip"), ("as-file", file.name)):
        out = config.parent / name
        lookalike.train(config, overrides=[f"teacher.model={teacher}", "stage.0.epochs=1"], out=out)
        rows.append(read_teacher_rows(out / TEACHER))
    assert np.array_equal(*rows)
    told: list[str] = []
    lookalike.train(
        config,
        overrides=["teacher.model=clip", "stage.0.epochs=2"],
        resume=config.parent / "as-folder",
        report=told.append,
    )
    assert not [line for line in told if "embedded" in line]
    with pytest.raises(lookalike.UnknownNameError, match="no_such_model"):
        lookalike.train(config, overrides=["teacher.model=timm:no_such_model"], out=config.parent / "none")


def test_a_catalogue_may_be_left_out_of_the_teaching(config: Path, tmp_path: Path) -> None:
    more = config.parent / "more.toml"
    second = '[[data]]\nsource = "sample/catalogue.csv"\nteacher = false\n'
    more.write_text(SETTINGS + second, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"data\[1\]: expected heads, tags or a metric loss beside teacher = false"):
        load_settings(more)
    more.write_text(SETTINGS + second + "heads = { colour = 1.0 }\n", encoding="utf-8")
    data = TrainingData(load_settings(more), base=config.parent)
    data.read_teacher(tmp_path / TEACHER, content="", resumed=False, report=lambda line: None)
    assert data.photos.targets is not None
    embedded, targets = read_teacher_rows(tmp_path / TEACHER), data.photos.targets
    taught = data.photos.origin == 0
    assert np.array_equal(targets[taught], embedded)  # the others are not even embedded
    assert np.isnan(targets[~taught]).all()
    assert len(targets) == 2 * taught.sum()
    assert not data.is_complete
    lookalike.train(more, overrides=["stage.0.epochs=1"], out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"teacher: expected a catalogue .* without teacher = false"):
        load_settings(more, overrides=["data.0.teacher=false"])
    with pytest.raises(ConfigError, match=r"teacher: expected a catalogue .* without teacher = false"):
        load_settings(more, overrides=["data.0.share=0.0"])


def test_photos_without_a_target_are_left_out() -> None:
    loss = DistillationLoss(TeacherSettings("t", relational=1.0), embedding=4, teacher=4)
    rows, targets = torch.randn(5, 4, generator=torch.manual_seed(0)), torch.randn(5, 4)
    targets[[1, 3]] = torch.nan
    known = [0, 2, 4]
    assert {name: float(part) for name, part in loss(rows, targets).items()} == {
        name: float(part) for name, part in loss(rows[known], targets[known]).items()
    }
    assert loss(rows, torch.full((5, 4), torch.nan)) == {}


def test_equal_rows_have_a_gradient() -> None:
    rows = torch.zeros(4, 3, requires_grad=True)
    relative_distances(rows).sum().backward()
    assert rows.grad is not None and bool(rows.grad.isfinite().all())


def test_a_student_of_another_dimension_is_projected() -> None:
    loss = DistillationLoss(TeacherSettings("t"), embedding=3, teacher=8)
    assert [tuple(weight.shape) for weight in loss.parameters()] == [(8, 3)]
    only_relations = DistillationLoss(TeacherSettings("t", cosine=0.0, relational=1.0), embedding=3, teacher=8)
    assert list(only_relations.parameters()) == []


def test_a_student_learns_without_labels(config: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its embeddings come nearer to the teacher's, of which it has those that indexing makes."""
    told: list[str] = []
    monkeypatch.setattr(teacher_rows, "REPORT_S", -1.0)
    run = lookalike.train(config, out=config.parent / "run", report=told.append).checkpoint.parent
    first, *minutes, last = [line for line in told if "teacher" in line]
    assert (first, last) == (
        "the teacher embeds 20 training photos",
        "the teacher tiny.onnx embedded 20 training photos",
    )
    assert minutes[-1] == "the teacher has embedded 20 of 20"
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert set(losses[0]) == {"teacher cosine", "teacher relational"}
    first, last = (np.mean([loss["teacher cosine"] for loss in part]) for part in (losses[:3], losses[-3:]))
    assert last < 0.7 * first

    rows = read_teacher_rows(run / TEACHER)
    with lookalike.open(config.parent / "sample.gallery", model=tiny_model) as opened:
        opened.index(config.parent / "sample" / "catalogue.csv")
        ids = [item.id for item in open_catalogue(str(config.parent / "sample" / "catalogue.csv")).items()]
        indexed = np.stack([opened.gallery.vectors(item_id)["deep"] for item_id in ids]).reshape(rows.shape)
    rounding = np.abs(rows).max() / 65534  # of vectors in a gallery, see lookalike.index.row_format
    assert np.abs(rows - indexed).max() < rounding + 1e-6


def test_the_teacher_embeds_once(tiny_model: Path, tmp_path: Path) -> None:
    table = write_drawn(tmp_path / "sample", products=3, photos=1)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    items = [Item("same", str(photo)) for photo in sorted((table.parent / "photos").iterdir())]
    items.insert(1, Item("same", str(broken)))
    made: Callable[..., int] = lambda model, of: make_teacher_rows(  # noqa: E731
        str(model), items, file=tmp_path / TEACHER, content=of
    )
    assert made(tiny_model, "a") == 3
    assert np.isnan(read_teacher_rows(tmp_path / TEACHER)).all(axis=1).tolist() == [False, True, False, False]
    assert made(tiny_model, "a") == 0
    assert made(tiny_model, "b") == 3
    other = write_tiny_model(tmp_path / "other.onnx", fingerprint="fedcba9876543210", seed=1)
    assert made(other, "b") == 3
    with pytest.raises(ConfigError, match="is of another one"):
        make_teacher_rows(str(tiny_model), items, file=tmp_path / TEACHER, content="b", resumed=True)
    with pytest.raises(TrainingError, match="can read none of the 1 training photos"):
        make_teacher_rows(str(tiny_model), items[1:2], file=tmp_path / "other.npz", content="c")


def test_runs_of_a_sweep_share_what_the_photos_give(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run reads the photos for the record and embeds them, and later ones with other photos only those."""
    read: list[str] = []
    real = shared.digest
    monkeypatch.setattr(shared, "digest", lambda photo: (read.append(photo), real(photo))[1])
    path, told = config.parent / "sweep.toml", list[str]()
    path.write_text(
        'config = "student.toml"\nname = "shared"\n[grid]\n"data.0.hold_out" = [0.0, 0.2]\nseed = [0, 1]',
        encoding="utf-8",
    )
    config.write_text(SETTINGS.replace("epochs = 6", "epochs = 1"), encoding="utf-8")
    runs = sweep(path, out=config.parent / "sweep", report=told.append)
    assert [line for line in told if "embedded" in line] == [
        f"the teacher tiny.onnx embedded {count} training photos" for count in (20, 18)
    ]
    assert len(read) == len({*read}) == 20
    folders = [Path(run.checkpoint).parent for run in runs]
    alone = config.parent / "beside" / "alone"
    lookalike.train(config, overrides=["data.0.hold_out=0.2", "seed=1"], out=alone)
    for name in (TEACHER, FILE):
        assert (folders[3] / name).read_bytes() == (alone / name).read_bytes()
    config.write_text(SETTINGS, encoding="utf-8")

    photos = [str(photo) for photo in sorted((config.parent / "sample" / "photos").iterdir())]
    Path(photos[0]).write_bytes((kept := Path(photos[0]).read_bytes()) + b" ")  # another content
    del read[:]
    write_record(folders[0], [DataRow("0", "train", photo, {}, photo=photo) for photo in photos])
    assert read == photos[:1]
    Path(photos[0]).write_bytes(kept)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("teacher.cosine=-1", "teacher: cosine: expected a number from 0"),
        ("teacher.cosine=0", "expected cosine or relational above 0"),
        ('teacher.model=""', "nothing to learn"),
    ],
)
def test_settings_that_teach_nothing_are_refused(config: Path, tmp_path: Path, override: str, told: str) -> None:
    overrides = (override, "teacher.relational=0") if "=0" in override else (override,)
    with pytest.raises(ConfigError, match=told):
        lookalike.train(config, overrides=overrides, out=tmp_path / "run")


def test_a_missing_teacher_is_told(config: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx"):
        lookalike.train(config, overrides=("teacher.model=nowhere.onnx",), out=tmp_path / "run")
