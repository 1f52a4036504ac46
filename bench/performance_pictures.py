"""The pictures of docs/performance.md, narrow enough for a phone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.render.plots import GROUPS, INK, plot
from performance_engines import OURS, Told, by_default, filtered_at_recall
from performance_goals import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 4.8
"""Width of all pictures in inches: letters are readable on a phone."""

MISSED = 1e-4
"""Smallest fraction of missed rows that the axis of recall shows; recall 1 is drawn there."""


def draw(figures: Figures, folder: Path) -> None:
    """Draw the pictures of the parts that were measured."""
    if peers := figures.get("peers"):
        _recall(peers, folder / "performance-recall.png")
        _filters(peers, folder / "performance-filters.png")
    if serving := figures.get("serving"):
        _serving(serving, folder / "performance-serving.png")


def _color(peers: Told, name: str) -> str:
    """Red for ours, and a colour of its own for each other engine."""
    others = [each for each in peers["engines"] if each != OURS]
    return GROUPS[1] if name == OURS else [GROUPS[0], *GROUPS[2:]][others.index(name)]


def _recall(peers: Told, path: Path) -> None:
    """Draw queries per second of a core against recall."""
    with plot(path, size=(WIDTH, 5.6)) as axes:
        for name, told in peers["engines"].items():
            found = [one for one in told.get("searched", []) if name != OURS or one["effort"]]
            if not found:
                continue
            x = [max(MISSED, 1 - one["recall"]) for one in found]
            y = [1000 / one["processor_ms"] for one in found]
            width = 2.8 if name == OURS else 1.5
            axes.plot(x, y, color=_color(peers, name), linewidth=width, marker="o", markersize=4.5, label=name)
        mine = by_default(peers)
        place = (max(MISSED, 1 - mine["recall"]), 1000 / mine["processor_ms"])
        axes.plot(*place, marker="*", color=_color(peers, OURS), markersize=15, markeredgecolor=INK, linestyle="none")
        axes.set(xscale="log", yscale="log", xlabel="recall@10 (star: Lookalike by default)")
        axes.set_xlim(0.3, MISSED * 0.8)
        axes.set_xticks([0.1, 0.01, 0.001, MISSED], [".9", ".99", ".999", "≥ .9999"])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_title("Queries a second of one core")
        axes.figure.legend(loc="outside lower center", ncols=2, frameon=False)


def _filters(peers: Told, path: Path) -> None:
    """Draw the time of new and of repeated filters, of engines with enough recall."""
    with plot(path, size=(WIDTH, 5.6)) as axes:
        names = [name for name, told in peers["engines"].items() if told.get("filtered")]
        for name in names:
            shares = sorted({one["share"] for one in peers["engines"][name]["filtered"]})
            found = {share: one for share in shares if (one := filtered_at_recall(peers, name, share))}
            width = 2.8 if name == OURS else 1.5
            for when, style in (("again", "-"), ("first", ":")):
                x = [100 * share for share in found]
                y = [one[when]["processor_ms"] for one in found.values()]
                label = name if when == "again" else None
                color = _color(peers, name)
                axes.plot(x, y, style, color=color, linewidth=width, marker="o", markersize=4.5, label=label)
        axes.set(xscale="log", yscale="log", xlabel="rows that pass (dotted: the first time)")
        axes.set_xticks([1, 5, 20], ["1 %", "5 %", "20 %"])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_title("One query with a filter, ms")
        axes.figure.legend(loc="outside lower center", ncols=2, frameon=False)


def _serving(serving: Told, path: Path) -> None:
    """Draw rates beside the embedder alone, and latencies at 80 %, by number of processes."""
    found = serving["rows"]
    names = [f"{one['processes']} process{'es' * (one['processes'] > 1)}" for one in found]
    with plot(path, columns=2, size=(WIDTH, 3.6)) as (rates, times):
        bars = {
            "embedder alone": [one["alone_per_s"] for one in found],
            "full load": [one["full_per_s"] for one in found],
            "with finder": [one["finder_per_s"] for one in found],
        }
        _bars(rates, names, bars)
        rates.set_title("Photos a second")
        bars = {
            "p50": [one["random"]["p50_ms"] for one in found],
            "p99": [one["random"]["p99_ms"] for one in found],
        }
        _bars(times, names, bars)
        times.set_title("80 % load, ms")


def _bars(axes: Axes, names: list[str], bars: dict[str, list[float]]) -> None:
    """Draw groups of bars with a legend below."""
    wide = 0.8 / len(bars)
    for number, (label, values) in enumerate(bars.items()):
        places = np.arange(len(names)) + (number - (len(bars) - 1) / 2) * wide
        axes.bar(places, values, wide * 0.92, color=GROUPS[number], label=label)
    axes.set_xticks(range(len(names)), names)
    axes.grid(axis="x", visible=False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1))
