"""Losses on a GPU: the same values and gradients as on the CPU."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from lookalike.models.network import Network, NetworkSettings
from lookalike.training.data.batch import EVERY_LOSS, UNKNOWN, Batch
from lookalike.training.losses.metric_losses import MetricLoss, known_losses, known_miners
from lookalike.training.losses.objective import Objective
from lookalike.training.settings.objective_settings import LossSettings
from lookalike.training.settings.run_settings import DataSettings, StageSettings, TrainingSettings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

DIMENSION = 4
NEEDED = {"RankedListLoss": {"margin": 0.4, "Tn": 10.0}}
LABELS = torch.arange(8).repeat_interleave(3)


def rows(seed: int = 0) -> Tensor:
    values = torch.randn(len(LABELS), DIMENSION, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values, dim=1)


def value_and_gradient(loss: MetricLoss, device: str, *, steps: int = 1) -> tuple[float, Tensor]:
    """The loss of the last of some batches, and its gradient by the embeddings."""
    for step in range(steps):
        embeddings = rows(step).to(device).requires_grad_()
        value = loss(embeddings, LABELS.to(device))
    value.backward()
    assert embeddings.grad is not None and embeddings.grad.device.type == device
    return float(value.detach()), embeddings.grad.cpu()


def assert_same_on_gpu(settings: LossSettings, *, steps: int = 1) -> None:
    torch.manual_seed(0)
    on_cpu = MetricLoss(settings, classes=8, embedding=DIMENSION)
    on_gpu = deepcopy(on_cpu).to("cuda")
    expected, gradient = value_and_gradient(on_cpu, "cpu", steps=steps)
    value, ours = value_and_gradient(on_gpu, "cuda", steps=steps)
    assert value == pytest.approx(expected, rel=1e-3, abs=1e-5)
    torch.testing.assert_close(ours, gradient, atol=1e-3 * float(gradient.abs().max()), rtol=1e-2)


@pytest.mark.parametrize("name", [name for name in known_losses() if name != "DrawnTripletLoss"])
def test_every_loss_is_that_of_the_processor(name: str) -> None:
    assert_same_on_gpu(LossSettings(name, arguments=NEEDED.get(name, {})))


def test_a_memory_of_earlier_batches_goes_round_on_a_gpu() -> None:
    assert_same_on_gpu(LossSettings("SupConLoss", memory=40), steps=4)


@pytest.mark.parametrize("name", known_miners())
def test_every_miner_finds_something(name: str) -> None:
    loss = MetricLoss(LossSettings("TripletMarginLoss", miner=name), classes=8, embedding=DIMENSION).to("cuda")
    value, _ = value_and_gradient(loss, "cuda")
    assert value > 0


def test_all_parts_of_an_objective_are_those_of_the_processor() -> None:
    settings = TrainingSettings(
        name="x",
        data=(DataSettings("s", heads={"type": 1.0}, tags={"marks": 0.5}),),
        stage=(StageSettings(1.0, 0.1),),
        loss=(LossSettings("SupConLoss"), LossSettings("ArcFaceLoss", labels="type")),
    )
    torch.manual_seed(0)
    network = Network(NetworkSettings("test_resnet", embedding=DIMENSION), heads={"type": 3, "marks": 4})
    judge = Objective(settings, classes={"type": ["a", "b", "c"]}, products=8, embedding=DIMENSION)
    found: list[dict[str, float]] = []
    for device in ("cpu", "cuda"):
        tags = (torch.arange(len(LABELS) * 4).reshape(-1, 4) % 3 == 0).float()
        tags[5] = torch.nan
        batch = Batch(
            roles=torch.full_like(LABELS, EVERY_LOSS, device=device),
            products=LABELS.to(device),
            labels={"type": torch.where(LABELS == 0, UNKNOWN, LABELS % 3).to(device)},
            tags={"marks": tags.to(device)},
        )
        parts = judge.to(device)(network.to(device), rows().to(device), batch)
        found.append({name: float(part.detach()) for name, part in parts.items()})
    assert set(found[0]) == {"SupConLoss", "ArcFaceLoss", "type", "marks"}
    assert found[1] == pytest.approx(found[0], rel=1e-3)
