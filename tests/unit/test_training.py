"""Training on the drawn sample, small: learns, stops and goes on exactly, and exports what it learnt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from lookalike.catalogue.drawn import write_drawn
from lookalike.errors import ConfigError, ModelError, UnknownNameError
from lookalike.models.checkpoint import load_checkpoint
from lookalike.models.export import export_onnx
from lookalike.models.initial import estimate_statistics, read_tensors
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.starting import start_network
from lookalike.training import loop
from lookalike.training.augmentation import foreground
from lookalike.training.sampling import ProductSampler, products_by_share

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "tiny"
products = 6
photos = 2
workers = 0
save_every = 2
[network]
backbone = "mobilenetv3_small_050"
embedding = 16
[input]
height = 64
width = 48
[[data]]
source = "sample/catalogue.csv"
heads = { type = 1.0, colour = 0.5 }
grades = ["type", "colour"]
dev_photos = 8
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
    return loop.train(config, out=config.parent / "run")


def losses(run: Path) -> list[dict[str, float]]:
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry["dev"] for entry in map(json.loads, lines) if "dev" in entry]


def test_a_run_leaves_all_that_made_it(trained: Path) -> None:
    left = {path.name for path in trained.parent.iterdir()}
    assert {"best.safetensors", "last.safetensors", "settings.json", "environment.json", "log.jsonl"} <= left
    assert any((trained.parent / "tensorboard").iterdir())
    assert len(losses(trained.parent)) == 2


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    config: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, steps = config.parent / "stopped", 0
    step = loop.Run._step

    def stop_at_fifth(self: loop.Run, *args: object) -> dict[str, float]:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt
        return step(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(loop.Run, "_step", stop_at_fifth)
    with pytest.raises(KeyboardInterrupt):
        loop.train(config, out=folder)
    monkeypatch.undo()
    resumed = loop.train(config, resume=folder)
    ours, theirs = read_tensors(folder / "last.safetensors"), read_tensors(trained.parent / "last.safetensors")
    assert resumed.is_file()
    for name, tensor in theirs.items():
        assert torch.allclose(ours[name].float(), tensor.float(), atol=1e-5), name


def test_a_run_folder_is_not_overwritten_nor_mixed(config: Path, trained: Path) -> None:
    with pytest.raises(ConfigError, match="holds a run already"):
        loop.train(config, out=trained.parent)
    with pytest.raises(ConfigError, match="other settings"):
        loop.train(config, overrides=["seed=7"], resume=trained.parent)
    with pytest.raises(ConfigError, match="not a run folder"):
        loop.train(config, resume=config.parent)


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("network.backbone=resnet51", ConfigError, "resnet51"),
        ("loss.metric=TripletMarginLos", UnknownNameError, "TripletMarginLoss"),
        ("loss.arguments={margn=1.0}", ConfigError, "margn"),
        ("network.init=none.npz", ModelError, "no such file"),
        ("products=1", ConfigError, "products >= 2"),
    ],
)
def test_wrong_settings_are_refused(
    config: Path, tmp_path: Path, override: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        loop.train(config, overrides=[override], out=tmp_path / "run")


def test_the_exported_file_gives_the_checkpoints_embeddings(trained: Path, tmp_path: Path, config: Path) -> None:
    photos = str(config.parent / "sample")
    assert export_onnx(trained, tmp_path / "tiny.onnx", calibrate=photos) >= 0.9999
    session = onnxruntime.InferenceSession(str(tmp_path / "tiny.onnx"))
    checkpoint = load_checkpoint(trained)
    pixels = np.random.default_rng(0).standard_normal((3, 3, 64, 48)).astype(np.float32)
    ours = session.run(None, {"photos": pixels})[0]
    with torch.no_grad():
        theirs = checkpoint.network(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["lookalike.fingerprint"] == checkpoint.fingerprint
    assert metadata["lookalike.preprocessing"] == checkpoint.preprocessing.to_json()


def test_the_int8_file_is_another_model_that_agrees_nearly(trained: Path, tmp_path: Path, config: Path) -> None:
    least = export_onnx(trained, tmp_path / "int8.onnx", int8=True, calibrate=str(config.parent / "sample"))
    assert least > 0.8
    session = onnxruntime.InferenceSession(str(tmp_path / "int8.onnx"))
    fingerprint = session.get_modelmeta().custom_metadata_map["lookalike.fingerprint"]
    assert fingerprint != load_checkpoint(trained).fingerprint


def test_sampling_is_the_same_wherever_it_is_taken_up_and_fair() -> None:
    products = np.array([0, 0, 0, 1, 2, 2, 3, 4, 5])
    origin = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])

    def sampler(start: int) -> ProductSampler:
        return ProductSampler(products, origin, counts=[2, 1], photos=2, steps=9, start=start, seed=3)

    batches = list(sampler(0))
    assert list(sampler(4)) == batches[4:]
    counts = np.bincount([products[place] for batch in batches for place, _ in batch])
    assert counts.tolist() == [12, 12, 12, 6, 6, 6]  # two photos each of 9 x 2 and 9 x 1 products
    assert all(sum(origin[place] == 1 for place, _ in batch) == 2 for batch in batches)
    assert all(len({seed for _, seed in batch}) == 6 for batch in batches)


def test_products_are_divided_by_share() -> None:
    assert products_by_share([0.8, 0.2], 64) == [51, 13]
    assert products_by_share([1.0, 0.001], 10) == [9, 1]
    assert sum(products_by_share([1.0, 1.0, 1.0], 64)) == 64


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
        assert start_network(network, folder=tmp_path, classes={}).true_statistics
        assert torch.equal(network.backbone.conv_stem.weight, state["conv_stem.weight"])
    unnamed = Network(NetworkSettings("mobilenetv3_small_050", init="w.npz"), heads={})
    with pytest.raises(ModelError, match="does not fit"):
        start_network(unnamed, folder=tmp_path, classes={})


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


def test_batches_are_the_same_in_other_processes(config: Path, tmp_path: Path) -> None:
    run = loop.Run(loop.load_settings(config), base=config.parent, folder=tmp_path / "run", resumed=False)
    run.photos.show_as(loop.Augmentation(run.settings.augmentation, size=(64, 48), backgrounds=[]), run.preprocessing)
    batches = [[(0, 1), (1, 2)], [(2, 3), (3, 4)]]
    here = list(DataLoader(run.photos, batch_sampler=batches, num_workers=0))
    there = list(DataLoader(run.photos, batch_sampler=batches, num_workers=1))
    for (ours, _), (theirs, _) in zip(here, there, strict=True):
        assert torch.equal(ours, theirs)
