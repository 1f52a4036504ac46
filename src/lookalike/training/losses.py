"""What is minimised: a metric loss over products, and class heads over attributes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pytorch_metric_learning import losses as metric_losses
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ConfigError, UnknownNameError
from lookalike.models.network import Network
from lookalike.training.settings import LossSettings

UNKNOWN = -1


def metric_loss(settings: LossSettings) -> nn.Module | None:
    """Make the metric loss that the settings name, from pytorch-metric-learning.

    Raises:
        UnknownNameError: It has no loss of that name.
        ConfigError: The loss does not take these arguments.
    """
    if not settings.metric:
        return None
    kind = getattr(metric_losses, settings.metric, None)
    if kind is None:
        raise UnknownNameError("metric loss", settings.metric, [n for n in dir(metric_losses) if n.endswith("Loss")])
    try:
        loss: nn.Module = kind(**settings.arguments)
    except TypeError as error:
        raise ConfigError(f"{settings.metric}: {error}") from None
    return loss


def total_loss(
    network: Network,
    embeddings: Tensor,
    *,
    settings: LossSettings,
    metric: nn.Module | None,
    products: Tensor,
    with_metric: Tensor,
    labels: Mapping[str, Tensor],
    head_weights: Mapping[str, float],
) -> dict[str, Tensor]:
    """The loss of a batch, in parts that sum to what is minimised.

    Args:
        network: Whose heads are trained.
        embeddings: (B, D) float32 unit rows.
        settings: Weights and smoothing.
        metric: What `metric_loss` made.
        products: (B,) int64.
        with_metric: (B,) bool, the photos that take part in the metric loss.
        labels: For each head, (B,) int64 classes, -1 where unknown.
        head_weights: Of each head.

    Returns:
        Scalars by name: `metric` and one for each head.
    """
    parts: dict[str, Tensor] = {}
    if metric is not None and bool(with_metric.any()):
        parts["metric"] = settings.weight * metric(embeddings[with_metric], products[with_metric])
    for head, weight in head_weights.items():
        known = labels[head] != UNKNOWN
        if bool(known.any()):
            parts[head] = weight * functional.cross_entropy(
                network.scores(head, embeddings[known]),
                labels[head][known],
                label_smoothing=settings.label_smoothing,
            )
    return parts if parts else {"nothing": embeddings.sum() * torch.zeros(())}
