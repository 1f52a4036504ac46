"""Photos and catalogues in object stores and on the web: a real S3 protocol, and a web server that can fail."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("s3fs")
pytest.importorskip("moto")

import lookalike
from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import CatalogueError, LookalikeError, PhotoError, UsageError
from lookalike.gallery.transfer.backup import backup
from lookalike.gallery.transfer.restoring import restore
from lookalike.images import Limits, open_image, read_bytes
from lookalike.remote import object_store, streams
from lookalike.remote.cache import PhotoCache
from store_servers import BUCKET, WebServer, client, delete, environment, forget_stores, put, s3_server

PHOTOS = 6


def photo(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, size=(6, 6, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).resize((48, 48), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Six photos, in two folders, beside a file that is none."""
    for name, value in environment(endpoint).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(object_store, "FIRST_PAUSE_S", 0.01)
    forget_stores()
    client().create_bucket(Bucket=BUCKET)
    for number in range(PHOTOS):
        put(f"photos/{'ab'[number % 2]}/{number}.png", photo(number))
    put("photos/notes.txt", b"none")
    yield f"s3://{BUCKET}"
    for found in client().list_objects_v2(Bucket=BUCKET).get("Contents", []):
        delete(found["Key"])
    client().delete_bucket(Bucket=BUCKET)
    forget_stores()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> None:
    """No photo of the web is kept, and pauses are short."""
    monkeypatch.setenv("LOOKALIKE_CACHE", "")
    monkeypatch.setattr(object_store, "FIRST_PAUSE_S", 0.01)
    forget_stores()


def rows(gallery: Path) -> dict[str, np.ndarray]:
    with lookalike.open(gallery) as shop:
        return {
            item.id: np.concatenate([shop.gallery.vectors(item.id)[space.name][0] for space in shop.gallery.spaces])
            for item in shop.gallery.list(limit=None)[1]
        }


def test_a_folder_of_a_bucket_gives_what_the_same_folder_gives_here(
    bucket: str, tmp_path: Path, tiny_model: Path
) -> None:
    for number in range(PHOTOS):
        file = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photo(number))
    with lookalike.open(tmp_path / "here", model=str(tiny_model)) as shop:
        shop.index(tmp_path / "photos")
    with lookalike.open(tmp_path / "there", model=str(tiny_model)) as shop:
        first = shop.index(f"{bucket}/photos")
        found = shop.gallery.get("b/3.png")
    assert (first.added, first.skipped) == (PHOTOS, [])
    assert (found.location, found.attributes) == (f"{bucket}/photos/b/3.png", {"folder": "b"})
    here, there = rows(tmp_path / "here"), rows(tmp_path / "there")
    assert list(here) == list(there)
    for id_, row in here.items():
        np.testing.assert_array_equal(row, there[id_])


def test_only_what_has_changed_in_a_bucket_is_read_again(bucket: str, tmp_path: Path, tiny_model: Path) -> None:
    gallery = tmp_path / "g"
    with lookalike.open(gallery, model=str(tiny_model)) as shop:
        shop.index(f"{bucket}/photos")
        again = shop.index(f"{bucket}/photos")
        assert (again.unchanged, again.embedded) == (PHOTOS, 0)
        put("photos/a/2.png", photo(99))
        delete("photos/b/5.png")
        put("photos/a/0.png", b"\x89PNG\r\n\x1a\n and then nothing")
        changed = shop.index(f"{bucket}/photos", prune=True)
    assert (changed.updated, changed.unchanged, changed.removed) == (1, PHOTOS - 3, 1)
    assert [(one.id, one.photo) for one in changed.skipped] == [("a/0.png", "a/0.png")]
    assert sorted(rows(gallery)) == ["a/0.png", "a/2.png", "a/4.png", "b/1.png", "b/3.png"]


def test_photos_are_looked_for_beside_a_table_in_a_bucket(bucket: str, tmp_path: Path, tiny_model: Path) -> None:
    table = f"id,file,price\nx,photos/a/0.png,10\ny,{bucket}/photos/b/1.png,20\nz,photos/none.png,30\n"
    put("shop.csv", table.encode())
    with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
        report = shop.index(f"{bucket}/shop.csv", columns={"image": "file"})
        assert shop.gallery.get("x").attributes == {"price": 10}
        assert list(shop.gallery.source_items(f"{bucket}/shop.csv")) == ["x", "y"]
    assert [(one.id, one.reason) for one in report.skipped] == [("z", "no such file")]


