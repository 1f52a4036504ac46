"""An answer as a table, with the lines below it that say how it was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lookalike.cli.console import item_columns, say, write, write_table

if TYPE_CHECKING:
    from lookalike.answers import Answer, Match


def present(answer: Answer) -> None:
    """Print an answer as a table, with weights, index and times."""
    from lookalike.render.captions import facet_line, no_match_line, nothing_line, steps_line, weights_line

    matches = answer.matches
    if matches:
        numbers = {
            "#": [str(match.rank) for match in matches],
            "before": [str(match.similarity_rank or "") for match in matches],
            "boost": [f"{sum(match.boost.values()):+.3f}" if match.boost else "" for match in matches],
            "learned": [
                f"{sum(match.contributions.values()):+.3f}" if match.contributions else "" for match in matches
            ],
            "refined": [number_text(match.refined) for match in matches],
            "relevance": ["" if match.relevance is None else f"{match.relevance:.2f}" for match in matches],
            "score": [f"{match.score:.3f}" for match in matches],
            **{space: [number_text(match.scores.get(space)) for match in matches] for space in shown_scores(matches)},
        }
        kinds = {
            "variants": [f"+{match.variant_count:,}" if match.variant_count else "" for match in matches],
            "garment": [match.garment.kind if match.garment else "" for match in matches],
        }
        write_table(
            {**numbers, **kinds, **item_columns([match.item for match in matches])}, right=[*numbers], cut="known"
        )
    elif answer.no_good_match:
        say(f"no good match: {no_match_line(answer.query)}")
    else:
        say(nothing_line(answer.query))
    for facet in answer.facets or ():
        if facet.range is not None or max(facet.counts.values()) > 1:  # else all differ, as ids and titles do
            write(facet_line(facet))
    for line in lines_below(answer):
        say(line)
    weights = weights_line(answer.query)
    say(f"{f'weights: {weights}; ' if weights else ''}index: {answer.query.index}; {steps_line(answer)}")


def lines_below(answer: Answer) -> list[str]:
    """How the query was read and the matches were ordered, each in a line."""
    from lookalike.render.captions import arrangement_line, contributions_line, garment_line, labels_line, text_line

    query, shows = answer.query, labels_line(answer.query)
    lines = [arrangement_line(query), contributions_line(answer.matches[:1])]
    lines += [garment_line(query.garment)] if query.garment is not None else []
    if query.same_kind:
        lines.append(f"of the same kind: {query.kind or 'it is unknown, so all kinds were searched'}")
    lines += [f"words: {text_line(query.text)}"] if query.text is not None else []
    lines += [f"shows: {shows}"] if shows else []
    return [line for line in lines if line]


def shown_scores(matches: Sequence[Match]) -> list[str]:
    """Names of the scores that have a column; none beside what was added, for which there would be no room."""
    return [] if any(match.boost or match.contributions for match in matches) else scores_of(matches)


def scores_of(matches: Sequence[Match]) -> list[str]:
    """Names of all scores of the matches, in order."""
    return list(dict.fromkeys(name for match in matches for name in match.scores))


def number_text(number: float | None) -> str:
    """Number of a table with three digits; empty for None."""
    return "" if number is None else f"{number:.3f}"
