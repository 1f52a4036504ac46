"""An answer as HTML for notebooks: a row of embedded thumbnails with ranks and scores."""

from __future__ import annotations

from html import escape
from typing import Final

from lookalike.answers import Answer, Match
from lookalike.render.captions import (
    item_title,
    labels_line,
    no_match_line,
    query_title,
    steps_line,
    variants_text,
    weights_line,
)
from lookalike.render.regions import marked, match_regions
from lookalike.render.thumbnails import ReadPhoto, data_uri, item_thumbnail

SIZE: Final = (112, 150)
"""Largest width and height of a thumbnail, in pixels."""

MOST: Final = 50
"""Largest number of matches shown, since a notebook file stores every thumbnail."""

JPEG_QUALITY: Final = 80


def notebook_html(answer: Answer) -> str:
    """Render an answer as an HTML fragment; all text of the catalogue is escaped.

    A photo that cannot be read is replaced by the reason.
    """
    shown = answer.matches[:MOST]
    more = len(answer.matches) - len(shown)
    shows = labels_line(answer.query)
    known = [f"shows {shows}" if shows else "", weights_line(answer.query), answer.query.index, steps_line(answer)]
    summary = "; ".join(filter(None, known))
    about = f"Looks like {escape(query_title(answer.query))} <small>({escape(summary)})</small>"
    none = f"No good match: {no_match_line(answer.query)}." if answer.no_good_match else "No item was found."
    cards = "".join(_card(match, answer.read_photo) for match in shown) or f"<p>{none}</p>"
    rest = f"<p><small>and {more:,} more</small></p>" if more else ""
    return f'<div><p>{about}</p><div style="display:flex;flex-wrap:wrap;gap:12px">{cards}</div>{rest}</div>'


def _card(match: Match, read_photo: ReadPhoto | None) -> str:
    name = item_title(match.item)
    parts = ", ".join(f"{space} {value:.3f}" for space, value in match.scores.items())
    kind = f"{escape(match.garment.kind)}<br>" if match.garment else ""
    variants = f"<br>{variants_text(match)}" if match.variant_count else ""
    return (
        f'<figure style="margin:0;width:{SIZE[0]}px;overflow-wrap:anywhere">{_picture(match, name, read_photo)}'
        f'<figcaption title="{escape(parts)}"><b>#{match.rank}</b> {match.score:.3f}<br>{escape(name)}<br>{kind}'
        f"<small>{escape(match.item.id)}{variants}</small></figcaption></figure>"
    )


def _picture(match: Match, name: str, read_photo: ReadPhoto | None) -> str:
    photo = marked(item_thumbnail(match.item, match.part, size=SIZE, read_photo=read_photo), match_regions(match))
    if photo.image is None:
        style = f"height:{SIZE[1]}px;border:1px dashed;box-sizing:border-box;padding:4px"
        return f'<div style="{style}"><small>No photo: {escape(photo.reason)}</small></div>'
    width, height = photo.image.size
    address = data_uri(photo.image, quality=JPEG_QUALITY)
    place = f"height:{SIZE[1]}px;display:flex;align-items:flex-end"
    return f'<div style="{place}"><img src="{address}" width="{width}" height="{height}" alt="{escape(name)}"></div>'
