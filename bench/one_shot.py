"""Benchmark of a search in a new process, `lookalike search`, against the original system and importing PyTorch."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from lookalike.benchmarking.report import BenchmarkReport, Row
from lookalike.benchmarking.searching import ROWS
from lookalike.benchmarking.timing import TimedCall, time_in_turns
from lookalike.catalogue.sample.drawn import changed_photo, make_products
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.images import open_image
from lookalike.spaces import unit_rows
from lookalike.types import Float32, Item
from original_network import make_network

RUNS = 10
BATCH = 4096
ANSWERS = 5
LOOKALIKE = Path(sys.executable).with_name("lookalike")
PEER = Path(__file__).with_name("original_one_shot.py")


def rows_of(random: np.random.Generator, count: int, dimension: int) -> Float32:
    """Draw unit vectors around a thousand centres; their values do not affect the start-up time."""
    centres = random.standard_normal((1000, dimension), dtype=np.float32)
    near = np.float32(0.5) * random.standard_normal((count, dimension), dtype=np.float32)
    return unit_rows(centres[random.integers(1000, size=count)] + near)


def write_ours(gallery: Path, photo: Path, *, rows: int) -> None:
    """Fill a gallery with `rows` items; the last one is the photo itself."""
    embedder = PhotoEmbedder(open_network())
    random = np.random.default_rng(0)
    vectors = {space.name: rows_of(random, rows, space.dimension) for space in embedder.spaces}
    for name, row in embedder.embed([open_image(photo)]).items():
        vectors[name][-1] = row
    with LocalGallery(gallery, create=True) as shop:
        for start in range(0, rows, BATCH):
            end = min(start + BATCH, rows)
            items = [Item(id=str(number), photo=f"{number}.jpg") for number in range(start, end)]
            shop.add(items, {name: made[start:end] for name, made in vectors.items()}, spaces=embedder.spaces)
        shop.optimise()
        shop.search({name: made[-1:] for name, made in vectors.items()}, SearchRequest())


def write_original(folder: Path, *, rows: int) -> None:
    """Write `rows` features, and a model, in the original's file formats."""
    random = np.random.default_rng(0)
    np.save(folder / "all_feat.npy", rows_of(random, rows, 512))
    np.save(folder / "all_color_feat.npy", rows_of(random, rows, 30))
    (folder / "all_feat.list").write_text("".join(f"{number}.jpg\n" for number in range(rows)), encoding="utf-8")
    torch.save(make_network().state_dict(), folder / "model.pth.tar")


def measure(*, rows: int) -> BenchmarkReport:
    """Time both by turns, each call in a new process."""
    report = BenchmarkReport([])
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as name:
        folder = Path(name)
        photo = folder / "query.jpg"
        changed_photo(make_products(1)[0]).save(photo, quality=95)
        write_ours(folder / "gallery", photo, rows=rows)
        write_original(folder, rows=rows)
        search = [
            str(LOOKALIKE),
            "search",
            str(photo),
            "--gallery",
            str(folder / "gallery"),
            "-k",
            str(ANSWERS),
            "--json",
        ]
        original = [sys.executable, str(PEER), str(photo), str(folder)]

        answer = json.loads(run(search))
        found = answer["matches"][0]
        if found["id"] != str(rows - 1) or len(answer["matches"]) != ANSWERS:
            raise SystemExit(f"the photo itself was not found: {found}")
        if len(run(original).splitlines()) != ANSWERS:
            raise SystemExit("the original system gave no answers")
        importing = [sys.executable, "-c", "import torch, torchvision"]
        ours, theirs, imports = (
            TimedCall(lambda _, command=command: run(command), RUNS) for command in (search, original, importing)
        )
        time_in_turns(ours, theirs, imports, rounds=RUNS // 2)
    what = f"a photo in a new process, `lookalike search`, default model, {rows:,} rows"
    peer = "original on today's PyTorch, ResNet-50"
    report.rows.append(Row(what, "10x", ours.timing, peer, theirs.timing))
    report.rows.append(Row(what, "5x", ours.timing, "importing PyTorch and torchvision", imports.timing))
    return report


def run(command: list[str]) -> str:
    """Run a command, and return its output."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="photos in the gallery")
    parser.add_argument("--json", type=Path, help="file for all figures")
    asked = parser.parse_args()
    report = measure(rows=asked.rows)
    print(report.to_markdown())
    if asked.json:
        asked.json.write_text(json.dumps(report.to_json(), indent=1), encoding="utf-8")
