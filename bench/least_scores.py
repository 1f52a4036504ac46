"""Measure how many garments a finder lists from a lowest score on, and how many of them are right.

    python bench/least_scores.py dev.csv            # the default finder
    python bench/least_scores.py dev.csv --model finder.onnx

The table is one of `bench/garment_table.py`. A listed garment is right if it overlaps a true one of its kind by half of
their union. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lookalike.catalogue import open_catalogue
from lookalike.evaluation.evaluator import filtered_items
from lookalike.evaluation.garment_evaluation import by_photo, true_garments
from lookalike.evaluation.garments import UNKNOWN, matched
from lookalike.finding.finder import Finder
from lookalike.kinds import KINDS

SCORES = (0.15, 0.2, 0.22, 0.25, 0.3, 0.4, 0.5)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--model", type=Path)
    given = parser.parse_args()
    finder, photos, total = Finder(given.model), by_photo(filtered_items(open_catalogue(str(given.table)), None)), 0
    scores, hits = [], []
    for rows in photos.values():
        true = true_garments(rows, single_shoes=False)
        seen, size = finder.decoded(rows[0])
        boxes = seen.boxes * np.array([*size, *size], dtype=np.float32)
        total += int((true.kinds != UNKNOWN).sum())
        for place, name in enumerate(finder.kinds):
            mine = seen.kinds == place
            ours = true.boxes[true.kinds == KINDS.index(name)]
            right, ignored = matched(boxes[mine], ours, true.boxes[true.kinds == UNKNOWN])
            scores.append(seen.scores[mine][~ignored])
            hits.append(right[~ignored])
    every, right = np.concatenate(scores), np.concatenate(hits)
    print(f"{len(photos)} photos, {total / len(photos):.2f} garments each\n")
    print("| score from | listed a photo | precision | recall | F1 |\n|---|---|---|---|---|")
    for least in SCORES:
        listed = every >= least
        precision, recall = right[listed].mean(), right[listed].sum() / total
        f1 = 2 * precision * recall / (precision + recall)
        print(f"| {least} | {listed.sum() / len(photos):.2f} | {precision:.3f} | {recall:.3f} | {f1:.3f} |")


if __name__ == "__main__":
    main()
