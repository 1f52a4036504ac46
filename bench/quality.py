"""Compare the retrieval quality of models, colour and simple baselines on the dev splits of a training file.

    python bench/quality.py CONFIG.toml default other.onnx

Prints a Markdown table. All rows are measured by the same code in the same run, on all dev photos.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.catalogue.opening import open_catalogue
from lookalike.embedding.color import Color
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.spaces import DEFAULT_WEIGHTS, unit_rows
from lookalike.training.data.dataset import read_splits
from lookalike.training.data.training_data import dev_changes
from lookalike.training.run.dev_measure import Describe, Described, measure
from lookalike.training.run.dev_splits import measured_splits
from lookalike.training.settings.run_settings import load_settings
from lookalike.types import Float32


def pixels(photos: Sequence[Image.Image]) -> Float32:
    """Embed photos as 15 x 20 pixels, the baseline."""
    small = [np.asarray(photo.resize((15, 20), Image.Resampling.BOX), dtype=np.float32) for photo in photos]
    rows = np.stack(small).reshape(len(small), -1) - 127.5
    return unit_rows(rows)


def hsv_histogram(photos: Sequence[Image.Image]) -> Float32:
    """Embed photos as square roots of a histogram of 8 x 8 x 8 bins over the whole photo."""
    rows = []
    for photo in photos:
        values = np.asarray(photo.resize((96, 128)).convert("HSV")).reshape(-1, 3) // 32
        counts = np.bincount(values @ np.array([64, 8, 1]), minlength=512)
        rows.append(np.sqrt(counts.astype(np.float32)))
    return unit_rows(np.stack(rows))


def color(photos: Sequence[Image.Image]) -> Float32:
    """Embed photos in the space `color`."""
    describe = Color().embed
    return np.stack([describe(photo) for photo in photos])


Embed = Callable[[Sequence[Image.Image]], Float32]
"""Embeds B RGB photos as (B, D) float32 unit vectors."""

SHOWN = ("ndcg@10", "precision@1", "hit_rate@1", "map@r")
"""Metrics of the table, also of one grade or of changed photos."""


def with_vectors(embed: Embed) -> Describe:
    """Return what the dev measure calls, without class scores."""
    return lambda photos: Described(embed(photos))


def model(name: str, *, with_color: bool) -> Embed:
    """Return the embedding of a model in the space `deep`, or in both spaces with the default weights."""
    embedder = PhotoEmbedder(open_network(name))

    def describe(photos: Sequence[Image.Image]) -> Float32:
        rows = embedder.embed(photos)
        if not with_color:
            return rows["deep"]
        parts = [np.sqrt(np.float32(DEFAULT_WEIGHTS[space])) * rows[space] for space in ("deep", "color")]
        return unit_rows(np.concatenate(parts, axis=1))

    return describe


def main() -> None:
    """Measure everything, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("models", nargs="*", default=["default"])
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    base = arguments.config.parent
    dev = [
        read_splits(dataclasses.replace(data, dev_photos=0, heads={}, tags={}), folder=base)["dev"]
        for data in settings.data
    ]
    splits = measured_splits(dev, classes={}, tags={})
    given = settings.augmentation
    grounds = open_catalogue(str(base / given.backgrounds), columns=given.background_columns).items()
    backgrounds = [item.location for item in grounds if item.attributes.get("split") == "dev"]
    described: dict[str, Embed] = {"raw pixels, 15 x 20": pixels, "HSV histogram": hsv_histogram, "color": color}
    for name in arguments.models:
        described[f"{name}: deep"] = model(name, with_color=False)
        described[f"{name}: deep 1, color {DEFAULT_WEIGHTS['color']}"] = model(name, with_color=True)
    heading: list[str] = []
    for name, describe in described.items():
        changes = dev_changes(size=(240, 180), backgrounds=backgrounds)
        figures = measure(with_vectors(describe), splits, changes=changes, at_least=240).figures
        if not heading:
            heading = [key for key in figures if key.partition("/")[2].partition("[")[0] in SHOWN]
            print("| described by | " + " | ".join(heading) + " |\n|" + "---|" * (len(heading) + 1))
        print(f"| {name} | " + " | ".join(f"{figures[key]:.3f}" for key in heading) + " |", flush=True)


if __name__ == "__main__":
    main()
