"""A ranking learned from use: simulated shoppers who go by price and stock, against what `learn` finds."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lookalike.evaluation.intervals import bootstrap_intervals
from lookalike.gallery.learned_ranking import MOST_BYTES, LearnedRanking
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.retrieval.learned_order import LearnedOrder
from lookalike.retrieval.match_features import (
    agreement,
    all_features,
    attribute_value,
    query_labels,
    standardised,
)
from lookalike.types import Item
from lookalike.usage import ranking_learning
from lookalike.usage.clicks import ClickLog
from lookalike.usage.events_file import Done
from lookalike.usage.interleaving import Contest
from lookalike.usage.learning import Learned, decided, learned_from
from lookalike.usage.popularity import PRIOR, Popularity
from lookalike.usage.ranking_learning import RankingFound, fit, ranking_from, worth_of_ranking
from lookalike.usage.ranking_log import ranking_log
from simulated_buyers import ATTRIBUTES, Buyers
from simulated_shoppers import DEFAULT, MODEL, SPACES

SEARCHES = 1500
KNOWN = ("price", "in_stock", "sale_price", "brand")


def found_by(buyers: Buyers, count: int = SEARCHES, present: LearnedRanking | None = None) -> RankingFound:
    return ranking_from(buyers.visits(count, present), weights=DEFAULT, model=MODEL, attributes=KNOWN, present=present)


def ranking_of(found: RankingFound) -> LearnedRanking:
    assert found.ranking is not None, found.reason
    return found.ranking


@pytest.fixture(scope="module")
def taught() -> tuple[Buyers, RankingFound]:
    buyers = Buyers()
    return buyers, found_by(buyers)


@pytest.fixture(scope="module")
def later(taught: tuple[Buyers, RankingFound]) -> list[Done]:
    """Searches of others, answered in the order of the ranking that was learned."""
    return Buyers(seed=8).visits(SEARCHES, ranking_of(taught[1]))


def test_what_shoppers_prefer_is_learned_back(taught: tuple[Buyers, RankingFound]) -> None:
    buyers, found = taught
    assert found.is_better and found.gain > 0.03
    ranking = ranking_of(found)
    assert ranking.coefficients["attribute:price"] < -0.3 and ranking.coefficients["attribute:in_stock"] > 0.3
    assert max(abs(ranking.coefficients[name]) for name in ("attribute:brand:Acme", "attribute:sale_price:*")) < 0.25
    assert {*found.left_out} == {"label:kind", "label:color"}  # which no shopper's photo had
    before, after = buyers.gains(ranking)
    [[low, _]] = bootstrap_intervals((after - before)[:, np.newaxis]).tolist()
    assert low > 0.3 and after.mean() > 0.9  # NDCG@12 of new shoppers; the best order has 1


def test_the_estimate_from_clicks_is_below_what_new_shoppers_gain(taught: tuple[Buyers, RankingFound]) -> None:
    """Only matches that were shown are re-ranked in the estimate, of the first hundred in a search."""
    buyers, found = taught
    before, after = buyers.gains(ranking_of(found))
    assert 0 < found.gain_interval[0] < found.gain < (after - before).mean()


def test_clicks_without_correction_confirm_the_order_that_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    buyers = Buyers(seed=3)
    visits = buyers.visits(SEARCHES)
    corrected = ranking_of(ranking_from(visits, weights=DEFAULT, model=MODEL, attributes=KNOWN))
    monkeypatch.setattr(ranking_learning, "examination", lambda log: np.ones(log.shown.shape[1]))
    naive = ranking_of(ranking_from(visits, weights=DEFAULT, model=MODEL, attributes=KNOWN))

    def share(ranking: LearnedRanking) -> float:
        return ranking.coefficients["score:deep"] / abs(ranking.coefficients["attribute:price"])

    assert share(naive) > 1.5 * share(corrected)


@pytest.mark.parametrize(
    "buyers",
    [Buyers(cheap=0, stocked=0, sharpness=0, wanted=0.3), Buyers(cheap=0, stocked=0, sharpness=6, wanted=0.3)],
    ids=["click at random", "want what they get"],
)
def test_nothing_is_taken_where_nothing_is_to_be_gained(buyers: Buyers) -> None:
    taken = 0
    for seed in range(12):
        found = found_by(replace(buyers, seed=seed), 450)
        assert found.reason is None, found.reason
        taken += found.is_better
    assert taken <= 1


def test_what_is_in_fashion_is_learned_back() -> None:
    buyers = Buyers(cheap=0, stocked=0, sharpness=6, famous=4.0)
    found = found_by(buyers, 2000)
    ranking = ranking_of(found)
    assert found.is_better and ranking.coefficients["popularity"] > 0.2
    famous = [ranking.popularity[f"p{number}"] for number in range(buyers.items // 10)]
    others = [ranking.popularity.get(f"p{number}", 0.0) for number in range(buyers.items // 10, buyers.items)]
    assert np.mean(famous) > np.mean(others) + 0.3
    before, after = buyers.gains(ranking)
    [[low, _]] = bootstrap_intervals((after - before)[:, np.newaxis]).tolist()
    assert low > 0


def test_answers_of_a_learned_ranking_are_learned_from_and_a_second_one_has_to_beat_it(
    taught: tuple[Buyers, RankingFound], later: list[Done]
) -> None:
    ranking = ranking_of(taught[1])
    again = ranking_from(later, weights=DEFAULT, model=MODEL, attributes=KNOWN, present=ranking)
    assert again.wanted > 1.5 * taught[1].wanted  # shoppers find more
    assert abs(again.gain) < 0.03  # it is the order to beat
    blind = replace(ranking, coefficients={**ranking.coefficients, "attribute:price": 0.0, "attribute:in_stock": 0.0})
    assert found_by(Buyers(seed=9), SEARCHES, blind).is_better


def without(visits: list[Done], name: str) -> list[Done]:
    """The same searches, remembered without a feature."""
    found = []
    for done in visits:
        features = done.search.features
        assert features is not None
        kept = [place for place, other in enumerate(features.names) if other != name]
        less = replace(features, names=[features.names[place] for place in kept], values=features.values[:, kept])
        found.append(replace(done, search=replace(done.search, features=less)))
    return found


def test_a_ranking_in_use_is_judged_with_all_that_it_goes_by(
    taught: tuple[Buyers, RankingFound], later: list[Done]
) -> None:
    """Where the older answers lack the price, a new ranking has none; that of now is not judged without it."""
    ranking = ranking_of(taught[1])
    border = math.ceil(SEARCHES * ranking_learning.LEARNING_SHARE)
    searches = [*without(later[:border], "attribute:price"), *later[border:]]
    found = ranking_from(searches, weights=DEFAULT, model=MODEL, attributes=KNOWN, present=ranking)
    usual = ranking_from(later, weights=DEFAULT, model=MODEL, attributes=KNOWN, present=ranking)
    assert "attribute:price" in found.left_out and "attribute:price" not in usual.left_out
    assert found.value_before == pytest.approx(usual.value_before, rel=0.06) and not found.is_better


def test_answers_that_lack_what_a_ranking_in_use_goes_by_do_not_judge(
    taught: tuple[Buyers, RankingFound], later: list[Done]
) -> None:
    ranking = ranking_of(taught[1])
    few = [*later[:-50], *without(later[-50:], "attribute:price")]
    found = ranking_from(few, weights=DEFAULT, model=MODEL, attributes=KNOWN, present=ranking)
    assert found.reason is None and found.judged_by == 550 and "attribute:price" not in ranking_of(found).coefficients
    none = without(later, "attribute:price")
    found = ranking_from(none, weights=DEFAULT, model=MODEL, attributes=KNOWN, present=ranking)
    assert found.ranking is None and not found.is_better and found.judged_by == 0
    assert f"{ranking.name} goes by features that are not remembered of 600 of the 600" in str(found.reason)
    assert "price, " in str(found.reason) and "--reset" in str(found.reason)


def test_too_few_clicks_and_answers_without_features_teach_nothing() -> None:
    visits = Buyers().visits(100)
    assert "too few for a ranking: at least 150" in str(
        ranking_from(visits, weights=DEFAULT, model=MODEL, attributes=KNOWN).reason
    )
    bare = [replace(done, search=replace(done.search, features=None)) for done in visits]
    assert len(ranking_log(bare, spaces=SPACES, model=MODEL)) == 0
    assert ranking_from([], weights=DEFAULT, model=MODEL, attributes=KNOWN).ranking is None


def test_features_that_older_answers_lack_are_unknown_there() -> None:
    first, last = Buyers().visits(2)
    features = first.search.features
    assert features is not None
    less = replace(features, names=features.names[:4], values=features.values[:, :4])
    log = ranking_log([replace(first, search=replace(first.search, features=less)), last], spaces=SPACES, model=MODEL)
    assert log.names[:2] == ["score:deep", "score:color"] and log.names[4:] == [
        f"attribute:{name}" for name in ATTRIBUTES
    ]
    old, new = (answer.values for answer in log.answers)
    assert np.isnan(old[:, 5:]).all() and not np.isnan(old[:, 4]).any() and not np.isnan(new[:, 4:]).any()


def test_the_fit_is_the_least_of_the_loss_written_in_loops() -> None:
    random = np.random.default_rng(1)
    shown = np.ones((6, 4), dtype=np.bool_)
    shown[0, 3] = False
    wanted = (random.random((6, 4)) < 0.4) & shown
    wanted[1] = True  # without a pair
    values = np.where(shown[..., np.newaxis], random.normal(size=(6, 4, 2)), 0.0)
    looked, start, penalty = np.array([1.0, 0.5, 0.25, 0.1]), np.array([0.8, 0.6]), 0.3
    relevant = random.random((6, 4)) < 0.8
    best = fit(ClickLog(("a", "b"), values, shown, wanted), relevant, start, looked, penalty=penalty)

    def slow(coefficients: Any) -> float:
        total = value = 0.0
        for row in range(6):
            there = [place for place in range(4) if shown[row, place] and relevant[row, place]]
            worse = [place for place in there if not wanted[row, place]]
            for better in [place for place in there if wanted[row, place]] if worse else []:
                weight = 1 / looked[better]
                total += weight
                for other in worse:
                    margin = (values[row, better] - values[row, other]) @ coefficients
                    value += weight / len(worse) * math.log1p(math.exp(-margin))
        scales = np.linspace(0, 20, 4001)
        away = coefficients[np.newaxis] - scales[:, np.newaxis] * start
        return value / total + 0.5 * penalty * float(np.square(away).sum(axis=1).min())

    for step in np.array([[0.02, 0], [-0.02, 0], [0, 0.02], [0, -0.02], [0.02, -0.02]]):
        assert slow(best) <= slow(best + step) + 1e-6


def test_popularity_is_counted_by_hand() -> None:
    """Twenty average examinations at a rate of .1 are 2 choices; 5 more of 10 examinations make 7 of 30."""
    popularity = Popularity(rate=0.1)
    for _ in range(10):
        popularity.add(["a", "b"], np.array([False, False]), np.array([1.0, 0.5]))
    for _ in range(5):
        popularity.add(["a"], np.array([True]), np.array([0.0]))
    assert popularity.of("a") == pytest.approx(math.log((5 + PRIOR * 0.1) / ((10 + PRIOR) * 0.1)))
    assert popularity.of("b") == pytest.approx(math.log((PRIOR * 0.1) / ((5 + PRIOR) * 0.1)))
    assert popularity.of("never shown") == 0.0
    assert [*popularity.table()] == ["a", "b"]


def test_a_click_does_not_tell_of_itself() -> None:
    log = ranking_log(Buyers(wanted=0.9).visits(3), spaces=SPACES, model=MODEL)
    first, *_ = log.popularity(Popularity(rate=0.1), np.ones(50))
    assert first == [0.0] * len(first)


ITEM = Item(
    "1",
    "1.jpg",
    attributes={
        "price": 9.0,
        "loss": -9,
        "stock": True,
        "none": None,
        "words": "Acme",
        "tags": ["Red", "blue"],
        "huge": 10**400,
        "nan": float("nan"),
        "sold: out": 1,
        "kind": "Tops",
        "color": ["Red", 5],
    },
)


@pytest.mark.parametrize(
    ("term", "value"),
    [
        ("price", math.log(10)),
        ("loss", -math.log(10)),
        ("stock", 1.0),
        ("none", math.nan),
        ("words", math.nan),
        ("huge", math.nan),
        ("nan", math.nan),
        ("missing", math.nan),
        ("words:Acme", 1.0),
        ("words:Other", 0.0),
        ("tags:blue", 1.0),
        ("price:*", 1.0),
        ("missing:*", 0.0),
        ("none:*", 0.0),
        ("sold: out", math.log(2)),
    ],
)
def test_what_an_attribute_is_to_a_ranking(term: str, value: float) -> None:
    assert attribute_value(ITEM, term) == pytest.approx(value, nan_ok=True)


def test_labels_agree() -> None:
    assert agreement(ITEM, "kind", {"kind": {"top": 0.7, "dress": 0.2}}) == pytest.approx(0.7)
    assert agreement(ITEM, "color", {"color": {"red": 1.0}}) == 1.0
    assert agreement(ITEM, "color", {"color": {"green": 1.0}}) == 0.0
    assert math.isnan(agreement(ITEM, "color", {})) and math.isnan(agreement(Item("2", "2.jpg"), "kind", {"kind": {}}))


def test_a_photo_shows_what_the_model_sees() -> None:
    class NoGallery:
        pass

    shown = query_labels(None, {"kind": [("top", 0.8), ("dress", 0.1)], "sleeve": [("long", 0.9)]}, NoGallery())  # type: ignore[arg-type]
    assert shown == {"kind": {"top": 0.8, "dress": 0.1}}


def test_a_wrong_price_does_not_outweigh_everything() -> None:
    names = ["score:deep", "attribute:price"]
    ranking = LearnedRanking(MODEL, dict(zip(names, (1.0, -0.1), strict=True)), dict.fromkeys(names, 0.1))
    items = [Item(str(number), "", attributes={"price": price}) for number, price in enumerate([1e300, 5.0, "free"])]
    order, added = LearnedOrder(ranking, {}).ordered(items, {"deep": np.array([0.9, 0.5, 0.1])})
    assert order == [0, 1, 2] and added["attribute:price"][2] == 0.0
    assert added["attribute:price"][0] == pytest.approx(-0.5)  # five spreads, and no more


def test_equal_matches_stay_in_the_order_of_their_similarity() -> None:
    ranking = LearnedRanking(MODEL, {"attribute:x": 1.0}, {"attribute:x": 1.0})
    items = [Item(str(number), "") for number in range(5)]
    assert LearnedOrder(ranking, {}).ordered(items, {})[0] == [0, 1, 2, 3, 4]
    values = all_features(["popularity", "score:deep"], items[:2], {"deep": np.array([0.5, 0.3])}, {}, {"1": 2.0})
    assert standardised(values, ["popularity", "score:deep"], [1.0, 0.1]).tolist() == [
        [-1.0, pytest.approx(1.0)],
        [1.0, pytest.approx(-1.0)],
    ]


def test_parameters_are_plain_text_and_stay_small(taught: tuple[Buyers, RankingFound]) -> None:
    ranking = ranking_of(taught[1])
    assert LearnedRanking.from_text(ranking.to_text()) == ranking and ranking.name.startswith("learned@")
    assert replace(ranking, popularity={}).name != ranking.name
    long = replace(ranking, popularity={f"{number:0200}": 0.001 * number for number in range(1000)}).within_bytes()
    assert len(long.to_text().encode()) <= MOST_BYTES and 0.999 in long.popularity.values()


@pytest.mark.parametrize(
    "change",
    [
        {"coefficients": {"a": math.inf}},
        {"coefficients": {"a": "x"}},
        {"coefficients": ["a"]},
        {"spreads": {"a": 0}},
        {"spreads": {"b": 1}},
        {"popularity": None},
        {"source": 5},
    ],
)
def test_other_parameters_are_refused(change: dict[str, Any]) -> None:
    good = {
        "model": "m",
        "coefficients": {"a": 1},
        "spreads": {"a": 1},
        "popularity": {},
        "is_default": False,
        "source": {},
    }
    LearnedRanking.from_text(json.dumps(good))
    with pytest.raises(ValueError):
        LearnedRanking.from_text(json.dumps({**good, **change}))


BETTER = LearnedRanking(MODEL, {"attribute:price": -1.0}, {"attribute:price": 1.0})
OTHER = replace(BETTER, coefficients={"attribute:price": 1.0})


def outcome(
    *,
    by: str | None = "clicks",
    contest: Contest | None = None,
    stored: LearnedRanking | None = None,
    apply: bool = False,
) -> LearnedRanking | None:
    ranked = RankingFound(1, 1, 1, ranking=BETTER, gain_interval=(0.1, 0.2))
    found = Learned(1, 1, 1, DEFAULT, DEFAULT, ranking=ranked, ranking_by=by, ranking_contest=contest)
    return decided(found, StoredWeights(ranking=stored), stored, apply=apply).ranking


def held(wins: int, losses: int, *, ranking: str | None = None, rival: str | None = None) -> Contest:
    return Contest(DEFAULT, DEFAULT, wins, losses, 0, ranking, rival)


def test_a_ranking_is_used_by_all_searches_only_if_that_was_asked_for_and_it_is_better() -> None:
    first, applied = outcome(), outcome(apply=True)
    assert first is not None and first.coefficients == BETTER.coefficients and not first.is_default
    assert applied is not None and applied.is_default and applied.source["gain_interval"] == [0.1, 0.2]
    assert outcome(by=None, apply=True) is None
    in_use = replace(OTHER, is_default=True)
    assert outcome(stored=in_use) == in_use  # not replaced without --apply
    replaced = outcome(stored=in_use, apply=True)
    assert replaced is not None and replaced.coefficients == BETTER.coefficients


def test_other_weights_delete_a_ranking_and_equal_ones_do_not() -> None:
    stored = StoredWeights({"deep": 1.0}, {}, OTHER)
    assert stored.with_weights({"deep": 1.0}, {"from": "again"}).ranking == OTHER
    other = stored.with_weights({"deep": 0.5}, {})
    assert other.ranking is None and stored.ranking_lost_by(other) == OTHER.name
    assert stored.ranking_lost_by(replace(other, ranking=BETTER)) is None  # which is a new one
    assert StoredWeights(ranking=OTHER).with_weights(None, {}).ranking == OTHER  # there were none to delete


def test_interleaving_decides_before_clicks() -> None:
    lost, won = held(60, 20, rival=OTHER.name), held(20, 60, rival=OTHER.name)
    kept = outcome(contest=lost, stored=OTHER, apply=True)
    assert kept is not None and not kept.is_default
    assert outcome(by="interleaving", contest=won, stored=OTHER) == OTHER
    assert outcome(by="interleaving", contest=won, stored=OTHER, apply=True) == replace(OTHER, is_default=True)
    in_use, against = replace(OTHER, is_default=True), held(20, 60, ranking=OTHER.name)
    in_use_lost = outcome(contest=against, stored=in_use, apply=True)
    assert in_use_lost is not None and not in_use_lost.is_default
    assert outcome(by="interleaving", contest=against, stored=in_use) == in_use
    assert outcome(by="interleaving", contest=against, stored=in_use, apply=True) == OTHER  # and no longer for all


def test_interleaved_searches_prefer_the_better_ranking(taught: tuple[Buyers, RankingFound]) -> None:
    ranking = ranking_of(taught[1])
    found = learned_from(
        Buyers(seed=5).visits(300, rival=ranking), before=DEFAULT, model=MODEL, attributes=KNOWN, ranking=ranking
    )
    contest = found.ranking_contest
    assert contest is not None and contest.rival_wins and contest.rival_ranking == ranking.name
    assert found.ranking_by == "interleaving" and found.contest is None
    assert found.by is None and "won when it was interleaved, and the weights stay" in str(found.reason)
    wrong = replace(ranking, coefficients={name: -value for name, value in ranking.coefficients.items()})
    worse = learned_from(
        Buyers(seed=5).visits(300, rival=wrong), before=DEFAULT, model=MODEL, attributes=KNOWN, ranking=wrong
    )
    assert worse.ranking_contest is not None and worse.ranking_lost and worse.ranking_by != "interleaving"
    searches = [mirrored(done, wrong.name) for done in Buyers(seed=5).visits(300, rival=wrong)]
    in_use = replace(wrong, is_default=True)
    given_up = learned_from(searches, before=DEFAULT, model=MODEL, attributes=KNOWN, ranking=in_use)
    assert given_up.ranking_lost and given_up.ranking_by == "interleaving" and given_up.by is None
    assert learned_from(searches, before=DEFAULT, model=MODEL, attributes=KNOWN, ranking=wrong).ranking_lost


@pytest.mark.parametrize("is_default", [False, True])
def test_the_contest_of_the_present_usual_side_decides(
    taught: tuple[Buyers, RankingFound], *, is_default: bool
) -> None:
    """Also where the ranking won more searches earlier, as the rival, than it lost later, in use; and conversely."""
    ranking = replace(ranking_of(taught[1]), is_default=is_default)
    wrong = replace(ranking, coefficients={name: -value for name, value in ranking.coefficients.items()})
    won = [*Buyers(seed=5).visits(500 if is_default else 300, rival=ranking)]
    lost = [mirrored(done, ranking.name) for done in Buyers(seed=6).visits(300 if is_default else 500, rival=wrong)]
    found = learned_from([*won, *lost], before=DEFAULT, model=MODEL, attributes=KNOWN, ranking=ranking)
    assert found.ranking_contest is not None
    assert found.ranking_contest.ranking == (ranking.name if is_default else None)
    assert (found.ranking_lost, found.ranking_won) == (is_default, not is_default)


def mirrored(done: Done, ranking: str) -> Done:
    """An interleaved search whose sides have changed places: the learned ranking is the usual one."""
    mixed = done.search.interleaved
    assert mixed is not None
    teams = mixed.teams.translate(str.maketrans("AB", "BA"))
    return replace(
        done, search=replace(done.search, ranking=ranking, interleaved=replace(mixed, rival_ranking=None, teams=teams))
    )


def test_weights_stay_while_a_ranking_is_in_use(taught: tuple[Buyers, RankingFound]) -> None:
    ranking = replace(ranking_of(taught[1]), is_default=True)
    found = learned_from(
        Buyers(seed=6).visits(50, ranking), before=DEFAULT, model=MODEL, attributes=KNOWN, ranking=ranking
    )
    assert found.by is None and found.after == DEFAULT and "stay with it" in str(found.reason)


def test_the_order_that_is_judged_is_the_one_that_is_served() -> None:
    """The second match is not relevant: it comes behind the others, whatever the ranking says of it."""
    values = np.array([[[0.9, 0.0], [0.8, 9.0], [0.7, 1.0]]])
    log = ClickLog(("score:deep", "x"), values, np.ones((1, 3), dtype=np.bool_), np.array([[False, True, False]]))
    relevant, start = np.array([[True, False, True]]), np.array([1.0, 0.0])
    judged = worth_of_ranking(log, relevant, np.array([0.1, 1.0]), start, np.ones(3))
    assert judged.value == pytest.approx(1 / math.log2(4))
    free = worth_of_ranking(log, relevant | True, np.array([0.1, 1.0]), start, np.ones(3))
    assert free.value == 1.0
