"""Loading of models while the gallery is opened: once, in other threads, and with their errors."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from PIL import Image

import lookalike
from lookalike.embedding.model_choice import ModelFile
from lookalike.embedding.protocol import Embedder
from lookalike.errors import ModelError
from lookalike.finding.finder import Finder
from lookalike.gallery.local.gallery import LocalGallery


@pytest.fixture
def shop(tmp_path: Path, tiny_model: Path) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, color in (("red", "red"), ("blue", "blue")):
        Image.new("RGB", (60, 80), color).save(photos / f"{name}.png")
    with lookalike.open(tmp_path / "shop.gallery", model=tiny_model) as retriever:
        retriever.index(photos)
    return tmp_path


def test_the_embedder_is_loaded_once_in_another_thread(
    shop: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    load = ModelFile.load

    def noted(self: ModelFile, *arguments: object, **options: object) -> Embedder:
        threads.append(threading.current_thread().name)
        return load(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelFile, "load", noted)
    with lookalike.open(shop / "shop.gallery", model=tiny_model) as retriever:
        for _ in range(2):
            assert retriever.search(shop / "photos" / "red.png").matches[0].item.id == "red.png"
    assert threads == ["lookalike-load"]


@pytest.fixture
def finder_loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the threads that have loaded a finder so far."""
    threads: list[str] = []
    load = Finder.__init__

    def noted(self: Finder, file: str | None = None) -> None:
        threads.append(threading.current_thread().name)
        load(self, file)

    monkeypatch.setattr(Finder, "__init__", noted)
    return threads


def test_the_finder_is_loaded_once_in_another_thread(shop: Path, tiny_model: Path, finder_loads: list[str]) -> None:
    with lookalike.open(shop / "shop.gallery", model=tiny_model) as retriever:
        for _ in range(2):
            assert retriever.search(shop / "photos" / "red.png").query.garment is not None
    assert finder_loads == ["lookalike-load"]


def test_the_index_is_loaded_while_models_are_but_for_no_later_search(
    shop: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(LocalGallery, "load_index", lambda self, request: asked.append(True))
    with lookalike.open(shop / "shop.gallery", model=tiny_model) as retriever:
        for _ in range(2):
            retriever.search(shop / "photos" / "red.png")
    assert len(asked) == 1


def test_without_a_finder_a_search_starts_no_thread_to_load_it(
    shop: Path, tiny_model: Path, finder_loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.finding.finder.SHIPPED_FINDER", shop / "none.onnx")
    with lookalike.open(shop / "shop.gallery", model=tiny_model) as retriever:
        for _ in range(2):
            assert retriever.search(shop / "photos" / "red.png").query.garment is None
    assert set(finder_loads) == {"MainThread"}


def test_any_error_of_loading_is_told_once_by_the_search(
    shop: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def fail(self: Finder, file: str | None = None) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(Finder, "__init__", fail)
    with lookalike.open(shop / "shop.gallery", model=tiny_model) as retriever, pytest.raises(MemoryError, match="room"):
        retriever.search(shop / "photos" / "red.png")
    assert told == []


def test_an_error_of_loading_the_finder_is_raised_by_the_search(shop: Path, tiny_model: Path) -> None:
    with (
        lookalike.open(shop / "shop.gallery", model=tiny_model, finder=tiny_model) as retriever,
        pytest.raises(ModelError, match="expected a finder"),
    ):
        retriever.search(shop / "photos" / "red.png")


def test_an_error_of_loading_is_raised_by_the_search(shop: Path, tiny_model: Path) -> None:
    damaged = shop / "damaged.onnx"
    damaged.write_bytes(tiny_model.read_bytes()[:-100])
    with lookalike.open(shop / "shop.gallery", model=damaged) as retriever, pytest.raises(ModelError, match="damaged"):
        retriever.search(shop / "photos" / "red.png")


def test_a_search_by_item_loads_no_model(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelFile, "load", None)
    with lookalike.open(shop / "shop.gallery") as retriever:
        assert retriever.search(item="red.png").matches
