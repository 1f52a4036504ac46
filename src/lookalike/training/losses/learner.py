"""Network and objective as one module, whose output is the loss of a whole batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from lookalike.errors import UnknownNameError
from lookalike.models.network import Network
from lookalike.training.data.batch import Batch
from lookalike.training.data.mixing import draw_mixture, mix
from lookalike.training.losses.objective import Objective
from lookalike.training.run.processes import gather
from lookalike.training.settings.photo_settings import AugmentationSettings
from lookalike.training.settings.run_settings import StageSettings

BACKBONE = "network.backbone."
"""Prefix of the names of the backbone's weights."""

BatchOf = Callable[[Tensor, Tensor], Batch]
"""Returns the labels of photos from their places and roles, (B,) int64 each."""


class Learner(nn.Module):
    """Network and losses as one module, so that DistributedDataParallel sees every trainable parameter.

    Args:
        network: Network to train.
        objective: Losses.
        batch_of: Returns the labels of photos.
        maps: Computes `network.maps`, such as its compiled form; None takes the network's own.
        mixing: Settings by which the photos of a batch are mixed; None for none.
        autocast: Mixed precision of the backbone; everything after it is float32.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        *,
        batch_of: BatchOf,
        maps: Callable[[Tensor], Tensor] | None = None,
        mixing: AugmentationSettings | None = None,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        super().__init__()
        self.network, self.objective = network, objective
        self.batch_of, self.mixing, self.autocast = batch_of, mixing, autocast
        self.maps = maps or network.maps

    def forward(self, photos: Tensor, places: Tensor, roles: Tensor) -> dict[str, Tensor]:
        """Compute the weighted parts of the loss; every process gets the same values.

        Args:
            photos: (B, 3, H, W) float32 normalised, this process's shard of the batch.
            places: (B,) int64 rows in the training data.
            roles: (B,) int64, role of each photo in the losses.
        """
        mixed = None
        if self.mixing is not None:  # all processes mix as the first one has drawn
            mixed = mix(photos, gather(draw_mixture(self.mixing).to(photos.device)[None])[0])
            photos = mixed.photos
        with self.autocast():
            maps = self.maps(photos)
        with torch.autocast(photos.device.type, enabled=False):
            pooled = gather(self.network.pooled(maps.float()))
            metric = self.network.metric_rows(pooled)
            read = self.network.read_rows(pooled, metric)

            def parts_of(places: Tensor, roles: Tensor) -> dict[str, Tensor]:
                parts: dict[str, Tensor] = self.objective(
                    self.network, metric, self.batch_of(gather(places), gather(roles)), read=read
                )
                return parts

            parts = parts_of(places, roles)
            if mixed is None:
                return parts
            others = parts_of(places[mixed.others], roles[mixed.others])
            weighed = [(mixed.share, parts), (1.0 - mixed.share, others)]
            nothing = metric.sum() * 0.0
            return {
                name: sum((share * found[name] for share, found in weighed if name in found), nothing)
                for name in {**parts, **others}
            }

    def train_stage(self, stage: StageSettings) -> bool:
        """Set the train mode of a stage; frozen parts also keep the statistics of their normalisation layers.

        Returns:
            Whether there is a weight that is not frozen, of the network or of a loss.

        Raises:
            UnknownNameError: The backbone has no module of a name in `freeze`.
        """
        self.train()
        backbone = self.network.backbone
        backbone.requires_grad_(True)
        for part in [backbone] if stage.backbone_rate == 0 else [part_of(backbone, name) for name in stage.freeze]:
            part.eval().requires_grad_(False)
        return any(weight.requires_grad for weight in self.parameters())


def part_of(backbone: nn.Module, name: str) -> nn.Module:
    """Return a module of the backbone by name, such as `blocks.0`."""
    try:
        return backbone.get_submodule(name)
    except AttributeError:
        known = [part for part, _ in backbone.named_modules() if part.count(".") == name.count(".")]
        raise UnknownNameError("part of the backbone", name, known) from None
