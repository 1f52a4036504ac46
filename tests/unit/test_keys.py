"""Keys at rest, their rates, and tickets for photos."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lookalike.cli import main
from lookalike.errors import ConfigError, StorageFullError, UnknownNameError, UsageError
from lookalike.server import photo_tickets, rates
from lookalike.server.access import ANYONE, Access, Caller, check_origin_of
from lookalike.server.errors import ApiError
from lookalike.server.keys import KeyFile, add_key, revoke_key
from lookalike.server.rates import Rate, TokenBucket
from lookalike.server.web_origins import check_origin


def bearer(text: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {text}".encode())]


def test_a_file_has_the_hash_and_not_the_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    text = add_key(file, "page", galleries=["bags"], origins=["https://shop.example"], rate="10/s")
    assert text.startswith("lk_")
    assert len(text) == 3 + 43  # 32 bytes in base64
    assert text.removeprefix("lk_") not in file.read_text()
    key = KeyFile.read(file).keys["page"]
    assert key.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert (key.write, key.galleries, key.origins, key.rate) == (False, ("bags",), ("https://shop.example",), "10/s")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert add_key(file, "other") != text
    assert [*KeyFile.read(file).keys] == ["page", "other"]


def test_an_existing_file_keeps_its_mode_and_a_link_its_target(tmp_path: Path) -> None:
    file, link = tmp_path / "keys.toml", tmp_path / "link.toml"
    add_key(file, "page")
    file.chmod(0o640)
    link.symlink_to(file)
    add_key(link, "other")
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [*KeyFile.read(file).keys] == ["page", "other"]


def test_commands_at_the_same_time_lose_no_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    with ThreadPoolExecutor(8) as pool:
        made = [*pool.map(lambda number: add_key(file, f"key-{number}"), range(24))]
    assert len({*made}) == len(KeyFile.read(file).keys) == 24


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.toml"
    add_key(file, "page")
    before = file.read_text()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StorageFullError):
        add_key(file, "other")
    assert file.read_text() == before
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_revoking_removes_one_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    for name in ("page", "nightly"):
        add_key(file, name)
    with pytest.raises(UnknownNameError, match="did you mean 'page'"):
        revoke_key(file, "pag")
    revoke_key(file, "page")
    assert [*KeyFile.read(file).keys] == ["nightly"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[keys.a]\nsha256 = 'short'\n", "64 digits"),
        (f"[keys.a]\nsha256 = '{'0' * 64}'\nwirte = true\n", "did you mean 'write'"),
        (f"[keys.a]\nsha256 = '{'0' * 64}'\norigins = ['*']\n", "origin"),
        (f"[keys.a]\nsha256 = '{'0' * 64}'\nrate = '0/s'\n", "rate"),
        (f"[keys.a]\nsha256 = '{'0' * 64}'\ngalleries = ['items']\n", "route"),
        (f"[keys.'a b']\nsha256 = '{'0' * 64}'\n", "name of a key"),
        (f"[keys.a]\nsha256 = '{'0' * 64}'\n[keys.b]\nsha256 = '{'0' * 64}'\n", "same key"),
        ("[keys.a\n", "not a TOML file"),
    ],
)
def test_a_file_with_a_fault_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        KeyFile.read(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "null", "", "shop.example", "https://shop.example/", "https://SHOP.example", "https://shop.example:443"),
        *(
            "http://a:80",
            "https://user@a",
            "https://a b",
            'https://a"',
            "ftp://a",
            "https://a,https://b",
            "https://a:x",
        ),
        *("https://*.example", "https://a\n"),
    ],
)
def test_what_no_browser_sends_is_no_origin(origin: str) -> None:
    with pytest.raises(ConfigError):
        check_origin(origin)


@pytest.mark.parametrize(
    "origin", ["https://shop.example", "http://localhost:5173", "http://[::1]:8000", "https://a:8443"]
)
def test_origins(origin: str) -> None:
    check_origin(origin)


def test_the_command_prints_the_key_alone_on_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "keys.toml")
    assert main(["keys", "add", "page", "--file", file, "--rate", "10/s"]) == 0
    printed = capsys.readouterr()
    text = printed.out.strip()
    assert text.startswith("lk_")
    assert text not in printed.err
    assert main(["keys", "add", "nightly", "--file", file, "--write", "--gallery", "bags"]) == 0
    capsys.readouterr()
    assert main(["keys", "list", "--file", file, "--json"]) == 0
    printed = capsys.readouterr()
    assert [(key["name"], key["write"], key["galleries"], key["rate"]) for key in json.loads(printed.out)["keys"]] == [
        ("page", False, [], "10/s"),
        ("nightly", True, ["bags"], None),
    ]
    assert "sha256" not in printed.out
    assert main(["keys", "list", "--file", file]) == 0
    assert "search, write" in capsys.readouterr().out
    assert main(["keys", "add", "page", "--file", file]) == 2
    assert main(["keys", "revoke", "page", "--file", file]) == 0
    assert main(["keys", "revoke", "page", "--file", file]) == 2


def test_rates_are_a_number_and_a_time() -> None:
    assert Rate.parse("10/s") == Rate(10, 1)
    assert Rate.parse("600/min") == Rate(600, 60)
    assert Rate.parse("5000/h") == Rate(5000, 3600)
    for text in ("0/s", "10", "10/d", "-1/s", "1.5/s", "10 / s", "9999999999/s", "\u0661/s"):
        with pytest.raises(UsageError):
            Rate.parse(text)


def test_a_bucket_gives_as_many_at_once_as_it_holds_and_fills_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(rates, "monotonic", lambda: now)
    bucket = TokenBucket(Rate(60, 60))
    assert [bucket.take() for _ in range(60)] == [0.0] * 60
    assert bucket.take() == pytest.approx(1.0)
    now = 0.25
    assert bucket.take() == pytest.approx(0.75)
    now = 1.0
    assert bucket.take() == 0.0
    assert bucket.take() == pytest.approx(1.0)
    now = 1_000_000.0
    assert [bucket.take() for _ in range(60)] == [0.0] * 60
    assert bucket.take() > 0


@pytest.fixture
def keys(tmp_path: Path) -> tuple[KeyFile, dict[str, str]]:
    file = tmp_path / "keys.toml"
    texts = {
        "page": add_key(file, "page", galleries=["bags"], origins=["https://shop.example"]),
        "slow": add_key(file, "slow", rate="2/h"),
        "nightly": add_key(file, "nightly", write=True, galleries=["bags"]),
        "admin": add_key(file, "admin", write=True),
    }
    return KeyFile.read(file), texts


def test_who_sends_a_request(keys: tuple[KeyFile, dict[str, str]]) -> None:
    file, texts = keys
    access = Access(b"the-token-of-the-operator", file)
    assert access.caller_of([]) is ANYONE
    for name, text in texts.items():
        assert access.caller_of(bearer(text)) == Caller(name, file.keys[name])
    assert access.caller_of([(b"authorization", f"bearer  {texts['page']} ".encode())]).name == "page"
    assert access.caller_of(bearer("the-token-of-the-operator")) == Caller(owner=True)
    wrong = [bearer(""), bearer("page"), bearer(texts["page"][:-1]), bearer(texts["page"].lower())]
    wrong += [bearer(file.keys["page"].sha256), [(b"authorization", b"Basic " + texts["page"].encode())]]
    wrong += [bearer(texts["page"]) + bearer(texts["admin"]), bearer(texts["page"]) * 2]
    assert {access.caller_of(headers) for headers in wrong} == {Caller(wrong=True)}
    assert [access.caller_of(bearer(text)).may_write("bags") for text in texts.values()] == [False, False, True, True]
    assert [access.caller_of(bearer(text)).may_write("hats") for text in texts.values()] == [False, False, False, True]
    assert [access.caller_of(bearer(text)).may_operate for text in texts.values()] == [False, False, False, True]
    assert not ANYONE.may_write("bags")


def test_a_rate_outlives_a_reload_unless_it_was_changed(keys: tuple[KeyFile, dict[str, str]], tmp_path: Path) -> None:
    file, texts = keys
    access = Access(None, file)
    slow = access.caller_of(bearer(texts["slow"]))
    for _ in range(2):
        access.check(slow, is_open=True)
    again = Access(None, file, before=access)
    for each in (access, again):
        with pytest.raises(ApiError) as caught:
            each.check(slow, is_open=True)
        assert caught.value.code == "rate_limited"
        assert 1 <= int(caught.value.headers["Retry-After"]) <= 1800
    revoke_key(tmp_path / "keys.toml", "slow")
    add_key(tmp_path / "keys.toml", "slow", rate="3/h")
    changed = KeyFile.read(tmp_path / "keys.toml")
    new = Access(None, changed, before=again)
    new.check(Caller("slow", changed.keys["slow"]), is_open=True)
    assert len(new._buckets) == 1  # as many as keys with a rate, whatever is sent
    for number in range(1000):
        new.caller_of(bearer(f"lk_{number}"))
    assert len(new._buckets) == 1


def test_a_closed_server_needs_a_key_and_an_open_one_refuses_a_wrong_one(
    keys: tuple[KeyFile, dict[str, str]],
) -> None:
    file, texts = keys
    access, page = Access(b"the-token-of-the-operator", file), texts["page"]
    for is_open in (True, False):
        access.check(access.caller_of(bearer(page)), is_open=is_open)
        access.check(access.caller_of(bearer("the-token-of-the-operator")), is_open=is_open)
        with pytest.raises(ApiError, match="unknown"):
            access.check(access.caller_of(bearer("lk_nonsense")), is_open=is_open)
    access.check(ANYONE, is_open=True)
    with pytest.raises(ApiError, match="needs a key"):
        access.check(ANYONE, is_open=False)
    Access(None).check(Caller(wrong=True), is_open=True)  # as ever where there are no keys


SHOP, EVIL = "https://shop.example", "https://evil.example"


@pytest.mark.parametrize(
    ("key", "origin", "method", "allowed"),
    [
        ("page", SHOP, "POST", True),
        ("page", SHOP, "GET", True),
        ("page", EVIL, "POST", False),
        ("page", EVIL, "GET", False),
        ("page", "null", "GET", False),
        ("page", None, "GET", False),
        ("page", "http://here:8000", "POST", False),
        ("slow", None, "POST", True),
        ("slow", SHOP, "POST", False),
        ("slow", "http://here:8000", "POST", True),
        ("", None, "POST", True),
        ("", SHOP, "POST", False),
        ("", SHOP, "GET", False),
        ("", EVIL, "GET", True),
        ("", EVIL, "DELETE", False),
        ("", "https://partner.example", "POST", True),
    ],
)
def test_which_pages_may_send_what(
    keys: tuple[KeyFile, dict[str, str]], key: str, origin: str | None, method: str, allowed: bool
) -> None:
    file, texts = keys
    access = Access(None, file)
    headers = (bearer(texts[key]) if key else []) + ([(b"origin", origin.encode())] if origin else [])

    def check() -> None:
        check_origin_of(
            access.caller_of(headers),
            headers,
            method=method,
            own=["here:8000"],
            allowed=["https://partner.example"],
            others=access.origins,
        )

    if allowed:
        check()
    else:
        with pytest.raises(ApiError) as caught:
            check()
        assert (caught.value.status, caught.value.code) == (403, "foreign_origin")


def test_two_origins_are_none() -> None:
    with pytest.raises(ApiError, match="one Origin"):
        check_origin_of(ANYONE, [(b"origin", b"https://a")] * 2, method="GET", own=[], allowed=["https://a"], others=[])


def test_a_ticket_is_for_one_gallery_and_ends(
    keys: tuple[KeyFile, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, texts = keys
    now = 1_796_000_000.0
    monkeypatch.setattr(photo_tickets, "time", lambda: now)
    access = Access(b"the-token-of-the-operator", file)
    page, admin = (access.caller_of(bearer(texts[name])) for name in ("page", "admin"))
    ticket, expires = access.ticket_of(page, "bags")
    assert 3600 <= expires - now <= 7200
    assert texts["page"] not in ticket
    assert access.accepts_ticket(ticket, "bags")
    assert Access(None, file).accepts_ticket(ticket, "bags")  # another process with the same keys
    for other in ("hats", "bag", ""):
        assert not access.accepts_ticket(ticket, other)
    name, _, signature = ticket.split(".")
    forged = [f"admin.{expires}.{signature}", f"{name}.{expires + 3600}.{signature}", f"{name}.{expires}.{'A' * 43}"]
    forged += [f".{expires}.{signature}", f"{name}.{expires}.", f"{name}.{'9' * 30}.{signature}", "", "..", "ä.1.b"]
    forged += [f"nobody.{expires}.{signature}", ticket + "=", f" {ticket}", f"{ticket}\n"]
    assert not any(access.accepts_ticket(text, "bags") for text in forged)
    own, _ = access.ticket_of(Caller(owner=True), "bags")
    assert access.accepts_ticket(own, "bags")
    assert not Access(b"another-token-of-the-operator", file).accepts_ticket(own, "bags")
    wide, _ = access.ticket_of(admin, "hats")
    assert access.accepts_ticket(wide, "hats")
    for caller in (ANYONE, Caller(wrong=True)):
        with pytest.raises(ApiError):
            access.ticket_of(caller, "bags")
    revoke_key(tmp_path / "keys.toml", "page")
    assert not Access(None, KeyFile.read(tmp_path / "keys.toml")).accepts_ticket(ticket, "bags")
    now = float(expires)
    assert access.accepts_ticket(ticket, "bags")
    now = expires + 1.0
    assert not access.accepts_ticket(ticket, "bags")
    assert access.ticket_of(page, "bags")[0] != ticket
