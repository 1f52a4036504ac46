"""Image and text models as a pair of ONNX files: the numbers are open_clip's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transform import image_transform

import lookalike
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.models.clip.source import open_source
from lookalike.models.clip.towers import fingerprint, image_tower, text_tower
from lookalike.text.encoder import TextEncoder, text_encoder_of
from tiny_clip import CONFIG, MEAN, STD, TEXTS, drawn_photos, make_clip, write_folder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> lookalike.ExportedOther:
    """The pair of files of a tiny CLIP."""
    folder = tmp_path_factory.mktemp("clip")
    return lookalike.export_clip(write_folder(folder / "tiny", make_clip()), folder / "out" / "shop.onnx")


def test_the_files_embed_as_open_clip_does(exported: lookalike.ExportedOther) -> None:
    model = make_clip()
    photos = drawn_photos()
    transform = image_transform(32, is_train=False, mean=MEAN, std=STD, resize_mode="shortest", interpolation="bicubic")
    with torch.no_grad():
        images = model.encode_image(torch.stack([transform(photo) for photo in photos]), normalize=True).numpy()
        texts = model.encode_text(SimpleTokenizer()(TEXTS), normalize=True).numpy()
    embedder = PhotoEmbedder(open_network(exported.file))
    encoder = TextEncoder(text_encoder_of(exported.file))
    np.testing.assert_allclose(embedder.embed(photos)["deep"], images, atol=1e-4)
    np.testing.assert_allclose(encoder.encode(TEXTS), texts, atol=1e-4)
    np.testing.assert_allclose(encoder.encode(TEXTS[:1]), texts[:1], atol=1e-4)
    assert np.ptp(images, axis=0).max() > 0.1 and np.ptp(texts, axis=0).max() > 0.1
    assert encoder.photo_model == embedder.fingerprint == exported.model_id
    assert encoder.read("red Dress").unknown == ()
    assert exported.least_cosine > 0.9999


def test_a_file_of_weights_and_a_name_are_the_same_model(tmp_path: Path, tiny_name: str) -> None:
    model = make_clip()
    folder = write_folder(tmp_path / "tiny", model)
    wrapped = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "epoch_3.pt")
    of_name = open_source(tmp_path / "epoch_3.pt", model=tiny_name)
    images, tokens = torch.randn(2, 3, 32, 32), SimpleTokenizer()(TEXTS)
    with torch.no_grad():
        torch.testing.assert_close(image_tower(of_name)(images), model.encode_image(images, normalize=True))
        torch.testing.assert_close(text_tower(of_name)(tokens), model.encode_text(tokens, normalize=True))
    steps = of_name.preprocessing
    assert (steps.fit, steps.short_side, steps.interpolation, steps.mean[0]) == ("crop", 32, "bicubic", 0.48145466)
    assert fingerprint(of_name) != fingerprint(open_source(folder)), "its preprocessing differs"


def test_published_preprocessing_is_that_of_open_clip() -> None:
    from lookalike.models.clip.source import published

    assert published("ViT-B-16-SigLIP")["resize_mode"] == "squash"
    assert published("ViT-B-16-SigLIP")["mean"] == (0.5, 0.5, 0.5)
    assert published("ViT-L-14") == {}, "laion2b_s32b_b82k has another mean than the others"


@pytest.fixture
def tiny_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name under which open_clip knows the tiny model."""
    import open_clip.factory

    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny-clip", CONFIG)
    return "tiny-clip"


def in_halves(state: dict[str, Any], prefix: str, theirs: str, layers: int) -> dict[str, Any]:
    """Blocks of open_clip's transformer by the names of transformers."""
    named = {}
    for layer in range(layers):
        block, inner = f"{prefix}transformer.resblocks.{layer}.", f"{theirs}.encoder.layers.{layer}."
        for kind in ("weight", "bias"):
            parts = state[f"{block}attn.in_proj_{kind}"].chunk(3)
            named |= {f"{inner}self_attn.{name}_proj.{kind}": part for name, part in zip("qkv", parts, strict=True)}
            named[f"{inner}self_attn.out_proj.{kind}"] = state[f"{block}attn.out_proj.{kind}"]
            named[f"{inner}layer_norm1.{kind}"] = state[f"{block}ln_1.{kind}"]
            named[f"{inner}layer_norm2.{kind}"] = state[f"{block}ln_2.{kind}"]
            named[f"{inner}mlp.fc1.{kind}"] = state[f"{block}mlp.c_fc.{kind}"]
            named[f"{inner}mlp.fc2.{kind}"] = state[f"{block}mlp.c_proj.{kind}"]
    return named


def write_hugging_face(folder: Path, state: dict[str, Any], config: dict[str, Any]) -> Path:
    from safetensors.torch import save_file

    folder.mkdir()
    save_file(
        {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}, folder / "model.safetensors"
    )
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


SIZES = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.mark.parametrize(("activation", "end"), [("quick_gelu", 49407), ("gelu", 2)])
def test_a_clip_of_hugging_face_is_the_same_model(tmp_path: Path, activation: str, end: int) -> None:
    model = make_clip(quick_gelu=activation == "quick_gelu")
    ours = model.state_dict()
    state = {
        "vision_model.embeddings.class_embedding": ours["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": ours["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": ours["visual.positional_embedding"],
        "vision_model.embeddings.position_ids": torch.arange(17)[None],
        "visual_projection.weight": ours["visual.proj"].T,
        "text_model.embeddings.token_embedding.weight": ours["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": ours["positional_embedding"],
        "text_projection.weight": ours["text_projection"].T,
        "logit_scale": ours["logit_scale"],
        **in_halves(ours, "visual.", "vision_model", 2),
        **in_halves(ours, "", "text_model", 2),
    }
    for kind in ("weight", "bias"):
        state[f"vision_model.pre_layrnorm.{kind}"] = ours[f"visual.ln_pre.{kind}"]
        state[f"vision_model.post_layernorm.{kind}"] = ours[f"visual.ln_post.{kind}"]
        state[f"text_model.final_layer_norm.{kind}"] = ours[f"ln_final.{kind}"]
    act = {"hidden_act": activation}
    config = {
        "model_type": "clip",
        "projection_dim": 24,
        "text_config": SIZES | act | {"eos_token_id": end},
        "vision_config": SIZES | act | {"image_size": 32, "patch_size": 8},
    }
    folder = write_hugging_face(tmp_path / "tiny", state, config)
    crop = {"do_center_crop": True, "size": {"shortest_edge": 40}, "crop_size": 32}
    steps = crop | {"image_mean": MEAN, "image_std": STD, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(steps), encoding="utf-8")
    source = open_source(folder)
    images, tokens = torch.randn(2, 3, 32, 32), SimpleTokenizer()(TEXTS)
    with torch.no_grad():
        torch.testing.assert_close(image_tower(source)(images), model.encode_image(images, normalize=True))
        torch.testing.assert_close(text_tower(source)(tokens), model.encode_text(tokens, normalize=True))
    described = source.preprocessing
    assert (described.fit, described.short_side, described.mean, described.std) == ("crop", 40, tuple(MEAN), tuple(STD))
