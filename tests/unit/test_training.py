"""Training on a small drawn sample: learning, stopping, exact resuming and export."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from filelock import FileLock
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.errors import CatalogueError, ConfigError, LookalikeError, ModelError, UnknownNameError, UsageError
from lookalike.models import export as exporting
from lookalike.models.checkpoint import load_checkpoint
from lookalike.models.default_model import SHIPPED_MODEL
from lookalike.models.export import export_onnx
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.pretrained import load_pretrained
from lookalike.models.weight_readers import estimate_statistics, read_tensors
from lookalike.training.data.augmentation import foreground
from lookalike.training.data.batch import View
from lookalike.training.data.dataset import read_splits
from lookalike.training.data.training_data import TrainingData
from lookalike.training.data.unreadable import ReadablePhotos
from lookalike.training.run import loop
from lookalike.training.settings.run_settings import DataSettings, load_settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "tiny"
products = 6
photos = 2
workers = 0
save_every = 2
[network]
backbone = "test_efficientnet"
embedding = 16
[input]
height = 64
width = 48
[[data]]
source = "sample/catalogue.csv"
heads = { type = 1.0, colour = 0.5 }
grades = ["type", "colour"]
dev_photos = 8
[[loss]]
name = "SupConLoss"
[[stage]]
epochs = 1
learning_rate = 1e-2
[[stage]]
epochs = 2
learning_rate = 1e-2
backbone_rate = 1e-3
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    table = write_drawn(folder / "sample", products=14, photos=2)
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    split = ["dev" if number % 7 >= 5 else "train" for number in range(len(rows))]
    lines = [f"{header},split", *(f"{row},{part}" for row, part in zip(rows, split, strict=True))]
    table.write_text("\n".join(lines), encoding="utf-8")
    path = folder / "tiny.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(config: Path) -> Path:
    return lookalike.train(config, out=config.parent / "run").checkpoint


def export(trained: Path, name: str, **options: bool) -> lookalike.Exported:
    file, photos = trained.parent.parent / "exported" / name, trained.parent.parent / "sample"
    return lookalike.export(trained, file, calibrate=photos, **options)


@pytest.fixture(scope="module")
def whole(trained: Path) -> lookalike.Exported:
    return export(trained, "whole.onnx")


@pytest.fixture(scope="module")
def half(trained: Path) -> lookalike.Exported:
    return export(trained, "half.onnx", half=True)


def log_of(run: Path, kind: str) -> list[dict[str, Any]]:
    """The entries of a run's log that hold losses, or dev figures."""
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if kind in entry]


def test_a_run_leaves_all_that_made_it(trained: Path) -> None:
    left = {path.name for path in trained.parent.iterdir()}
    assert {"best.safetensors", "last.safetensors", "settings.json", "environment.json", "log.jsonl"} <= left
    assert len(log_of(trained.parent, "dev")) == 2
    [step, *_] = log_of(trained.parent, "loss")
    assert step["rate"] == {"new layers": 1e-2, "backbone": 0.0}
    events = EventAccumulator(str(trained.parent / "tensorboard")).Reload()
    steps = len(log_of(trained.parent, "loss"))
    assert len(events.Scalars("loss")) == len(events.Scalars("rate/backbone")) == steps
    measured = log_of(trained.parent, "dev")
    for name in ("0/precision@1[type]", "0/accuracy@1[colour]"):
        assert [event.value for event in events.Scalars(f"dev/{name}")] == pytest.approx(
            [entry["dev"][name] for entry in measured]
        )
    assert [event.value for event in events.Scalars("dev/criterion")] == pytest.approx(
        [entry["dev"]["0/ndcg@10"] for entry in measured]
    )
    assert len(events.Images("dev/hits and misses")) == 2


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(config: Path, trained: Path) -> None:
    folder = config.parent / "stopped"

    def stop_at_fifth(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(config, out=folder, progress=stop_at_fifth)
    assert loop.train(config, resume=folder).checkpoint.is_file()
    assert log_of(folder, "loss") == log_of(trained.parent, "loss")
    ours, theirs = read_tensors(folder / "last.safetensors"), read_tensors(trained.parent / "last.safetensors")
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


def test_a_run_folder_is_not_overwritten_nor_mixed(config: Path, trained: Path) -> None:
    with pytest.raises(ConfigError, match="holds a run already"):
        loop.train(config, out=trained.parent)
    with pytest.raises(ConfigError, match=r"other settings.*: seed was 0 and is 7$"):
        loop.train(config, overrides=["seed=7"], resume=trained.parent)
    with pytest.raises(ConfigError, match="not a run folder"):
        loop.train(config, resume=config.parent)
    with FileLock(trained.parent / "run.lock"), pytest.raises(ConfigError, match="another process"):
        loop.train(config, resume=trained.parent)


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("network.backbone=resnet51", LookalikeError, "resnet51"),
        ('loss=[{name="TripletMarginLos"}]', UnknownNameError, "TripletMarginLoss"),
        ("network.init=none.npz", ModelError, "no such file"),
        ("products=1", ConfigError, "products: expected a whole number from 2"),
        ("precision=fp16", ConfigError, "needs a GPU"),
        ("device=cuda", ConfigError, "no CUDA GPU"),
        ("momentum=1.0", ConfigError, "momentum: expected a number from 0 to below 1"),
        ("early_stop=2", ConfigError, "measure_every >= 1"),
        ("data.0.where={type=['Dress']}", ConfigError, "needs at least two classes"),
        ("augmentation.paste=0.5", ConfigError, "needs `backgrounds`"),
    ],
)
def test_wrong_settings_are_refused(
    config: Path, tmp_path: Path, override: str, error: type[Exception], words: str
) -> None:
    if torch.cuda.is_available() and override in ("precision=fp16", "device=cuda"):
        pytest.skip("this machine can do that")
    for _ in range(2):  # the folder of a run that never began is not in the way
        with pytest.raises(error, match=words):
            loop.train(config, overrides=[override], out=tmp_path / "run")


