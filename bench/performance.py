"""Measure everything that docs/performance.md tells, and write its tables and pictures.

    python bench/performance.py --peers .venv/peers/bin/python       # or: make bench
    python bench/performance.py --only serving training --peers ...  # some parts; the others keep their figures
    python bench/performance.py --only                               # only the page, from the figures that are there

Each part is a program that writes its figures to bench/figures/PART.json, from which the page is written after each
part, so that a run that was stopped can go on with the parts that are missing. A part that fails leaves its older
figures.
The growth of galleries takes longer, and is measured by `make bench-scale`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from performance_page import read_figures, write_page
from performance_pictures import draw

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "bench" / "figures"
PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "images"

PARTS: dict[str, list[str]] = {
    "peers": ["bench/peers/measure.py", "--python", "{peers}", "--rows", "{rows}", "--json", "{json}"],
    "serving": ["bench/serve.py", "--processes", "1", "2", "--seconds", "8", "--soak", "1000", "--json", "{json}"],
    "one-shot": ["bench/one_shot.py", "--rows", "{rows}", "--json", "{json}"],
    "training": ["bench/training_overhead.py", "--json", "{json}"],
    "indexing": ["bench/extraction.py", "--json", "{json}"],
    "original": ["bench/beside_original.py", "--rows", "{rows}", "--json", "{json}"],
}
"""Program and arguments of each part, in the order in which they run."""


def run(part: str, *, peers: str, rows: int) -> bool:
    """Run a part; the file of its figures is replaced when it has ended well."""
    path = FIGURES / f"{part}.json"
    new = path.with_suffix(".new")
    program, *given = (each.format(peers=peers, rows=rows, json=new) for each in PARTS[part])
    began = monotonic()
    print(f"{part}: {program}", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, str(ROOT / program), *given], check=False)
    if done.returncode == 0:
        told = {"date": f"{datetime.now(UTC):%Y-%m-%d}", **json.loads(new.read_text(encoding="utf-8"))}
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        new.unlink()
    else:
        new.unlink(missing_ok=True)
    ended = "done" if done.returncode == 0 else f"failed with status {done.returncode}"
    print(f"{part}: {ended} after {monotonic() - began:,.0f} s", file=sys.stderr, flush=True)
    return done.returncode == 0


def main() -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=".venv/peers/bin/python", help="interpreter with the engines of others")
    parser.add_argument("--rows", type=int, default=139_709, help="rows of galleries")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS), help="parts to measure")
    options = parser.parse_args()
    FIGURES.mkdir(exist_ok=True)
    failed = []
    for part in options.only or [None]:
        if part is not None and not run(part, peers=options.peers, rows=options.rows):
            failed.append(part)
        figures = read_figures(FIGURES)
        write_page(PAGE, figures)
        draw(figures, PICTURES)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
