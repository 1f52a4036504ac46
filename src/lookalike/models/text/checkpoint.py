"""Text encoder checkpoints: a safetensors file with weights, architecture and words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from lookalike.config import build
from lookalike.models.checkpoint import CONTENT, content_sum, read_checkpoint
from lookalike.models.safetensors_file import save_safetensors
from lookalike.models.text.network import TextNetwork, TextNetworkSettings
from lookalike.models.text_encoder_file import FORMAT
from lookalike.storage.files import written_whole


@dataclass(frozen=True, slots=True)
class TextCheckpoint:
    """Contents of a text encoder checkpoint.

    Attributes:
        network: Network in eval mode.
        name: Display name.
        photo_model: Model id of the photo model whose space it shares, such as `default@9f3c21ab`.
        words: Words that it has learnt, lower case; the first has the number 1.
    """

    network: TextNetwork
    name: str
    photo_model: str
    words: Sequence[str]


def save_text_encoder(
    path: Path,
    state: Mapping[str, Tensor],
    *,
    settings: TextNetworkSettings,
    name: str,
    photo_model: str,
    words: Sequence[str],
) -> None:
    """Write a checkpoint; a failure leaves no partial file."""
    header = {
        "lookalike.format": FORMAT,
        "lookalike.name": name,
        "lookalike.network": json.dumps(asdict(settings)),
        "lookalike.photo_model": photo_model,
        "lookalike.words": json.dumps(list(words), ensure_ascii=False),
    }
    kept = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    header[CONTENT] = content_sum(kept, header)
    with written_whole(path) as unfinished:
        save_safetensors(unfinished, kept, metadata=header)


def is_text_encoder(path: Path) -> bool:
    """Whether a file is a text encoder checkpoint; its checksum is not verified."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("lookalike.format") == FORMAT
    except (SafetensorError, OSError):
        return False


def load_text_encoder(path: Path) -> TextCheckpoint:
    """Read a checkpoint.

    Raises:
        ModelError: The file is missing, damaged, or not a text encoder checkpoint.
    """
    header, state = read_checkpoint(path, format=FORMAT, what="a text encoder checkpoint")
    settings = build(TextNetworkSettings, json.loads(header["lookalike.network"]), where=str(path))
    words: list[str] = json.loads(header["lookalike.words"])
    network = TextNetwork(settings, meanings=state["meanings"], dimension=len(state["out.bias"]))
    network.load_state_dict(state)
    return TextCheckpoint(network.eval(), header["lookalike.name"], header["lookalike.photo_model"], words)
