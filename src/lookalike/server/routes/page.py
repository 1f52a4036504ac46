"""The web page: files of this package and what the settings make of them, all read once at start.

Paths of requests never reach the file system.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lookalike.server.context import AppContext
from lookalike.server.page_colors import hexadecimal, style_sheet
from lookalike.server.page_pictures import Picture, read_picture
from lookalike.server.page_settings import LANGUAGES, PageSettings
from lookalike.server.page_texts import language_of, read_texts, texts_of
from lookalike.server.routes.shared import sharing_router
from lookalike.server.settings import Settings

FOLDER: Final = Path(__file__).parents[2] / "page"
MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
PICTURE: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""Headers of pictures of the shop: an SVG that is opened by itself runs nothing and loads nothing."""

HANGER: Final = '<svg aria-hidden="true"><use href="#icon-hanger"/></svg>'

AROUND_PHOTO: Final = 65_536
"""Bytes of a search by photo that are left for what is not the photo."""


class PageFile:
    """A file in memory.

    Args:
        data: Its bytes.
        media_type: Value of `Content-Type`.
        headers: Further headers.
    """

    def __init__(self, data: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> None:
        self._data = data
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        self._headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Type": media_type, **(headers or {})}

    async def __call__(self, request: Request) -> Response:
        """Send the file, or 304 if the browser has it."""
        if request.headers.get("if-none-match") == self._headers["ETag"]:
            return Response(status_code=304, headers=self._headers)
        return Response(self._data, headers=self._headers)


class IndexPage:
    """The HTML of the page in its languages.

    Args:
        pages: File by language; the first is for browsers that want none of them.
    """

    def __init__(self, pages: Mapping[str, PageFile]) -> None:
        self._pages, self._languages = dict(pages), tuple(pages)

    async def __call__(self, request: Request) -> Response:
        """Send the file in the language that the address or the browser asks for."""
        accepted = request.headers.get("accept-language", "")
        language = language_of(accepted, request.query_params.get("lang"), self._languages)
        return await self._pages[language](request)


class SettingsFile:
    """What the page is told of the server.

    Args:
        files: File by whether the server has several galleries, which a reload may change.
    """

    def __init__(self, files: Mapping[bool, PageFile]) -> None:
        self._files = dict(files)

    async def __call__(self, request: Request) -> Response:
        """Send the file for the present galleries."""
        context: AppContext = request.app.state.context
        return await self._files[len(context.galleries) > 1](request)


def page_router(settings: Settings, folder: Path = FOLDER) -> APIRouter:
    """Routes for all files of the page; `index.html` is at `/`.

    Raises:
        ConfigError: A picture of the settings cannot be shown.
    """
    page = settings.page
    files: dict[str, PageFile | IndexPage | SettingsFile] = {
        file.relative_to(folder).as_posix(): PageFile(file.read_bytes(), MEDIA_TYPES[file.suffix])
        for file in sorted(folder.glob("*"))
        if file.suffix in MEDIA_TYPES and file.name != "index.html"
    }
    for language in LANGUAGES:
        texts = read_texts(language, folder)
        files[f"texts/{language}.json"] = json_file(texts["first"])
        files[f"texts/{language}-later.json"] = json_file(texts["later"])
    for name in ("logo", "icon"):
        if path := getattr(page, name):
            files[name] = picture_file(read_picture(Path(path), setting=f"{name} of [page]"))
    languages = LANGUAGES if page.language == "auto" else (page.language,)
    files[""] = IndexPage(
        {
            language: PageFile(index_page(page, language, folder), MEDIA_TYPES[".html"], {"Vary": "Accept-Language"})
            for language in languages
        }
    )
    files["theme.css"] = PageFile(style_sheet(page.palettes).encode(), MEDIA_TYPES[".css"])
    files["page.json"] = SettingsFile({several: json_file(told_of(settings, several)) for several in (False, True)})
    router = APIRouter()
    for name, file in files.items():
        router.add_route(f"/{name}", file.__call__, methods=["GET"])
    router.include_router(sharing_router(page.sharing))
    return router


def picture_file(picture: Picture) -> PageFile:
    """File of a picture of the shop."""
    return PageFile(picture.data, picture.media_type, PICTURE)


def json_file(content: Mapping[str, Any]) -> PageFile:
    """File of JSON."""
    return PageFile(json.dumps(content, ensure_ascii=False).encode(), MEDIA_TYPES[".json"])


def told_of(settings: Settings, several: bool) -> dict[str, Any]:
    """What the scripts of the page are told of the settings, and whether there are several galleries."""
    return {
        **settings.page.to_json(),
        "photo_bytes": max(settings.upload_bytes - AROUND_PHOTO, 1),
        "open": settings.open,
        "events": settings.events,
        "several": several,
    }


def index_page(page: PageSettings, language: str, folder: Path = FOLDER) -> bytes:
    """The HTML, with what the settings and the language put in its places."""
    papers = {scheme: hexadecimal(complete.properties["paper"]) for scheme, complete in page.palettes.items()}
    themes = [
        f'<meta name="theme-color" content="{paper}"{media(scheme, len(papers))}>' for scheme, paper in papers.items()
    ]
    dark = "" if "dark" not in papers else f'<link rel="stylesheet" href="dark.css"{media("dark", len(papers))}>'
    name = escape(page.name)
    logo = f'<img class="logo" src="logo" alt="{"" if page.show_name else name}">' if page.logo else HANGER
    places = {
        **texts_of(language, folder),
        "language": language,
        "name": name,
        "schemes": " ".join(papers),
        "theme_colors": "\n\t".join(themes),
        "dark_style": dark,
        "icon": '<link rel="icon" href="icon">'
        if page.icon
        else '<link rel="icon" href="icon.svg" type="image/svg+xml">',
        "mark": logo + (name if page.show_name else ""),
    }
    return Template((folder / "index.html").read_text(encoding="utf-8")).substitute(places).encode()


def media(scheme: str, schemes: int) -> str:
    """Attribute that limits an element to a scheme if there are two."""
    return f' media="(prefers-color-scheme: {scheme})"' if schemes > 1 else ""
