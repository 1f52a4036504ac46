"""DINOv2 in folders of Hugging Face: rows are those of the published architecture, written out here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

import lookalike
from lookalike.models.encoders.encoder import ImageEncoder
from lookalike.models.encoders.folder import encoder_of_folder
from lookalike.models.preprocessing import PreprocessingChanges

WIDTH, HEADS, LAYERS, PATCH, SIDE, REGISTERS = 32, 2, 2, 14, 4, 4
CONFIG: dict[str, Any] = {
    "model_type": "dinov2",
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "mlp_ratio": 4,
    "image_size": PATCH * SIDE,
    "patch_size": PATCH,
    "layer_norm_eps": 1e-6,
    "hidden_act": "gelu",
    "qkv_bias": True,
    "use_swiglu_ffn": False,
}
STEPS = {
    "size": {"shortest_edge": 70},
    "crop_size": {"height": 56, "width": 56},
    "resample": 3,
    "image_mean": [0.1, 0.2, 0.3],
    "image_std": [0.4, 0.5, 0.6],
}


def random_state(*, registers: bool) -> dict[str, Tensor]:
    """Weights by the names of transformers."""
    torch.manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, WIDTH),
        "embeddings.mask_token": (1, WIDTH),
        "embeddings.position_embeddings": (1, SIDE * SIDE + 1, WIDTH),
        "embeddings.patch_embeddings.projection.weight": (WIDTH, 3, PATCH, PATCH),
        "embeddings.patch_embeddings.projection.bias": (WIDTH,),
        "layernorm.weight": (WIDTH,),
        "layernorm.bias": (WIDTH,),
    }
    if registers:
        shapes["embeddings.register_tokens"] = (1, REGISTERS, WIDTH)
    for layer in range(LAYERS):
        inner = f"encoder.layer.{layer}."
        for part, (rows, columns) in {
            **{f"attention.attention.{name}": (WIDTH, WIDTH) for name in ("query", "key", "value")},
            "attention.output.dense": (WIDTH, WIDTH),
            "mlp.fc1": (4 * WIDTH, WIDTH),
            "mlp.fc2": (WIDTH, 4 * WIDTH),
        }.items():
            shapes |= {f"{inner}{part}.weight": (rows, columns), f"{inner}{part}.bias": (rows,)}
        for part in ("norm1", "norm2"):
            shapes |= {f"{inner}{part}.weight": (WIDTH,), f"{inner}{part}.bias": (WIDTH,)}
        shapes |= {f"{inner}layer_scale{number}.lambda1": (WIDTH,) for number in (1, 2)}
    return {name: 0.3 * torch.randn(shape) for name, shape in shapes.items()}


def rows_of(state: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """The class token of DINOv2, with the positions resized where photos have another number of patches."""

    def linear(name: str, tokens: Tensor) -> Tensor:
        return functional.linear(tokens, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(name: str, tokens: Tensor) -> Tensor:
        return functional.layer_norm(tokens, (WIDTH,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    patches = "embeddings.patch_embeddings.projection"
    cells = functional.conv2d(pixels, state[f"{patches}.weight"], state[f"{patches}.bias"], stride=PATCH)
    positions, registers = state["embeddings.position_embeddings"], state.get("embeddings.register_tokens")
    square = positions[:, 1:].reshape(1, SIDE, SIDE, WIDTH).permute(0, 3, 1, 2)
    if cells.shape[2:] != square.shape[2:]:
        square = functional.interpolate(square, cells.shape[2:], mode="bicubic", antialias=registers is not None)
    count = len(pixels)
    first = (state["embeddings.cls_token"] + positions[:, :1]).expand(count, -1, -1)
    middle = [] if registers is None else [registers.expand(count, -1, -1)]
    tokens = torch.cat([first, *middle, (cells + square).flatten(2).transpose(1, 2)], dim=1)
    for layer in range(LAYERS):
        inner = f"encoder.layer.{layer}."
        normed = norm(f"{inner}norm1", tokens)
        query, key, value = (
            linear(f"{inner}attention.attention.{name}", normed).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        weights = (query @ key.transpose(2, 3) / (WIDTH / HEADS) ** 0.5).softmax(dim=3)
        mixed = linear(f"{inner}attention.output.dense", (weights @ value).transpose(1, 2).flatten(2))
        tokens = tokens + state[f"{inner}layer_scale1.lambda1"] * mixed
        hidden = functional.gelu(linear(f"{inner}mlp.fc1", norm(f"{inner}norm2", tokens)))
        tokens = tokens + state[f"{inner}layer_scale2.lambda1"] * linear(f"{inner}mlp.fc2", hidden)
    return norm("layernorm", tokens)[:, 0]


def write(folder: Path, config: dict[str, Any], state: dict[str, Tensor]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(STEPS), encoding="utf-8")
    save_file(state, folder / "model.safetensors")
    return folder


def encoder(folder: Path, size: int | None = None) -> ImageEncoder:
    made = encoder_of_folder(folder, name="tiny", changes=PreprocessingChanges(size=size))
    assert made is not None
    return made


@pytest.mark.parametrize("registers", [False, True])
@pytest.mark.parametrize("size", [None, 42, 70])
def test_rows_are_those_of_the_architecture(registers: bool, size: int | None, tmp_path: Path) -> None:
    state = random_state(registers=registers)
    changed = {"model_type": "dinov2_with_registers", "num_register_tokens": REGISTERS} if registers else {}
    made = encoder(write(tmp_path / "tiny", CONFIG | changed, state), size)
    steps = made.preprocessing
    assert (steps.height, steps.short_side) == ({None: 56, 42: 42, 70: 70}[size], {None: 70, 42: 52, 70: 87}[size])
    assert (steps.mean, steps.std, steps.interpolation) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bicubic")
    pixels = torch.randn(2, 3, steps.height, steps.width)
    with torch.no_grad():
        torch.testing.assert_close(made.network(pixels), rows_of(state, pixels), atol=1e-5, rtol=1e-4)


def test_a_classifier_of_transformers_has_the_same_encoder(tmp_path: Path) -> None:
    state = random_state(registers=False)
    plain = encoder(write(tmp_path / "plain", CONFIG, state))
    classifier = {f"dinov2.{name}": tensor for name, tensor in state.items()} | {"classifier.weight": torch.ones(2, 64)}
    other = encoder(write(tmp_path / "classifier", CONFIG, classifier))
    pixels = torch.randn(1, 3, 56, 56)
    with torch.no_grad():
        assert torch.equal(plain.network(pixels), other.network(pixels))


def test_damaged_descriptions_are_one_line(tmp_path: Path) -> None:
    state = random_state(registers=False)
    write(tmp_path, CONFIG, state)
    refused = 0
    for key in CONFIG:
        for value in ("x", -1, 0, [], {}, 15):
            (tmp_path / "config.json").write_text(json.dumps(CONFIG | {key: value}), encoding="utf-8")
            try:
                encoder_of_folder(tmp_path, name="tiny", changes=PreprocessingChanges())
            except lookalike.ModelError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) < 1000
    assert refused > 20
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    with pytest.raises(lookalike.ModelError, match="photos of 60 x 60 are not whole patches of 14 x 14"):
        encoder(tmp_path, 60)
    for value in ([], "x", {"height": 56}, -4, {"shortest_edge": {}}):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(STEPS | {"crop_size": value}), encoding="utf-8")
        with pytest.raises(lookalike.ModelError) as caught:
            encoder(tmp_path)
        assert "\n" not in str(caught.value)
    del state["layernorm.weight"]
    with pytest.raises(lookalike.ModelError, match=r"1 of \d+ weights are missing, such as 'norm.weight'"):
        encoder(write(tmp_path / "less", CONFIG, state))
