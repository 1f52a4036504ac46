"""The page of duplicates, opened from disk: what is decided on it by keyboard and finger is what is applied."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from on_page import violations
from PIL import Image
from playwright.sync_api import Browser, Page, expect

import lookalike
from lookalike.cli import main
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.spaces import Space
from lookalike.types import FileStamp

PRODUCTS = {"a": "p", "a copy": "q", "b": None, "b copy": None, "b third": None, "c": "r", "<b>&\"'c": "s"}
ANGLES = {"a": 0.0, "b": 1.0, "c": 2.0}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos that are there two or three times, and a page about them."""
    folder = tmp_path_factory.mktemp("duplicates")
    items, rows, stamps = [], [], []
    for number, (name, product) in enumerate(PRODUCTS.items()):
        kind = "c" if "c" in name.split("'")[-1] and "copy" not in name else name[0]
        luck = np.random.default_rng(ord(kind)).integers(0, 256, (4, 3, 3), dtype=np.uint8)
        Image.fromarray(luck).resize((240, 320), Image.Resampling.NEAREST).save(folder / f"{number}.png")
        title = {"title": f"A garment with a rather long name, {name} " * 2}
        items.append(lookalike.Item(name, f"{number}.png", root=str(folder), product=product, attributes=title))
        rows.append([np.cos(ANGLES[kind]), np.sin(ANGLES[kind])])
        stamps.append(FileStamp(1, number, f"{ord(kind):064x}"))
    with LocalGallery(folder / "shop.gallery", create=True) as shop:
        shop.remember_roots([str(folder)])
        spaces = [Space("deep", 2, "by hand")]
        vectors = {"deep": np.array(rows, dtype=np.float32)}
        shop.add(items, vectors, spaces=spaces, source="feed.csv", file_stamps=stamps)
    assert main(["gallery", "duplicates", "-g", str(folder / "shop.gallery"), "--html", str(folder / "d.html")]) == 0
    return folder


@pytest.fixture(params=[360, 768, 1440])
def page(request: pytest.FixtureRequest, browser: Browser, stored: Path) -> Iterator[Page]:
    """The page in a window of a width; anything on the console, and any request but for itself, fails the test."""
    context = browser.new_context(viewport={"width": request.param, "height": 800}, has_touch=request.param == 360)
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda asked: said.append(asked.url))
    opened.goto((stored / "d.html").as_uri())
    yield opened
    assert [line for line in said if not line.startswith(("file:", "data:", "blob:"))] == []
    context.close()


def saved(page: Page, folder: Path) -> dict[str, Any]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save decisions").click()
    assert download.value.suggested_filename == "decisions.json"
    download.value.save_as(folder / "decisions.json")
    told: dict[str, Any] = json.loads((folder / "decisions.json").read_text())
    return told


def group(page: Page, item_id: str) -> Any:
    return page.locator("section.group", has=page.get_by_text(f"id {item_id}", exact=True)).first


def test_what_is_decided_is_what_is_applied(page: Page, stored: Path, tmp_path: Path) -> None:
    expect(page.locator("#told")).to_have_text("0 of 3 decided")
    expect(page.locator("#save")).to_be_disabled()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    first, second, third = group(page, "a"), group(page, "b"), group(page, "c")
    later = first.get_by_role("radio", name="Decide later")
    later.focus()
    page.keyboard.press("ArrowDown")  # as a keyboard chooses among radio buttons
    expect(first.get_by_role("radio", name="One product")).to_be_checked()
    first.get_by_role("combobox").select_option("q")

    press = third.get_by_role("radio", name="Not the same")
    press.tap() if page.evaluate("navigator.maxTouchPoints") else press.click()

    second.get_by_role("radio", name="Keep one").check()
    expect(second.get_by_role("status")).to_have_text("Choose the photo to keep among the included.")
    expect(page.locator("#told")).to_have_text("2 of 3 decided")
    second.get_by_role("radio", name="Keep b copy").check()
    second.get_by_role("checkbox", name="Include b third").uncheck()
    expect(second.get_by_role("status")).to_be_hidden()
    expect(page.locator("#told")).to_have_text("3 of 3 decided")

    told = saved(page, tmp_path)
    assert [(each["decision"], [item["id"] for item in each["items"]]) for each in told["decisions"]] == [
        ("merge", ["a", "a copy"]), ("remove", ["b", "b copy"]), ("apart", ["c", "<b>&\"'c"]),
    ]  # fmt: skip
    assert [item["product"] for item in told["decisions"][0]["items"]] == ["p", "q"]
    expect(page.locator("#next")).to_be_visible()

    shutil.copytree(stored / "shop.gallery", tmp_path / "shop.gallery")
    done = lookalike.apply_decisions(
        str(tmp_path / "shop.gallery"), lookalike.read_decisions(tmp_path / "decisions.json")
    )
    assert (done.moved, done.removed, len(done.reviews), done.left_out) == ([("a", "p", "q")], ["b"], 2, [])
    found = lookalike.find_duplicates(str(tmp_path / "shop.gallery"))
    assert [sorted(item.id for item in each.items) for each in found.of("same photo")] == [["b copy", "b third"]]
    assert found.of("same product") == []
    again = lookalike.find_duplicates(str(tmp_path / "shop.gallery"), reviewed=True)
    assert len(again.of("same photo")) == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, stored: Path, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 800}, color_scheme=scheme, bypass_csp=True)
    opened = context.new_page()
    opened.goto((stored / "d.html").as_uri())
    group(opened, "b").get_by_role("radio", name="Keep one").check()
    group(opened, "a").get_by_role("radio", name="One product").check()
    assert violations(opened) == []
    context.close()
