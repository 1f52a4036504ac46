"""Searches by photo that are shared by a link, where the settings allow it."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from live_page import Complaints, OpenPage, Server, start_server
from on_page import choose, query_of, settled, shown, violations
from PIL import Image
from playwright.sync_api import expect

WIDTHS = (360, 768, 1440)


@pytest.fixture(scope="module")
def sharing_server(tmp_path_factory: pytest.TempPathFactory, drawn_gallery: Path) -> Iterator[Server]:
    """Serves the drawn garments, and lets visitors share photos."""
    folder = tmp_path_factory.mktemp("sharing")
    shutil.copytree(drawn_gallery, folder / "drawn.gallery")
    settings = f'upload_bytes = 1_000_000\n[page]\ngroup = "photo"\n[page.sharing]\nfolder = "{folder / "shared"}"\n'
    (folder / "page.toml").write_text(settings)
    running = start_server(folder / "drawn.gallery", config=folder / "page.toml")
    yield running
    running.stop()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_photo_is_shared_and_found_again_by_somebody_else(
    sharing_server: Server, open_page: OpenPage, query_photo: Path, width: int
) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    page = open_page(sharing_server, width=width, permissions=allowed, reduced_motion="reduce")
    choose(page, query_photo)
    page.locator(".grip.se").press("Shift+ArrowLeft")
    page.wait_for_function("() => new URLSearchParams(location.search).has('box')")
    settled(page)
    before = shown(page)
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("alert")).to_have_text("Link copied. It works for 24 hours.")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{sharing_server.url}?")
    other = open_page(sharing_server, link.removeprefix(sharing_server.url), width=width)
    other.wait_for_function("() => new URLSearchParams(location.search).has('photo')")
    settled(other)
    assert query_of(other)["box"] == query_of(page)["box"]
    assert "shared" not in query_of(other)
    expect(other.locator(".query-name")).to_have_text("Shared photo")
    assert set(shown(other)[:8]) & set(before[:8]) == set(before[:8])


def test_a_photo_that_is_gone_is_told(sharing_server: Server, open_page: OpenPage, complaints: Complaints) -> None:
    complaints.expected = ("Failed to load",)
    page = open_page(sharing_server, f"?shared={'a' * 22}")
    expect(page.get_by_role("alert")).to_have_text("This photo is not shared any more.")
    expect(page.get_by_role("heading", name="Find it by its looks")).to_be_visible()


@pytest.mark.parametrize("failure", [0, 401, 403, 503])
def test_a_shared_photo_that_cannot_be_fetched_now_keeps_its_address(
    sharing_server: Server, open_page: OpenPage, query_photo: Path, failure: int, complaints: Complaints
) -> None:
    complaints.expected = ("Failed to load",)
    _, told = post(sharing_server, query_photo.read_bytes())
    page = open_page(sharing_server, "docs")
    body = '{"error": {"code": "failed", "message": "it went wrong"}}'
    refuse = {"status": failure, "content_type": "application/json", "body": body}
    page.route("**/shared/*", lambda route: route.fulfill(**refuse) if failure else route.abort())
    page.goto(f"{sharing_server.url}?shared={told['id']}&is.type=Jacket")
    titles = {
        0: "The server does not answer.",
        401: "A key is needed here",
        403: "The server refused this search",
        503: "Something went wrong on the server",
    }
    expect(page.get_by_role("heading", name=titles[failure])).to_be_visible()
    assert query_of(page) == {"shared": [told["id"]], "is.type": ["Jacket"]}
    page.unroute("**/shared/*")
    page.reload() if failure in (401, 403) else page.get_by_role("button", name="Try again").click()
    page.wait_for_function("() => new URLSearchParams(location.search).has('photo')")
    settled(page)
    assert (query_of(page)["is.type"], "shared" in query_of(page)) == (["Jacket"], False)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_nothing_is_shared_where_the_settings_do_not_allow_it(
    server: Server, open_page: OpenPage, query_photo: Path
) -> None:
    page = open_page(server)
    choose(page, query_photo)
    expect(page.get_by_role("button", name="Share")).to_have_count(0)
    assert post(server, query_photo.read_bytes())[0] in (404, 405)


def post(server: Server, data: bytes, **headers: str) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(f"{server.url}shared", data, {"Content-Type": "image/jpeg", **headers})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["error"]


def test_only_photos_are_kept_and_without_what_their_files_say(sharing_server: Server) -> None:
    file = BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    Image.new("RGB", (60, 80), "red").save(file, "JPEG", exif=exif)
    status, told = post(sharing_server, file.getvalue())
    assert (status, told["hours"]) == (201, 24)
    with urllib.request.urlopen(f"{sharing_server.url}shared/{told['id']}", timeout=20) as answer:
        kept = answer.read()
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert b"taken at home" in file.getvalue()
    assert b"taken at home" not in kept
    assert post(sharing_server, b"<script>alert(1)</script>")[1]["code"] == "unreadable_photo"
    assert post(sharing_server, b"")[1]["code"] == "unreadable_photo"
    assert post(sharing_server, b"x" * 1_000_001)[1]["code"] == "too_large"
    wrong = {"Content-Type": "text/html"}
    assert post(sharing_server, file.getvalue(), **wrong)[1]["code"] == "unsupported_media_type"
    assert post(sharing_server, file.getvalue(), Origin="https://evil.example")[1]["code"] == "foreign_origin"
    for path in ("shared/..%2fpage.toml", "shared/%2e%2e", "shared/x", "shared/"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(sharing_server.url + path, timeout=20)
        refused.value.close()
        assert refused.value.code == 404
