"""Map of a gallery: a t-SNE layout of its vectors, as points and as photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from lookalike.errors import MissingExtraError
from lookalike.evaluation.metrics import Float64
from lookalike.render.plots import GROUPS, OTHERS, plot
from lookalike.render.saving import save_image
from lookalike.render.thumbnails import item_thumbnail
from lookalike.types import Float32, Item

MOST_POINTS: Final = 2000
FEWEST_POINTS: Final = 5
CELLS: Final = 22
"""Columns and rows of the grid of the photo map; each cell shows one photo."""

THUMBNAIL: Final = (64, 64)


def chosen_points(count: int, *, seed: int = 0) -> list[int]:
    """Choose the photos on the map: all of them, or a random sample, in order."""
    if count <= MOST_POINTS:
        return list(range(count))
    return sorted(np.random.default_rng(seed).choice(count, MOST_POINTS, replace=False).tolist())


def flattened(rows: Float32, *, seed: int = 0) -> Float64:
    """Lay vectors out in the plane by t-SNE of their cosines, scaled to [0, 1] on both axes.

    Args:
        rows: (N, D) float32 unit vectors, N at least 5.
        seed: Seed of the layout.

    Returns:
        (N, 2) float64. Only near neighbours are meaningful; distances and sizes of groups are not.

    Raises:
        MissingExtraError: scikit-learn is not installed.

    Source: van der Maaten and Hinton 2008, Visualizing Data using t-SNE.
    """
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "sklearn":
            raise
        raise MissingExtraError("drawing the map of a gallery", "evaluate") from error
    few = min(50, *rows.shape)
    # Cosines of unit rows order pairs as Euclidean distances do, and principal components keep those.
    main = PCA(few, random_state=seed).fit_transform(rows)
    perplexity = min(30.0, (len(rows) - 1) / 3)
    with threadpool_limits(limits=1):  # deterministic, and faster on a busy machine
        places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(main).astype(np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    scaled: Float64 = (places - low) / np.maximum(high - low, 1e-9)
    return scaled


def draw_map(path: Path, places: Float64, *, labels: Sequence[str], by: str) -> None:
    """Draw a point for each photo, coloured by group.

    Args:
        path: A .png file.
        places: (N, 2) in [0, 1].
        labels: Group of each photo; the ten most frequent groups have their own colours.
        by: Attribute of the groups; empty for none.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: The file cannot be written.
    """
    frequent = [name for name, _ in Counter(labels).most_common(len(GROUPS))]
    groups = np.array([frequent.index(label) if label in frequent else -1 for label in labels])
    with plot(path, size=(9.2, 7.2)) as axes:
        for group in [*range(len(frequent)), -1]:
            chosen = places[groups == group]
            name = "others" if group < 0 else frequent[group]
            color = OTHERS if group < 0 else GROUPS[group]
            if len(chosen):
                axes.scatter(
                    chosen[:, 0],
                    chosen[:, 1],
                    s=15,
                    color=color,
                    linewidths=0,
                    zorder=2 + (group >= 0),
                    label=f"{name} ({len(chosen)})",
                )
        axes.set(
            xticks=[],
            yticks=[],
            title=f"{len(labels):,} photos, similar ones close together" + (f", by {by}" if by else ""),
        )
        axes.spines[:].set_visible(False)
        axes.grid(visible=False)
        if by:
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, markerscale=1.8, fontsize=9)


def draw_photo_map(path: Path, places: Float64, items: Sequence[Item]) -> int:
    """Draw photos at their places, one for each cell of the grid; an unreadable photo gives way to another one.

    Args:
        path: A .png file.
        places: (N, 2) in [0, 1].
        items: N photos.

    Returns:
        Number of photos drawn.

    Raises:
        UsageError: The file cannot be written.
    """
    side = THUMBNAIL[0] * CELLS
    picture = Image.new("RGB", (side, side), "white")
    cells = np.minimum((places * CELLS).astype(int), CELLS - 1)
    centres = (cells + 0.5) / CELLS
    order = np.argsort(((places - centres) ** 2).sum(axis=1), kind="stable")
    taken: set[tuple[int, int]] = set()
    for place in order.tolist():
        column, row = (int(cell) for cell in cells[place])
        if (column, row) in taken:
            continue
        shown = item_thumbnail(items[place], items[place].box, size=(THUMBNAIL[0] - 4, THUMBNAIL[1] - 4)).image
        if shown is None:
            continue
        taken.add((column, row))
        x = column * THUMBNAIL[0] + (THUMBNAIL[0] - shown.width) // 2
        y = (CELLS - 1 - row) * THUMBNAIL[1] + (THUMBNAIL[1] - shown.height) // 2
        picture.paste(shown, (x, y))
    save_image(picture, path)
    return len(taken)
