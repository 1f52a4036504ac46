"""Relevance parts of embeddings, against sums over all labels."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lookalike.errors import ConfigError
from lookalike.evaluation.metrics import graded_relevance
from lookalike.models import relevance as module
from lookalike.models.checkpoint import load_checkpoint, save_checkpoint
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.relevance import SHARPNESS, RelevancePart, RelevanceSettings, relevance

TYPES, COLOURS = 3, 4
ALL = torch.tensor(list(itertools.product(range(TYPES), range(COLOURS))))


def part_of(labels: Tensor, *, dimension: int = 64) -> RelevancePart:
    settings = RelevanceSettings(("type", "colour"), dimension=dimension)
    part = RelevancePart(settings, classes={"type": TYPES, "colour": COLOURS})
    part.fit(labels)
    return part


def network(*parts: RelevanceSettings) -> Network:
    torch.manual_seed(0)
    settings = NetworkSettings("test_resnet", embedding=8, heads="linear", relevance=parts)
    made = Network(settings, heads={"type": TYPES, "colour": COLOURS, "season": 2}).eval()
    for part in made.relevance_parts:
        part.fit(ALL[:, : len(part.settings.labels)])
    return made


def test_the_relevance_is_that_of_the_evaluation() -> None:
    places = torch.randint(0, 3, (40, 3), generator=torch.Generator().manual_seed(0))
    columns = [places[:, column].numpy() for column in range(3)]
    grades = graded_relevance(columns, columns)
    np.testing.assert_allclose(relevance(places).numpy(), (2.0**grades - 1) / 7)


def test_dot_products_are_the_relevance_to_be_expected() -> None:
    part = part_of(ALL)
    random = torch.Generator().manual_seed(1)
    scores = [2 * torch.randn(6, TYPES, generator=random), 2 * torch.randn(6, COLOURS, generator=random)]
    rows = part(scores)
    types, colours = (score.softmax(dim=1) for score in scores)
    for one, other in itertools.product(range(6), range(6)):
        expected = sum(
            float(types[one, a] * colours[one, b] * types[other, c] * colours[other, d])
            * (0 if a != c else 1 if b == d else 1 / 3)
            for a, b, c, d in itertools.product(range(TYPES), range(COLOURS), range(TYPES), range(COLOURS))
        )
        lengths = rows[one].norm() * rows[other].norm()  # both were made longer, by a known power
        found = float(rows[one] @ rows[other] / lengths * lengths ** (1 / (1 - SHARPNESS)))
        assert found == pytest.approx(expected, abs=1e-5)


def test_a_sure_photo_has_length_one_and_a_doubtful_one_is_shorter() -> None:
    part = part_of(ALL)
    sure = [100.0 * torch.eye(TYPES)[:1], 100.0 * torch.eye(COLOURS)[:1]]
    doubtful = [torch.zeros(1, TYPES), torch.zeros(1, COLOURS)]
    assert float(part(sure).norm()) == pytest.approx(1.0, abs=1e-5)
    # relevance of two photos of which nothing is known: same type 1/3; same colour too, 1/4 of these
    assert float(part(doubtful).norm()) == pytest.approx(
        (1 / 3 * (3 / 4 * 1 / 3 + 1 / 4)) ** ((1 - SHARPNESS) / 2), abs=1e-5
    )


def test_short_vectors_serve_the_frequent_combinations() -> None:
    often = ALL[:4].repeat(200, 1)
    part = part_of(torch.cat([often, ALL]), dimension=5)
    assert part.vectors.shape == (12, 5)
    products = part.vectors @ part.vectors.T
    errors = (products - relevance(part.places).float()).abs()
    frequent = (part.places[:, 0] == 0).nonzero()[:, 0]
    assert float(errors[frequent][:, frequent].max()) < 0.02 < float(errors.max())


def test_unknown_labels_and_rare_combinations_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMBINATIONS", 2)
    labels = torch.tensor([[0, 0], [0, 0], [1, 1], [1, 1], [2, 2], [0, -1], [-1, 0]])
    assert sorted(part_of(labels).places.tolist()) == [[0, 0], [1, 1]]
    with pytest.raises(ConfigError, match="no photo has all of the labels"):
        part_of(torch.tensor([[0, -1]]))


def test_the_embedding_is_of_unit_length_and_holds_all_parts() -> None:
    made = network(RelevanceSettings(("type", "colour"), 64, 0.5), RelevanceSettings(("type",), 64, 0.2))
    photos = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        rows = made(photos)
        pooled = made.pooled(made.maps(photos))
        metric = made.metric_rows(pooled)
    assert rows.shape == (5, made.dimension) == (5, 12 + 3 + 8)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(5))
    assert bool((rows[:, :12].norm(dim=1) <= 0.5**0.5 + 1e-6).all())
    torch.testing.assert_close(torch.nn.functional.normalize(rows[:, 15:], dim=1), metric)
    assert made.scores("season", made.read_rows(pooled, metric)).shape == (5, 2)


def test_a_checkpoint_gives_the_same_embeddings_and_names_what_they_depend_on(tmp_path: Path) -> None:
    made = network(RelevanceSettings(("type", "colour"), 6, 0.5))
    preprocessing = Preprocessing(32, 32)
    photos = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(3))

    def saved(name: str) -> Path:
        classes = {"type": ["a", "b", "c"], "colour": list("wxyz"), "season": ["s", "t"]}
        save_checkpoint(tmp_path / name, made, preprocessing=preprocessing, name="tiny", classes=classes)
        return tmp_path / name

    before = load_checkpoint(saved("a.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(before.network(photos), made(photos))
        dict(made.named_parameters())["heads.head_season.weight"].add_(1.0)
        assert load_checkpoint(saved("b.safetensors")).fingerprint == before.fingerprint
        dict(made.named_parameters())["heads.head_type.weight"][0].add_(1.0)
        assert load_checkpoint(saved("c.safetensors")).fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([RelevanceSettings(("shape",))], "no class head of that name"),
        ([RelevanceSettings(())], "needs labels"),
        ([RelevanceSettings(("type",), share=1.0)], "a share between 0 and 1"),
        ([RelevanceSettings(("type",), share=0.5), RelevanceSettings(("colour",), share=0.5)], "sum to less than 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(parts: list[RelevanceSettings], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        network(*parts)
