"""Learning from use: simulated shoppers whose wishes are known, against what `learn` finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lookalike.usage import learning
from lookalike.usage.clicks import click_log
from lookalike.usage.counterfactual import worth
from lookalike.usage.events_file import Done
from lookalike.usage.learning import Learned, learned_from
from lookalike.usage.position_bias import examination
from simulated_shoppers import DEFAULT, MODEL, SPACES, K, Shoppers

COLOUR = {"deep": 1.0, "color": 1.0}
"""Wishes of shoppers who care for the colour as much as for the rest."""

SEARCHES = 3000


def learned(searches: list[Done]) -> Learned:
    return learned_from(searches, before=DEFAULT, model=MODEL)


@pytest.mark.parametrize("seed", range(3))
def test_learning_finds_what_shoppers_want(seed: int) -> None:
    shoppers = Shoppers(COLOUR, seed=seed)
    found = learned(shoppers.visits(SEARCHES))
    assert found.by == "clicks" and found.gain_interval[0] > 0
    assert 0.4 <= found.after["color"] / found.after["deep"] <= 2.5
    before, after = shoppers.truth(DEFAULT), shoppers.truth(found.after)
    assert after > before + 0.2 and after > 0.9  # NDCG@12; the best weights have 1


@pytest.mark.parametrize("seed", range(3))
def test_clicks_without_correction_confirm_the_order_that_was_shown(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shoppers = Shoppers(COLOUR, seed=seed)
    searches = shoppers.visits(SEARCHES)
    corrected = learned(searches)
    monkeypatch.setattr(learning, "examination", lambda _: np.ones(K))
    naive = learned(searches)
    assert naive.after["color"] < 0.5 * corrected.after["color"]
    assert shoppers.truth(naive.after) < shoppers.truth(corrected.after) - 0.1


@pytest.mark.parametrize(
    "shoppers",
    [
        Shoppers(COLOUR, sharpness=0, wanted=0.3),  # want everything alike
        Shoppers(DEFAULT, wanted=0.3),  # want what the weights give them
    ],
    ids=["no preference", "the present weights"],
)
def test_nothing_is_taken_where_nothing_is_to_be_gained(shoppers: Shoppers) -> None:
    taken = 0
    for seed in range(20):
        found = learned(replace(shoppers, seed=seed).visits(500))
        assert found.reason is None, found.reason
        taken += found.by is not None
    assert taken <= 1


def test_the_position_bias_is_that_of_the_shoppers() -> None:
    for eta in (0.5, 1.0):
        searches = Shoppers(COLOUR, eta=eta).visits(SEARCHES)
        found = examination(click_log(searches, spaces=SPACES, model=MODEL))
        assert found == pytest.approx(np.arange(1, K + 1) ** -eta, abs=0.12)


def test_a_few_clicks_teach_nothing() -> None:
    found = learned(Shoppers(COLOUR).visits(60))
    assert found.by is None and found.after == found.before == DEFAULT
    assert found.reason is not None and "too few: at least 150" in found.reason
    assert learned([]).reason is not None


def test_the_worth_of_weights_is_counted_by_hand() -> None:
    """Two matches; the second was clicked, where one in four visitors looks: it counts four times."""
    [done] = Shoppers(COLOUR).visits(1)
    search = replace(done.search, ids=["a", "b"], scores=np.array([[0.9, 0.1], [0.8, 0.9]], dtype=np.float32))
    log = click_log([Done(search, [("click", "b", 2)])], spaces=SPACES, model=MODEL)
    looked = np.array([1.0, 0.25])
    as_shown, by_colour = worth(log, DEFAULT, looked), worth(log, COLOUR, looked)
    assert as_shown.gains == pytest.approx([4 / np.log2(3)]) and by_colour.gains == pytest.approx([4])
    assert (as_shown.value, by_colour.value) == (pytest.approx(1 / np.log2(3)), pytest.approx(1))


def test_only_answers_in_the_order_of_the_cosines_are_learned_from() -> None:
    [done] = Shoppers(COLOUR).visits(1)
    ids = done.search.ids

    def count(**changes: object) -> int:
        return len(click_log([Done(replace(done.search, **changes), done.events)], spaces=SPACES, model=MODEL))

    assert count() == 1
    assert count(is_plain=False) == count(model="other@1") == count(spaces=("deep", "other")) == 0
    assert count(scores=np.full_like(done.search.scores, np.nan)) == 0
    elsewhere = Done(done.search, [("click", ids[0], 7)])  # the shop showed it elsewhere
    assert len(click_log([elsewhere], spaces=SPACES, model=MODEL)) == 0


def test_what_was_told_to_be_wrong_was_not_wanted() -> None:
    [done] = Shoppers(COLOUR).visits(1)
    first, second = done.search.ids[:2]
    events = [("click", first, 1), ("less", first, 1), ("view", second, 2), ("buy", second, 2)]
    log = click_log([Done(done.search, events)], spaces=SPACES, model=MODEL)
    assert np.flatnonzero(log.wanted[0]).tolist() == [1]


@pytest.mark.parametrize(("better", "worse"), [(COLOUR, DEFAULT), (DEFAULT, {"deep": 0.2, "color": 1.0})])
def test_interleaving_prefers_what_is_better(better: dict[str, float], worse: dict[str, float]) -> None:
    shoppers = Shoppers(better, seed=5)
    assert shoppers.truth(better) > shoppers.truth(worse)
    challenged = learned_from(shoppers.visits(600, worse, rival=better), before=worse, model=MODEL)
    assert challenged.contest is not None and challenged.contest.rival_wins
    assert challenged.contest.p_value < 0.01
    assert challenged.by is not None and challenged.after != worse
    kept = learned_from(shoppers.visits(600, better, rival=worse), before=better, model=MODEL)
    assert kept.contest is not None and not kept.contest.rival_wins and kept.contest.share[1][1] < 0.5


def test_interleaving_alone_is_enough_where_clicks_are_few() -> None:
    shoppers = Shoppers(COLOUR, seed=2)
    found = learned_from(shoppers.visits(150, rival=COLOUR), before=DEFAULT, model=MODEL)
    assert found.wanted < 300 and found.by == "interleaving" and found.after == COLOUR and found.reason is None


def test_interleaving_decides_before_clicks_and_is_told_with_its_own_gain() -> None:
    """Visitors preferred weights that are not those of the clicks: their worth is told, by the newer clicks."""
    shoppers = Shoppers(COLOUR, seed=2)
    rival = {"deep": 1.0, "color": 0.5}
    searches = [*shoppers.visits(2000), *shoppers.visits(400, rival=rival)]
    found = learned(searches)
    assert found.contest is not None and found.contest.rival_wins
    assert found.by == "interleaving" and found.after == rival and found.examination
    log = click_log(searches, spaces=SPACES, model=MODEL)
    judging = log.part(slice(found.learned_on, None))
    looked = examination(judging)
    assert found.value_after == pytest.approx(worth(judging, rival, looked).value)
    assert found.value_before == pytest.approx(worth(judging, DEFAULT, looked).value)


def test_equal_rankings_win_as_often_as_they_lose() -> None:
    shoppers = Shoppers(DEFAULT, seed=3)
    found = learned_from(shoppers.visits(800, rival=DEFAULT), before=DEFAULT, model=MODEL)
    assert found.contest is not None
    assert 0.4 < found.contest.share[0] < 0.6 and found.by is None
