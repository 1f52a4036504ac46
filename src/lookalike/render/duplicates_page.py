"""Duplicates of a gallery as a self-contained HTML page to review, without scripts, other files or network access."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final, Protocol

from lookalike.render.captions import item_title
from lookalike.render.thumbnails import ReadPhoto, data_uri, item_thumbnail
from lookalike.storage.files import not_written, write_whole
from lookalike.types import Item

SIZE: Final = (160, 213)
QUALITY: Final = 80
MOST: Final = 500
"""Largest number of groups of a grade that a page shows."""

MOST_ITEMS: Final = 12
"""Largest number of items of a group that a page shows."""

STYLE: Final = """
body { font: 16px/1.4 system-ui, sans-serif; margin: 1.5rem; max-width: 80rem; color-scheme: light dark; }
section.group { border-top: 1px solid #8886; padding: .75rem 0; }
ul { display: flex; flex-wrap: wrap; gap: 1rem; list-style: none; padding: 0; margin: .5rem 0 0; }
li { width: 10rem; overflow-wrap: anywhere; font-size: .875rem; }
img, .missing { display: block; width: 10rem; height: 13.3rem; object-fit: contain; background: #8882; }
p { margin: .25rem 0; }
"""


class Group(Protocol):
    """Items that duplicate each other; see `lookalike.tuning.duplicates.find.Group`."""

    @property
    def grade(self) -> str:
        """Grade, such as `same photo`."""
        ...

    @property
    def items(self) -> Sequence[Item]:
        """Items."""
        ...

    @property
    def cosine(self) -> float:
        """Least cosine of the pairs that join them."""
        ...


def write_duplicates_page(path: Path, groups: Sequence[Group], *, read_photo: ReadPhoto) -> None:
    """Write duplicates as an HTML page, the pictures of each group side by side.

    Args:
        path: File.
        groups: Groups, in order; equal grades one after the other.
        read_photo: Reads the photos.

    Raises:
        UsageError: The file cannot be written.
        LookalikeError: The disk is full, damaged or read-only.
    """
    grades = list(dict.fromkeys(group.grade for group in groups))
    parts = "".join(_grade(grade, [group for group in groups if group.grade == grade], read_photo) for grade in grades)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Duplicates</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>Duplicates</h1>
{parts or "<p>None were found.</p>"}
</main>
</body>
</html>
"""
    try:
        write_whole(path, page.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise not_written(path, "the page", error) from None


def _grade(grade: str, groups: Sequence[Group], read_photo: ReadPhoto) -> str:
    shown = groups[:MOST]
    more = f"<p>The first {len(shown):,} of {len(groups):,}.</p>" if len(shown) < len(groups) else ""
    return f"<h2>{escape(grade.capitalize())}: {len(groups):,}</h2>{more}" + "".join(
        _group(group, read_photo) for group in shown
    )


def _group(group: Group, read_photo: ReadPhoto) -> str:
    cards = "".join(_card(item, read_photo) for item in group.items[:MOST_ITEMS])
    more = f" (the first {MOST_ITEMS} are shown)" if len(group.items) > MOST_ITEMS else ""
    return (
        f'<section class="group"><p>{len(group.items):,} items{more}, cosine {group.cosine:.3f}</p>'
        f"<ul>{cards}</ul></section>\n"
    )


def _card(item: Item, read_photo: ReadPhoto) -> str:
    title = item_title(item)
    thumbnail = item_thumbnail(item, item.parts[0], size=SIZE, read_photo=read_photo)
    if thumbnail.image is None:
        photo = f'<span class="missing">No photo: {escape(thumbnail.reason)}</span>'
    else:
        photo = f'<img src="{data_uri(thumbnail.image, quality=QUALITY)}" alt="{escape(title)}">'
    product = f"<p>product {escape(item.product)}</p>" if item.product else ""
    return f"<li>{photo}<p>{escape(title)}</p><p>id {escape(item.id)}</p>{product}</li>"
