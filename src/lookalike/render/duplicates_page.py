"""Duplicates of a gallery as a self-contained HTML page to look at and decide, without other files or network access.

Its script is within the page and takes no other; the decisions are saved as a file by the browser.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import count
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
"""Largest number of items of a group that a page shows, and that its decisions are about."""

SCRIPT: Final = "duplicates_review.js"

STYLE: Final = """
:root { color-scheme: light dark; }
html { background: Canvas; color: CanvasText; }
body { font: 1rem/1.4 system-ui, sans-serif; margin: 1rem 1rem 0; max-width: 80rem; }
section.group { border-top: 1px solid #8886; padding: .75rem 0; }
section.group[data-chosen]:not([data-chosen=""]) { border-left: .25rem solid #2a7d4f; padding-left: .75rem; }
fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
legend { padding: 0; font-weight: 600; }
label { display: inline-flex; align-items: center; gap: .375rem; min-height: 2.75rem; margin-right: 1rem; }
input { width: 1.25rem; height: 1.25rem; margin: 0; flex: none; }
select, button { font: inherit; min-height: 2.75rem; max-width: 100%; padding: 0 .75rem; }
.choices { margin-top: .5rem; display: flex; flex-wrap: wrap; align-items: center; }
.only-merge, .only-remove { display: none; }
[data-chosen=merge] .only-merge, [data-chosen=remove] .only-remove { display: inline-flex; }
.missing-part { color: #a01818; }
@media (prefers-color-scheme: dark) { .missing-part { color: #ff9c9c; } }
footer { position: sticky; bottom: 0; margin: 1rem -1rem 0;
  display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center;
  padding: .5rem 1rem; background: Canvas; border-top: 1px solid #8886; }
footer p { margin: 0; overflow-wrap: anywhere; }
ul { display: flex; flex-wrap: wrap; gap: 1rem; list-style: none; padding: 0; margin: .5rem 0 0; }
li { width: 10rem; max-width: calc(50% - .5rem); overflow-wrap: anywhere; font-size: .875rem; }
img, .missing { display: block; width: 100%; height: 13.3rem; object-fit: contain; background: #8882; }
p { margin: .25rem 0; }
"""

FOOTER: Final = """<footer>
<p id="told" role="status"></p>
<button id="save" type="button" disabled>Save decisions</button>
<p id="next" hidden>Saved as <code>decisions.json</code>. Apply them with
<code>lookalike gallery merge --gallery GALLERY --decisions decisions.json</code>; <code>--dry-run</code> tells what
would change.</p>
</footer>
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
    def contents(self) -> Sequence[str | None]:
        """Digests of the photos."""
        ...

    @property
    def cosine(self) -> float:
        """Least cosine of the pairs that join them."""
        ...


def write_duplicates_page(path: Path, groups: Sequence[Group], *, read_photo: ReadPhoto) -> None:
    """Write duplicates as an HTML page, the pictures of each group side by side with what can be decided.

    Args:
        path: File.
        groups: Groups, in order; equal grades one after the other.
        read_photo: Reads the photos.

    Raises:
        UsageError: The file cannot be written.
        LookalikeError: The disk is full, damaged or read-only.
    """
    grades = list(dict.fromkeys(group.grade for group in groups))
    numbers = count(1)
    parts = "".join(
        _grade(grade, [group for group in groups if group.grade == grade], numbers, read_photo) for grade in grades
    )
    script = (files(__package__) / SCRIPT).read_text(encoding="utf-8")
    allowed = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}; base-uri 'none'; form-action 'none'">
<title>Duplicates</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>Duplicates</h1>
{parts or "<p>None were found.</p>"}
</main>
{FOOTER + f"<script>{script}</script>" if groups else ""}
</body>
</html>
"""
    try:
        write_whole(path, page.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise not_written(path, "the page", error) from None


def _grade(grade: str, groups: Sequence[Group], numbers: Iterator[int], read_photo: ReadPhoto) -> str:
    shown = groups[:MOST]
    more = f"<p>The first {len(shown):,} of {len(groups):,}.</p>" if len(shown) < len(groups) else ""
    return f"<h2>{escape(grade.capitalize())}: {len(groups):,}</h2>{more}" + "".join(
        _group(group, next(numbers), read_photo) for group in shown
    )


def _group(group: Group, number: int, read_photo: ReadPhoto) -> str:
    shown = [*zip(group.items, group.contents, strict=True)][:MOST_ITEMS]
    cards = "".join(_card(item, content, number, some=len(shown) > 2, read_photo=read_photo) for item, content in shown)
    more = f" (the first {MOST_ITEMS} are shown, and decided)" if len(group.items) > MOST_ITEMS else ""
    options = "".join(
        f'<option value="{escape(name)}">{escape(name)}</option>' for name in _products([item for item, _ in shown])
    )
    return f"""<section class="group"><fieldset>
<legend>{len(group.items):,} items{more}, cosine {group.cosine:.3f}</legend>
<ul>{cards}</ul>
<div class="choices">
<label><input type="radio" name="group-{number}" value="" checked> Decide later</label>
<label><input type="radio" name="group-{number}" value="merge"> One product</label>
<label class="only-merge">named <select>{options}</select></label>
<label><input type="radio" name="group-{number}" value="remove"> Keep one, remove the others</label>
<label><input type="radio" name="group-{number}" value="apart"> Not the same</label>
<p class="missing-part" role="status" hidden></p>
</div>
</fieldset></section>
"""


def _products(items: Sequence[Item]) -> list[str]:
    """Names that the product of some items may get: those of their products, or else their ids."""
    return [*dict.fromkeys(item.product for item in items if item.product)] or [item.id for item in items]


def _card(item: Item, content: str | None, number: int, *, some: bool, read_photo: ReadPhoto) -> str:
    title = item_title(item)
    thumbnail = item_thumbnail(item, item.parts[0], size=SIZE, read_photo=read_photo)
    if thumbnail.image is None:
        photo = f'<span class="missing">No photo: {escape(thumbnail.reason)}</span>'
    else:
        photo = f'<img src="{data_uri(thumbnail.image, quality=QUALITY)}" alt="{escape(title)}">'
    facts = [("id", item.id), ("product", item.product), ("content", content)]
    data = " ".join(f'data-{name}="{escape(value)}"' for name, value in facts if value is not None)
    product = f"<p>product {escape(item.product)}</p>" if item.product else ""
    about = escape(item.id)
    include = (
        f'<label><input type="checkbox" class="included" aria-label="Include {about}" checked> include</label>'
        if some
        else ""
    )
    return (
        f"<li {data}>{photo}<p>{escape(title)}</p><p>id {about}</p>{product}{include}"
        f'<label class="only-remove"><input type="radio" class="keep" name="keep-{number}" aria-label="Keep {about}"> '
        "keep</label></li>"
    )