def test_a_parquet_table_in_a_bucket(bucket: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    file = BytesIO()
    parquet.write_table(pa.table({"image": ["photos/a/0.png"], "price": [12.5]}), file)
    put("shop.parquet", file.getvalue())
    [item] = open_catalogue(f"{bucket}/shop.parquet").items()
    assert (item.location, item.attributes) == (f"{bucket}/photos/a/0.png", {"price": 12.5})


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("s3://shop/none", "s3://shop/none: there is no such folder or table"),
        ("s3://no-such-bucket/photos", "s3://no-such-bucket/photos: there is no such folder or table"),
        ("s3://shop/broken.csv", "s3://shop/broken.csv:3: expected 2 cells as in the first line, not 1, got 'b'"),
        ("s3://shop/texts", "s3://shop/texts: there are no photos below it, and 1 other object"),
        ("s3://", "s3://: expected the name of a bucket or of a server after the scheme"),
        ("s4://shop", "s4://shop: addresses that can be read begin with s3://, gs://, az:// or https://"),
    ],
)
def test_errors_name_the_address(bucket: str, source: str, told: str) -> None:
    put("broken.csv", b"id,image\na,a.png\nb\n")
    put("texts/readme.txt", b"words")
    with pytest.raises(CatalogueError) as error:
        open_catalogue(source)
    assert str(error.value) == told


def test_a_photo_is_refused_by_its_length(bucket: str) -> None:
    length = len(photo(0))
    assert read_bytes(f"{bucket}/photos/a/0.png", limits=Limits(bytes=length)) == photo(0)
    with pytest.raises(PhotoError, match="longer than"):
        read_bytes(f"{bucket}/photos/a/0.png", limits=Limits(bytes=length - 1))
    put("empty.png", b"")
    with pytest.raises(PhotoError, match="the file is empty"):
        read_bytes(f"{bucket}/empty.png")


def test_a_photo_is_kept_here_until_it_changes_there(bucket: str, tmp_path: Path) -> None:
    url = f"{bucket}/photos/a/0.png"
    assert read_bytes(url, keep=False) == photo(0)
    assert not (tmp_path / "cache").exists()
    assert read_bytes(url) == photo(0)
    [kept] = (tmp_path / "cache").iterdir()
    kept.write_bytes(hashlib.sha256(b"from the cache").digest() + b"from the cache")
    assert read_bytes(url) == b"from the cache"
    kept.write_bytes(kept.read_bytes().replace(b"cache", b"catch"))
    assert read_bytes(url) == photo(0)
    put("photos/a/0.png", photo(7) + b"longer")
    assert read_bytes(url) == photo(7) + b"longer"


def test_a_store_that_refuses_says_so(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PhotoError) as missing:
        open_image(f"{bucket}/photos/none.png")
    assert missing.value.reason == "no such file"
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        forget_stores()
        with pytest.raises(PhotoError, match=rf"cannot be read: .*\({object_store.TRIES} tries\)"):
            open_image(f"{bucket}/photos/a/0.png")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        forget_stores()
        with pytest.raises(PhotoError) as refused:
            open_image(f"{bucket}/photos/a/0.png")
        assert refused.value.reason == "the store wants credentials, and none are set"


def test_azure_without_an_account_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    forget_stores()
    with pytest.raises(UsageError, match="az:// addresses cannot be read: set AZURE_STORAGE_ACCOUNT_NAME, or"):
        open_catalogue("az://shop/photos")


@pytest.mark.filterwarnings("ignore")  # the library leaves a session open when it fails
def test_googles_library_does_not_write_what_it_raises(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with WebServer(lambda path, times: (404, b"{}")) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.address)
        forget_stores()
        with pytest.raises(CatalogueError, match="gs://shop/photos: there is no such folder or table"):
            open_catalogue("gs://shop/photos")
    assert server.asked
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("web")
def test_a_server_that_is_busy_is_asked_again_and_one_that_has_nothing_is_not() -> None:
    def answer(path: str, times: int) -> tuple[int, bytes]:
        if path == "/busy.png":
            return (503, b"later") if times < object_store.TRIES else (200, photo(1))
        return {"/gone.png": 404, "/closed.png": 403, "/broken.png": 500}[path], b""

    with WebServer(answer) as server:
        assert read_bytes(f"{server.address}/busy.png") == photo(1)
        reasons = {}
        for name in ("gone", "closed", "broken"):
            with pytest.raises(PhotoError) as error:
                read_bytes(f"{server.address}/{name}.png")
            reasons[name] = error.value.reason
    tries = object_store.TRIES
    assert server.asked == {"/busy.png": tries, "/gone.png": 1, "/closed.png": 1, "/broken.png": tries}
    assert reasons == {
        "gone": "no such file",
        "closed": "the store refuses access; are its credentials set, and do they allow this?",
        "broken": f"cannot be read: the server answers 500 ({object_store.TRIES} tries)",
    }


@pytest.mark.usefixtures("web")
def test_a_body_without_end_is_read_no_further_than_the_limit() -> None:
    with (
        WebServer(lambda path, times: (200, bytes(50 * 2**20))) as server,
        pytest.raises(PhotoError, match="longer than the 1,000 bytes allowed"),
    ):
        read_bytes(f"{server.address}/long.png", limits=Limits(bytes=1000))


