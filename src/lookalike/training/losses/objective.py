"""What is minimised: metric losses, class heads and multi-label heads, weighted and summed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ConfigError
from lookalike.models.network import Network
from lookalike.training.data.batch import CLASSIFIED, EVERY_LOSS, UNKNOWN, Batch
from lookalike.training.losses.metric_losses import MetricLoss
from lookalike.training.settings.run_settings import DataSettings, TrainingSettings


class Objective(nn.Module):
    """All losses of a run, with their own parameters (class centres, proxies) and memories as its state.

    A metric loss compares the photos of a batch with each other, so a batch that is split over several processes must
    be put together again first: `forward` wants the embeddings of the whole batch, gathered with their gradients, and
    `Batch` of the whole batch in the same order. Each process then computes the same loss; averaging the gradients
    over the processes, as DistributedDataParallel does, gives those of one process with the whole batch, if gathering
    hands back to each process the sum of what all of them ask of its embeddings (as
    `torch.distributed.nn.functional.all_gather` does). All that has to be gathered, besides, is the photos' places and
    roles: `TrainingPhotos.batch` makes the `Batch` of them. Memories are filled with whole batches, alike everywhere.

    Args:
        settings: Of the run.
        classes: The classes of each label, as `label_classes` gives them.
        products: How many products take part in the metric losses.
        embedding: D.

    Raises:
        UnknownNameError: A loss, a miner or an argument is not known.
        ConfigError: A loss does not take its arguments, or has fewer than two classes.
    """

    def __init__(
        self, settings: TrainingSettings, *, classes: Mapping[str, Sequence[str]], products: int, embedding: int
    ) -> None:
        super().__init__()
        self.settings = settings
        self.head_weights = weights_of(settings.data, tags=False)
        self.tag_weights = weights_of(settings.data, tags=True)
        counts = {"product": products} | {name: len(values) for name, values in classes.items()}
        for loss in settings.loss:
            if counts.get(loss.labels, 0) < 2:
                raise ConfigError(f"the loss {loss.name!r} needs at least two classes of {loss.labels!r}")
        self.metric = nn.ModuleList(
            MetricLoss(loss, classes=counts[loss.labels], embedding=embedding) for loss in settings.loss
        )
        self.names = part_names([loss.name for loss in settings.loss])

    def forward(
        self, network: Network, embeddings: Tensor, batch: Batch, *, read: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The loss in weighted parts, which sum to what is minimised.

        Args:
            network: Whose heads are trained.
            embeddings: (B, D) float32, the network's metric rows, of all processes together.
            batch: What is known of them, in the same order.
            read: (B, C) float32, what its heads read; None is the embeddings.

        Returns:
            Scalars by name: one for each metric loss and each head that found photos to learn from; never empty.
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
                    label_smoothing=self.settings.heads.label_smoothing,
                )
        for head, weight in self.tag_weights.items():
            known = classified[:, None] & ~batch.tags[head].isnan()
            if bool(known.any()):
                parts[head] = weight * self._tag_loss(network.scores(head, read), batch.tags[head], known)
        return parts or {"nothing": embeddings.sum() * 0.0}

    def _tag_loss(self, scores: Tensor, tags: Tensor, known: Tensor) -> Tensor:
        """Mean binary cross entropy over the tags that are known, (B, T) each."""
        weight = torch.tensor(self.settings.heads.positive_weight, device=scores.device)
        return functional.binary_cross_entropy_with_logits(scores[known], tags[known], pos_weight=weight)


def metric_rows(loss: MetricLoss, batch: Batch) -> tuple[Tensor, Tensor]:
    """Which rows of a batch a metric loss is about, (R,) int64, and their labels, (R,) int64.

    Drawn triplets come in their order: anchor, positive and negative of the first, then of the second.
    """
    if loss.drawn:
        rows = torch.argsort(batch.roles, stable=True)[int((batch.roles < 0).sum()) :]
        return rows, batch.roles[rows]
    labels = batch.products if loss.settings.labels == "product" else batch.labels[loss.settings.labels]
    rows = torch.nonzero((batch.roles == EVERY_LOSS) & (labels != UNKNOWN)).squeeze(1)
    return rows, labels[rows]


def part_names(losses: Sequence[str]) -> list[str]:
    """A name for each part of the loss: that of the loss, numbered when it comes twice."""
    return [
        name if losses.count(name) == 1 else f"{name} {losses[: place + 1].count(name)}"
        for place, name in enumerate(losses)
    ]


def weights_of(data: Sequence[DataSettings], *, tags: bool) -> dict[str, float]:
    """The weight of each class head, or multi-label head, of all catalogues; the last one that names it decides."""
    return {head: weight for each in data for head, weight in (each.tags if tags else each.heads).items()}
