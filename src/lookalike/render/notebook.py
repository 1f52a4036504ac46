"""An answer as a notebook shows it: a row of small pictures, in the HTML itself, with their ranks and scores."""

from __future__ import annotations

from html import escape
from typing import Final

from lookalike.render.captions import name_of, name_of_query, steps_line, weights_line
from lookalike.render.thumbnails import data_uri, photo_of
from lookalike.types import Answer, Match

SIZE: Final = (112, 150)
"""Largest width and height of a picture, in pixels."""

MOST: Final = 50
"""Matches that are shown; a notebook keeps every picture in its file."""

JPEG_QUALITY: Final = 80


def notebook_html(answer: Answer) -> str:
    """Make a piece of HTML of an answer; text of a catalogue is escaped.

    A photo that cannot be opened leaves the reason in its place.
    """
    shown = answer.matches[:MOST]
    more = len(answer.matches) - len(shown)
    facts = f"{weights_line(answer.query)}; {answer.query.index}; {steps_line(answer)}"
    about = f"Looks like {escape(name_of_query(answer.query))} <small>({escape(facts)})</small>"
    cards = "".join(map(_card, shown)) or "<p>No item was found.</p>"
    rest = f"<p><small>and {more:,} more</small></p>" if more else ""
    return f'<div><p>{about}</p><div style="display:flex;flex-wrap:wrap;gap:12px">{cards}</div>{rest}</div>'


def _card(match: Match) -> str:
    name = name_of(match.item)
    parts = ", ".join(f"{space} {value:.3f}" for space, value in match.scores.items())
    return (
        f'<figure style="margin:0;width:{SIZE[0]}px;overflow-wrap:anywhere">{_picture(match, name)}'
        f'<figcaption title="{escape(parts)}"><b>#{match.rank}</b> {match.score:.3f}<br>{escape(name)}<br>'
        f"<small>{escape(match.item.id)}</small></figcaption></figure>"
    )


def _picture(match: Match, name: str) -> str:
    photo = photo_of(match.item, size=SIZE)
    if photo.picture is None:
        style = f"height:{SIZE[1]}px;border:1px dashed;box-sizing:border-box;padding:4px"
        return f'<div style="{style}"><small>No photo: {escape(photo.reason)}</small></div>'
    width, height = photo.picture.size
    address = data_uri(photo.picture, quality=JPEG_QUALITY)
    return f'<img src="{address}" width="{width}" height="{height}" alt="{escape(name)}">'
