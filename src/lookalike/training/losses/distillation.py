"""Distillation: the embeddings of a teacher as a target, without labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookalike.training.settings.objective_settings import TeacherSettings


class DistillationLoss(nn.Module):
    """Losses between the embeddings of a student and of its teacher.

    `cosine` is 1 less the cosine between the two; a student of another dimension is projected by a linear layer that
    only training uses. `relational` compares the distances within a batch, each divided by their mean, by the Huber
    loss, and needs no equal dimensions.

    Source of `relational`: Park et al. 2019, Relational Knowledge Distillation, CVPR, equations 4 to 6.

    Args:
        settings: Weights of the losses.
        embedding: D, dimension of the student's embeddings.
        teacher: T, dimension of the teacher's embeddings.
    """

    def __init__(self, settings: TeacherSettings, *, embedding: int, teacher: int) -> None:
        super().__init__()
        self.settings = settings
        projected = settings.cosine > 0 and embedding != teacher
        self.projection = nn.Linear(embedding, teacher, bias=False) if projected else nn.Identity()

    def forward(self, embeddings: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Compute the weighted parts of the loss of a batch; none if no photo has a target.

        Args:
            embeddings: (B, D) float32, the student's.
            targets: (B, T) float32, the teacher's; nan in rows without.
        """
        known = ~targets[:, 0].isnan()
        embeddings, targets = embeddings[known], targets[known]
        parts: dict[str, Tensor] = {}
        if len(targets) and self.settings.cosine:
            cosines = functional.cosine_similarity(self.projection(embeddings), targets)
            parts["teacher cosine"] = self.settings.cosine * (1.0 - cosines).mean()
        if len(targets) > 1 and self.settings.relational:
            ours, theirs = relative_distances(embeddings), relative_distances(targets)
            parts["teacher relational"] = self.settings.relational * functional.smooth_l1_loss(ours, theirs)
        return parts


def relative_distances(rows: Tensor) -> Tensor:
    """Distances of all pairs of rows, (B (B - 1) / 2,), divided by their mean."""
    distances = torch.pdist(rows.float())
    return distances / distances.mean().clamp(min=1e-12)
