"""Measure how the score of a match of words tells whether it is relevant, by its share of the best match's score.

    python bench/relevant_words.py shop.gallery --where "split = 'dev'"

The items need the attributes `type`, `colour` and `gender`. Prints a Markdown table of shares, with the precision and
recall of the right type among the matches of at least that share.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

import lookalike
from lookalike.gallery.request import VISUAL

LEAST = 3
"""Items that have the labels of a phrase, at least."""

PHRASES, DEEPEST = 110, 400
SHARES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)


def main() -> None:
    """Search with the most frequent labels, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gallery")
    parser.add_argument("--where", help="filter on the items")
    asked = parser.parse_args()
    shares, right = [], []
    with lookalike.open(asked.gallery) as shop:
        items = shop.gallery.list(where=asked.where, limit=None)[1]
        names = ("type", "colour", "gender")
        counts = Counter(tuple(str(item.attributes.get(name)) for name in names) for item in items)
        phrases = [labels for labels, count in counts.most_common(PHRASES) if count >= LEAST]
        for kind, colour, gender in phrases:
            text = f"{colour} {kind} {gender}"
            answer = shop.search(text=text, k=DEEPEST, where=asked.where, text_search=VISUAL)
            shares += [match.score / answer.matches[0].score for match in answer.matches]
            right += [match.item.attributes.get("type") == kind for match in answer.matches]
    share, is_right = np.array(shares), np.array(right)
    print(f"{len(phrases)} phrases among {len(items):,} items\n")
    print("| share of the best score | matches a phrase | precision | recall | precision of the next tenth |")
    print("|---|---|---|---|---|")
    for least in SHARES:
        above, near = share >= least, (share >= least - 0.1) & (share < least)
        print(
            f"| {least:.1f} | {above.sum() / len(phrases):.1f} | {is_right[above].mean():.2f} "
            f"| {is_right[above].sum() / is_right.sum():.2f} | {is_right[near].mean():.2f} |"
        )


if __name__ == "__main__":
    main()
