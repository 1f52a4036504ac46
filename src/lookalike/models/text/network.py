"""Network of text encoders: words with their neighbours, their gated mean, and two layers on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.config import Range

PADDING = 0
"""Number of padding, and of words that were not learnt: both have no meaning."""

SHORTEST = 1e-6
"""Added to lengths, so that a text without words has zeros."""


@dataclass(frozen=True, slots=True)
class TextNetworkSettings:
    """Settings of the network of a text encoder.

    Attributes:
        width: Length of the vectors of words.
        hidden: Width of the hidden layer after the mean of words.
        dropout: Fraction of the numbers that a step of training leaves out.
    """

    width: Annotated[int, Range(least=1, most=65_536)] = 192
    hidden: Annotated[int, Range(least=1, most=65_536)] = 512
    dropout: Annotated[float, Range(least=0, below=1)] = 0.1


class TextNetwork(nn.Module):
    """Text encoder.

    Each word is seen with its neighbours, so that `navy blue` differs from `navy` and `blue`; its gate says how much
    it means in the text. The order of the words has no other influence.

    Args:
        settings: Settings.
        meanings: (V,) int64, number of the meaning of each word, from 0; words with one meaning share its vector. The
            first word is the padding.
        dimension: D, length of the embeddings.
    """

    def __init__(self, settings: TextNetworkSettings, *, meanings: Tensor, dimension: int) -> None:
        super().__init__()
        width = settings.width
        self.meanings: Tensor
        self.register_buffer("meanings", meanings)
        self.words = nn.Embedding(int(meanings.max()) + 1, width)
        self.neighbours = nn.Conv1d(width, width, kernel_size=3, padding=1)
        self.gate = nn.Linear(width, 1)
        self.dropout = nn.Dropout(settings.dropout)
        self.hidden = nn.Linear(width, settings.hidden)
        self.direct = nn.Linear(width, dimension, bias=False)
        self.out = nn.Linear(settings.hidden, dimension)

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed texts: (B, L) int64 to (B, D) float32 of unit length."""
        present = (tokens != PADDING).unsqueeze(2).float()
        words = present * self.words.weight[self.meanings[tokens]]
        seen = words + F.gelu(self.neighbours(words.transpose(1, 2)).transpose(1, 2))
        gates = present * torch.sigmoid(self.gate(seen))
        mean = (gates * seen).sum(dim=1) / (gates.sum(dim=1) + SHORTEST)
        mean = self.dropout(mean)
        rows = present.amax(dim=1) * (self.direct(mean) + self.out(self.dropout(F.gelu(self.hidden(mean)))))
        length = rows.norm(dim=1, keepdim=True)
        unit: Tensor = rows / (length + SHORTEST)
        return unit
