"""Searches by a learned ranking through every door, what `lookalike learn` does with it, and what is remembered."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from small_shop import Shop
from starlette.testclient import TestClient
from test_http_events import asked, open_client, remembered
from test_products_search import without_times

import lookalike
from lookalike.cli import main
from lookalike.embedding.compatibility import model_ids_of
from lookalike.errors import ConfigError, GalleryDamagedError, MismatchError, UsageError
from lookalike.gallery.learned_ranking import LearnedRanking
from lookalike.gallery.stored_parameters import RANKING, StoredWeights
from lookalike.server.settings import Settings
from lookalike.usage.events_file import events_path
from simulated_buyers import Buyers, fill_with_visits

BY_PRICE = {"score:deep": 0.01, "attribute:price": -1.0, "popularity": 0.5}


def store(shop: Shop, *, is_default: bool = False, **changes: Any) -> LearnedRanking:
    """Store a ranking by price in the gallery."""
    with lookalike.open(shop.gallery, model=shop.model) as opened:
        given = {
            "model": "+".join(model_ids_of(opened.gallery.spaces)),
            "coefficients": BY_PRICE,
            "spreads": dict.fromkeys(BY_PRICE, 1.0),
            "popularity": {"blue": 9.0},
            "is_default": is_default,
            **changes,
        }
        ranking = LearnedRanking(**given)
        opened.gallery.store_weights(StoredWeights(ranking=ranking))
    return ranking


@pytest.fixture
def opened(shop: Shop) -> Iterator[lookalike.Retriever]:
    with lookalike.open(shop.gallery, model=shop.model) as retriever:
        yield retriever


@pytest.mark.parametrize("fields", [{}, {"group": "product"}, {"k": 3, "offset": 2}, {"where": "price < 12"}])
def test_every_door_ranks_alike(
    fields: dict[str, Any],
    opened: lookalike.Retriever,
    shop: Shop,
    client: TestClient,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ranking = store(shop)
    asked_for: dict[str, Any] = {**fields, "ranking": "learned"}
    here = opened.search(item="red-1", **asked_for).to_json()
    options = [part for name, value in asked_for.items() for part in (f"--{name}" if name != "k" else "-k", str(value))]
    command = ["search", "--item", "red-1", "-g", str(shop.gallery), "--model", str(shop.model), *options]
    assert main([*command, "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    served = client.post("/v1/search", json={"id": "red-1", **asked_for}).json()
    as_form = client.post("/v1/search", files={"id": (None, "red-1")}, data=asked_for).json()
    answers = [without_times(answer) for answer in (json.loads(json.dumps(here)), there, served, as_form)]
    assert answers[0] == answers[1] == answers[2] == answers[3]
    assert answers[0]["query"]["ranking"] == ranking.name
    values = [sum(match["contributions"].values()) for match in answers[0]["matches"]]
    assert values and values == sorted(values, reverse=True)
    assert main(command) == 0
    told = capsys.readouterr()
    assert f"ranking {ranking.name}" in told.err and "rank " in told.err and "popularity" in told.err


def test_the_order_is_that_of_the_sum_of_the_contributions_and_they_are_explained(
    opened: lookalike.Retriever, shop: Shop
) -> None:
    plain = opened.search(item="red-1", k=11)
    store(shop)
    learned = opened.search(item="red-1", k=11, ranking="learned").matches
    assert [match.item.product for match in learned[:3]] == ["blue"] * 3  # which is popular
    rest = [match.item.attributes["price"] for match in learned[3:]]
    assert rest == sorted(rest)  # type: ignore[type-var]
    before = {match.item.id: match.rank for match in plain.matches}
    assert all(match.similarity_rank == before[match.item.id] for match in learned)
    assert all({*match.contributions} == {*BY_PRICE} and match.refined is None for match in learned)
    assert {match.item.id: match.score for match in learned} == {match.item.id: match.score for match in plain.matches}
    pages = [opened.search(item="red-1", k=4, offset=at, ranking="learned").matches for at in (0, 4, 8)]
    assert [match.item.id for page in pages for match in page] == [match.item.id for match in learned]


def test_a_search_that_does_not_say_uses_it_only_as_the_default(opened: lookalike.Retriever, shop: Shop) -> None:
    store(shop)
    assert opened.search(item="red-1").query.ranking is None
    ranking = store(shop, is_default=True)
    assert opened.search(item="red-1").query.ranking == ranking.name
    own_orders: list[dict[str, Any]] = [
        {"ranking": "similarity"},
        {"sort": "price"},
        {"boost": {"price": 1.0}},
        {"diversity": 0.5},
        {"expand": 2},
        {"rerank": 5},
        {"weights": {"deep": 1}},
        {"metrics": {"deep": "cityblock"}},
    ]
    for own in own_orders:
        answer = opened.search(item="red-1", **own)
        assert answer.query.ranking is None and not any(match.contributions for match in answer.matches)
        if "ranking" not in own:
            with pytest.raises(UsageError, match=f"leave {next(iter(own))} out"):
                opened.search(item="red-1", ranking="learned", **own)
    assert opened.search(item=["red-1", "red-0"]).query.ranking is None
    with pytest.raises(UsageError, match="one photo or item"):
        opened.search(item=["red-1", "red-0"], ranking="learned")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model": "other@1"}, "learned with the model other@1"),
        ({"coefficients": {"attribute:gone": 1.0}, "spreads": {"attribute:gone": 1.0}}, "attribute 'gone'"),
        ({"coefficients": {"score:shape": 1.0}, "spreads": {"score:shape": 1.0}}, "space 'shape'"),
    ],
)
def test_a_ranking_that_does_not_fit_any_more_is_refused(
    shop: Shop,
    client: TestClient,
    changes: dict[str, Any],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    opened: lookalike.Retriever,
) -> None:
    store(shop, is_default=True, **changes)
    with pytest.raises(MismatchError, match=problem):
        opened.search(item="red-1", ranking="learned")
    refused = client.post("/v1/search", json={"id": "red-1", "ranking": "learned"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "mismatch")
    options = ["search", "--item", "red-1", "-g", str(shop.gallery), "--model", str(shop.model)]
    assert main([*options, "--ranking", "learned"]) == 2
    assert problem in capsys.readouterr().err
    assert opened.search(item="red-1").query.ranking is None  # searches that do not say go on
    assert main(["doctor", "-g", str(shop.gallery), "--model", str(shop.model)]) == 1
    told = capsys.readouterr()
    assert "searches do not use the learned ranking" in told.out + told.err


def test_without_a_ranking_and_with_a_wrong_name_it_is_said(opened: lookalike.Retriever) -> None:
    with pytest.raises(MismatchError, match="no learned ranking"):
        opened.search(item="red-1", ranking="learned")
    with pytest.raises(UsageError, match="did you mean 'learned'"):
        opened.search(item="red-1", ranking="learnt")


def test_damaged_parameters_are_told(opened: lookalike.Retriever, shop: Shop) -> None:
    store(shop)
    with closing(sqlite3.connect(shop.gallery / "gallery.db")) as connection, connection:
        connection.execute("UPDATE meta SET value = '{}' WHERE key = ?", (RANKING,))
    with pytest.raises(GalleryDamagedError):
        opened.search(item="red-1")


def test_other_weights_and_a_reset_end_it(shop: Shop, opened: lookalike.Retriever) -> None:
    store(shop, is_default=True)
    assert main(["learn", "-g", str(shop.gallery), "--reset"]) == 0
    assert opened.search(item="red-1").query.ranking is None
    store(shop, is_default=True)
    opened.gallery.store_weights(StoredWeights({"deep": 1.0, "color": 1.0}))
    assert opened.gallery.stored_weights.ranking is None
    assert main(["learn", "-g", str(shop.gallery), "--reset", "--apply"]) == 2


def test_a_ranking_that_learned_weights_delete_is_named(
    shop: Shop, opened: lookalike.Retriever, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["fuse", str(shop.table), "-g", str(shop.gallery), "--protocol", "product", "--model", str(shop.model)]
    ranking = store(shop, is_default=True)
    said = f"the ranking {ranking.name} was learned with the other weights, and is deleted"
    assert main([*ask, "--keep", "never"]) == 0 and opened.gallery.stored_weights.ranking == ranking
    assert said not in capsys.readouterr().err
    assert main([*ask, "--keep", "always"]) == 0 and opened.gallery.stored_weights.ranking is None
    assert said in capsys.readouterr().err
    opened.gallery.store_weights(replace(opened.gallery.stored_weights, ranking=ranking))
    fusion = lookalike.learn_weights(opened, shop.table, protocol="product", keep="always")
    same = fusion.after.weights == fusion.before.weights
    assert fusion.ranking_deleted == (None if same else ranking.name)
    opened.gallery.store_weights(replace(opened.gallery.stored_weights, ranking=ranking))
    assert main(["fuse", "-g", str(shop.gallery), "--reset", "--model", str(shop.model)]) == 0
    assert said in capsys.readouterr().err and opened.gallery.stored_weights.ranking is None
    assert lookalike.forget_weights(opened) is None
    opened.gallery.store_weights(StoredWeights({"deep": 1.0, "color": 1.0}, {}, ranking))
    assert lookalike.forget_weights(opened) == ranking.name


def test_what_a_ranking_may_go_by_is_remembered_with_each_answer(shop: Shop) -> None:
    terms = ("price", "season:Summer", "season:*", "gone")
    ranking = store(shop, is_default=True)
    with open_client(shop, events_attributes=terms) as client:
        answer = asked(client, {"id": "red-0", "k": 4})
    [done] = remembered(shop)
    features = done.search.features
    assert features is not None and done.search.ranking == ranking.name and done.search.is_plain
    assert [*features.names[:1], *features.names[3:]] == ["relevant"] + [f"attribute:{term}" for term in terms]
    assert [*features.keys] == [match["product"] for match in answer["matches"]]
    seasons = [match["attributes"].get("season") for match in answer["matches"]]
    assert features.values[:, 4].tolist() == [float(season == "Summer") for season in seasons]
    assert features.values[:, 6].tolist() == [pytest.approx(float("nan"), nan_ok=True)] * 4


def test_rankings_are_interleaved(shop: Shop) -> None:
    settings: dict[str, Any] = {"interleave_share": 1.0, "interleave_ranking": "learned"}
    with open_client(shop, **settings) as client:
        assert "interleaved" not in asked(client)["query"]  # there is nothing to interleave with yet
        ranking = store(shop)
        usual = asked(client, {"id": "red-0", "k": 4, "ranking": "similarity"})
        mixed = asked(client)
        assert mixed["query"]["interleaved"] is True and "ranking" not in mixed["query"]
        assert usual["matches"][0]["id"] in [match["id"] for match in mixed["matches"]]
        assert not any("contributions" in match for match in mixed["matches"])
        products = asked(client, {"id": "red-0", "k": 3, "group": "product"})
        assert products["query"]["interleaved"] is True
        assert len({match["product"] for match in products["matches"]}) == 3
        store(shop, is_default=True)
        assert "interleaved" not in asked(client)["query"]  # both orders are the same now
    rivals = [done.search.interleaved.rival_ranking for done in remembered(shop) if done.search.interleaved]
    assert rivals == [ranking.name] * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interleave_share": 0.1}, "interleave_weights` or `interleave_ranking"),
        ({"interleave_ranking": "best"}, "'learned' or 'similarity', got 'best'"),
        ({"interleave_ranking": "learned", "interleave_weights": {"deep": 1.0}}, "exclude each other"),
        ({"events_attributes": ("a", "a")}, "at most 32 different names"),
        ({"events_attributes": ("",)}, "at most 32 different names"),
    ],
)
def test_settings_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings(events=True, **changes)


def test_learn_keeps_applies_and_tells(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Events of simulated shoppers, in the name of this gallery's model."""
    with lookalike.open(shop.gallery, model=shop.model) as opened:
        model, path = "+".join(model_ids_of(opened.gallery.spaces)), events_path(opened.gallery)
    fill_with_visits(path, Buyers().visits(1200), model=model)
    learn = ["learn", "-g", str(shop.gallery)]

    def stored() -> LearnedRanking | None:
        with lookalike.open(shop.gallery, model=shop.model) as opened:
            return opened.gallery.stored_weights.ranking

    assert main([*learn, "--dry-run"]) == 0
    assert "not kept, since this is a dry run: it is better, by clicks" in capsys.readouterr().out and stored() is None
    assert main(learn) == 0
    told = capsys.readouterr().out
    assert "ranking kept, by clicks, for searches with --ranking learned" in told and "attribute:price -" in told
    kept = stored()
    assert kept is not None and not kept.is_default and kept.source["from"] == "events"
    assert main([*learn, "--apply", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ranking_kept"] == "default" and found["ranking"]["gain"]["interval"][0] > 0
    applied = stored()
    assert main(["gallery", "info", "-g", str(shop.gallery), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["ranking_learned"]
    assert shown["default"] is True and shown["from"] == "events" and "attribute:price" in shown["features"]
    assert applied is not None and applied.is_default and applied.coefficients == kept.coefficients
    assert main(learn) == 0  # the same clicks are no reason to change it
    assert "ranking not kept: it is not surely better" in capsys.readouterr().out and stored() == applied
