"""A real server over a drawn gallery, and Chromium, which fails a test on any error in its console."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_page import Complaints, OpenPage, Server, start_server, watched_pages
from playwright.sync_api import Browser, sync_playwright

import lookalike
from lookalike.catalogue.sample.drawn import changed_photo, make_products, write_drawn

PRODUCTS, PHOTOS = 18, 2
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""Names of Chromium. The first is its engine without windows, which takes two thirds of the processor time."""


@pytest.fixture(scope="session")
def drawn_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of drawn garments."""
    return write_drawn(tmp_path_factory.mktemp("catalogue"), products=PRODUCTS, photos=PHOTOS)


@pytest.fixture(scope="session")
def drawn_gallery(tmp_path_factory: pytest.TempPathFactory, drawn_table: Path) -> Path:
    """Drawn garments, described by the default model."""
    gallery = tmp_path_factory.mktemp("page") / "drawn.gallery"
    with lookalike.open(gallery) as shop:
        shop.index(drawn_table)
    return gallery


@pytest.fixture(scope="session")
def query_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new photo of the drawn product `d013`, a jacket."""
    path = tmp_path_factory.mktemp("query") / "my jacket.jpg"
    changed_photo(make_products(PRODUCTS)[12]).save(path, quality=90)
    return path


@pytest.fixture(scope="session")
def server(drawn_gallery: Path) -> Iterator[Server]:
    """Serves the drawn garments to all tests; none of them changes it."""
    running = start_server(drawn_gallery)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, as the system has it.

    One for each module: while it runs, no other test of this process could start an event loop.
    """
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        if os.environ.get("LOOKALIKE_NEEDS_BROWSER"):
            raise RuntimeError("there is no Chromium; on Debian: apt-get install chromium-headless-shell")
        pytest.skip("there is no Chromium; on Debian: apt-get install chromium-headless-shell")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def open_page(browser: Browser, complaints: Complaints) -> Iterator[OpenPage]:
    """Opens pages; errors and warnings on the console, and requests to anywhere else, fail the test."""
    with watched_pages(browser, complaints) as opening:
        yield opening
    assert complaints.unexpected() == []
