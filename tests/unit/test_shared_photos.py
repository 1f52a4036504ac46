"""The store of shared photos: limits, expiry, and nothing else in its folder."""

from __future__ import annotations

import os
import re
import time
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

import lookalike
from lookalike.errors import ConfigError
from lookalike.server.app import create_app
from lookalike.server.errors import ApiError
from lookalike.server.keys import KeyFile, add_key
from lookalike.server.page_settings import PageSettings
from lookalike.server.settings import Settings
from lookalike.server.shared_photos import SharedPhotos, Sharing
from lookalike.server.startup import open_context

PHOTO = Image.new("RGB", (60, 80), (200, 30, 40))


def age(folder: Path, hours: float) -> None:
    for file in folder.iterdir():
        then = time.time() - hours * 3600
        os.utime(file, (then, then))


def test_a_photo_is_kept_until_it_expires(tmp_path: Path) -> None:
    store = SharedPhotos(Sharing(folder=str(tmp_path / "shared"), hours=2))
    photo_id = store.add(PHOTO)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", photo_id)
    assert photo_id != store.add(PHOTO)
    data = store.get(photo_id)
    assert data is not None
    opened = Image.open(BytesIO(data))
    assert (opened.format, opened.size) == ("JPEG", (60, 80))
    assert SharedPhotos(Sharing(folder=str(tmp_path / "shared"), hours=2)).get(photo_id) == data  # after a restart
    age(tmp_path / "shared", 1.9)
    assert store.get(photo_id) == data
    age(tmp_path / "shared", 2.1)
    assert store.get(photo_id) is None
    later = store.add(PHOTO)
    assert [file.name for file in (tmp_path / "shared").iterdir()] == [f"{later}.shared.jpg"]


def test_a_photo_that_is_too_long_for_a_jpeg_is_scaled_down(tmp_path: Path) -> None:
    store = SharedPhotos(Sharing(folder=str(tmp_path)))
    data = store.get(store.add(Image.new("RGB", (131_000, 10))))
    assert data is not None and Image.open(BytesIO(data)).size == (65_500, 5)


def test_there_is_room_again_when_others_have_expired(tmp_path: Path) -> None:
    few = SharedPhotos(Sharing(folder=str(tmp_path), photos=2))
    few.add(PHOTO)
    few.add(PHOTO)
    with pytest.raises(ApiError, match="no room") as caught:
        few.add(PHOTO)
    assert caught.value.status == 429
    age(tmp_path, 25)
    few.add(PHOTO)
    size = next(tmp_path.iterdir()).stat().st_size
    with pytest.raises(ApiError, match="no room"):
        SharedPhotos(Sharing(folder=str(tmp_path), bytes=2 * size - 1)).add(PHOTO)
    SharedPhotos(Sharing(folder=str(tmp_path), bytes=2 * size)).add(PHOTO)


def test_only_its_own_files_are_read_and_deleted(tmp_path: Path) -> None:
    store = SharedPhotos(Sharing(folder=str(tmp_path)))
    own = {"holiday.jpg", "holiday.shared.jpg", ".hidden"}
    for name in own:
        (tmp_path / name).write_bytes(b"mine")
    left_by_a_kill = f".{'a' * 22}.shared.jpg"
    (tmp_path / left_by_a_kill).write_bytes(b"half")
    age(tmp_path, 1000)
    photo_id = store.add(PHOTO)
    assert {file.name for file in tmp_path.iterdir()} == own | {f"{photo_id}.shared.jpg"}
    for hostile in ("holiday", "../secret", "a" * 22, "", f"{photo_id}/", "%2e%2e"):
        assert store.get(hostile) is None


@pytest.mark.parametrize("wrong", [{"hours": 0.0}, {"photos": 0}, {"bytes": -1}])
def test_limits_are_positive(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r": expected a (whole )?number"):
        Sharing(**wrong)


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="folder of"):
        SharedPhotos(Sharing(folder=str(tmp_path / "file" / "shared")))


def test_sharing_needs_a_key_where_searching_does_and_keeps_to_the_memory(tmp_path: Path, tiny_model: Path) -> None:
    PHOTO.save(tmp_path / "a.png")
    with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
        shop.index(tmp_path, exclude=["g/**"])
    sharing = PageSettings(sharing=Sharing(folder=str(tmp_path / "shared")))
    settings = Settings(open=False, decode_bytes=4000, page=sharing)
    key = add_key(tmp_path / "keys.toml", "page")
    keys = KeyFile.read(tmp_path / "keys.toml")
    context = open_context(str(tmp_path / "g"), settings=settings, keys=keys, model=str(tiny_model))
    file = (tmp_path / "a.png").read_bytes()
    headers = {"Content-Type": "image/png"}
    with TestClient(create_app(context)) as client:
        assert client.post("/shared", content=file, headers=headers).json()["error"]["code"] == "unauthorized"
        sent = client.post("/shared", content=file, headers={**headers, "Authorization": f"Bearer {key}"})
        assert (sent.status_code, sent.json()["error"]["code"]) == (422, "unreadable_photo")
    assert [*(tmp_path / "shared").iterdir()] == []
