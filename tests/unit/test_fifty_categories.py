"""All 50 categories of DeepFashion at once: frozen, then unfrozen, and the network goes on telling them apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.catalogue.sample.layouts.table import write_layout
from lookalike.images import open_image
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.data.dataset import TrainingPhotos, label_classes, read_splits
from lookalike.training.data.sampling import make_sampler
from lookalike.training.losses.objective import Objective
from lookalike.training.settings.objective_settings import HeadSettings, LossSettings, SamplerSettings
from lookalike.training.settings.run_settings import DataSettings, StageSettings, TrainingSettings

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")]

STEPS = {"frozen": 40, "unfrozen": 80}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Batches as small as these are not worth sharing, least of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_fifty_categories_do_not_collapse(tmp_path: Path, one_thread: None) -> None:
    write_layout(tmp_path / "deepfashion", layout="attributes", products=60, photos=3)
    data = DataSettings("deepfashion", heads={"category": 1.0}, positives="category")
    settings = TrainingSettings(
        name="fifty",
        data=(data,),
        stage=(StageSettings(1.0, 0.1),),
        heads=HeadSettings(label_smoothing=0.0),
        sampler=SamplerSettings("triplets", classified=32, triplets=8),
        loss=(LossSettings("DrawnTripletLoss", weight=2.0, arguments={"margin": 1.0}),),
    )
    split = read_splits(data, folder=tmp_path)["train"]
    classes = label_classes([split], ["category"])
    assert len(classes["category"]) >= 40
    photos = TrainingPhotos([split], classes=classes, tags={})
    steps = Preprocessing(48, 48)
    pixels = torch.from_numpy(np.stack([steps(open_image(item.location, box=item.box)) for item in photos.items]))
    torch.manual_seed(0)
    network = Network(
        NetworkSettings("test_resnet", embedding=64, normalise=False, heads="linear"),
        heads={"category": len(classes["category"])},
    )
    objective = Objective(settings, classes=classes, products=photos.metric_products, embedding=network.dimension)
    right: dict[str, float] = {}
    for stage, count in STEPS.items():
        network.backbone.requires_grad_(stage == "unfrozen")
        learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(learnt, lr=3e-3)
        for batch in make_sampler(settings, photos, steps=count, start=0, seed=1):
            network.train()
            network.backbone.train(stage == "unfrozen")
            places, roles = torch.tensor([view.place for view in batch]), torch.tensor([view.role for view in batch])
            parts = objective(network, network(pixels[places]), photos.batch(places, roles))
            optimizer.zero_grad()
            torch.stack(list(parts.values())).sum().backward()
            torch.nn.utils.clip_grad_norm_(learnt, 5.0)
            optimizer.step()
        with torch.no_grad():
            answers = network.eval().scores("category", network(pixels)).argmax(dim=1).numpy()
        right[stage] = float((answers == photos.labels["category"]).mean())
    assert right["unfrozen"] > max(0.5, right["frozen"]), right
