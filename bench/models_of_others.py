"""Differences between exported models and the libraries that they come from, for tiny or random weights.

Run `pip install transformers` first, then `python bench/models_of_others.py [NAME ...]`; NAME is an architecture of
open_clip, of which random weights are compared as well.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import open_clip
import torch
import transformers
from PIL import Image
from torch.nn import functional

import lookalike
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.models.clip.export import text_parts
from lookalike.models.clip.source import named_source
from lookalike.models.clip.tokenizer import clip_tokenizer
from lookalike.models.clip.towers import image_tower
from lookalike.models.encoders.folder import encoder_of_folder
from lookalike.models.preprocessing import PreprocessingChanges
from lookalike.text.encoder import TextEncoder

SIZES = {"hidden_size": 32, "intermediate_size": 70, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXTS = ["red dress", "a blue denim jacket, long", ""]
VOCABULARY = 49408


def photos() -> list[Image.Image]:
    """Photos of noise, of several shapes."""
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 256, (50 + 8 * n, 40 + n, 3), dtype=np.uint8)) for n in range(3)]


def embeddings(made: torch.Tensor | transformers.utils.ModelOutput) -> np.ndarray:
    """Unit rows of what transformers gives."""
    rows = made if isinstance(made, torch.Tensor) else made.pooler_output
    return functional.normalize(rows, dim=1).numpy()


@torch.no_grad()
def compare(name: str, model: transformers.PreTrainedModel, processor: object, *, length: int, pad: str) -> None:
    """Write a model as transformers does, export it, and print the differences."""
    for weight in model.eval().parameters():
        weight.add_(0.1 * torch.randn_like(weight))
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / name
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        tokenizer = clip_tokenizer(length)
        tokenizer.no_padding()
        tokenizer.save(str(folder / "tokenizer.json"))
        (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": pad}), encoding="utf-8")
        tokenizer.enable_padding(length=length, pad_id=tokenizer.token_to_id(pad))
        ids = torch.tensor([each.ids for each in tokenizer.encode_batch(TEXTS)])
        made = lookalike.export_encoder(folder, Path(work) / "shop.onnx")
        pixels = np.stack([made.preprocessing(photo) for photo in photos()])
        theirs = processor(images=photos(), return_tensors="np")["pixel_values"]
        images = embeddings(model.get_image_features(pixel_values=torch.from_numpy(pixels)))
        texts = embeddings(model.get_text_features(input_ids=ids))
        ours = PhotoEmbedder(open_network(made.file)).embed(photos())["deep"], TextEncoder(made.text_file).encode(TEXTS)
    pairs = {"pixels": (pixels, theirs), "photos": (ours[0], images), "texts": (ours[1], texts)}
    print(name, {what: f"{np.abs(one - other).max():.1e}" for what, (one, other) in pairs.items()})


@torch.no_grad()
def compare_towers(name: str) -> None:
    """Print the differences of the towers of an architecture of open_clip, with random weights."""
    model = open_clip.create_model(name).eval()
    with tempfile.TemporaryDirectory() as work:
        torch.save(model.state_dict(), Path(work) / "weights.pt")
        source = named_source(name, weights=str(Path(work) / "weights.pt"))
    image = torch.randn(1, 3, source.preprocessing.height, source.preprocessing.width)
    apart = [(image_tower(source)(image) - model.encode_image(image, normalize=True)).abs().max()]
    text = text_parts(source)
    if not isinstance(text, str):
        tokens = torch.tensor([each.ids for each in text[1].encode_batch(TEXTS)])
        apart.append((text[0](tokens) - model.encode_text(tokens, normalize=True)).abs().max())
    print(name, [f"{float(one):.1e}" for one in apart], text if isinstance(text, str) else "")


@torch.no_grad()
def compare_dinov2(config: transformers.PretrainedConfig) -> None:
    """Print the differences of a DINOv2 with random weights, at its own size and at two others."""
    model = transformers.AutoModel.from_config(config).eval()
    for weight in model.parameters():
        weight.add_(0.1 * torch.randn_like(weight))
    with tempfile.TemporaryDirectory() as work:
        model.save_pretrained(work)
        for size in (56, 42, 70):
            encoder = encoder_of_folder(Path(work), name="tiny", changes=PreprocessingChanges(size=size))
            pixels = torch.randn(2, 3, size, size)
            apart = (encoder.network(pixels) - model(pixels).pooler_output).abs().max()
            print(config.model_type, size, f"{float(apart):.1e}")


def main() -> None:
    """Compare models of transformers, and the named ones of open_clip."""
    torch.manual_seed(0)
    for activation in ("quick_gelu", "gelu", "gelu_pytorch_tanh"):
        parts = {"text_config": SIZES | {"hidden_act": activation, "vocab_size": VOCABULARY, "eos_token_id": 49407}}
        parts["vision_config"] = SIZES | {"hidden_act": activation, "image_size": 32, "patch_size": 8}
        model = transformers.CLIPModel(transformers.CLIPConfig(**parts, projection_dim=24))
        size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
        processor = transformers.CLIPImageProcessorPil(**size)
        compare(f"CLIPModel-{activation}", model, processor, length=77, pad="<end_of_text>")
    parts = {"text_config": SIZES | {"vocab_size": VOCABULARY, "projection_size": 32}}
    parts["vision_config"] = SIZES | {"image_size": 32, "patch_size": 8}
    model = transformers.SiglipModel(transformers.SiglipConfig(**parts))
    processor = transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    compare("SiglipModel", model, processor, length=64, pad='"')
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56, "patch_size": 14}
    for kind in (transformers.Dinov2Config, transformers.Dinov2WithRegistersConfig):
        compare_dinov2(kind(**sizes))
    for name in sys.argv[1:]:
        compare_towers(name)


if __name__ == "__main__":
    main()
