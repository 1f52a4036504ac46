"""Finder checkpoints: a safetensors file with weights, architecture and kinds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from lookalike.config import build
from lookalike.models.backbones import make_backbone
from lookalike.models.checkpoint import CONTENT, content_sum, read_checkpoint
from lookalike.models.finder.file_format import FORMAT
from lookalike.models.finder.network import FinderNetwork, FinderNetworkSettings
from lookalike.models.safetensors_file import save_safetensors
from lookalike.models.weight_readers import match_first_block
from lookalike.storage.files import written_whole


@dataclass(frozen=True, slots=True)
class FinderCheckpoint:
    """Contents of a finder checkpoint.

    Attributes:
        network: Network in eval mode.
        name: Display name.
        kinds: Kinds of garments in the order of the scores.
        pixels: Approximate number of pixels of the input.
    """

    network: FinderNetwork
    name: str
    kinds: Sequence[str]
    pixels: int


def save_finder(
    path: Path,
    state: dict[str, Tensor],
    *,
    settings: FinderNetworkSettings,
    name: str,
    kinds: Sequence[str],
    pixels: int,
) -> None:
    """Write a checkpoint; a failure leaves no partial file."""
    header = {
        "lookalike.format": FORMAT,
        "lookalike.name": name,
        "lookalike.network": json.dumps(asdict(settings)),
        "lookalike.kinds": json.dumps(list(kinds)),
        "lookalike.pixels": str(pixels),
    }
    kept = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    header[CONTENT] = content_sum(kept, header)
    with written_whole(path) as unfinished:
        save_safetensors(unfinished, kept, metadata=header)


def is_finder(path: Path) -> bool:
    """Whether a file is a finder checkpoint; its checksum is not verified."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("lookalike.format") == FORMAT
    except (SafetensorError, OSError):
        return False


def load_finder(path: Path) -> FinderCheckpoint:
    """Read a checkpoint.

    Raises:
        ModelError: The file is missing, damaged, or not a finder checkpoint.
    """
    header, state = read_checkpoint(path, format=FORMAT, what="a finder checkpoint")
    settings = build(FinderNetworkSettings, json.loads(header["lookalike.network"]), where=str(path))
    kinds: list[str] = json.loads(header["lookalike.kinds"])
    backbone, _ = make_backbone(settings.backbone, "average")
    inner = {key.removeprefix("backbone."): tensor for key, tensor in state.items() if key.startswith("backbone.")}
    match_first_block(backbone, inner)
    network = FinderNetwork(backbone, channels=settings.channels, depth=settings.depth, kinds=len(kinds))
    network.load_state_dict(state)
    return FinderCheckpoint(network.eval(), header["lookalike.name"], kinds, int(header["lookalike.pixels"]))
