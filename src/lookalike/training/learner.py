"""The network and its objective as one module, whose output is the loss of a whole batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from lookalike.models.network import Network
from lookalike.training.batch import Batch
from lookalike.training.objective import Objective
from lookalike.training.processes import gather

BACKBONE = "network.backbone."
"""What the names of the backbone's weights begin with."""

BatchOf = Callable[[Tensor, Tensor], Batch]
"""From places and roles, (B,) int64 each, to what is known of these photos."""


class Learner(nn.Module):
    """What is trained; it is one module so that DistributedDataParallel sees every weight that a loss may reach.

    Args:
        network: Embeds photos.
        objective: Judges embeddings.
        batch_of: Looks up what is known of photos.
        autocast: The precision of the backbone; everything after it is float32.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        *,
        batch_of: BatchOf,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        super().__init__()
        self.network, self.objective = network, objective
        self.batch_of, self.autocast = batch_of, autocast

    def forward(self, photos: Tensor, places: Tensor, roles: Tensor) -> dict[str, Tensor]:
        """The weighted parts of the loss, the same in every process.

        Args:
            photos: (B, 3, H, W) float32 normalised, this process's part of the batch.
            places: (B,) int64 in the training data.
            roles: (B,) int64, what each photo was drawn for.
        """
        with self.autocast():
            maps = self.network.maps(photos)
        with torch.autocast(photos.device.type, enabled=False):
            embeddings = gather(self.network.embed_maps(maps.float()))
            batch = self.batch_of(gather(places), gather(roles))
            parts: dict[str, Tensor] = self.objective(self.network, embeddings, batch)
            return parts

    def train_stage(self, *, frozen: bool) -> None:
        """Prepare for steps of a stage: frozen, a backbone's normalisation layers keep their statistics, too."""
        self.train()
        self.network.backbone.train(not frozen)
        self.network.backbone.requires_grad_(not frozen)
