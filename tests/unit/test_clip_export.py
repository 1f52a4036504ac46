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
from torch.nn import functional

import lookalike
from lookalike.cli import main
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.models.clip.source import folder_source, named_source
from lookalike.models.clip.towers import fingerprint, image_tower, text_tower
from lookalike.models.text_encoder_file import text_encoder_of
from lookalike.text.encoder import TextEncoder
from tiny_clip import CONFIG, MEAN, PREPROCESSING, STD, TEXT, TEXTS, drawn_photos, make_clip, stir, write_folder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> lookalike.ExportedOther:
    """The pair of files of a tiny CLIP."""
    folder = tmp_path_factory.mktemp("clip")
    return lookalike.export_encoder(write_folder(folder / "tiny", make_clip()), folder / "out" / "shop.onnx")


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
    for text, row in zip(TEXTS, texts, strict=True):  # each as long as it is, in the batch as long as the longest
        np.testing.assert_allclose(encoder.encode([text])[0], row, atol=1e-4)
    assert np.ptp(images, axis=0).max() > 0.1 and np.ptp(texts, axis=0).max() > 0.1
    assert encoder.photo_model == embedder.fingerprint == exported.model_id
    assert encoder.read("red Dress").unknown == ()
    assert exported.least_cosine > 0.9999


def test_a_file_of_weights_and_a_name_are_the_same_model(tmp_path: Path, tiny_name: str) -> None:
    model = make_clip()
    folder = write_folder(tmp_path / "tiny", model)
    wrapped = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "epoch_3.pt")
    of_name = named_source(tiny_name, weights=str(tmp_path / "epoch_3.pt"))
    images, tokens = torch.randn(2, 3, 32, 32), SimpleTokenizer()(TEXTS)
    with torch.no_grad():
        torch.testing.assert_close(image_tower(of_name)(images), model.encode_image(images, normalize=True))
        torch.testing.assert_close(text_tower(of_name)(tokens), model.encode_text(tokens, normalize=True))
    steps = of_name.preprocessing
    assert (steps.fit, steps.short_side, steps.interpolation, steps.mean[0]) == ("crop", 32, "bicubic", 0.48145466)
    assert fingerprint(of_name) != fingerprint(folder_source(folder, name="tiny")), "its preprocessing differs"


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
    source = folder_source(folder, name="tiny")
    images, tokens = torch.randn(2, 3, 32, 32), SimpleTokenizer()(TEXTS)
    with torch.no_grad():
        torch.testing.assert_close(image_tower(source)(images), model.encode_image(images, normalize=True))
        torch.testing.assert_close(text_tower(source)(tokens), model.encode_text(tokens, normalize=True))
    described = source.preprocessing
    assert (described.fit, described.short_side, described.mean, described.std) == ("crop", 40, tuple(MEAN), tuple(STD))


def siglip_towers() -> tuple[Any, Any]:
    """Towers of a tiny SigLIP, made with timm and open_clip by hand."""
    from functools import partial

    from open_clip.transformer import TextTransformer
    from timm.models.vision_transformer import VisionTransformer
    from torch import nn

    torch.manual_seed(0)
    norm, tanh = partial(nn.LayerNorm, eps=1e-6), partial(nn.GELU, approximate="tanh")
    image = VisionTransformer(
        img_size=32,
        patch_size=8,
        embed_dim=32,
        depth=2,
        num_heads=2,
        num_classes=0,
        class_token=False,
        global_pool="map",
        norm_layer=norm,
        act_layer=tanh,
    )
    text = TextTransformer(
        context_length=8,
        vocab_size=6,
        width=32,
        heads=2,
        layers=2,
        output_dim=32,
        no_causal_mask=True,
        pool_type="last",
        proj_bias=True,
        norm_layer=norm,
        act_layer=tanh,
    )
    for tower in (image, text):
        stir(tower)
    return image.eval(), text.eval()


