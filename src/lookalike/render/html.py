"""An answer as a self-contained HTML page, without scripts, other files or network access."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path

from PIL import Image

from lookalike.answers import Answer, Match
from lookalike.render.captions import (
    arrangement_line,
    item_title,
    labels_line,
    match_count,
    no_match_line,
    query_title,
    steps_line,
    text_line,
    value_text,
    variants_text,
    weights_line,
)
from lookalike.render.regions import CAPTION, marked, match_regions, query_regions
from lookalike.render.thumbnails import ReadPhoto, Thumbnail, data_uri, item_thumbnail, query_thumbnail
from lookalike.storage.files import not_written, write_whole
from lookalike.types import JSON, Item

PHOTO_SIZE = (320, 427)
JPEG_QUALITY = 84

_HANGER = (
    '<svg viewBox="0 0 120 90" fill="none" stroke-width="4" stroke-linejoin="round" aria-hidden="true">'
    '<path d="M49 22a11 11 0 1 1 11 11v9M60 42 8 76h104z"/></svg>'
)


def write_html(path: Path, query: Image.Image | Item | None, *, answer: Answer) -> None:
    """Write an answer as an HTML page; see `html_page`.

    Raises:
        UsageError: The file cannot be written.
        LookalikeError: The disk is full, damaged or read-only.
    """
    page = html_page(query, answer)
    try:
        write_whole(path, page.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise not_written(path, "the page", error) from None


def html_page(query: Image.Image | Item | None, answer: Answer) -> str:
    """Render a query and its matches as HTML. Photos are embedded, and all text of the catalogue is escaped.

    Args:
        query: Whole query photo, upright, or the query item; None for words alone.
        answer: Answer, whose `read_photo` reads the photos; one that cannot be read is replaced by a placeholder.
    """
    name = query_title(answer.query)
    cards = "\n".join(_card(match, answer.read_photo) for match in answer.matches)
    none = f"No good match: {no_match_line(answer.query)}." if answer.no_good_match else "No item was found."
    matches = f'<ol class="matches">\n{cards}\n</ol>' if cards else f'<p class="quiet">{none}</p>'
    asked = query_thumbnail(query, answer.query.part, size=PHOTO_SIZE, read_photo=answer.read_photo)
    asked = marked(asked, query_regions(answer.matches))
    photo = _photo(asked, alt=f"The query: {name}") if query else f'<div class="photo words">{escape(name)}</div>'
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Looks like {escape(name)}</title>
<style>
{files("lookalike.render").joinpath("html.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<main class="layout">
<header class="query">
{photo}
<div>
<h1>{match_count(answer)}</h1>
<p class="quiet">{escape(name)}</p>
{_definition_list(_search_summary(answer))}
</div>
</header>
<section aria-label="Matches, best first">
{matches}
</section>
</main>
</body>
</html>
"""


def _search_summary(answer: Answer) -> dict[str, JSON]:
    """Options and times of the search, by label."""
    query = answer.query
    pairs: dict[str, JSON] = {
        "Shows": labels_line(query),
        "Words": text_line(query.text) if query.text else None,
        "Weights": weights_line(query),
        "Filter": query.where,
        "Order": arrangement_line(query),
        "Box": str(query.part) if query.part else None,
        "Marked": CAPTION if query_regions(answer.matches) else None,
        "Index": query.index,
        "Model": query.model,
        "Time": steps_line(answer),
    }
    return {name: value for name, value in pairs.items() if value}


def _card(match: Match, read_photo: ReadPhoto | None) -> str:
    item = match.item
    name = item_title(item)
    photo = marked(item_thumbnail(item, match.part, size=PHOTO_SIZE, read_photo=read_photo), match_regions(match))
    kind = match.garment.kind if match.garment else ""
    known = [kind, f"id {item.id}", f"product {item.product}" if item.product else ""]
    if match.relevance is not None:
        known.append(f"relevance {match.relevance:.2f}")
    known.append(variants_text(match))
    attributes = {key: value for key, value in item.attributes.items() if value != name and value not in (None, "")}
    more = f"<details><summary>Details</summary>{_definition_list(attributes)}</details>" if attributes else ""
    return f"""<li>
<article class="card" tabindex="0" aria-label="Match {match.rank}: {escape(name)}">
{_photo(photo, alt=name)}
<div class="rank"><b>{match.score:.3f}</b><span>#{match.rank}</span></div>
<h2 class="name">{escape(name)}</h2>
<p class="quiet">{escape(" · ".join(filter(None, known)))}</p>
{_parts(match)}
{more}
</article>
</li>"""


def _parts(match: Match) -> str:
    """Value of each space, with a bar for cosines; the bar of a distance, which is negative here, stays empty."""
    rows = []
    for space, value in match.scores.items():
        share = min(max(value, 0.0), 1.0)
        track = f'<span class="track"><i style="width:{share:.1%}"></i></span>'
        rows.append(f"<dt>{escape(space)}</dt><dd>{track}</dd><dd>{value:.3f}</dd>")
    return f'<dl class="parts">{"".join(rows)}</dl>'


def _definition_list(pairs: Mapping[str, JSON]) -> str:
    rows = (f"<dt>{escape(name)}</dt><dd>{escape(value_text(value))}</dd>" for name, value in pairs.items())
    return f'<dl class="facts">{"".join(rows)}</dl>'


def _photo(shown: Thumbnail, *, alt: str) -> str:
    if shown.image is None:
        return f'<div class="photo missing">{_HANGER}<span>No photo: {escape(shown.reason)}</span></div>'
    width, height = shown.image.size
    address = data_uri(shown.image, quality=JPEG_QUALITY)
    image = f'<img src="{address}" width="{width}" height="{height}" alt="{escape(alt)}">'
    box = ""
    if shown.frame:
        left, top, right, bottom = shown.frame
        place = f"left:{left:.2%};top:{top:.2%};width:{right - left:.2%};height:{bottom - top:.2%}"
        box = f'<span class="box" style="{place}"></span>'
    whole = f'<div class="whole" style="width:{width / PHOTO_SIZE[0]:.2%}">{image}{box}</div>'
    return f'<div class="photo">{whole}</div>'