@pytest.mark.usefixtures("web")
def test_photos_of_the_web_are_read_several_at_a_time_and_not_more(tmp_path: Path, tiny_model: Path) -> None:
    def answer(path: str, times: int) -> tuple[int, bytes]:
        return 200, photo(int(path.strip("/.png")))

    with WebServer(answer, together=object_store.CONNECTIONS) as server:
        table = tmp_path / "shop.csv"
        table.write_text("image\n" + "".join(f"{server.address}/{number}.png\n" for number in range(60)))
        with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
            report = shop.index(table)
    assert (report.added, report.skipped) == (60, [])
    assert server.asked == {f"/{number}.png": 1 for number in range(60)}
    assert server.most == object_store.CONNECTIONS


def test_the_cache_keeps_to_its_bound_and_forgets_what_nobody_looks_at(tmp_path: Path) -> None:
    cache = PhotoCache(tmp_path, limit=1000)
    for number in range(10):
        cache.keep(f"photo {number}", bytes([number]) * 68)
        os.utime(cache._path(f"photo {number}"), (number, number))
    assert cache.get("photo 0") == bytes(68)  # and so it has been looked at now
    cache.keep("one more", b"x" * 68)
    held = [f"photo {number}" for number in range(10) if cache.get(f"photo {number}") is not None]
    assert held == ["photo 0", *(f"photo {number}" for number in range(3, 10))]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1000


def test_the_cache_removes_and_follows_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"x" * 5000)
    (tmp_path / "secret").write_bytes(b"secret")
    cache = PhotoCache(folder, limit=100)
    cache._path("a link").symlink_to(tmp_path / "secret")
    os.mkfifo(cache._path("a pipe"))
    assert (cache.get("a link"), cache.get("a pipe")) == (None, None)
    cache.keep("a link", b"y" * 200)
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert [path.name for path in folder.iterdir()] == ["holiday.jpg"]


def test_what_was_kept_too_long_ago_is_not_given(tmp_path: Path) -> None:
    cache = PhotoCache(tmp_path)
    cache.keep("a", b"photo")
    assert cache.get("a", fresh_s=60) == b"photo"
    os.utime(cache._path("a"), (1, 1))
    assert cache.get("a", fresh_s=60) is None


# Backups.


def test_backups_are_written_to_a_store_and_restored_from_it(bucket: str, tmp_path: Path, tiny_model: Path) -> None:
    """Large ones in parts; one that fails on its way leaves no object and no parts."""
    with lookalike.open(tmp_path / "shop.gallery", model=tiny_model) as shop:
        shop.index(f"{bucket}/photos")
    made = backup(tmp_path / "shop.gallery", f"{bucket}/backups/")
    assert made.place.startswith(f"{bucket}/backups/shop-")
    assert restore(made.place, tmp_path / "new.gallery").items == PHOTOS
    assert rows(tmp_path / "new.gallery").keys() == rows(tmp_path / "shop.gallery").keys()
    with pytest.raises(UsageError, match="exists already"):
        backup(tmp_path / "shop.gallery", made.place)
    with pytest.raises(UsageError, match="no such file"):
        restore(f"{bucket}/backups/none.tar", tmp_path / "none.gallery")


def test_a_backup_in_a_store_is_there_whole_or_not(
    bucket: str, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes up in parts of 5 MiB here; the store then reads back other bytes than were written."""
    monkeypatch.setattr(streams, "PART", 5 << 20)
    with lookalike.open(tmp_path / "shop.gallery", model=tiny_model) as shop:
        shop.index(f"{bucket}/photos")
    large = tmp_path / "large"
    large.write_bytes(np.random.default_rng(0).bytes(12 << 20))
    monkeypatch.setattr("lookalike.gallery.transfer.backup.model_files", lambda *_: [("models/0/large", large)])
    made = backup(tmp_path / "shop.gallery", f"{bucket}/backups/large.tar")
    assert made.bytes > 12 << 20
    assert client().head_object(Bucket=BUCKET, Key="backups/large.tar")["ContentLength"] == made.bytes
    monkeypatch.setattr("lookalike.gallery.transfer.backup.model_files", fail_after(large))
    with pytest.raises(LookalikeError, match="gone"):
        backup(tmp_path / "shop.gallery", f"{bucket}/backups/failed.tar")
    kept = {found["Key"] for found in client().list_objects_v2(Bucket=BUCKET, Prefix="backups/")["Contents"]}
    assert kept == {"backups/large.tar"}
    assert not client().list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def fail_after(file: Path) -> Callable[..., Iterator[tuple[str, Path]]]:
    """Files of a model, of which the second cannot be read."""

    def files(*_: object) -> Iterator[tuple[str, Path]]:
        yield "models/0/large", file
        raise LookalikeError("gone")

    return files
