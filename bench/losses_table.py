"""Tables and the figure of bench/losses.py, from the values of each query that its runs left."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.evaluation.metrics import Float64

DRAWS = 4000
COLUMNS = ("hit_rate@1", "map@r", "right_family")
DETAILS = ("pocket", "badge", "stripe", "parts", "drawing", "repeat", "trim", "dye", "none")


@dataclass(frozen=True, slots=True)
class Tested:
    """What the seeds of a row gave.

    Attributes:
        name: Name of the row.
        rate: Rate of the backbone that was chosen on dev; 0 for a model that was not trained.
        values: (S, Q, 3) float64 values of `COLUMNS`, for S seeds and Q queries.
        families: Family of each query.
        details: Detail of each query's product.
        tried: Dev figure by rate.
        seconds: Mean processor time of a run.
    """

    name: str
    rate: float
    values: Float64
    families: Sequence[str]
    details: Sequence[str]
    tried: dict[str, float]
    seconds: float

    @property
    def means(self) -> Float64:
        """Means over queries, (S, 3)."""
        found: Float64 = self.values.mean(axis=1)
        return found


def read(folder: Path) -> Tested | None:
    """Read a row; None if no seed of it is tested."""
    chosen = json.loads((folder / "rate.json").read_text()) if (folder / "rate.json").exists() else {"rate": 0.0}
    paths = sorted(folder.glob(f"{chosen['rate']:g}-*/test.csv" if chosen["rate"] else "*/test.csv"))
    tables = {path: list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) for path in paths}
    if not tables:
        return None
    values = [[[float(row[name]) for name in COLUMNS] for row in rows] for rows in tables.values()]
    runs = [
        json.loads((path.parent / "run.json").read_text()) for path in tables if (path.parent / "run.json").exists()
    ]
    first = next(iter(tables.values()))
    return Tested(
        folder.name,
        chosen["rate"],
        np.array(values),
        [row["family"] for row in first],
        [row["detail"] for row in first],
        chosen.get("dev", {}),
        float(np.mean([run["cpu_seconds"] for run in runs])) if runs else 0.0,
    )


def drawn_means(row: Tested, families: Float64, members: np.ndarray, random: np.random.Generator) -> Float64:
    """Means of the columns for resampled families and seeds, (DRAWS, 3).

    The mean of n resampled seeds has (n - 1) / n of the variance of a mean of n seeds, so its deviation is scaled up.

    Args:
        row: The row.
        families: (DRAWS, F) how often each family is drawn, the same for all rows, so that differences are paired.
        members: (Q,) number of each query's family.
        random: Random generator of the seeds.
    """
    count = families.shape[1]
    sums = np.stack([[np.bincount(members, seed[:, c], minlength=count) for c in range(3)] for seed in row.values])
    seeds = random.integers(len(sums), size=(DRAWS, len(sums)))
    mean, scale = sums.mean(axis=0), np.sqrt(len(sums) / max(1, len(sums) - 1))
    mean_of_seeds = mean + scale * (sums[seeds].mean(axis=1) - mean)
    sizes = np.bincount(members, minlength=count)
    found: Float64 = (families[:, None, :] * mean_of_seeds).sum(axis=2) / (families * sizes).sum(axis=1)[:, None]
    return found


def show(out: Path, rows: Sequence[tuple[str, str]], *, baseline: str, page: Path | None, figure: Path | None) -> None:
    """Print the tables, or write them into a page between its marks; and draw the figure.

    Args:
        out: Folder of the runs.
        rows: Name and group of each row.
        baseline: Row that others are compared with.
        page: Page with lines `<!-- NAME: written by bench/losses.py -->` and `<!-- end -->`.
        figure: PNG to write.
    """
    found = {name: row for name, _ in rows if (row := read(out / name)) is not None}
    members = np.unique(found[baseline].families, return_inverse=True)[1]
    count = int(members.max()) + 1
    random = np.random.default_rng(0)
    families = random.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)
    drawn = {name: drawn_means(row, families, members, random) for name, row in found.items()}
    tables = {
        group: _table([found[name] for name, own in rows if own == group and name in found], found, drawn, baseline)
        for group in dict.fromkeys(group for _, group in rows)
    }
    tables["details"] = _by_detail([row for row in found.values()])
    tables["rates"] = _rates([row for row in found.values() if len(row.tried) > 1])
    if page is None:
        for name, lines in tables.items():
            print(f"\n{name}\n\n" + "\n".join(lines))
    else:
        text = page.read_text(encoding="utf-8")
        for name, lines in tables.items():
            mark = f"<!-- {name}: written by bench/losses.py -->"
            pattern = re.compile(re.escape(mark) + r".*?<!-- end -->", flags=re.DOTALL)
            if pattern.search(text):
                body = f"{mark}\n\n" + "\n".join(lines) + "\n\n<!-- end -->"
                text = pattern.sub(lambda _, body=body: body, text)
        page.write_text(text, encoding="utf-8")
    if figure is not None:
        _draw(list(found.values()), drawn, baseline, figure)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _interval(values: Float64) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _table(rows: Sequence[Tested], found: dict[str, Tested], drawn: dict[str, Float64], baseline: str) -> list[str]:
    lines = [
        "| | seeds | hit rate@1 | 95 % interval | sd of seeds | MAP@R | family@1 | against the baseline | processor |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: -row.means[:, 0].mean()):
        hit, precision, family = row.means.mean(axis=0)
        low, high = _interval(drawn[row.name][:, 0])
        spread = _percent(row.means[:, 0].std(ddof=1)) if len(row.values) > 1 else "-"
        difference = drawn[row.name][:, 0] - drawn[baseline][:, 0]
        less, more = _interval(difference)
        by = hit - found[baseline].means[:, 0].mean()
        told = "" if less <= 0 <= more else " *"
        against = "" if row.name == baseline else f"{100 * by:+.1f} ({100 * less:+.1f} to {100 * more:+.1f}){told}"
        time = f"{row.seconds:.0f} s" if row.seconds else "-"
        cells = [str(len(row.values)), f"**{_percent(hit)}**", f"{_percent(low)} to {_percent(high)}", spread]
        lines.append(
            f"| {row.name} | {' | '.join(cells)} | {_percent(precision)} | {_percent(family)} | {against} | {time} |"
        )
    return lines


def _by_detail(rows: Sequence[Tested]) -> list[str]:
    present = [name for name in DETAILS if any(name in row.details for row in rows)]
    lines = ["| | " + " | ".join(present) + " |", "|---" * (len(present) + 1) + "|"]
    for row in sorted(rows, key=lambda row: -row.means[:, 0].mean()):
        details = np.array(row.details)
        cells = [_percent(row.values[:, details == name, 0].mean()) for name in present]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    counts = np.array(rows[0].details)
    return [*lines, "| queries | " + " | ".join(str(int((counts == name).sum())) for name in present) + " |"]


def _rates(rows: Sequence[Tested]) -> list[str]:
    rates = sorted({float(rate) for row in rows for rate in row.tried})
    lines = ["| | " + " | ".join(f"{rate:g}" for rate in rates) + " |", "|---" * (len(rates) + 1) + "|"]
    for row in rows:
        tried = {float(rate): value for rate, value in row.tried.items()}
        cells = [_percent(tried[rate]) if rate in tried else "" for rate in rates]
        cells = [f"**{cell}**" if rate == row.rate else cell for cell, rate in zip(cells, rates, strict=True)]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return lines


def _draw(rows: Sequence[Tested], drawn: dict[str, Float64], baseline: str, path: Path) -> None:
    """Draw hit rate@1 of all rows: the interval, the mean, and each seed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ordered = sorted(rows, key=lambda row: row.means[:, 0].mean())
    shown, axes = plt.subplots(figsize=(8, 0.34 * len(ordered) + 0.9))
    for place, row in enumerate(ordered):
        low, high = _interval(drawn[row.name][:, 0])
        color = "#b5482a" if row.name == baseline else "#2c5d8f"
        axes.plot([100 * low, 100 * high], [place, place], color=color, linewidth=5, alpha=0.25, solid_capstyle="round")
        axes.plot(100 * row.means[:, 0], [place] * len(row.means), "|", color=color, markersize=11)
        axes.plot(100 * row.means[:, 0].mean(), place, "o", color=color, markersize=6)
    axes.set_yticks(range(len(ordered)), [row.name for row in ordered])
    axes.set_xlabel("hit rate@1 of the test photos, %")
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    shown.tight_layout()
    shown.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(shown)
