"""Parts of common recipes: class weights, mixed photos, RandAugment, random erasing, rates by layer, checkpointing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.errors import ConfigError
from lookalike.models.backbones import check_layers, checkpoint_gradients
from lookalike.models.network import Network, NetworkSettings
from lookalike.training.data.augmentation import Augmentation
from lookalike.training.data.batch import EVERY_LOSS, UNKNOWN, Batch
from lookalike.training.data.mixing import draw_mixture, mix
from lookalike.training.losses.learner import Learner
from lookalike.training.losses.objective import Objective
from lookalike.training.run.optimiser_step import make_optimizer
from lookalike.training.settings.objective_settings import HeadSettings
from lookalike.training.settings.run_settings import (
    AugmentationSettings,
    DataSettings,
    StageSettings,
    TrainingSettings,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "recipe"
products = 6
photos = 2
workers = 0
gradient_checkpointing = true
[network]
backbone = "mobilenetv3_small_050"
embedding = 16
[input]
height = 32
width = 32
[augmentation]
randaugment = 2
erase = 0.5
mixup = 0.2
cutmix = 1.0
[heads]
class_weights = "balanced"
[[data]]
source = "sample/catalogue.csv"
heads = { type = 1.0, colour = 0.5 }
[[stage]]
epochs = 3
learning_rate = 1e-2
backbone_rate = 1e-2
layer_decay = 0.8
"""


def run_settings(**changes: object) -> TrainingSettings:
    data = DataSettings("s", heads={"type": 1.0})
    return TrainingSettings(name="x", data=(data,), stage=(StageSettings(1.0, 0.1),), **changes)  # type: ignore[arg-type]


def network() -> Network:
    torch.manual_seed(0)
    return Network(NetworkSettings("test_resnet", embedding=8), heads={"type": 3})


def labelled(labels: list[int]) -> Batch:
    return Batch(torch.full((len(labels),), EVERY_LOSS), torch.arange(len(labels)), {"type": torch.tensor(labels)}, {})


def test_balanced_classes_have_the_weights_of_scikit_learn() -> None:
    labels = [0, 0, 0, 0, 0, 1, 1, 2]
    counts = {"type": torch.from_numpy(np.bincount(labels))}
    heads = HeadSettings(class_weights="balanced", label_smoothing=0.0)
    judge = Objective(
        run_settings(heads=heads), classes={"type": ["a", "b", "c"]}, products=8, embedding=8, class_counts=counts
    )
    weights = compute_class_weight("balanced", classes=np.arange(3), y=np.array(labels))
    rows = functional.normalize(torch.randn(8, 8, generator=torch.manual_seed(1)), dim=1)
    made = network()
    (part,) = judge(made, rows, labelled(labels)).values()
    own = functional.cross_entropy(made.scores("type", rows), torch.tensor(labels), reduction="none").detach().numpy()
    mean = (own * weights[labels]).sum() / weights[labels].sum()
    assert float(part) == pytest.approx(mean, rel=1e-5)
    assert not [name for name in judge.state_dict() if "weights" in name]


@pytest.mark.parametrize("cut", [False, True])
def test_mixed_photos_are_made_of_two(cut: bool) -> None:
    torch.manual_seed(0)
    photos = torch.rand(5, 3, 16, 12)
    mixture = torch.tensor([0.6, float(cut), 0.2, 0.9])
    mixed = mix(photos, mixture)
    others = photos[mixed.others]
    if not cut:
        assert mixed.share == pytest.approx(0.6)
        assert torch.allclose(mixed.photos, 0.6 * photos + 0.4 * others)
        return
    from_first = (mixed.photos == photos).all(dim=1)
    assert bool((from_first | (mixed.photos == others).all(dim=1)).all())
    moved = mixed.others != torch.arange(5)
    assert from_first[moved].float().mean().item() == pytest.approx(mixed.share)
    assert mixed.share > 0.6  # a part of the rectangle is outside of the photo


def test_mixtures_have_the_share_that_was_asked_for() -> None:
    torch.manual_seed(0)
    both = torch.stack([draw_mixture(AugmentationSettings(mixup=0.4, cutmix=2.0)) for _ in range(2000)])
    assert both[:, 1].mean() == pytest.approx(0.5, abs=0.05)
    for cut, alpha in ((0.0, 0.4), (1.0, 2.0)):  # the variance of a symmetric beta distribution
        shares = both[both[:, 1] == cut, 0]
        assert shares.mean().item() == pytest.approx(0.5, abs=0.03)
        assert shares.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_a_mixed_batch_has_the_losses_of_both_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = torch.tensor([0, 1, 2, UNKNOWN])
    made = network().eval()
    judge = Objective(run_settings(), classes={"type": ["a", "b", "c"]}, products=4, embedding=8)
    monkeypatch.setattr("lookalike.training.losses.learner.draw_mixture", lambda _: torch.tensor([0.7, 0.0, 0.5, 0.5]))
    learner = Learner(
        made,
        judge,
        batch_of=lambda places, _: labelled(labels[places].tolist()),
        mixing=AugmentationSettings(mixup=1.0),
        autocast=torch.no_grad,
    )
    photos = torch.rand(4, 3, 32, 32, generator=torch.manual_seed(2))
    torch.manual_seed(3)
    mixed = mix(photos, torch.tensor([0.7, 0.0, 0.5, 0.5]))
    torch.manual_seed(3)
    found = learner(photos, torch.arange(4), torch.full((4,), EVERY_LOSS))
    rows = made.metric_rows(made.pooled(made.maps(mixed.photos)))
    both = [judge(made, rows, labelled(part.tolist()))["type"] for part in (labels, labels[mixed.others])]
    assert float(found["type"]) == pytest.approx(float(0.7 * both[0] + 0.3 * both[1]), rel=1e-5)


