"""Searches and indexing by garments: the kind that the finder sees reaches the embeddings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from starlette.testclient import TestClient

import lookalike
from lookalike.answers import GarmentChoice
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.labels import PhotoLabels
from lookalike.embedding.model_loading import open_network
from lookalike.embedding.protocol import with_kind
from lookalike.images import open_image
from lookalike.models.default_model import SHIPPED
from lookalike.retrieval.examples import Examples
from lookalike.retrieval.garment_choice import Part, shown_in
from lookalike.retrieval.same_kind import kind_of_photo
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from lookalike.types import Box, Float32, Garment


@pytest.fixture(scope="module")
def outfits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of a red and a blue garment, which the finder takes for a top and trousers."""
    folder = tmp_path_factory.mktemp("outfits")
    for number in range(2):
        photo = Image.new("RGB", (96, 192), "white")
        draw = ImageDraw.Draw(photo)
        draw.rectangle((16 + number, 10, 80, 80), fill=(255, 0, 0))
        draw.rectangle((16, 110, 80, 182 - number), fill=(0, 0, 255))
        photo.save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def gallery(outfits: Path, tiny_finder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    address = tmp_path_factory.mktemp("galleries") / "outfits.gallery"
    with lookalike.open(address, model=SHIPPED, finder=tiny_finder) as shop:
        shop.index(outfits, garments=True)
    return address


def rows(photo: Path, garments: list[Garment], *, informed: bool) -> Float32:
    """What the default model makes of garments, told their kinds or not."""
    embedder = PhotoEmbedder(open_network(SHIPPED))
    prepared = [
        with_kind(
            embedder.prepare(open_image(photo, at_least=embedder.wanted_size, box=each.box)),
            each.kind if informed else None,
        )
        for each in garments
    ]
    return embedder.embed_prepared(prepared).vectors["deep"]


def test_a_search_is_told_the_kind(gallery: Path, outfits: Path, tiny_finder: Path) -> None:
    photo = outfits / "0.png"
    found = lookalike.find_garments(photo, finder=tiny_finder)
    [top, *_] = [each for each in found if each.kind == "top"]
    with lookalike.open(gallery, model=SHIPPED, finder=tiny_finder) as shop:
        for options in ({"garment": "top"}, {"box": top.box}):
            told = shop.search(photo, **options).vectors["deep"]
            np.testing.assert_allclose(told, rows(photo, [top], informed=True), atol=1e-5)
            assert np.abs(told - rows(photo, [top], informed=False)).max() > 0.01
        whole = shop.search(photo, garment="whole").vectors["deep"]
        everything = [Garment(Box(0, 0, 96, 192), "top", 1.0)]
        np.testing.assert_allclose(whole, rows(photo, everything, informed=False), atol=1e-5)


def test_garments_of_the_gallery_are_told_theirs(gallery: Path, outfits: Path, tiny_finder: Path) -> None:
    photo = outfits / "1.png"
    with lookalike.open(gallery, model=SHIPPED, finder=tiny_finder) as shop:
        garments = list(shop.gallery.get("1.png").garments)
        assert {each.kind for each in garments} == {"top", "trousers"}
        indexed = shop.search(item="1.png").vectors["deep"]  # those of its most prominent garment
        np.testing.assert_allclose(indexed, rows(photo, garments[:1], informed=True), atol=1e-3)
        assert np.abs(indexed - rows(photo, garments[:1], informed=False)).max() > 0.01
        context = open_context(str(gallery), settings=Settings(), token=b"a token", finder=str(tiny_finder))
        with TestClient(create_app(context), headers={"Authorization": "Bearer a token"}) as client:
            files = {"photo": ("new.png", photo.read_bytes())}
            answer = client.put("/v1/items/new", files=files, data={"garments": "true"})
            assert answer.status_code in (200, 201), answer.text
        np.testing.assert_allclose(shop.search(item="new").vectors["deep"], indexed, atol=1e-3)


BOX = Box(0, 0, 100, 100)
SURE_SHOES = Garment(Box(0, 0, 100, 80), "shoes", 0.6)
WEAK_HAT = Garment(BOX, "hat", 0.1)
FAR_BAG = Garment(Box(50, 50, 200, 200), "bag", 0.9)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([SURE_SHOES, WEAK_HAT], SURE_SHOES),
        ([FAR_BAG, WEAK_HAT], WEAK_HAT),
        ([Garment(Box(0, 0, 100, 50), "shoes", 0.6), WEAK_HAT], WEAK_HAT),
        ([FAR_BAG], None),
        ([], None),
    ],
)
def test_a_box_shows_the_garment_most_like_it_and_a_sure_one_first(
    found: list[Garment], expected: Garment | None
) -> None:
    assert shown_in(BOX, found) == expected


def test_a_weak_garment_is_evidence_and_does_not_decide() -> None:
    labels = PhotoLabels({"kind": [("shoes", 0.9), ("hat", 0.1)]}, 0.0, {})
    examples = Examples.of("q.png", None, None, None)
    for garment, expected in ((WEAK_HAT, "shoes"), (FAR_BAG, "bag"), (None, "shoes")):
        assert kind_of_photo(labels, Part(examples, BOX, garment=garment), least=0.5) == expected
    assert kind_of_photo(None, Part(examples, BOX, garment=WEAK_HAT), least=0.5) == "hat"
    for asked, score, expected in (("hat", 0.1, "hat"), ("2", 0.22, "hat"), ("2", 0.21, "shoes")):
        hat = replace(WEAK_HAT, score=score)
        choice = GarmentChoice(asked, [FAR_BAG, hat], 2)
        assert kind_of_photo(labels, Part(examples, BOX, choice, hat), least=0.5) == expected
