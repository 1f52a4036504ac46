"""Losses, against literal implementations of their definitions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lookalike.errors import ConfigError, UnknownNameError
from lookalike.models.network import Network, NetworkSettings
from lookalike.training.data.batch import CLASSIFIED, EVERY_LOSS, UNKNOWN, Batch, member
from lookalike.training.losses.metric_losses import MetricLoss, known_losses, known_miners
from lookalike.training.losses.objective import Objective, part_names
from lookalike.training.settings.objective_settings import HeadSettings, LossSettings, SamplerSettings, check_losses
from lookalike.training.settings.run_settings import DataSettings, StageSettings, TrainingSettings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

DIMENSION = 4
NEEDED = {"RankedListLoss": {"margin": 0.4, "Tn": 10.0}}


def rows(count: int, *, seed: int = 0) -> Tensor:
    values = torch.randn(count, DIMENSION, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values, dim=1)


def batch_of(
    products: list[int],
    *,
    roles: list[int] | None = None,
    labels: dict[str, list[int]] | None = None,
    tags: dict[str, list[list[float]]] | None = None,
) -> Batch:
    return Batch(
        roles=torch.tensor(roles or [EVERY_LOSS] * len(products)),
        products=torch.tensor(products),
        labels={name: torch.tensor(values) for name, values in (labels or {}).items()},
        tags={name: torch.tensor(values) for name, values in (tags or {}).items()},
    )


def objective(*losses: LossSettings, **changes: Any) -> Objective:
    settings = TrainingSettings(
        name="x", data=(DataSettings("s"),), stage=(StageSettings(1.0, 0.1),), loss=losses, **changes
    )
    return Objective(settings, classes={"type": ["a", "b", "c"]}, products=3, embedding=DIMENSION)


def network(**changes: Any) -> Network:
    torch.manual_seed(0)
    settings = replace(NetworkSettings("test_resnet", embedding=DIMENSION), **changes)
    return Network(settings, heads={"type": 3, "attributes": 2})


def test_arcface_widens_the_angle_to_the_own_class_only() -> None:
    torch.manual_seed(0)  # angles that stay below 180 degrees with the margin, above which the loss is another one
    judge = objective(LossSettings("ArcFaceLoss", weight=2.0, arguments={"margin": 28.6, "scale": 30}))
    centres = torch.nn.functional.normalize(judge.metric[0].loss.W.detach().T, dim=1)
    embeddings, products = rows(4), [0, 2, 1, UNKNOWN]
    slow = 0.0
    for row, product in zip(embeddings[:3], products[:3], strict=True):
        angles = [math.acos(float(row @ centre)) for centre in centres]
        angles[product] += math.radians(28.6)
        scores = [30 * math.cos(angle) for angle in angles]
        slow += math.log(sum(map(math.exp, scores))) - scores[product]
    parts = judge(network(), embeddings, batch_of(products))
    assert list(parts) == ["ArcFaceLoss"]
    assert float(parts["ArcFaceLoss"]) == pytest.approx(2.0 * slow / 3, rel=1e-4)


def test_batch_hard_takes_the_farthest_of_the_own_and_the_nearest_of_the_others() -> None:
    judge = objective(LossSettings("TripletMarginLoss", arguments={"margin": 0.2}, miner="BatchHardMiner"))
    embeddings, products = rows(6), [0, 0, 1, 1, 2, 2]
    distances = torch.cdist(embeddings, embeddings)
    losses = []
    for anchor in range(6):
        own = [float(distances[anchor, j]) for j in range(6) if products[j] == products[anchor] and j != anchor]
        others = [float(distances[anchor, j]) for j in range(6) if products[j] != products[anchor]]
        losses.append(max(0.0, max(own) - min(others) + 0.2))
    above = [loss for loss in losses if loss > 0]
    parts = judge(network(), embeddings, batch_of(products))
    assert float(parts["TripletMarginLoss"]) == pytest.approx(sum(above) / len(above), rel=1e-4)


def test_drawn_triplets_are_found_by_their_roles_wherever_they_stand() -> None:
    judge = objective(
        LossSettings("DrawnTripletLoss", weight=2.0, arguments={"margin": 1.0}),
        sampler=SamplerSettings("triplets"),
    )
    embeddings = 3 * rows(8)
    roles = [CLASSIFIED, member(1, 0), member(0, 2), member(0, 0), member(1, 2), CLASSIFIED, member(0, 1), member(1, 1)]
    triplets = [(3, 6, 2), (1, 7, 4)]
    slow = sum(
        max(
            0.0,
            math.dist(embeddings[a].tolist(), embeddings[p].tolist()) + 1.0 - math.dist(embeddings[a], embeddings[n]),
        )
        for a, p, n in triplets
    )
    parts = judge(network(), embeddings, batch_of([0] * 8, roles=roles))
    assert float(parts["DrawnTripletLoss"]) == pytest.approx(2.0 * slow / 2, rel=1e-4)


def test_class_heads_learn_from_known_labels_of_photos_that_are_to_be_classified() -> None:
    judge = objective(
        LossSettings("DrawnTripletLoss"),
        sampler=SamplerSettings("triplets"),
        heads=HeadSettings(label_smoothing=0.0),
    )
    judge.head_weights = {"type": 0.5}
    net, embeddings = network(heads="linear"), 2 * rows(5)
    roles = [CLASSIFIED, CLASSIFIED, member(0, 0), member(0, 1), member(0, 2)]
    batch = batch_of([0] * 5, roles=roles, labels={"type": [2, UNKNOWN, 1, 1, 1]})
    layer = net.heads["head_type"]
    scores = (layer.weight @ embeddings[0] + layer.bias).tolist()
    slow = math.log(sum(map(math.exp, scores))) - scores[2]
    assert float(judge(net, embeddings, batch)["type"]) == pytest.approx(0.5 * slow, rel=1e-4)


def test_tags_are_asked_one_by_one_and_unknown_ones_not() -> None:
    judge = objective(heads=HeadSettings(positive_weight=3.0))
    judge.tag_weights = {"attributes": 2.0}
    net, embeddings = network(), rows(3)
    nan = math.nan
    tags = [[1.0, 0.0], [nan, nan], [0.0, 1.0]]
    scores = net.scores("attributes", embeddings)
    slow = []
    for row, wanted in enumerate(tags):
        for place, has in enumerate(wanted):
            chance = 1 / (1 + math.exp(-float(scores[row, place])))
            if not math.isnan(has):
                slow.append(-3.0 * math.log(chance) if has else -math.log(1 - chance))
    parts = judge(net, embeddings, batch_of([0, 0, 0], tags={"attributes": tags}))
    assert float(parts["attributes"]) == pytest.approx(2.0 * sum(slow) / 4, rel=1e-4)


def test_a_loss_may_be_about_an_attribute_and_come_twice() -> None:
    judge = objective(LossSettings("SupConLoss"), LossSettings("SupConLoss", labels="type"))
    embeddings = rows(4)
    by_type = batch_of([0, 1, 2, 0], labels={"type": [0, 0, 1, 1]})
    parts = judge(network(), embeddings, by_type)
    alone = objective(LossSettings("SupConLoss"))(network(), embeddings, batch_of([0, 0, 1, 1]))
    assert list(parts) == ["SupConLoss 1", "SupConLoss 2"]
    assert float(parts["SupConLoss 2"]) == pytest.approx(float(alone["SupConLoss"]))
    assert part_names(["a", "b", "a"]) == ["a 1", "b", "a 2"]


def test_nothing_to_learn_from_is_a_loss_of_zero_that_can_be_derived() -> None:
    embeddings = rows(2).requires_grad_()
    parts = objective(LossSettings("SupConLoss"))(network(), embeddings, batch_of([UNKNOWN, UNKNOWN]))
    parts["nothing"].backward()
    assert float(parts["nothing"]) == 0 and not embeddings.grad.any()


def test_a_saved_memory_goes_on_exactly() -> None:
    def memory() -> Objective:
        return objective(LossSettings("ContrastiveLoss", memory=6), products=2, photos=2)

    steps = [(rows(4, seed=seed), batch_of([0, 0, 1, 1])) for seed in range(4)]
    first = memory()
    figures = [float(first(network(), *step)["ContrastiveLoss"].detach()) for step in steps]
    stopped, resumed = memory(), memory()
    for step in steps[:2]:
        stopped(network(), *step)
    resumed.load_state_dict(stopped.state_dict())
    again = [float(resumed(network(), *step)["ContrastiveLoss"].detach()) for step in steps[2:]]
    assert again == figures[2:]
    assert all(isinstance(value, Tensor) for value in stopped.state_dict().values())


@pytest.mark.parametrize("name", [name for name in known_losses() if name != "DrawnTripletLoss"])
def test_all_that_a_loss_holds_goes_where_it_goes(name: str) -> None:
    loss = MetricLoss(LossSettings(name, arguments=NEEDED.get(name, {})), classes=8, embedding=DIMENSION)
    held = [value for part in loss.to("meta").modules() for value in vars(part).values() if isinstance(value, Tensor)]
    kept = [*loss.parameters(), *loss.buffers(), *held]
    assert all(tensor.device.type == "meta" for tensor in kept)


@pytest.mark.parametrize("name", [name for name in known_losses() if name != "DrawnTripletLoss"])
def test_every_loss_that_is_offered_gives_a_gradient(name: str) -> None:
    loss = MetricLoss(LossSettings(name, arguments=NEEDED.get(name, {})), classes=3, embedding=DIMENSION)
    embeddings = rows(9).requires_grad_()
    value = loss(embeddings, torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2]))
    value.backward()
    assert torch.isfinite(value) and embeddings.grad is not None and bool(embeddings.grad.any())


@pytest.mark.parametrize("name", known_miners())
def test_every_miner_that_is_offered_finds_something(name: str) -> None:
    loss = MetricLoss(LossSettings("TripletMarginLoss", miner=name), classes=3, embedding=DIMENSION)
    assert float(loss(rows(9), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2]))) > 0


def test_distance_and_reducer_are_given_by_name() -> None:
    distance = {"name": "LpDistance", "normalize_embeddings": False, "p": 1}
    settings = LossSettings(
        "TripletMarginLoss", arguments={"distance": distance, "reducer": "MeanReducer", "margin": 9.0}
    )
    loss = MetricLoss(settings, classes=2, embedding=DIMENSION)
    embeddings, labels = 2 * rows(3), torch.tensor([0, 0, 1])
    city = (embeddings[:, None] - embeddings[None]).abs().sum(dim=2)
    slow = [city[0, 1] - city[0, 2] + 9, city[1, 0] - city[1, 2] + 9]
    assert float(loss(embeddings, labels)) == pytest.approx(float(sum(slow)) / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (LossSettings("SupConLos"), UnknownNameError, "metric loss 'SupConLos'; did you mean 'SupConLoss'"),
        (LossSettings("SupConLoss", arguments={"temprature": 1}), UnknownNameError, "did you mean 'temperature'"),
        (
            LossSettings("SupConLoss", arguments={"temperature": "low"}),
            ConfigError,
            "temperature: expected a number from 0.0001 to 1,000, got 'low'",
        ),
        (LossSettings("TripletMarginLoss", arguments={"swap": 1}), ConfigError, "swap: expected true or false, got 1"),
        (LossSettings("TripletMarginLoss", miner="BatchHardMine"), UnknownNameError, "did you mean 'BatchHardMiner'"),
        (LossSettings("ContrastiveLoss", arguments={"reducer": "MeanReduce"}), UnknownNameError, "'MeanReducer'"),
        (LossSettings("ArcFaceLoss", memory=64), ConfigError, "cannot use a memory"),
        (LossSettings("ArcFaceLoss", arguments={"distance": "LpDistance"}), ConfigError, "does not take"),
        (LossSettings("RankedListLoss"), ConfigError, "RankedListLoss: does not take"),
    ],
)
def test_what_a_loss_does_not_take_is_one_line(settings: LossSettings, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        MetricLoss(settings, classes=3, embedding=DIMENSION)
    assert "\n" not in str(caught.value)


def test_losses_and_batches_have_to_fit() -> None:
    drawn, plain = LossSettings("DrawnTripletLoss"), LossSettings("SupConLoss")
    with pytest.raises(ConfigError, match="needs the sampler 'triplets'"):
        check_losses([drawn], SamplerSettings(), batch=8, where="x")
    with pytest.raises(ConfigError, match="needs the sampler 'products' or 'balanced'"):
        check_losses([plain], SamplerSettings("triplets"), batch=8, where="x")
    with pytest.raises(ConfigError, match="must hold a batch of 8 photos"):
        check_losses([replace(plain, memory=4)], SamplerSettings(), batch=8, where="x")
    with pytest.raises(ConfigError, match="at least two classes of 'colour'"):
        objective(replace(plain, labels="colour"))


def test_a_batch_of_two_processes_put_together_is_the_batch_of_one() -> None:
    judge = objective(LossSettings("ProxyAnchorLoss"), LossSettings("MultiSimilarityLoss"))
    whole = rows(6).requires_grad_()
    batch = batch_of([0, 0, 1, 1, 2, 2])
    sum(judge(network(), whole, batch).values()).backward()
    halves = [part.detach().clone().requires_grad_() for part in whole.detach().split(3)]
    sum(judge(network(), torch.cat(halves), batch).values()).backward()
    np.testing.assert_allclose(torch.cat([half.grad for half in halves]).numpy(), whole.grad.numpy(), rtol=1e-6)
