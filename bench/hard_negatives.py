"""Measure whether hard negatives help: equal short runs on drawn near-duplicates with and without them, over seeds.

    python bench/hard_negatives.py --products 90 --photos 4 --epochs 8 --seeds 3

Draws the benchmark `hard`, trains the default model on its training split in each way and with each seed, and searches
among its other photos. Prints a Markdown table: mean and standard deviation of the figures after the last step, the
similarity of what was mined last and that of all pairs, and the processor seconds of a run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

import lookalike
from lookalike.catalogue.sample.layouts.table import write_layout

SETTINGS = """
name = "run"
products = 12
photos = 2
workers = 0
[network]
backbone = "mobilenetv2_100"
init = "default"
embedding = 256
[input]
height = 80
width = 60
[[data]]
source = "sample/catalogue.csv"
dev = ["dev", "test"]
grades = ["product"]
[[loss]]
name = "SupConLoss"
arguments = { temperature = 0.1 }
[[stage]]
epochs = EPOCHS
learning_rate = 1e-3
backbone_rate = 1e-3
"""

FIGURES = ("0/map@r", "0/hit_rate@1")


def measured(folder: Path, *, seed: int, every: float, group: int) -> tuple[list[float], str, float]:
    """Figures of a run after its last step, similarities of its last mining as cells, and its processor seconds."""
    overrides = [f"seed={seed}", f"hard_negatives.every={every}", f"hard_negatives.group={group}"]
    out = folder / f"run-{every:g}-{group}-{seed}"
    began = time.process_time()
    lookalike.train(folder / "settings.toml", overrides=overrides, out=out)
    taken = time.process_time() - began
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    dev = [line["dev"] for line in lines if "dev" in line][-1]
    mined = [line["hard_negatives"] for line in lines if "hard_negatives" in line]
    similarities = f"{mined[-1]['similarity']:.2f} | {mined[-1]['overall']:.2f}" if mined else " | "
    return [dev[name] for name in FIGURES], similarities, taken


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=90)
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--groups", type=int, nargs="+", default=[4, 12], help="sizes of groups; a batch has 12 products"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_layout(folder / "sample", layout="hard", products=given.products, photos=given.photos)
        (folder / "settings.toml").write_text(SETTINGS.replace("EPOCHS", f"{given.epochs}"), encoding="utf-8")
        print("| batches | map@r | hit_rate@1 | mined | all pairs | processor seconds |\n|---|---|---|---|---|---|")
        for group in (0, *given.groups):
            words = f"groups of {group}" if group else "products by chance"
            runs = [
                measured(folder, seed=seed, every=float(group > 0), group=group or 4) for seed in range(given.seeds)
            ]
            figures = np.array([run[0] for run in runs])
            means, deviations = figures.mean(axis=0), figures.std(axis=0, ddof=1 if given.seeds > 1 else 0)
            cells = [f"{mean:.3f} ± {deviation:.3f}" for mean, deviation in zip(means, deviations, strict=True)]
            seconds = f"{np.mean([run[2] for run in runs]):.0f}"
            print(f"| {words} | {' | '.join(cells)} | {runs[-1][1]} | {seconds} |", flush=True)


if __name__ == "__main__":
    main()
