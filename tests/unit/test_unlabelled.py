"""Training without labels: what is measured, and that views of a photo come nearer to each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def test_a_folder_of_photos_is_enough(tmp_path: Path) -> None:
    photos = write_drawn(tmp_path / "sample", products=24, photos=1).parent / "photos"
    changes = [
        *("network.backbone=mobilenetv3_small_050", "network.init=", "network.embedding=16", "input.height=32"),
        *("input.width=32", "products=8", "workers=0", "measure_every=0", "augmentation.smallest_crop=0.8"),
        *(f"data.0.source={photos}", "stage.0.learning_rate=1e-2", "stage.0.backbone_rate=1e-2"),
    ]
    run = lookalike.train("unlabelled", overrides=changes, out=tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [line["loss"]["NTXentLoss"] for line in lines if "loss" in line]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    (figures,) = [line["dev"] for line in lines if "dev" in line]
    assert list(figures) == ["0/hit_rate@1[changed]"]
    assert run.figure == figures["0/hit_rate@1[changed]"]
