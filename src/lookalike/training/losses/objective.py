"""The training objective: the weighted sum of metric losses, class heads, multi-label heads and distillation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ConfigError
from lookalike.models.network import Network
from lookalike.training.data.batch import CLASSIFIED, EVERY_LOSS, UNKNOWN, Batch
from lookalike.training.losses.distillation import DistillationLoss
from lookalike.training.losses.metric_losses import MetricLoss, check_it_computes
from lookalike.training.settings.run_settings import DataSettings, TrainingSettings


class Objective(nn.Module):
    """All losses of a run, with their own parameters (class centres, proxies) and memories as state.

    A metric loss compares the photos of a batch with each other, so `forward` needs the whole batch: with several
    processes, the embeddings gathered with their gradients (see `lookalike.training.run.processes.gather`) and the
    `Batch` in the same order, which `TrainingPhotos.batch` makes from the gathered places and roles. Every process
    computes the same loss and fills its memories with the same batches.

    Args:
        settings: Settings of the run.
        classes: Classes of each label, from `label_classes`.
        products: Number of products in the metric losses.
        embedding: D, the dimension of the embedding.
        class_counts: Photos of each class by head, (C,) int64, for `class_weights = "balanced"`.
        teacher: T, the dimension of the teacher's embeddings; 0 without a teacher.

    Raises:
        UnknownNameError: A loss, a miner or an argument is unknown.
        ConfigError: A loss does not take its arguments, or has fewer than two classes.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        *,
        classes: Mapping[str, Sequence[str]],
        products: int,
        embedding: int,
        class_counts: Mapping[str, Tensor] | None = None,
        teacher: int = 0,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.head_weights = weights_of(settings.data, tags=False)
        self.tag_weights = weights_of(settings.data, tags=True)
        counts = {"product": products} | {name: len(values) for name, values in classes.items()}
        for loss in settings.loss:
            if counts.get(loss.labels, 0) < 2:
                raise ConfigError(f"the loss {loss.name!r} needs at least two classes of {loss.labels!r}")
            check_it_computes(loss)
        self.metric = nn.ModuleList(
            MetricLoss(loss, classes=counts[loss.labels], embedding=embedding) for loss in settings.loss
        )
        self.distillation = (
            DistillationLoss(settings.teacher, embedding=embedding, teacher=teacher) if teacher else None
        )
        balanced = class_counts is not None and settings.heads.class_weights == "balanced"
        self.class_weights = Weights(class_counts or {}) if balanced else None
        self.names = part_names([loss.name for loss in settings.loss])

    def forward(
        self, network: Network, embeddings: Tensor, batch: Batch, *, read: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the weighted parts of the loss; their sum is minimised.

        Args:
            network: Network with the heads.
            embeddings: (B, D) float32 metric embeddings of the whole batch, of all processes.
            batch: Labels of the batch, in the same order.
            read: (B, C) float32 input of the heads; None is the embeddings.

        Returns:
            Scalars by name, one for each metric loss and head with labelled photos in the batch, and for those of the
            teacher; never empty.
        """
        parts: dict[str, Tensor] = {}
        read = embeddings if read is None else read
        for name, loss in zip(self.names, self.metric, strict=True):
            assert isinstance(loss, MetricLoss)
            rows, labels = metric_rows(loss, batch)
            if len(rows):
                parts[name] = loss.settings.weight * loss(embeddings[rows], labels)
        classified = (batch.roles == EVERY_LOSS) | (batch.roles == CLASSIFIED)
        for head, weight in self.head_weights.items():
            known = classified & (batch.labels[head] != UNKNOWN)
            if bool(known.any()):
                parts[head] = weight * functional.cross_entropy(
                    network.scores(head, read[known]),
                    batch.labels[head][known],
                    weight=None if self.class_weights is None else self.class_weights(head),
                    label_smoothing=self.settings.heads.label_smoothing,
                )
        for head, weight in self.tag_weights.items():
            known = classified[:, None] & ~batch.tags[head].isnan()
            if bool(known.any()):
                parts[head] = weight * self._tag_loss(network.scores(head, read), batch.tags[head], known)
        if self.distillation is not None and batch.targets is not None:
            parts |= self.distillation(embeddings, batch.targets)
        return parts or {"nothing": embeddings.sum() * 0.0}

    def _tag_loss(self, scores: Tensor, tags: Tensor, known: Tensor) -> Tensor:
        """Compute the mean binary cross entropy over the known tags, (B, T) each."""
        weight = torch.tensor(self.settings.heads.positive_weight, device=scores.device)
        return functional.binary_cross_entropy_with_logits(scores[known], tags[known], pos_weight=weight)


class Weights(nn.Module):
    """Weights of the classes of each head, inverse to their numbers of photos; buffers outside of `state_dict`.

    The weight of class c is N / (C n_c), as scikit-learn's `compute_class_weight` gives it; a class without photos has
    the weight 0.

    Args:
        counts: Photos of each class by head, (C,) int64.
    """

    def __init__(self, counts: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.places = {head: f"weights_{place}" for place, head in enumerate(counts)}
        for head, count in counts.items():
            weights = torch.where(count > 0, count.sum() / ((count > 0).sum() * count.clamp(min=1)), 0.0)
            self.register_buffer(self.places[head], weights.float(), persistent=False)

    def forward(self, head: str) -> Tensor:
        """Weights of the classes of a head, (C,) float32."""
        weights: Tensor = self.get_buffer(self.places[head])
        return weights


def metric_rows(loss: MetricLoss, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the rows of a batch in a metric loss, (R,) int64, and their labels, (R,) int64.

    Rows of drawn triplets are ordered: anchor, positive and negative of the first triplet, then of the second.
    """
    if loss.drawn:
        rows = torch.argsort(batch.roles, stable=True)[int((batch.roles < 0).sum()) :]
        return rows, batch.roles[rows]
    labels = batch.products if loss.settings.labels == "product" else batch.labels[loss.settings.labels]
    rows = torch.nonzero((batch.roles == EVERY_LOSS) & (labels != UNKNOWN)).squeeze(1)
    return rows, labels[rows]


def part_names(losses: Sequence[str]) -> list[str]:
    """Return the name of each part of the loss: that of the loss, numbered if it is used twice."""
    return [
        name if losses.count(name) == 1 else f"{name} {losses[: place + 1].count(name)}"
        for place, name in enumerate(losses)
    ]


def weights_of(data: Sequence[DataSettings], *, tags: bool) -> dict[str, float]:
    """Return the weights of the class heads, or of the multi-label heads; the last catalogue with a head decides."""
    return {head: weight for each in data for head, weight in (each.tags if tags else each.heads).items()}
