"""Style of plots, and a context that makes and writes one; matplotlib is imported with the first plot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from lookalike.errors import MissingExtraError
from lookalike.storage.files import not_written, write_whole

INK, QUIET, HAIRLINE, PAPER = "#1c1e22", "#686c74", "#dedcd9", "#ffffff"
LINE: Final = "#2a5d8f"
"""Colour of bars and curves."""

GROUPS: Final = (
    *("#2a5d8f", "#c4402a", "#3f8f5f", "#d99a2b", "#7a559e"),
    *("#1fa3a3", "#b5548a", "#8a6d3b", "#5b7fd6", "#7d9a2c"),
)
"""Colours of ten groups, which differ in lightness too."""

OTHERS: Final = "#c9c7c2"
"""Colour of points without a group."""

DOTS_PER_INCH: Final = 144
STYLE: Final[Any] = {
    "font.size": 10,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": HAIRLINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
}


@contextmanager
def plot(path: Path, *, columns: int = 1, size: tuple[float, float]) -> Iterator[Any]:
    """Context with the axes of a plot, which is written at the end.

    Args:
        path: A .png file.
        columns: Number of plots side by side; for more than one, the context has an array of axes.
        size: Width and height in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: The file cannot be written.
        LookalikeError: The disk is full, damaged or read-only.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "matplotlib":
            raise
        raise MissingExtraError("drawing the plots of a report", "evaluate") from error
    with rc_context(STYLE):
        figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure.subplots(1, columns)
        encoded = BytesIO()
        figure.savefig(encoded, format=path.suffix.removeprefix("."))
    try:
        write_whole(path, encoded.getvalue())
    except OSError as error:
        raise not_written(path, "the picture", error) from None
