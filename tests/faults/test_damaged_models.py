"""Damage of what models and training keep: checkpoints, saved states, models of others, settings.

What has a checksum is read as it was written or refused; of the rest, a try ends in one error of one line, or in
something of the right kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from test_damage import damage
from test_training_killed import SETTINGS

from fault_tries import Tries
from lookalike.errors import LookalikeError
from lookalike.models.checkpoint import load_checkpoint, save_checkpoint
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.weight_readers import read_tensors
from lookalike.training.run.run_folder import STATE, RunFolder
from lookalike.training.settings.run_settings import load_settings

Read = Callable[[Path], Any]


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        path: One that is sound.
        read: What the product reads of it, in a form that can be compared.
        summed: Whether it carries checksums, so that no other thing may be read of it.
    """

    path: Path
    read: Read
    summed: bool


def fingerprint(path: Path) -> object:
    loaded = load_checkpoint(path)
    return loaded.fingerprint, loaded.name, dict(loaded.classes)


def tensors(path: Path) -> object:
    return {name: tensor.tolist() for name, tensor in sorted(read_tensors(path).items())}


def state(path: Path) -> object:
    found = RunFolder(path.parent).read_state()
    assert found is not None
    return {**found, "weights": found["weights"].tolist()}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    network = Network(NetworkSettings("mobilenetv3_small_050", embedding=8), heads={"type": 3}).eval()
    checkpoint = folder / "tiny.safetensors"
    save_checkpoint(
        checkpoint, network, preprocessing=Preprocessing(32, 32), name="tiny", classes={"type": ["a", "b", "c"]}
    )
    numbers = {"backbone.0.weight": torch.randn(8, 8), "fc.bias": torch.randn(40)}
    torch.save(numbers, folder / "old.pth.tar", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": numbers}, folder / "new.pth")
    torch.save({"step": 3, "weights": torch.randn(500), "moments": {"a": [1.0, 2.0]}}, folder / STATE)
    (folder / "settings.toml").write_text(SETTINGS, encoding="utf-8")
    return {
        "checkpoint": Kind(checkpoint, fingerprint, summed=True),
        "state": Kind(folder / STATE, state, summed=True),
        "pth": Kind(folder / "new.pth", tensors, summed=True),
        "pth.tar": Kind(folder / "old.pth.tar", tensors, summed=False),
        "settings": Kind(folder / "settings.toml", load_settings, summed=False),
    }


@pytest.mark.parametrize("name", ["checkpoint", "state", "pth", "pth.tar", "settings"])
def test_damaged_files_of_models(name: str, kinds: dict[str, Kind], tmp_path: Path, tries: Tries, luck: Random) -> None:
    kind = kinds[name]
    expected, sound = kind.read(kind.path), kind.path.read_bytes()
    copy = tmp_path / kind.path.name
    faults = []
    for at in range(tries("damaged-models", short=25, long=2000)):
        copy.write_bytes(sound)
        done = damage(copy, luck)
        try:
            found = kind.read(copy)
        except LookalikeError as error:
            if "\n" in str(error):
                faults.append(f"{at}, {done}: more than a line: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the try found
            faults.append(f"{at}, {done}: {error!r}")
        else:
            if kind.summed and found != expected:
                faults.append(f"{at}, {done}: another thing was read")
    assert not faults, "\n".join([f"{len(faults)} faults", *faults[:10]])
