"""Evidence for the kind of a garment from outside of a network, such as what a finder saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lookalike.kinds import KINDS, kind_of
from lookalike.models.network import NetworkSettings


class KindEvidence(nn.Module):
    """Spreads evidence for kinds over the classes of the heads that tell kinds apart.

    By Bayes' rule, independent evidence adds its log-likelihoods to the logits of a softmax.

    Args:
        classes: Class names by head.

    Attributes:
        heads: Heads with classes of at least two kinds; the classes of others stay as they are.
    """

    def __init__(self, classes: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        kinds = {head: [kind_of(name) for name in names] for head, names in classes.items()}
        self.heads = [head for head, found in kinds.items() if len({*found} - {None}) > 1]
        for place, head in enumerate(self.heads):
            table = [[float(kind == known) for kind in kinds[head]] for known in KINDS]
            self.register_buffer(f"table_{place}", torch.tensor(table), persistent=False)

    def forward(self, kinds: Tensor) -> dict[str, Tensor]:
        """Compute what is added to the logits of each of the heads, (B, classes).

        Args:
            kinds: (B, K) log-likelihoods of `lookalike.kinds.KINDS`; zeros where nothing is known.
        """
        return {head: kinds @ self.get_buffer(f"table_{place}") for place, head in enumerate(self.heads)}


def takes_kinds(settings: NetworkSettings, classes: Mapping[str, Sequence[str]]) -> bool:
    """Whether known kinds change the embeddings of a network: if relevance parts of it tell kinds apart.

    Args:
        settings: Settings of the network.
        classes: Class names by head.
    """
    telling = KindEvidence(classes).heads
    return any(label in telling for part in settings.relevance for label in part.labels)
