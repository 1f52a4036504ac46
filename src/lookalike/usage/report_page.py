"""Report on use as a self-contained HTML page: figures, and a contact sheet of searches of which nothing was chosen.

Query photos are not kept: a search by photo is shown by its first matches, one by an item by this item as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from lookalike.errors import UnknownNameError
from lookalike.gallery.photo_reader import PhotoReader
from lookalike.gallery.protocol import Gallery
from lookalike.moments import moment
from lookalike.render.thumbnails import data_uri, item_thumbnail
from lookalike.retrieval.opening import open as open_retriever
from lookalike.retrieval.retriever import Retriever
from lookalike.storage.files import not_written, write_whole
from lookalike.usage.events_file import Done
from lookalike.usage.report import FIRST, Arm, Share, UsageReport

SIZE: Final = (120, 150)
QUALITY: Final = 80

STYLE: Final = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem 1.2rem .2rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; }
.bars { min-width: 8rem; } .bars span { display: block; height: .7rem; background: #2a5d8f; }
.search { border-top: 1px solid #8886; padding: .8rem 0; }
.photos { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; }
.photos { margin: .4rem 0 0; padding: 0; list-style: none; }
.photos li { width: 120px; overflow-wrap: anywhere; font-size: .8rem; }
.photos img { display: block; max-width: 100%; }
.query { padding-right: .8rem; border-right: 3px solid #ad3319; }
.none { display: grid; place-items: center; height: 6rem; border: 1px dashed #8888; }
"""


def write_page(path: Path, report: UsageReport, gallery: Retriever | str | os.PathLike[str]) -> None:
    """Write the report as an HTML page.

    Args:
        path: File to write.
        report: Report.
        gallery: Gallery whose photos are shown, or its address.

    Raises:
        UsageError: The file cannot be written.
        LookalikeError: The disk is full, damaged or read-only.
    """
    if not isinstance(gallery, Retriever):
        with open_retriever(gallery) as shop:
            write_page(path, report, shop)
            return
    page = report_page(report, gallery.gallery)
    try:
        write_whole(path, page.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise not_written(path, "the page", error) from None


def report_page(report: UsageReport, gallery: Gallery) -> str:
    """HTML of a report. Photos are embedded, and all text of the catalogue and of visitors is escaped."""
    read_photo = PhotoReader.of(gallery)
    known: dict[str, str] = {}

    def photo(item_id: str) -> str:
        """Photo of an item with its id, from where the gallery may read."""
        if item_id not in known:
            known[item_id] = _photo(gallery, item_id, read_photo)
        return known[item_id]

    ranks = {str(rank): share for rank, share in enumerate(report.ranks, start=1)}
    sheet = "\n".join(_search(done, photo) for done in report.unchosen)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Use of the search</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Use of the search</h1>
<p>{moment(report.since)} to {moment(report.until)}</p>
{_table(("", "share", "", "95 % interval", "of"), figures(report))}
<h2>Chosen, by rank</h2>
{_table(("rank", "share", "", "95 % interval", "shown"), ranks)}
<h2>Searches of which nothing was chosen</h2>
<p>Those with the worst first match first. Query photos are not kept.</p>
{sheet or "<p>There are none.</p>"}
</body>
</html>
"""


def figures(report: UsageReport) -> Mapping[str, Share]:
    """Shares by name, of all searches and of each model with its weights."""
    arms = {f"chosen: {arm_title(arm)}": arm.chosen for arm in report.arms}
    return {"something was chosen": report.chosen, "no good match": report.without_good_match, **arms}


def arm_title(arm: Arm) -> str:
    """Model, weights and learned ranking in one line."""
    weights = ", ".join(f"{name} {weight:g}" for name, weight in arm.weights.items())
    return f"{arm.model}, {weights}" + (f", {arm.ranking}" if arm.ranking else "")


def _table(titles: Sequence[str], rows: Mapping[str, Share]) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    lines = []
    for name, share in rows.items():
        low, high = share.interval
        bar = f'<td class="bars"><span style="width:{share.value * 8:.2f}rem"></span></td>'
        cells = f"<td>{share.value:.1%}</td>{bar}<td>{low:.1%} to {high:.1%}</td><td>{share.total:,}</td>"
        lines.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _search(done: Done, photo: Callable[[str], str]) -> str:
    """A search of which nothing was chosen: its item, if it has one, and its first matches."""
    search = done.search
    told = [
        moment(search.at),
        f"by {search.kind}",
        search.words or "",
        search.garment or "",
        "" if search.relevance is None else f"relevance of the first {search.relevance:.2f}",
        "" if search.best is None else f"score {search.best:.3f}",
    ]
    query = "" if search.item is None else f'<li class="query">{photo(search.item)}</li>'
    matches = "".join(f"<li>{photo(item)}</li>" for item in search.ids[:FIRST])
    shown = f'<ul class="photos">{query}{matches}</ul>' if query or matches else "<p>Nothing was found.</p>"
    return f'<div class="search">{escape(", ".join(part for part in told if part))}{shown}</div>'


def _photo(gallery: Gallery, item_id: str, read_photo: PhotoReader) -> str:
    """Photo of an item with its id; a box with the reason if it cannot be shown."""
    try:
        item = gallery.get(item_id)
    except UnknownNameError:
        return f'<span class="none">removed</span>{escape(item_id)}'
    shown = item_thumbnail(item, item.box, size=SIZE, read_photo=read_photo)
    if shown.image is None:
        return f'<span class="none">{escape(shown.reason)}</span>{escape(item_id)}'
    return f'<img src="{data_uri(shown.image, quality=QUALITY)}" alt="">{escape(item_id)}'