def test_the_exported_file_gives_the_checkpoints_embeddings(trained: Path, whole: lookalike.Exported) -> None:
    assert whole.least_cosine >= 0.9999
    assert str(Path(exporting.__file__).parent).encode() not in whole.file.read_bytes()
    session = onnxruntime.InferenceSession(str(whole.file))
    checkpoint = load_checkpoint(trained)
    pixels = np.random.default_rng(0).standard_normal((3, 3, 64, 48)).astype(np.float32)
    ours = session.run(None, {"photos": pixels})[0]
    with torch.no_grad():
        theirs = checkpoint.network(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["lookalike.fingerprint"] == checkpoint.fingerprint
    assert metadata["lookalike.preprocessing"] == checkpoint.preprocessing.to_json()


def test_the_half_file_is_half_as_large_and_agrees(
    trained: Path, whole: lookalike.Exported, half: lookalike.Exported, tmp_path: Path
) -> None:
    assert half.least_cosine > 0.9999
    weights = sum(tensor.numel() for tensor in load_checkpoint(trained).network.backbone.parameters())
    saved = whole.file.stat().st_size - half.file.stat().st_size
    assert saved > 1.5 * weights  # two bytes of each weight that is not among the small ones
    session = onnxruntime.InferenceSession(str(half.file))
    fingerprint = session.get_modelmeta().custom_metadata_map["lookalike.fingerprint"]
    assert fingerprint != load_checkpoint(trained).fingerprint
    with pytest.raises(UsageError, match="exclude each other"):
        export_onnx(trained, tmp_path / "both.onnx", fp16=True, int8=True)


def test_the_int8_file_is_another_model_that_agrees_nearly(trained: Path) -> None:
    int8 = export(trained, "int8.onnx", int8=True)
    assert int8.least_cosine > 0.8
    session = onnxruntime.InferenceSession(str(int8.file))
    fingerprint = session.get_modelmeta().custom_metadata_map["lookalike.fingerprint"]
    assert fingerprint != load_checkpoint(trained).fingerprint


def test_true_statistics_do_not_change_what_a_network_computes() -> None:
    network = Network(NetworkSettings("mobilenetv2_050", embedding=8), heads={})
    photos = torch.randn(4, 3, 64, 64) * 2 + 1
    network.eval()
    with torch.no_grad():
        before = network(photos)
        estimate_statistics(network.backbone, [photos])
        torch.testing.assert_close(network(photos), before, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(network.backbone.bn1.running_var, torch.ones(1))


def test_starting_weights_are_loaded_from_every_format(tmp_path: Path) -> None:
    source = Network(NetworkSettings("mobilenetv3_small_050", embedding=8), heads={}).backbone
    state = source.state_dict()
    np.savez(tmp_path / "w.npz", **{f"net.{name}": tensor.numpy() for name, tensor in state.items()})
    table = "\n".join(["theirs,ours", *(f"net.{name},{name}" for name in state)])
    (tmp_path / "names.csv").write_text(table, encoding="utf-8")
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    for file, names in (("w.npz", "names.csv"), ("w.pth", "")):
        settings = NetworkSettings("mobilenetv3_small_050", embedding=8, init=file, init_names=names)
        network = Network(settings, heads={})
        assert load_pretrained(network, folder=tmp_path, classes={}).true_statistics
        assert torch.equal(network.backbone.conv_stem.weight, state["conv_stem.weight"])
    unnamed = Network(NetworkSettings("mobilenetv3_small_050", init="w.npz"), heads={})
    with pytest.raises(ModelError, match="does not fit"):
        load_pretrained(unnamed, folder=tmp_path, classes={})


def test_a_file_that_holds_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": Path}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match="not a file of plain tensors"):
        read_tensors(tmp_path / "evil.pth")


def test_what_a_photo_on_white_shows() -> None:
    photo = Image.new("RGB", (60, 80), "white")
    photo.paste((200, 30, 30), (20, 20, 40, 60))
    photo.paste((255, 255, 255), (25, 30, 35, 40))  # white inside the garment stays with it
    mask = foreground(photo)
    assert mask is not None and mask.sum() == 20 * 40
    assert foreground(Image.new("RGB", (60, 80), "grey")) is None
    assert foreground(Image.new("RGB", (60, 80), "white")) is None


def test_batches_are_the_same_in_other_processes(config: Path) -> None:
    training_data = TrainingData(load_settings(config), base=config.parent)
    training_data.show_for(training_data.settings.stage[0])
    readable = ReadablePhotos(training_data.photos)
    batches = [[View(0, 1), View(1, 2)], [View(2, 3), View(3, 4)]]
    here = list(DataLoader(readable, batch_sampler=batches, num_workers=0))
    there = list(DataLoader(readable, batch_sampler=batches, num_workers=1))
    for (ours, *_), (theirs, *_) in zip(here, there, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("kind", "within"), [("whole", 1e-3), ("half", 0.02)])
def test_an_exported_file_is_a_start_for_training(
    trained: Path, request: pytest.FixtureRequest, kind: str, within: float
) -> None:
    exported: lookalike.Exported = request.getfixturevalue(kind)
    source = load_checkpoint(trained).network.eval()
    network = Network(replace(source.settings, init=exported.file.name), heads={})
    assert not load_pretrained(network, folder=exported.file.parent, classes={}).true_statistics
    photos = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs, ours = source.maps(photos), network.eval().maps(photos)
    torch.testing.assert_close(ours, theirs, atol=within * float(theirs.abs().max()), rtol=0.0)


def test_the_shipped_model_is_a_start_for_training() -> None:
    network = Network(NetworkSettings("mobilenetv2_100", init="default", embedding=8), heads={})
    load_pretrained(network, folder=Path(), classes={})
    weights = read_tensors(SHIPPED_MODEL)
    stem = network.backbone.get_parameter("conv_stem.weight")
    torch.testing.assert_close(stem.data, weights["network.backbone.conv_stem.weight"])
    whole = Network(NetworkSettings("mobilenetv2_100", init="default", embedding=256), heads={})
    load_pretrained(whole, folder=Path(), classes={})
    torch.testing.assert_close(whole.embedding.weight.data, weights["network.embedding.weight"].float())
    with pytest.raises(ModelError, match="does not fit mobilenetv3_small_050"):
        other = Network(NetworkSettings("mobilenetv3_small_050", init="default"), heads={})
        load_pretrained(other, folder=Path(), classes={})


def test_a_table_that_is_not_utf_8_is_learnt_from(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_bytes("image,colour\na.jpg,weiß\n".encode("cp1252"))
    (read,) = read_splits(DataSettings("shop.csv", encoding="cp1252"), folder=tmp_path)["train"].items
    assert read.attributes == {"colour": "weiß"}
    with pytest.raises(CatalogueError, match=r"shop\.csv:2: the table is not UTF-8 text"):
        read_splits(DataSettings("shop.csv"), folder=tmp_path)
