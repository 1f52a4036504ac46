"""Re-ranking by k-reciprocal neighbours, against the paper's equations written out with sets and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lookalike.retrieval.k_reciprocal import reciprocal_scores
from lookalike.spaces import unit_rows


def slow_scores(similarity: list[list[float]], *, k1: int, k2: int, trust: float) -> list[float]:
    """Equations 1 to 12 of Zhong et al. 2017, word by word, with the cosine distance."""
    everyone = range(len(similarity))

    def nearest(photo: int, count: int) -> list[int]:
        others = sorted((other for other in everyone if other != photo), key=lambda other: -similarity[photo][other])
        return [photo, *others[:count]]

    def reciprocal(photo: int, count: int) -> set[int]:
        return {other for other in nearest(photo, count) if photo in nearest(other, count)}

    def members(photo: int) -> set[int]:
        own = reciprocal(photo, k1)
        joined = set(own)
        for other in own:
            theirs = reciprocal(other, round(k1 / 2))
            if len(own & theirs) >= 2 / 3 * len(theirs):
                joined |= theirs
        return joined

    vectors = []
    for photo in everyone:
        weights = {other: math.exp(-(1 - similarity[photo][other])) for other in members(photo)}
        vectors.append([weights.get(other, 0.0) / sum(weights.values()) for other in everyone])
    if k2 > 1:
        vectors = [
            [sum(vectors[friend][at] for friend in nearest(photo, k2 - 1)) / k2 for at in everyone]
            for photo in everyone
        ]
    scores = []
    for photo in everyone[1:]:
        smaller = sum(min(a, b) for a, b in zip(vectors[0], vectors[photo], strict=True))
        larger = sum(max(a, b) for a, b in zip(vectors[0], vectors[photo], strict=True))
        scores.append((1 - trust) * smaller / larger + trust * similarity[0][photo])
    return scores


def photos(seed: int, count: int) -> np.ndarray:
    """Rows in three loose bunches."""
    random = np.random.default_rng(seed)
    middles = random.standard_normal((3, 8))
    return unit_rows((middles[random.integers(3, size=count)] + random.standard_normal((count, 8))).astype(np.float32))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("k1", "k2", "trust"), [(6, 3, 0.3), (5, 1, 0.0), (20, 6, 0.3), (3, 2, 1.0), (8, 20, 0.5)])
def test_the_matrix_form_is_the_papers(seed: int, k1: int, k2: int, trust: float) -> None:
    rows = photos(seed, 25)
    similarity = rows @ rows.T
    expected = slow_scores(similarity.astype(float).tolist(), k1=k1, k2=k2, trust=trust)
    scores = reciprocal_scores(similarity, neighbours=k1, expansion=k2, trust=trust)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_who_shares_the_querys_neighbourhood_overtakes_a_near_stranger() -> None:
    """A photo of another bunch is the nearest of all, but its own neighbours are others than the query."""
    angles = np.radians([0, 12, 13, 14, -11, -13, -14, -15])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    similarity = rows @ rows.T
    assert similarity[0, 1:].argmax() == 3
    assert reciprocal_scores(similarity, neighbours=3, expansion=1).argmax() == 0


def test_one_candidate_and_twins_are_no_trouble() -> None:
    row = np.array([[1.0, 0.0]], dtype=np.float32)
    assert reciprocal_scores(np.repeat(row, 2, axis=0) @ np.repeat(row, 2, axis=0).T).shape == (1,)
    twins = np.repeat(row, 6, axis=0)
    scores = reciprocal_scores(twins @ twins.T, neighbours=3)
    assert np.isfinite(scores).all()
    assert scores.max() <= 1 + 1e-6
