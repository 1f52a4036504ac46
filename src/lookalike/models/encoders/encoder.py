"""An image encoder with its preprocessing."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from lookalike.models.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class ImageEncoder:
    """Image encoder of another library.

    Attributes:
        name: Display name.
        network: Module in eval mode, of photos (B, 3, H, W) to rows (B, D) of any length.
        preprocessing: Preprocessing of photos.
    """

    name: str
    network: nn.Module
    preprocessing: Preprocessing
