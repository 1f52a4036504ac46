"""int8 files: calibrated with photos of the user, measured on others, refused where too much is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import lookalike
from lookalike.catalogue.opening import open_catalogue
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.cli import main
from lookalike.images import open_image
from lookalike.models.checkpoint import load_checkpoint, save_checkpoint
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.quantization import _drawn, kept_neighbours, sample_photos
from lookalike.types import Item

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

STEPS = Preprocessing(48, 48)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn catalogue of 40 photos, one of them unreadable, and a checkpoint beside it."""
    folder = tmp_path_factory.mktemp("shop")
    write_drawn(folder / "sample", products=20, photos=2)
    torch.manual_seed(0)
    network = Network(NetworkSettings("test_resnet", embedding=16), heads={}).eval()
    save_checkpoint(folder / "tiny.safetensors", network, preprocessing=STEPS, name="tiny", classes={})
    return folder


def test_kept_neighbours_are_those_that_both_find() -> None:
    random = np.random.default_rng(0)
    exact, coarse = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in random.normal(size=(2, 9, 4)))
    shares = []
    for query in range(9):
        found = []
        for rows in (exact, coarse):
            others = [other for other in range(9) if other != query]
            found.append(set(sorted(others, key=lambda other: -float(rows[query] @ rows[other]))[:3]))
        shares.append(len(found[0] & found[1]) / 3)
    assert kept_neighbours(exact, coarse, 3) == pytest.approx(np.mean(shares))
    assert kept_neighbours(exact, exact, 3) == 1.0


def test_photos_are_drawn_from_the_whole_catalogue() -> None:
    items = [Item(str(number), f"{number}.jpg") for number in range(1000)]
    times = np.zeros(1000)
    drawn = _drawn(items, 300)
    assert drawn == _drawn(iter(items), 300) and len({item.id for item in drawn}) == 300
    for item in drawn:
        times[int(item.id)] += 1
    assert all(20 < part.sum() < 40 for part in np.split(times, 10)), "about 30 of each hundred"
    assert {item.id for item in _drawn(items[:5], 300)} == set("01234")


def test_unreadable_photos_are_passed_over(shop: Path, tmp_path: Path) -> None:
    items = list(open_catalogue(str(shop / "sample" / "catalogue.csv")).items())
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    broken = [Item(f"b{number}", str(tmp_path / "broken.jpg")) for number in range(2)]
    sample = sample_photos([*items, *broken], STEPS, source="shop")
    readable = [item for item in sample.others if sample.opened(item) is not None]
    assert len(sample.calibration) == 20, "half of 41 different photos"
    assert len(sample.calibration) + len(readable) == 40
    pixels = {photo.tobytes() for photo in sample.calibration}
    measured = {STEPS(open_image(item, at_least=48)).tobytes() for item in readable}
    assert not pixels & measured and len(pixels | measured) == 40
    with pytest.raises(lookalike.UsageError, match="expected at least 24 that can be read, got 10"):
        sample_photos(items[:10], STEPS, source="shop")


def test_the_command_says_what_int8_costs(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, source, made = shop / "tiny.safetensors", shop / "sample" / "catalogue.csv", tmp_path / "int8.onnx"
    assert main(["export", str(checkpoint), "--onnx", str(made), "--int8", "--calibrate", str(source)]) == 0
    out, err = capsys.readouterr()
    items = list(open_catalogue(str(source)).items())
    sample = sample_photos(items, STEPS, source="shop")
    photos = np.stack([STEPS(open_image(item, at_least=48)) for item in sample.others])
    network = load_checkpoint(checkpoint).network
    with torch.no_grad():
        exact = network(torch.from_numpy(photos)).numpy()
    session: Any = onnxruntime.InferenceSession(str(made))
    coarse = session.run(["embedding"], {"photos": photos})[0]
    coarse /= np.linalg.norm(coarse, axis=1, keepdims=True)
    kept, cosines = kept_neighbours(exact, coarse, 10), (exact * coarse).sum(axis=1)
    assert f"calibrated with 20 photos of {source}; on 20 others it keeps {kept:.1%} of the 10 nearest" in out
    assert f"mean cosine {cosines.mean():.4f}" in out
    least = re.search(r"least cosine to the checkpoint's own embeddings: ([\d.]+)", out)
    assert least is not None and float(least[1]) == pytest.approx(cosines.min(), abs=2e-6)  # of those others, too
    assert ("warning: int8 changes" in err) == (kept < 0.9)


def test_int8_wants_photos_and_keeps_neighbours(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, made = shop / "tiny.safetensors", tmp_path / "int8.onnx"
    with pytest.raises(lookalike.UsageError, match=r"int8 is calibrated with your photos: .* --calibrate drawn takes"):
        lookalike.export(checkpoint, made, int8=True)
    monkeypatch.setattr("lookalike.models.quantization.LEAST_KEPT", 1.1)
    with pytest.raises(lookalike.LookalikeError, match="this network loses too much by 8-bit integers, take --half"):
        lookalike.export(checkpoint, made, int8=True, calibrate=shop / "sample")
    assert not [*tmp_path.iterdir()]