def test_randaugment_and_erasing_go_by_the_seed() -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    still = AugmentationSettings(smallest_crop=1.0, stretch=1.0, light=0, hue=0, rotation=0, spoil=0)
    drawn = AugmentationSettings(smallest_crop=1.0, stretch=1.0, light=0, hue=0, rotation=0, spoil=0, randaugment=3)

    def view(settings: AugmentationSettings, seed: int) -> np.ndarray:
        torch.manual_seed(seed)
        made = Augmentation(settings, size=(32, 32), backgrounds=())
        return np.asarray(made(photo, random=np.random.default_rng(0)))

    assert (view(still, 1) == view(still, 2)).all()
    assert (view(drawn, 1) == view(drawn, 1)).all()
    assert (view(drawn, 1) != view(drawn, 2)).any()

    erasing = Augmentation(AugmentationSettings(erase=1.0), size=(32, 32), backgrounds=())
    erased = erasing.erased(torch.ones(3, 32, 32))
    (down, across) = torch.nonzero((erased == 0).all(dim=0), as_tuple=True)
    area = (down.max() - down.min() + 1) * (across.max() - across.min() + 1)
    assert int(area) == len(down) and 0.02 * 1024 <= int(area) <= 0.34 * 1024
    assert bool((erased == 1).any())


def test_lower_layers_have_lower_rates() -> None:
    settings = run_settings(weight_decay=0.1)
    learner = Learner(network(), nn.Module(), batch_of=labelled, autocast=torch.no_grad)  # type: ignore[arg-type]
    optimizer = make_optimizer(learner, StageSettings(1.0, 0.1, backbone_rate=0.1, layer_decay=0.5), settings)
    names = {weight: name for name, weight in learner.named_parameters()}
    scales = {
        names[weight]: group.get("lr_scale", 1.0) for group in optimizer.param_groups for weight in group["params"]
    }
    assert set(scales) == set(names.values())
    assert scales["network.embedding.weight"] == 1.0
    stem, last = (scales[f"network.backbone.{name}"] for name in ("conv1.0.weight", "layer4.0.conv1.weight"))
    assert stem < last <= 1.0
    assert np.log2(last / stem) == pytest.approx(round(np.log2(last / stem)))
    for group in optimizer.param_groups:
        assert {weight.ndim > 1 for weight in group["params"]} <= {group["weight_decay"] > 0}


def test_checkpointed_gradients_are_the_same() -> None:
    gradients = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        backbone = timm.create_model("test_vit", num_classes=0).train()
        if checkpointed:
            checkpoint_gradients(backbone, "test_vit")
        photos = torch.rand(2, 3, 160, 160, generator=torch.manual_seed(1))
        backbone(photos).square().sum().backward()
        gradients.append(
            torch.cat([weight.grad.flatten() for weight in backbone.parameters() if weight.grad is not None])
        )
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)
    with pytest.raises(ConfigError, match=r"torchvision:resnet18: offers no gradient checkpointing"):
        checkpoint_gradients(nn.Sequential(), "torchvision:resnet18")


def test_layers_that_timm_does_not_know_are_told() -> None:
    check_layers(timm.create_model("test_vit", num_classes=0), "test_vit")
    with pytest.raises(ConfigError, match="torchvision:resnet18: its layers are not known to timm"):
        check_layers(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "torchvision:resnet18")


def test_all_of_it_trains(tmp_path: Path) -> None:
    write_drawn(tmp_path / "sample", products=14, photos=2)
    config = tmp_path / "recipe.toml"
    config.write_text(SETTINGS, encoding="utf-8")
    run = lookalike.train(config, out=tmp_path / "run").checkpoint.parent
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(set(line["loss"]) == {"type", "colour"} for line in lines if "loss" in line)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("augmentation.erase=1.5", "erase"),
        ("augmentation.magnitude=31", "from 0 to 30"),
        ("augmentation.mixup=-1", "mixup"),
        ("stage.0.layer_decay=0", "layer_decay"),
        ('teacher.model="default"', "mix the labels of class heads"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(tmp_path: Path, override: str, told: str) -> None:
    config = tmp_path / "recipe.toml"
    config.write_text(SETTINGS, encoding="utf-8")
    with pytest.raises(ConfigError, match=told.replace("[", r"\[")):
        lookalike.train(config, overrides=(override,), out=tmp_path / "run")
