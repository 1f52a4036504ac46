"""Checkpoints: safetensors files with the weights, and in the header the settings, preprocessing and classes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from lookalike.config import build
from lookalike.errors import ModelError, short_reason
from lookalike.models import original_checkpoint
from lookalike.models.network import Network, NetworkSettings, head_key
from lookalike.models.photo_choices import TRAINED_ON, choices_text, read_choices
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.safetensors_file import save_safetensors
from lookalike.models.weight_readers import State, match_first_block
from lookalike.storage.files import written_whole
from lookalike.types import PhotoChoice

FORMAT = "1"
CONTENT = "lookalike.content"
"""Key of the content checksum in the header."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained network with its preprocessing and classes.

    Attributes:
        network: Network in eval mode.
        preprocessing: Preprocessing of its input.
        name: Name of the model.
        fingerprint: SHA-256 over weights and preprocessing, in hexadecimal; equal fingerprints give equal embeddings.
        classes: Class names of each head, in the order of its scores.
        trained_on: What of the photos of each catalogue it was trained on; empty if that is unknown.
    """

    network: Network
    preprocessing: Preprocessing
    name: str
    fingerprint: str
    classes: Mapping[str, Sequence[str]]
    trained_on: Sequence[PhotoChoice] = ()


def save_checkpoint(
    path: Path,
    network: Network,
    *,
    preprocessing: Preprocessing,
    name: str,
    classes: Mapping[str, Sequence[str]],
    trained_on: Sequence[PhotoChoice] = (),
) -> None:
    """Write a checkpoint atomically."""
    header = {
        "lookalike.format": FORMAT,
        "lookalike.name": name,
        "lookalike.preprocessing": preprocessing.to_json(),
        "lookalike.network": json.dumps(asdict(network.settings)),
        "lookalike.backbone": network.shape.config,
        "lookalike.classes": json.dumps({head: list(names) for head, names in classes.items()}),
        TRAINED_ON: choices_text(trained_on),
    }
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
    header[CONTENT] = content_sum(state, header)
    with written_whole(path) as unfinished:
        save_safetensors(unfinished, state, metadata=header)


def read_checkpoint(path: Path, *, format: str, what: str) -> tuple[dict[str, str], State]:
    """Read header and weights of a safetensors file that `lookalike train` wrote.

    Args:
        path: File to read.
        format: Format that its header must name.
        what: What such a file is, for messages.

    Raises:
        ModelError: The file is missing, damaged, or of another format.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dictionary
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a safetensors file: {short_reason(error)}") from None
    if header.get("lookalike.format") != format:
        raise ModelError(f"{path}: not {what} written by `lookalike train`")
    if header.pop(CONTENT, "") != content_sum(state, header):
        raise ModelError(
            f"{path}: damaged, or changed: its content does not fit its checksum; bring it back from a copy"
        )
    return header, state


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, or a saved model of the original system.

    Raises:
        ModelError: The file is missing, damaged, or neither.
    """
    if path.suffix in original_checkpoint.SUFFIXES and path.is_file():
        return _load_original(path)
    header, state = read_checkpoint(path, format=FORMAT, what="a checkpoint")
    preprocessing = Preprocessing.from_json(header["lookalike.preprocessing"])
    classes: dict[str, list[str]] = json.loads(header["lookalike.classes"])
    network = Network(
        build(NetworkSettings, json.loads(header["lookalike.network"]), where=str(path)),
        heads={head: len(names) for head, names in classes.items()},
        config=header.get("lookalike.backbone", ""),
    )
    match_first_block(network.backbone, {key.removeprefix("backbone."): state[key] for key in state})
    for place, part in enumerate(network.relevance_parts):
        combinations, dimension = state[f"relevance.{place}.vectors"].shape
        part.make_room(combinations=combinations, dimension=dimension)
    network.load_state_dict(state)
    checkpoint = _checkpoint(network, preprocessing, name=header["lookalike.name"], classes=classes)
    return replace(checkpoint, trained_on=read_choices(header.get(TRAINED_ON, "[]"), file=str(path)))


def _load_original(path: Path) -> Checkpoint:
    network, classes = original_checkpoint.read_original(path)
    name = path.name.removesuffix(".tar").removesuffix(".pth")
    return _checkpoint(network, original_checkpoint.PREPROCESSING, name=name, classes=classes)


def _checkpoint(
    network: Network, preprocessing: Preprocessing, *, name: str, classes: Mapping[str, Sequence[str]]
) -> Checkpoint:
    return Checkpoint(
        network=network.eval(),
        preprocessing=preprocessing,
        name=name,
        fingerprint=fingerprint(network, preprocessing),
        classes=classes,
    )


def content_sum(state: Mapping[str, torch.Tensor], header: Mapping[str, str]) -> str:
    """Return the SHA-256 of a checkpoint's tensors and header, in hexadecimal."""
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for key, tensor in sorted(state.items()):
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint(network: Network, preprocessing: Preprocessing) -> str:
    """Return the SHA-256, in hexadecimal, of everything that the embeddings depend on: weights, pooling, preprocessing.

    Heads are included only if the embedding has relevance parts, which depend on them.
    """
    digest = hashlib.sha256(preprocessing.to_json().encode())
    settings = network.settings
    if settings.pooling in ("cls", "own") or not settings.normalise:  # the tensors tell the others apart
        digest.update(f"{settings.backbone} {settings.pooling} {settings.normalise}".encode())
    if settings.relevance:
        digest.update(repr(settings.relevance).encode())
    expecting = tuple(f"heads.{head_key(label)}." for part in settings.relevance for label in part.labels)
    for key, tensor in sorted(network.state_dict().items()):
        if not key.startswith("heads.") or key.startswith(expecting):
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().to(torch.float32).numpy().tobytes())
    return digest.hexdigest()
