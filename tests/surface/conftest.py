"""A small gallery: twelve photos of plain and striped cloth, indexed with a tiny model."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_shop import COLORS, TOKEN, Shop, paint
from starlette.testclient import TestClient

import lookalike
from lookalike.server.app import create_app
from lookalike.server.context import AppContext
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context


@pytest.fixture(scope="session")
def finished_shop(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, other_model: Path) -> Shop:
    """The shop that each test gets a copy of."""
    folder = tmp_path_factory.mktemp("shop")
    shop = Shop(folder, folder / "shop.gallery", folder / "catalogue.csv", tiny_model, other_model)
    (folder / "photos").mkdir()
    with shop.table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "product", "colour", "price", "season"])
        for at, (color, rgb) in enumerate(COLORS.items()):
            for number in range(3):
                name = f"{color.lower()}-{number}"
                paint(rgb, number).save(shop.photo(name))
                season = "Summer" if number else "Winter"
                writer.writerow([name, f"photos/{name}.png", color.lower(), color, 10 * at + number, season])
    with lookalike.open(shop.gallery, model=str(tiny_model)) as opened:
        opened.index(shop.table)
    return shop


@pytest.fixture
def shop(finished_shop: Shop, tmp_path: Path) -> Shop:
    """A copy of the shop's gallery and table; photos are shared and not to be changed."""
    gallery = tmp_path / "shop.gallery"
    shutil.copytree(finished_shop.gallery, gallery)
    return Shop(finished_shop.folder, gallery, finished_shop.table, finished_shop.model, finished_shop.other_model)


@pytest.fixture
def context(shop: Shop, tiny_finder: Path) -> AppContext:
    """The shop, ready to be served."""
    settings = Settings(upload_bytes=200_000, pixels=1_000_000, bulk_bytes=2_000_000, workers=2, waiting=4)
    return open_context(
        str(shop.gallery),
        settings=settings,
        token=TOKEN.encode(),
        model=str(shop.model),
        finder=str(tiny_finder),
    )


@pytest.fixture
def client(context: AppContext) -> Iterator[TestClient]:
    """A client of the served shop, without the token."""
    with TestClient(create_app(context), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def writer(client: TestClient) -> TestClient:
    """The same client with the token."""
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    return client


@pytest.fixture(scope="session")
def street_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A red square above a blue one, on white."""
    pixels = np.full((192, 96, 3), 255, dtype=np.uint8)
    pixels[8:88, 8:88] = (220, 10, 10)
    pixels[112:184, 8:84] = (10, 10, 220)
    file = tmp_path_factory.mktemp("street") / "q.png"
    Image.fromarray(pixels).save(file)
    return file