def siglip_state(image: dict[str, Any], text: dict[str, Any]) -> dict[str, Any]:
    """The towers' weights by the names of transformers."""
    ours = {"patch_embed.proj": "embeddings.patch_embedding", "norm": "post_layernorm"}
    head = {"proj": "attention.out_proj", "norm": "layernorm", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
    names = {"attn.proj": "self_attn.out_proj", "norm1": "layer_norm1", "norm2": "layer_norm2"}
    names |= {"mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
    state = {
        "vision_model.embeddings.position_embedding.weight": image["pos_embed"][0],
        "vision_model.head.probe": image["attn_pool.latent"],
        "text_model.embeddings.token_embedding.weight": text["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": text["positional_embedding"],
        **in_halves(text, "", "text_model", 2),
    }
    for kind in ("weight", "bias"):
        query, both = image[f"attn_pool.q.{kind}"], image[f"attn_pool.kv.{kind}"]
        state[f"vision_model.head.attention.in_proj_{kind}"] = torch.cat([query, both])
        state |= {f"vision_model.{theirs}.{kind}": image[f"{name}.{kind}"] for name, theirs in ours.items()}
        state |= {
            f"vision_model.head.{theirs}.{kind}": image[f"attn_pool.{name}.{kind}"] for name, theirs in head.items()
        }
        state[f"text_model.final_layer_norm.{kind}"] = text[f"ln_final.{kind}"]
        state[f"text_model.head.{kind}"] = text[f"text_projection.{kind}"]
        for layer in range(2):
            block, inner = f"blocks.{layer}.", f"vision_model.encoder.layers.{layer}."
            parts = image[f"{block}attn.qkv.{kind}"].chunk(3)
            state |= {f"{inner}self_attn.{name}_proj.{kind}": part for name, part in zip("qkv", parts, strict=True)}
            for name, theirs in (
                ("attn.proj", "self_attn.out_proj"),
                ("norm1", "layer_norm1"),
                ("norm2", "layer_norm2"),
            ):
                state[f"{inner}{theirs}.{kind}"] = image[f"{block}{name}.{kind}"]
            state |= {f"{inner}mlp.fc{n}.{kind}": image[f"{block}mlp.fc{n}.{kind}"] for n in (1, 2)}
    return state


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny SigLIP as Hugging Face keeps it, with a tokenizer of six words."""
    from test_clip_tokenizer import write_tokenizer

    image, text = siglip_towers()
    config = {
        "model_type": "siglip",
        "text_config": SIZES | {"vocab_size": 6, "max_position_embeddings": 8},
        "vision_config": SIZES | {"image_size": 32, "patch_size": 8},
    }
    state = siglip_state(image.state_dict(), text.state_dict())
    folder = write_hugging_face(tmp_path_factory.mktemp("siglip") / "tiny-siglip", state, config)
    write_tokenizer(folder)
    settings = {"tokenizer_class": "SiglipTokenizer", "pad_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def test_a_siglip_of_hugging_face_embeds_as_its_towers(siglip: Path, tmp_path: Path) -> None:
    made = lookalike.export_encoder(siglip, tmp_path / "shop.onnx", mean=MEAN, std=0.25, half=False)
    assert made.model_id.startswith("tiny-siglip@")
    image, text = siglip_towers()
    transform = image_transform(
        32, is_train=False, mean=MEAN, std=[0.25] * 3, resize_mode="squash", interpolation="bicubic"
    )
    ids = torch.tensor([[3, 4, 1, 1, 1, 1, 1, 1], [4] * 7 + [1]])
    photos = drawn_photos()
    with torch.no_grad():
        images = functional.normalize(image(torch.stack([transform(photo) for photo in photos]))).numpy()
        texts = functional.normalize(text(ids)).numpy()
    embedder = PhotoEmbedder(open_network(made.file))
    np.testing.assert_allclose(embedder.embed(photos)["deep"], images, atol=1e-4)
    encoder = TextEncoder(text_encoder_of(made.file))
    np.testing.assert_allclose(encoder.encode(["Red, dress!", "dress " * 20]), texts, atol=1e-4)


def test_a_gallery_of_such_a_model_is_asked_in_words(
    exported: lookalike.ExportedOther, tmp_path: Path, capsys: Capture
) -> None:
    for number, photo in enumerate(drawn_photos()):
        (tmp_path / "shop").mkdir(exist_ok=True)
        photo.save(tmp_path / "shop" / f"{number}.png")
    gallery = tmp_path / "g"
    assert main(["index", str(tmp_path / "shop"), "-g", str(gallery), "--model", str(exported.file)]) == 0
    capsys.readouterr()
    assert main(["search", "--text", "pleated dress", "--visual-only", "-g", str(gallery), "-k", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    images = PhotoEmbedder(open_network(exported.file)).embed(drawn_photos())["deep"]
    cosines = images @ TextEncoder(text_encoder_of(exported.file)).encode(["pleated dress"])[0]
    order = [match["id"] for match in answer["matches"]]
    assert [Path(name).stem for name in order] == [str(number) for number in np.argsort(-cosines)]
    assert [match["score"] for match in answer["matches"]] == pytest.approx(sorted(cosines, reverse=True), abs=1e-4)


def test_a_checkpoint_without_text_gives_the_photo_model_alone(tmp_path: Path, capsys: Capture) -> None:
    from torch import nn

    class ImageOnly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = make_clip().visual

    folder = write_folder(tmp_path / "tiny", ImageOnly())
    assert main(["export", str(folder), "--onnx", str(tmp_path / "shop.onnx"), "--half"]) == 0
    out, err = capsys.readouterr()
    assert f"wrote {tmp_path / 'shop.onnx'}, the photo model tiny@" in out
    assert "photos: 32 x 32, crop from 32, bicubic, mean 0.4, 0.5, 0.6, deviation 0.2, 0.3, 0.4" in out
    assert f"no text encoder, so photos only: {folder / 'open_clip_model.safetensors'} has no text tower" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop.onnx", "tiny"]
    images = PhotoEmbedder(open_network(tmp_path / "shop.onnx")).embed(drawn_photos())["deep"]
    whole = image_tower(folder_source(folder, name="tiny"))
    steps = folder_source(folder, name="tiny").preprocessing
    with torch.no_grad():
        theirs = whole(torch.from_numpy(np.stack([steps(photo) for photo in drawn_photos()]))).numpy()
    assert 1e-6 < np.abs(images - theirs).max() < 0.01, "16 bits are a little off"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hf_model_name": "roberta-base"}, "roberta-base of transformers, is not supported"),
        ({"hf_tokenizer_name": "timm/ViT-B-16-SigLIP"}, "tokenizer.json: no such file"),
        ({"tokenizer_kwargs": {"strip_sep_token": True}}, "a tokenizer with strip_sep_token is not supported"),
        ({"tokenizer_mode": "clips"}, "a tokenizer with tokenizer_mode is not supported"),
        ({"tokenizer_kwargs": {"clean": "upper"}}, "the cleaning 'upper' is not supported"),
        ({"tokenizer_kwargs": "clean"}, "no model can be made as described"),
        ({"context_length": -1}, "texts have -1 tokens, expected 3 to 4,096"),
        ({"context_length": "many"}, "no model can be made as described"),
        ({"vocab_size": 49000}, "has 49,408 tokens, and its text tower reads 49,000"),
    ],
)
def test_texts_that_cannot_be_read_are_said(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    from lookalike.models.clip.export import text_parts

    config = CONFIG | {"text_cfg": TEXT | change}
    source = folder_source(write_folder(tmp_path / "tiny", make_clip(), config=config), name="tiny")
    said = text_parts(source)
    assert isinstance(said, str) and reason in said and "\n" not in said


def test_towers_that_no_onnx_file_holds_are_refused(
    wrong: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.models.clip.towers.LARGEST", 100_000)  # a real one has billions
    with pytest.raises(lookalike.ModelError, match=r"the image tower has .* GiB of weights, and an ONNX file holds 2"):
        lookalike.export_encoder(wrong["tiny"], tmp_path / "shop.onnx")
    assert not [*tmp_path.iterdir()]


MISTAKES = {
    "no such name": (["open_clip:ViT-B-33", "--weights", "{file}"], "did you mean 'ViT-B-32'?"),
    "a name of many weights": (["open_clip:ViT-B-32"], "choose its weights with --weights: openai, laion400m_e31"),
    "a name of no weights": (["open_clip:ViT-S-32"], "choose its weights with --weights: a file, as none is"),
    "no such weights": (["open_clip:ViT-B-32", "--weights", "opena"], "did you mean 'openai'?"),
    "a folder and weights": (["{tiny}", "--weights", "{file}"], "leave --weights out"),
    "nowhere": (["open_clip:ViT-B-32", "--weights", "{nowhere}/a.pt"], "no such file"),
    "no model": (["{nowhere}"], "no such file or folder; expected timm:NAME, torchvision:NAME, open_clip:NAME"),
    "no owner": (["hf-hub:dinov2-small"], "named by its owner too, such as facebook/dinov2-small"),
    "weights of the hub": (["hf-hub:a/b", "--weights", "{file}"], "has its weights beside it; leave --weights out"),
    "no description": (["{empty}"], "neither open_clip_config.json of open_clip nor config.json"),
    "no weights": (["{described}"], "it has no weights; expected open_clip_model.safetensors or"),
    "another kind": (["{bert}"], "a model of the type 'bert' is not supported; expected clip, siglip"),
    "another size": (
        ["open_clip:ViT-B-32", "--weights", "{file}"],
        "120 of 152 weights are missing, such as 'transformer.resblocks.2.ln_1.weight'; 32 are of another shape",
    ),
    "no weights at all": (["open_clip:ViT-B-32", "--weights", "{text}"], "not a safetensors file"),
    "options of checkpoints": (["{tiny}", "--labels", "kind"], "is exported without --labels"),
    "options of others": (["{file}", "--fit", "crop"], "a checkpoint is exported without --fit"),
    "an output": (["{tiny}", "--output", "rows"], "an output and its pooling are chosen of an ONNX file only"),
    "its size": (["{tiny}", "--size", "64"], "takes photos of its own size only"),
    "a wrong fit": (["{tiny}", "--fit", "crops"], "unknown fit 'crops'; did you mean 'crop'?"),
    "a wrong mean": (["{tiny}", "--mean", ".5,.5"], "expected one number, or 3, got [0.5, 0.5]"),
    "no mean": (["{tiny}", "--mean", "half"], "--mean expects a number, or three such as"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line(mistake: str, wrong: dict[str, Path], tmp_path: Path, capsys: Capture) -> None:
    arguments, words = MISTAKES[mistake]
    given = [argument.format(**wrong) for argument in arguments]
    assert main(["export", *given, "--onnx", str(tmp_path / "new.onnx")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1
    assert not (tmp_path / "new.onnx").exists()


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the mistakes are made with."""
    folder = tmp_path_factory.mktemp("wrong")
    paths = {name: folder / name for name in ("tiny", "empty", "described", "bert", "nowhere")}
    write_folder(paths["tiny"], make_clip())
    for name in ("empty", "described", "bert"):
        paths[name].mkdir()
    (paths["described"] / "open_clip_config.json").write_bytes((paths["tiny"] / "open_clip_config.json").read_bytes())
    (paths["bert"] / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    text = folder / "text.safetensors"
    text.write_text("no weights", encoding="utf-8")
    return paths | {"file": paths["tiny"] / "open_clip_model.safetensors", "text": text}


def places(described: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """All places of values in nested tables."""
    parts = described.items() if isinstance(described, dict) else ()
    return [*([path] if path else []), *(place for name, part in parts for place in places(part, (*path, name)))]


def changed_at(described: Any, path: tuple[str, ...], value: Any) -> Any:
    """The tables with another value at one place."""
    inner = changed_at(described[path[0]], path[1:], value) if path[1:] else value
    return described | {path[0]: inner}


HUGGING_FACE = {
    "model_type": "clip",
    "projection_dim": 24,
    "text_config": SIZES | {"max_position_embeddings": 77, "layer_norm_eps": 1e-5, "hidden_act": "gelu"},
    "vision_config": SIZES | {"image_size": 32, "patch_size": 8},
}
OPEN_CLIP = {"model_cfg": CONFIG, "preprocess_cfg": PREPROCESSING}


@pytest.mark.parametrize(("name", "described"), [("open_clip_config.json", OPEN_CLIP), ("config.json", HUGGING_FACE)])
def test_any_damaged_description_is_one_line(
    name: str, described: dict[str, Any], wrong: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").symlink_to(wrong["file"])
    for path in places(described):
        for value in (None, "x", -1, 0, [], {}):
            (tmp_path / name).write_text(json.dumps(changed_at(described, path, value)), encoding="utf-8")
            try:
                source = folder_source(tmp_path, name="tiny")
                text_tower(source)
                image_tower(source)
            except lookalike.LookalikeError as error:
                assert "\n" not in str(error) and len(str(error)) < 1000
