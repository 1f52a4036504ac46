"""A gallery of 1,000,000 rows beside one of 139,709: the time of a query, its recall, and the memory it takes."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from lookalike.benchmarking import truth
from lookalike.benchmarking.features import Features, synthetic
from lookalike.benchmarking.report import Report, Row
from lookalike.benchmarking.searching import QUERIES, ROWS, WEIGHTS, K, fill, numbers
from lookalike.benchmarking.timing import Way, once, take_turns
from lookalike.gallery.local import LocalGallery

MEASURE_MEMORY = """
import sys
from pathlib import Path
from lookalike.benchmarking.features import synthetic
from lookalike.benchmarking.searching import QUERIES, WEIGHTS, K
from lookalike.gallery.local import LocalGallery

asked = synthetic(1000, queries=QUERIES)
with LocalGallery(Path(sys.argv[1])) as gallery:
    for number in range(QUERIES):
        gallery.search(asked.query(number), k=K, weights=WEIGHTS)
    status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))
"""


def resident_bytes(gallery: Path) -> int:
    """Memory of a new process that has answered queries from a gallery, Python, libraries and mapped files included."""
    command = [sys.executable, "-c", MEASURE_MEMORY, str(gallery)]
    return 1024 * int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def ask(gallery: LocalGallery, features: Features) -> Way:
    """One query after the other."""
    return Way(lambda number: gallery.search(features.query(number), k=K, weights=WEIGHTS), QUERIES)


def measure(folder: Path, *, many: int, few: int) -> list[Row]:
    """Make both galleries, and ask both by turns."""
    large, small = synthetic(many, queries=QUERIES), synthetic(few, queries=QUERIES)
    written = once(lambda: fill(folder / "large", large))
    fill(folder / "small", small)
    right = truth.of_cosines(large, WEIGHTS, k=K)
    with LocalGallery(folder / "large") as of_many, LocalGallery(folder / "small") as of_few:
        answers = [of_many.search(large.query(number), k=K, weights=WEIGHTS) for number in range(QUERIES)]
        found = numbers(of_many, answers)
        right.check(found, [answer.scores[0] for answer in answers])
        slow, fast = ask(of_many, large), ask(of_few, small)
        take_turns(slow, fast)
    raw = sum(rows.nbytes for rows in large.gallery.values())
    resident = resident_bytes(folder / "large")
    times = slow.timing.median_ms / fast.timing.median_ms
    return [
        Row(
            f"one query, {many:,} rows, index auto ({answers[0].index})",
            "at most 4 times the smaller, recall .98",
            slow.timing,
            f"the same among {few:,}",
            fast.timing,
            recall=right.recall(found),
            note=f"{times:.1f} times the smaller",
        ),
        Row(f"add {many:,} rows, index included", ours=written),
        Row(
            f"memory of a process after {QUERIES} queries, {many:,} rows",
            "under 40 % of the raw vectors",
            note=f"{resident / 2**20:,.0f} MiB, {resident / raw:.0%} of the raw vectors' {raw / 2**20:,.0f} MiB",
        ),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=1_000_000, help="rows of the larger gallery")
    parser.add_argument("--few", type=int, default=ROWS, help="rows of the smaller gallery")
    asked = parser.parse_args()
    report = Report([])
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as temporary:
        report.rows.extend(measure(Path(temporary), many=asked.many, few=asked.few))
    print(report.to_markdown())
