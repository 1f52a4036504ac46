"""Texts about an answer, shared by pictures, pages and notebooks."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.answers import Answer, GarmentChoice, Match, Query, QueryText
from lookalike.counts import counted
from lookalike.finding.decoding import LISTED
from lookalike.gallery.request import FULL_TEXT
from lookalike.types import JSON, NAMING_ATTRIBUTES, Facet, Item

EXAMPLES = 3
"""Largest number of query photos and items in a title, and of those to look less like."""


def item_title(item: Item) -> str:
    """Title of an item, or else its product or id."""
    return title_of(item) or item.product or item.id


def title_of(item: Item) -> str | None:
    """Title of an item; None if it has none."""
    for name in NAMING_ATTRIBUTES:
        for attribute, value in item.attributes.items():
            if attribute.lower() == name.lower() and isinstance(value, str) and value.strip():
                return value
    return None


def query_title(query: Query) -> str:
    """Names of the photos and items of the query, for a photo the last part of its path, and its words."""
    if query.text is not None:
        words = f'"{query.text.text}"'
        return words if query.photo is None and query.item is None else f"{_examples_title(query)}, {words}"
    return _examples_title(query)


def text_line(text: QueryText) -> str:
    """How the words were read: the known, the corrected and the unknown ones."""
    ways = {"visual": "what the words mean", "full_text": "their letters in the texts of the items"}
    parts = [f"searched: {' and '.join(ways[way] for way in text.searched) or 'nothing of the words'}"]
    if text.corrected:
        parts.append("read as: " + ", ".join(f"'{wrong}' as '{right}'" for wrong, right in text.corrected.items()))
    if text.unknown:
        way = "taken as letters only" if "full_text" in text.searched else "left out"
        parts.append(f"unknown: {', '.join(map(repr, text.unknown))}, {way}")
    if text.not_found:
        parts.append(f"in no text: {', '.join(map(repr, text.not_found))}")
    return "; ".join(parts)


def _examples_title(query: Query) -> str:
    if query.examples is None:
        return f"item {query.item}" if query.item is not None else _file_name(query.photo or "photo")
    like = _names(query.examples["photos"], query.examples["items"])
    unlike = _names(query.examples["unlike_photos"], query.examples["unlike_items"])
    return f"{like}, unlike {unlike}" if unlike else like


def _names(photos: Sequence[str], items: Sequence[str]) -> str:
    names = [*map(_file_name, photos), *(f"item {item}" for item in items)]
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    return ", ".join(names[:EXAMPLES]) + more


def _file_name(photo: str) -> str:
    return photo.rstrip("/").rpartition("/")[2]


def weights_line(query: Query) -> str:
    """Weights above 0, with the metrics if some were given; empty if letters alone were searched, in no space."""
    if query.index == FULL_TEXT:
        return ""
    parts = []
    for space, weight in query.weights.items():
        if weight:
            metric = f" {query.metrics[space]}" if space in query.metrics else ""
            parts.append(f"{space}{metric} {weight:g}")
    return ", ".join(parts)


def steps_line(answer: Answer) -> str:
    """Milliseconds of each step."""
    return ", ".join(f"{step} {ms:.1f}" for step, ms in answer.took_ms.items() if ms) + " ms" if answer.took_ms else ""


def garment_line(choice: GarmentChoice) -> str:
    """Garment that was looked at, and the others, with their numbers and scores."""
    named = [f"{number} {garment.kind} {garment.score:.2f}" for number, garment in enumerate(choice.found, start=1)]
    if choice.number is None:
        seen = f"{', '.join(named)}{' alone' * (len(named) == 1)}" if named else "none was found"
        return f"garment: {seen}; the whole photo was looked at"
    others = ", ".join(name for number, name in enumerate(named, start=1) if number != choice.number)
    chosen = choice.found[choice.number - 1]
    name = named[choice.number - 1] if chosen.score >= LISTED else f"{chosen.kind} {chosen.score:.2f}, not listed"
    return f"garment: {name}; others: {others or 'none'}"


def labels_line(query: Query) -> str:
    """What the photo shows: the most probable class of each head, or that it shows no garment; empty if unknown."""
    if query.labels is None:
        return ""
    firsts = [shown[0] for shown in query.labels.values() if shown]
    if not firsts:
        firsts = [("no garment", query.no_garment or 0.0)]
    return " · ".join(f"{name} {probability:.2f}".replace(" 0.", " .") for name, probability in firsts)


def variants_text(match: Match) -> str:
    """Number of variants, such as `+3 variants`; empty for none."""
    return f"+{counted(match.variant_count, 'variant')}" if match.variant_count else ""


def match_count(answer: Answer) -> str:
    """Number of matches: of products, if the answer is of these."""
    return _counted_matches(len(answer.matches), answer.query)


def _counted_matches(count: int, query: Query) -> str:
    return counted(count, "match", "matches") if query.group is None else counted(count, query.group)


def arrangement_line(query: Query) -> str:
    """What was done with how many relevant matches; empty if nothing was."""
    if query.relevant is None:
        return ""
    done = [f"sorted by {query.sort}"] if query.sort is not None else []
    if query.boost:
        done.append("boosted by " + ", ".join(f"{name} {weight:g}" for name, weight in query.boost.items()))
    if query.diversity:
        done.append(f"diversity {query.diversity:g}")
    if query.ranking is not None:
        done.append(f"ranking {query.ranking}")
    count, _, noun = _counted_matches(query.relevant, query).partition(" ")
    return ", ".join([f"{count} relevant {noun}", *done])


def contributions_line(matches: Sequence[Match]) -> str:
    """What each feature of a learned ranking added to the first match, the most first; empty without one."""
    if not matches or not (contributions := matches[0].contributions):
        return ""
    ordered = sorted(contributions.items(), key=lambda one: -abs(one[1]))
    return f"rank {matches[0].rank} by " + ", ".join(f"{name} {added:+.3f}" for name, added in ordered)


def facet_line(facet: Facet, *, most: int = 6) -> str:
    """Most frequent values of a facet with their counts; of numbers, the smallest and the largest one."""
    if facet.range is not None and [*facet.kinds] == ["number"]:
        return f"{facet.name}: {number_text(facet.range[0])} to {number_text(facet.range[1])}"
    shown = [f"{value} {count:,}" for value, count in list(facet.counts.items())[:most]]
    more = ["..."] if len(facet.counts) > most else []
    return f"{facet.name}: {', '.join([*shown, *more])}"


def no_match_line(query: Query) -> str:
    """Why there is no good match, and what to try."""
    if query.no_garment is not None and query.no_garment > 0.5:
        return "the photo seems to show no garment; try another one, or the part that shows it (a box or a garment)"
    return (
        f"no item is of the same kind with a probability of {query.min_relevance or 0:g} or more; try a lower least "
        "relevance, another photo, or the part that shows one garment (a box or a garment)"
    )


def nothing_line(query: Query) -> str:
    """Why nothing was found."""
    if query.index == FULL_TEXT:
        return "no item that passes the filter has these words" if query.where else "no item has these words"
    return "no item passes the filter" if query.where else "nothing was found"


def number_text(number: float) -> str:
    """A number as text: exact if it is a whole number or has at most ten digits, such as a price; else rounded.

    >>> number_text(1447.9), number_text(2 / 3), number_text(20000 / 3)
    ('1447.9', '0.6667', '6666.67')
    """
    exact = f"{number:.0f}" if float(number).is_integer() and abs(number) < 2**53 else f"{number:.10g}"
    if float(exact) == number and "e" not in exact:
        return exact
    return f"{number:.2f}" if 1000 <= abs(number) < 1e15 else f"{number:.4g}"


def value_text(value: JSON) -> str:
    """Value of an attribute as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, list):
        return ", ".join(value_text(part) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {value_text(part)}" for name, part in value.items())
    return "" if value is None else str(value)
