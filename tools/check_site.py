"""Check a built documentation site: no broken links, and nothing loaded from other hosts.

    check_site.py FOLDER

Exit codes: 0 without faults; 1 with a line for each fault.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"src", "srcset", "poster", "data"}
"""Attributes whose URL a browser loads by itself; it also loads `href` of `link` elements."""

ON_DEMAND = re.compile(r'class="[^"]*\b(?:mermaid|glightbox|pyodide)\b')
"""Markup for which the theme's script fetches a library."""


class Page(HTMLParser):
    """Anchors, links and loaded URLs of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the anchors and URLs of an element."""
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value or "")
            elif name == "href" and tag in ("a", "area"):
                self.links.add(value or "")
            elif name in LOADED or (name == "href" and tag == "link"):
                self.loaded.add(value or "")


def is_elsewhere(address: str) -> bool:
    """Return whether a URL is on another host."""
    return bool(urlsplit(address).netloc)


def faults(site: Path) -> list[str]:
    """Return the faults of a site, a line each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site}: no pages"]
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        found += [f"{name}: loads {address}" for address in sorted(page.loaded) if is_elsewhere(address)]
        if ON_DEMAND.search(path.read_text(encoding="utf-8")):
            found.append(f"{name}: has markup for which the theme fetches a library from another host")
        if path.name == "404.html":
            continue  # it is served at any path, so its links are relative to the root
        for address in sorted(page.links | page.loaded):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or not target.is_relative_to(site.resolve()):
                found.append(f"{name}: {address} leads nowhere")
            elif (
                parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors | {"__top"}
            ):
                found.append(f"{name}: {address}: that page has no such anchor")
    for path in sorted(site.rglob("*.css")):
        addresses = re.findall(r"""(?:url\(|@import\s+)["']?([^"')\s;]+)""", path.read_text(encoding="utf-8"))
        found += [f"{path.name}: loads {address}" for address in addresses if is_elsewhere(address)]
    return found


def main() -> int:
    """Print the faults, and return the exit code."""
    found = faults(Path(sys.argv[1]).resolve())
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
