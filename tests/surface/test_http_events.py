"""`POST /v1/events`: query ids, what is taken and refused, what is remembered, and what a full disk may break."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_shop import Shop
from starlette.testclient import TestClient
from test_http_answers import png, refused

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.errors import ConfigError
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from lookalike.usage.events_file import Done, EventsFile

QUESTION = {"id": "red-0", "k": 4}


def open_client(shop: Shop, **changes: Any) -> TestClient:
    settings = Settings(workers=2, **{"events": True, **changes})
    context = open_context(str(shop.gallery), settings=settings, model=str(shop.model))
    return TestClient(create_app(context), raise_server_exceptions=False)


@pytest.fixture
def events_client(shop: Shop) -> Iterator[TestClient]:
    """A client of a server that keeps events."""
    with open_client(shop) as client:
        yield client


def file_of(shop: Shop) -> Path:
    return shop.gallery / "events.sqlite"


def remembered(shop: Shop) -> list[Done]:
    with closing(EventsFile(file_of(shop), is_writable=False)) as file:
        return [*file.searches()]


def asked(client: TestClient, question: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = client.post("/v1/search", json=question or QUESTION)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def event_of(answer: dict[str, Any], place: int = 0, type: str = "click", **more: Any) -> dict[str, Any]:
    return {"query_id": answer["query"]["id"], "type": type, "id": answer["matches"][place]["id"], **more}


def test_every_answer_has_an_id_of_its_own_that_nobody_guesses(client: TestClient) -> None:
    ids = {asked(client)["query"]["id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(len(query_id) == 22 and query_id.isascii() for query_id in ids)  # 128 bits


def test_nothing_is_kept_unless_the_settings_say_so(shop: Shop, client: TestClient) -> None:
    error = refused(client.post("/v1/events", json=event_of(asked(client))), "not_found")
    assert "events = true" in error["message"]
    assert not file_of(shop).exists()


def test_events_are_kept_once_and_only_what_the_docs_say(shop: Shop) -> None:
    with open_client(shop) as client:
        answer = asked(client)
        click = event_of(answer, 1)
        first = client.post("/v1/events", json=click)
        assert (first.status_code, first.json()) == (202, {"added": 1, "known": 0})
        several = [click, event_of(answer, 2, "view"), event_of(answer, 2, "cart", rank=7)]
        assert client.post("/v1/events", json=several).json() == {"added": 2, "known": 1}
        photo = client.post("/v1/search", files={"photo": ("mine.png", png())}, data={"k": "3", "text": "secret words"})
        assert photo.status_code == 200, photo.text
    kept, with_words = remembered(shop)
    ids = [match["id"] for match in answer["matches"]]
    assert (kept.search.query_id, [*kept.search.ids]) == (answer["query"]["id"], ids)
    assert kept.events == [("cart", ids[2], 7), ("click", ids[1], 2), ("view", ids[2], 3)]
    assert (kept.search.kind, kept.search.item, kept.search.weights) == ("item", "red-0", answer["query"]["weights"])
    for match, row in zip(answer["matches"], kept.search.scores.tolist(), strict=True):
        assert row == pytest.approx([match["scores"][name] for name in kept.search.spaces])
    assert kept.search.is_plain and not with_words.search.is_plain
    assert (with_words.search.kind, with_words.search.words) == ("photo and words", None)
    content = b"".join(path.read_bytes() for path in shop.gallery.glob("events.sqlite*"))
    assert b"secret" not in content and b"mine.png" not in content
    assert stat.S_IMODE(file_of(shop).stat().st_mode) == 0o600


def test_a_search_that_no_visitor_made_is_answered_and_not_remembered(shop: Shop) -> None:
    weights = {"deep": 0.1, "color": 1.0}
    with open_client(shop, interleave_share=1.0, interleave_weights=weights) as client:
        told = asked(client, {**QUESTION, "remember": False})
        form = {name: (None, value) for name, value in {"id": "red-0", "k": "4", "remember": "false"}.items()}
        as_form = client.post("/v1/search", files=form).json()
        assert "interleaved" not in told["query"]  # since nothing could be learned from it
        assert told["matches"] == as_form["matches"] and len(told["matches"]) == 4
        refused(client.post("/v1/events", json=event_of(told)), "invalid")
        assert "lookalike_searches_total{" not in client.get("/metrics").text
        wrong = client.post("/v1/search", files={**form, "remember": (None, "no way")})
        assert refused(wrong, "invalid")["problems"][0]["field"] == "remember"
        answer = client.post("/v1/search", files={**form, "remember": (None, "true")}).json()
        assert 'lookalike_searches_total{gallery="' in client.get("/metrics").text
    assert [done.search.query_id for done in remembered(shop)] == [answer["query"]["id"]]


def test_words_are_kept_where_the_settings_allow_it(shop: Shop) -> None:
    with open_client(shop, events_words=True) as client:
        asked(client, {"text": "red", "k": 2, "text_search": "full_text"})
    assert [done.search.words for done in remembered(shop)] == ["red"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"query_id": "never-given-by-anybody"}, "query_id"),
        ({"query_id": ""}, "query_id"),
        ({"query_id": 5}, "query_id"),
        ({"id": "blue-9"}, "id"),
        ({"id": "red-0"}, "id"),  # the query item, which is not in its answer
        ({"type": "stare"}, "type"),
        ({"rank": 0}, "rank"),
        ({"rank": True}, "rank"),
        ({"more": 1}, "more"),
    ],
)
def test_what_was_not_in_an_answer_is_refused_and_nothing_is_written(
    shop: Shop, change: dict[str, Any], field: str
) -> None:
    with open_client(shop) as client:
        good = event_of(asked(client))
        alone = refused(client.post("/v1/events", json={**good, **change}), "invalid")
        assert alone["problems"][0]["field"] == field
        among = refused(client.post("/v1/events", json=[good, {**good, **change}]), "invalid")
        assert among["problems"][0]["field"] == f"1.{field}"
    assert [done.events for done in remembered(shop)] == [[]]


def test_bodies_have_limits(events_client: TestClient) -> None:
    good = event_of(asked(events_client))
    refused(events_client.post("/v1/events", json=[]), "invalid")
    refused(events_client.post("/v1/events", json="click"), "invalid")
    refused(events_client.post("/v1/events", json=[good] * 101), "invalid")
    refused(
        events_client.post("/v1/events", content=b"[" * 70_000, headers={"Content-Type": "application/json"}),
        "too_large",
    )
    refused(events_client.post("/v1/events", content=b"{", headers={"Content-Type": "application/json"}), "bad_request")
    refused(events_client.post("/v1/events", data=good), "unsupported_media_type")
    refused(events_client.get("/v1/events"), "method_not_allowed")


def test_another_gallery_does_not_know_the_query(shop: Shop, tmp_path: Path) -> None:
    addresses = {"one": str(shop.gallery), "two": str(tmp_path / "two.gallery")}
    (tmp_path / "two.gallery").symlink_to(shop.gallery)
    context = open_context({"one": addresses["one"]}, settings=Settings(events=True), model=str(shop.model))
    with TestClient(create_app(context)) as client:
        event = event_of(asked(client))
        assert client.post("/v1/one/events", json=event).status_code == 202
        refused(client.post("/v1/two/events", json=event), "unknown_gallery")


def test_a_server_that_was_restarted_takes_events_of_earlier_answers(shop: Shop) -> None:
    with open_client(shop) as client:
        event = event_of(asked(client))
    with open_client(shop) as client:
        assert client.post("/v1/events", json=event).json() == {"added": 1, "known": 0}


def test_searches_work_while_the_file_cannot_be_written(shop: Shop) -> None:
    file_of(shop).write_bytes(b"this is no database, and long enough to be looked at" * 100)
    with open_client(shop) as client:
        answer = asked(client)
        error = refused(client.post("/v1/events", json=event_of(answer)), "failed")
        assert str(shop.gallery) not in error["message"]
        asked(client)
        text = client.get("/metrics").text
        assert 'lookalike_searches_forgotten_total{gallery="default",reason="disk"} 1.0' in text


def test_a_full_disk_stops_events_and_no_search(shop: Shop) -> None:
    with open_client(shop) as client:
        answer = asked(client)
        assert client.post("/v1/events", json=event_of(answer)).status_code == 202
        recorder = client.app.state.context.default.recorder  # type: ignore[attr-defined]
        pages = recorder._file._connection.execute("PRAGMA page_count").fetchone()[0]
        recorder._file._connection.execute(f"PRAGMA max_page_count = {pages}")
        status = 202
        for _ in range(400):
            answer = asked(client, {"id": "red-0", "k": 11})
            status = client.post("/v1/events", json=[event_of(answer, place) for place in range(11)]).status_code
            if status != 202:
                break
        assert status == 507
        asked(client)
    assert remembered(shop)  # and the file is whole


def test_old_searches_are_deleted_and_the_file_stays_small(shop: Shop) -> None:
    with open_client(shop, events_days=1.0) as client:
        for _ in range(200):
            asked(client, {"id": "red-0", "k": 11})
    with sqlite3.connect(file_of(shop)) as connection:
        connection.execute("UPDATE searches SET at = at - 90000 WHERE number <= 5")
        [(before,)] = connection.execute("SELECT COUNT(*) FROM searches")
    connection.close()
    assert before == 200
    with open_client(shop, events_days=1.0, events_bytes=80_000) as client:
        until = time.monotonic() + 20
        while len(remembered(shop)) >= 195 and time.monotonic() < until:  # it tidies at its first turn
            time.sleep(0.05)
        event = refused(client.post("/v1/events", json={"query_id": "x", "type": "click", "id": "y"}), "invalid")
        assert event["problems"][0]["field"] == "query_id"
    kept = remembered(shop)
    assert 0 < len(kept) < 195
    assert min(done.search.at for done in kept) > time.time() - 3600
    assert file_of(shop).stat().st_size < 100_000


def test_interleaved_answers_hold_what_both_rankings_found(shop: Shop) -> None:
    rival = {"deep": 0.1, "color": 1.0}
    with open_client(shop, interleave_share=1.0, interleave_weights=rival) as client:
        usual = asked(client, {**QUESTION, "weights": {"deep": 1, "color": 0.1}})
        other = asked(client, {**QUESTION, "weights": rival})
        mixed = asked(client)
        assert "interleaved" not in usual["query"] and mixed["query"]["interleaved"] is True
        assert mixed["query"]["weights"] == usual["query"]["weights"]
        both = {match["id"] for match in usual["matches"] + other["matches"]}
        assert {match["id"] for match in mixed["matches"]} <= both
        assert [match["rank"] for match in mixed["matches"]] == [1, 2, 3, 4]
        everything = asked(client, {"id": "red-0", "k": 11, "weights": {"deep": 1, "color": 0.1}})
        scores = {match["id"]: match["score"] for match in everything["matches"]}
        assert all(match["score"] == pytest.approx(scores[match["id"]], abs=2e-6) for match in mixed["matches"])
        for untouched in ({"expand": 2}, {"offset": 2}, {"group": "product"}, {"metrics": {"deep": "cityblock"}}):
            assert "interleaved" not in asked(client, {**QUESTION, **untouched})["query"]
    teams = [done.search.interleaved for done in remembered(shop) if done.search.interleaved is not None]
    assert [(mixed.rival, len(mixed.teams), {*mixed.teams}) for mixed in teams] == [(rival, 4, {"A", "B"})]


def test_interleaving_needs_weights_of_every_space(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="needs `interleave_weights`"):
        Settings(events=True, interleave_share=0.1)
    with pytest.raises(ConfigError, match="expected a number from 0 to 1, got"):
        Settings(events=True, interleave_share=1.5, interleave_weights={"deep": 1.0})
    with pytest.raises(ConfigError, match="expected a number above 0"):
        Settings(interleave_weights={"deep": 0.0})
    settings = Settings(events=True, interleave_share=0.5, interleave_weights={"deep": 1.0})
    with pytest.raises(ConfigError, match="'color' has none"):
        open_context(str(shop.gallery), settings=settings, model=str(shop.model))


def test_metrics_tell_how_good_the_answers_are(shop: Shop, events_client: TestClient) -> None:
    for _ in range(3):
        answer = asked(events_client)
    events_client.post("/v1/events", json=event_of(answer))
    nothing = asked(events_client, {**QUESTION, "where": "colour = 'Mauve'"})
    assert nothing["matches"] == []
    text = events_client.get("/metrics").text
    assert 'lookalike_searches_total{gallery="default",good="unknown"} 3.0' in text
    assert 'lookalike_searches_total{gallery="default",good="no"} 1.0' in text
    assert 'lookalike_events_total{gallery="default",type="click"} 1.0' in text
    assert 'lookalike_best_score_count{gallery="default"} 3.0' in text
    assert 'lookalike_query_drift{gallery="default"} NaN' in text


def test_matches_of_an_item_have_their_relevance_from_the_first_search_on(tmp_path: Path) -> None:
    with lookalike.open(tmp_path / "drawn.gallery") as shop:
        shop.index(write_drawn(tmp_path / "drawn", products=2, photos=2))
    context = open_context(str(tmp_path / "drawn.gallery"), settings=Settings(workers=2))
    with TestClient(create_app(context)) as client:
        [match] = asked(client, {"id": "d001-1", "k": 1})["matches"]
        assert 0 <= match["relevance"] <= 1
        assert 'lookalike_best_relevance_count{gallery="default"} 1.0' in client.get("/metrics").text


def test_a_file_that_was_deleted_or_replaced_is_begun_anew(shop: Shop) -> None:
    with open_client(shop) as client:
        first = event_of(asked(client))
        assert client.post("/v1/events", json=first).status_code == 202
        for file in shop.gallery.glob("events.sqlite*"):
            file.unlink()
        second = event_of(asked(client))
        assert client.post("/v1/events", json=second).json() == {"added": 1, "known": 0}
        refused(client.post("/v1/events", json=first), "invalid")
    assert [done.search.query_id for done in remembered(shop)] == [second["query_id"]]


def test_other_settings_of_a_reload_count(shop: Shop) -> None:
    with open_client(shop) as client:
        context = client.app.state.context  # type: ignore[attr-defined]
        gallery, recorder = context.default.opened.gallery, context.default.recorder
        longer = Settings(events=True, events_days=7.0)
        assert context.recorders.of("default", gallery, longer) is recorder and recorder.retention.days == 7.0
        assert context.recorders.of("default", gallery, Settings()) is None
        mixed = Settings(events=True, interleave_share=0.1, interleave_weights={"color": 1.0})
        with pytest.raises(ConfigError, match="has none"):
            context.recorders.of("default", gallery, mixed)
