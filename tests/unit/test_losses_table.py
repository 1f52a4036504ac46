"""The rows of bench/losses.py, and its tables: means, intervals and differences by resampled families and seeds."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.models.default_model import SHIPPED_MODEL
from lookalike.training.settings.run_settings import load_settings
from tiny_clip import drawn_photos

ROOT = Path(__file__).parents[2]
FAMILIES, QUERIES = 12, 6


CHANGES: dict[str, dict[str, Any]] = {
    "SupCon": {},
    "multi-similarity, its miner": {"loss.0.name": "MultiSimilarityLoss", "loss.0.miner": "MultiSimilarityMiner"},
    "triplet, batch-hard": {"loss.0.name": "TripletMarginLoss", "loss.0.miner": "BatchHardMiner"},
    "triplet, semihard": {"loss.0.miner": "TripletMarginMiner", "loss.0.miner_arguments.type_of_triplets": "semihard"},
    "Proxy-Anchor": {"loss.0.name": "ProxyAnchorLoss"},
    "ArcFace": {"loss.0.name": "ArcFaceLoss"},
    "contrastive": {"loss.0.name": "ContrastiveLoss", "loss.0.memory": 0},
    "contrastive, memory of 512": {"loss.0.name": "ContrastiveLoss", "loss.0.memory": 512},
    "normalised softmax": {"loss.0.name": "NormalizedSoftmaxLoss"},
    "NT-Xent": {"loss.0.name": "NTXentLoss"},
    "SupCon, memory of 512": {"loss.0.name": "SupConLoss", "loss.0.memory": 512},
    "input 128 x 96": {"input.height": 128, "input.width": 96},
    "input 64 x 48": {"input.height": 64, "input.width": 48},
    "hard negatives": {
        "hard_negatives.every": 1,
        "hard_negatives.group": 4,
        "epoch_photos": 800,
        "stage.0.epochs": 4,
    },
    "default model, not trained": {},
    "default model at 96 x 72, not trained": {},
    "32 products of 2": {"products": 32, "photos": 2},
    "10 products of 6": {"products": 10, "photos": 6, "epoch_photos": 3000},
    "random weights": {"network.init": "", "stage.0.freeze": ()},
    "200 steps": {"epoch_photos": 12800},
    "embedding of 64": {"network.embedding": 64},
}
"""What each row changes in the settings of the baseline, and to what."""


def load_program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "bench" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and other programs look
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    return load_program("losses_table")


@pytest.fixture(scope="module")
def program(tables: ModuleType) -> ModuleType:
    return load_program("losses")


def setting(settings: Any, path: str) -> Any:
    for part in path.split("."):
        if part.isdigit():
            settings = settings[int(part)]
        else:
            settings = settings[part] if isinstance(settings, dict) else getattr(settings, part)
    return settings


def test_each_row_changes_what_its_name_says(program: ModuleType) -> None:
    base = load_settings(program.BASE)
    assert {row.name for row in program.ROWS} == set(CHANGES) and len(program.ROWS) == len(CHANGES)
    given = set()
    for row in program.ROWS:
        settings = load_settings(program.BASE, overrides=row.settings)
        for path, value in CHANGES[row.name].items():
            assert setting(settings, path) == value, (row.name, path)
        fields = {name for name in base.__dataclass_fields__ if getattr(settings, name) != getattr(base, name)}
        assert fields == {path.split(".")[0] for path in CHANGES[row.name]}, row.name
        if not row.untrained:
            assert repr(settings) not in given, row.name
            given.add(repr(settings))
    hard = load_settings(
        program.BASE, overrides=next(row.settings for row in program.ROWS if row.name == "hard negatives")
    )
    assert hard.epoch_photos * hard.stage[0].epochs == base.epoch_photos * base.stage[0].epochs


def test_the_default_model_at_another_size(program: ModuleType, tmp_path: Path) -> None:
    """At its own size its embeddings are the same; at another they are of unit length, and near those."""
    photos = drawn_photos()[:2]
    rows = {}
    for name, size in (("own", ()), ("small", (96, 72))):
        program.write_default(tmp_path / name, size=size)
        rows[name] = PhotoEmbedder(open_network(tmp_path / name)).embed(photos)["deep"]
    own = PhotoEmbedder(open_network(SHIPPED_MODEL)).embed(photos)["deep"]
    assert np.array_equal(rows["own"], own)
    assert np.linalg.norm(rows["small"], axis=1) == pytest.approx(1, abs=1e-3)
    assert np.all((rows["small"] * own).sum(axis=1) < 0.999)


def test_runs_with_equal_values_are_refused(program: ModuleType, tmp_path: Path) -> None:
    hits = [np.random.default_rng(seed).random((FAMILIES, QUERIES)) < 0.5 for seed in range(2)]
    write_row(tmp_path / "one", seeds=hits)
    write_row(tmp_path / "other", seeds=[~hits[0]])
    for path in sorted(tmp_path.glob("*/*/test.csv")):
        program.refuse_equal(path)
    write_row(tmp_path / "third", seeds=[hits[1]])
    with pytest.raises(ValueError, match=r"has the values of .*one.*the settings of one of the two change nothing"):
        program.refuse_equal(tmp_path / "third" / "0.001-0" / "test.csv")


def write_row(folder: Path, *, seeds: list[np.ndarray]) -> None:
    """Write a row whose seeds have these hits, (FAMILIES, QUERIES)."""
    for number, hits in enumerate(seeds):
        place = folder / f"0.001-{number}"
        place.mkdir(parents=True)
        with (place / "test.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["query", "product", "family", "detail", "covered", "hit_rate@1", "map@r", "right_family"])
            for family in range(FAMILIES):
                for query in range(QUERIES):
                    detail, hit = "badge" if query % 2 else "none", float(hits[family, query])
                    writer.writerow([f"q{family}-{query}", "p", f"f{family:02}", detail, "0.00", hit, hit / 2, 1])
        (place / "run.json").write_text(json.dumps({"dev": 0.3, "cpu_seconds": 30.0 + number}))
    (folder / "rate.json").write_text(json.dumps({"rate": 0.001, "dev": {"0.001": 0.3, "0.003": 0.2}}))


def test_values_of_a_page(tables: ModuleType, tmp_path: Path) -> None:
    """A row as good as the baseline has a difference around 0; one that is always right an asterisk."""
    random = np.random.default_rng(0)
    base = [random.random((FAMILIES, QUERIES)) < 0.5 for _ in range(3)]
    write_row(tmp_path / "base", seeds=base)
    write_row(tmp_path / "same", seeds=base)
    write_row(tmp_path / "right", seeds=[np.ones((FAMILIES, QUERIES))] * 2)
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n<!-- one: written by bench/losses.py -->\n<!-- end -->\n\nkept\n")
    rows = [("base", "one"), ("same", "one"), ("right", "one"), ("not begun", "one")]
    for _ in range(2):  # the second time replaces what the first wrote
        tables.show(tmp_path, rows, baseline="base", page=page, figure=None)
    text = page.read_text()
    assert text.startswith("# A page\n") and text.endswith("kept\n")
    cells = {
        line.split("|")[1].strip(): [one.strip() for one in line.split("|")[2:-1]] for line in text.splitlines()[4:-4]
    }
    hit = np.mean(base)
    spread = np.std([seed.mean() for seed in base], ddof=1)
    assert cells["base"][:2] == ["3", f"**{100 * hit:.1f}**"]
    assert cells["base"][3:6] == [f"{100 * spread:.1f}", f"{50 * hit:.1f}", "100.0"]
    assert cells["base"][6:] == ["", "31 s"]
    low, high = map(float, cells["base"][2].split(" to "))
    assert low < 100 * hit < high < low + 40
    assert cells["same"][6].startswith("+0.0 (-") and not cells["same"][6].endswith("*")
    assert cells["right"][1:4] == ["**100.0**", "100.0 to 100.0", "0.0"] and cells["right"][6].endswith("*")
    assert cells["right"][6].startswith(f"{100 * (1 - hit):+.1f} (")
    assert "not begun" not in text


def test_intervals_resample_families_and_seeds(tables: ModuleType, tmp_path: Path) -> None:
    """The width is that of a mean over families plus that of a mean over seeds, as their variances add up."""
    family = np.random.default_rng(1).random(FAMILIES)
    seeds = [np.repeat((0.6 * family + shift)[:, None], QUERIES, axis=1) for shift in (0.0, 0.1, 0.3)]
    write_row(tmp_path / "row", seeds=seeds)
    row = tables.read(tmp_path / "row")
    random = np.random.default_rng(0)
    times = random.multinomial(FAMILIES, np.full(FAMILIES, 1 / FAMILIES), size=tables.DRAWS).astype(float)
    members = np.unique(row.families, return_inverse=True)[1]
    drawn = tables.drawn_means(row, times, members, random)[:, 0]
    by_seed = np.var([0.0, 0.1, 0.3], ddof=1) / 3
    by_family = np.var(0.6 * family) / FAMILIES
    assert drawn.var() == pytest.approx(by_seed + by_family, rel=0.1)
    assert drawn.mean() == pytest.approx(np.mean(seeds), abs=0.01)


def test_the_page_has_all_tables() -> None:
    text = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    marks = re.findall(r"<!-- (\w+): written by bench/losses.py -->\n(.*?)<!-- end -->", text, flags=re.DOTALL)
    assert [name for name, _ in marks] == ["losses", "others", "details", "rates"]
    assert all(body.count("\n|") >= 3 for _, body in marks)
