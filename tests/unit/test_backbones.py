"""Backbones of three libraries: one network around each, kept in a checkpoint, and the same as an ONNX file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.errors import ConfigError, ModelError, UnknownNameError
from lookalike.models import open_clip
from lookalike.models.backbones import split_name
from lookalike.models.checkpoint import load_checkpoint, save_checkpoint
from lookalike.models.export import export_onnx
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.pretrained import load_pretrained, torchvision_names

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

VISION = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 32}
TOWER = json.dumps({"embed_dim": 24, "quick_gelu": False, "vision_cfg": VISION})

FAMILIES = {
    "timm CNN": NetworkSettings("test_resnet", pooling="gem", embedding=16, attention=True),
    "timm ViT, class token": NetworkSettings("test_vit", pooling="cls", embedding=0),
    "timm ViT, patches": NetworkSettings("test_vit", pooling="average", embedding=16),
    "timm, its own pooling": NetworkSettings("test_convnext", pooling="own", embedding=0, normalise=False),
    "torchvision": NetworkSettings("torchvision:resnet18", embedding=16, normalise=False, attention=True),
    "open_clip": NetworkSettings("hf-hub:nobody/tiny", pooling="own", embedding=0),
}


def make(settings: NetworkSettings) -> Network:
    torch.manual_seed(3)
    described = TOWER if settings.backbone.startswith("hf-hub:") else ""
    return Network(settings, heads={"type": 3}, config=described).eval()


@pytest.mark.parametrize("settings", FAMILIES.values(), ids=list(FAMILIES))
def test_every_family_is_kept_and_exported(settings: NetworkSettings, tmp_path: Path, small_photos: str) -> None:
    network = make(settings)
    checkpoint = tmp_path / "model.safetensors"
    steps = Preprocessing(32, 32)
    save_checkpoint(checkpoint, network, preprocessing=steps, name="tiny", classes={"type": ["a", "b", "c"]})
    loaded = load_checkpoint(checkpoint)
    photos = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded.network(photos), network(photos))
        lengths = network(photos).norm(dim=1)
    assert torch.allclose(lengths, torch.ones(2)) == settings.normalise
    assert export_onnx(checkpoint, tmp_path / "model.onnx", calibrate=small_photos)[0] >= 0.9999


@pytest.mark.parametrize(
    ("backbone", "pooling", "error", "words"),
    [
        ("resnet51", "average", UnknownNameError, "did you mean 'resnet51q'"),
        ("resnet50.a1_in2k", "average", UnknownNameError, "did you mean 'resnet50.a1_in1k'"),
        ("torchvision:resnet19", "average", UnknownNameError, "did you mean 'resnet18'"),
        ("open_clip:ViT-B-33", "own", UnknownNameError, "did you mean 'ViT-B-32'"),
        ("test_resnet", "cls", ConfigError, "no class token"),
        ("open_clip:ViT-B-32", "cls", ConfigError, 'set network.pooling = "own"'),
        ("torchvision:resnet18", "own", ConfigError, "take 'average' or 'gem'"),
    ],
)
def test_what_a_backbone_has_not_is_refused(backbone: str, pooling: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Network(NetworkSettings(backbone, pooling=pooling), heads={})  # type: ignore[arg-type]


def test_names_say_which_library_is_meant() -> None:
    assert split_name("resnet50.a1_in1k") == ("timm", "resnet50.a1_in1k")
    assert split_name("torchvision:resnet50") == ("torchvision", "resnet50")
    assert split_name("open_clip:hf-hub:org/name") == ("open_clip", "hf-hub:org/name")
    assert split_name("hf-hub:org/name") == ("open_clip", "hf-hub:org/name")


def test_pooling_does_what_it_says() -> None:
    maps = torch.rand(2, 320, 3, 3)
    average = make(NetworkSettings("test_resnet", embedding=0))
    gem = make(NetworkSettings("test_resnet", pooling="gem", embedding=0))
    torch.testing.assert_close(average.pooled(maps), maps.mean(dim=(2, 3)))
    torch.testing.assert_close(gem.pooled(maps), (maps**3).mean(dim=(2, 3)) ** (1 / 3))
    tokens = torch.randn(2, 5, 8)
    cls, patches = (make(NetworkSettings("test_vit", pooling=how)) for how in ("cls", "average"))
    torch.testing.assert_close(cls.pooled(tokens), tokens[:, 0])
    torch.testing.assert_close(patches.pooled(tokens), tokens[:, 1:].mean(dim=1))


def test_heads_score_by_cosine_or_linearly() -> None:
    cosine, linear = (make(NetworkSettings("test_resnet", embedding=4, heads=kind)) for kind in ("cosine", "linear"))
    rows = torch.tensor([[3.0, 0.0, 0.0, 4.0]])
    weights = cosine.heads["head_type"].weight
    expected = [16 * float((rows[0] / 5) @ (row / row.norm())) for row in weights]
    np.testing.assert_allclose(cosine.scores("type", rows)[0].tolist(), expected, rtol=1e-5)
    layer = linear.heads["head_type"]
    torch.testing.assert_close(linear.scores("type", rows)[0], layer.weight @ rows[0] + layer.bias)


def test_files_that_the_libraries_share_are_loaded(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    whole = resnet18(weights=None)
    torch.save(whole.state_dict(), tmp_path / "resnet18.pth")
    settings = NetworkSettings("torchvision:resnet18", init="resnet18.pth")
    network = Network(settings, heads={})
    assert load_pretrained(network, folder=tmp_path, classes={}).notes == ()
    assert torch.equal(network.backbone[4][0].conv1.weight, whole.layer1[0].conv1.weight)
    assert "fc.weight" not in torchvision_names(whole.state_dict())

    tower = make(FAMILIES["open_clip"])
    clip = {f"visual.{name}": tensor for name, tensor in tower.backbone.state_dict().items()}
    torch.save(clip | {"logit_scale": torch.ones(())}, tmp_path / "clip.pt")
    other = Network(NetworkSettings("hf-hub:nobody/tiny", init="clip.pt", pooling="own"), heads={}, config=TOWER)
    load_pretrained(other, folder=tmp_path, classes={})
    assert torch.equal(other.backbone.proj, tower.backbone.proj)


def test_a_trained_network_is_a_start_and_says_what_begins_anew(tmp_path: Path) -> None:
    trained = make(FAMILIES["timm CNN"])
    names = {"type": ["a", "b", "c"]}
    steps = Preprocessing(32, 32)
    save_checkpoint(tmp_path / "one.safetensors", trained, preprocessing=steps, name="one", classes=names)
    settings = NetworkSettings("test_resnet", init="one.safetensors", pooling="gem", embedding=16)
    network = Network(settings, heads={"type": 5})
    loaded = load_pretrained(network, folder=tmp_path, classes={"type": list("vwxyz")})
    assert torch.equal(network.embedding.weight, trained.embedding.weight)
    assert [note.rpartition(": ")[2] for note in loaded.notes] == ["heads.head_type.weight"]


@pytest.mark.parametrize(
    ("backbone", "pooling", "init", "words"),
    [
        ("test_resnet.r160_in1k", "average", "timm", "test_resnet.r160_in1k: its weights cannot be fetched"),
        ("open_clip:ViT-S-32", "own", "laion2b", "unknown weights of ViT-S-32"),
        ("torchvision:resnet18", "average", "IMAGENET1K_V3", "did you mean 'IMAGENET1K_V1'"),
        ("torchvision:resnet18", "average", "none.pth", "none.pth: no such file"),
    ],
)
def test_weights_that_cannot_be_had_are_one_line(
    backbone: str, pooling: str, init: str, words: str, tmp_path: Path, no_hub: None
) -> None:
    network = Network(NetworkSettings(backbone, init=init, pooling=pooling), heads={})  # type: ignore[arg-type]
    with pytest.raises((ModelError, UnknownNameError), match=words) as caught:
        load_pretrained(network, folder=tmp_path, classes={})
    assert "\n" not in str(caught.value)


def test_a_description_that_cannot_be_had_is_one_line(no_hub: None) -> None:
    with pytest.raises(ModelError, match="its description cannot be fetched") as caught:
        open_clip.read_config("hf-hub:nobody/tiny")
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="cannot be made of"):
        open_clip.make_tower(json.dumps({"embed_dim": 24, "quick_gelu": False, "vision_cfg": {"layrs": 1}}))


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, and nothing kept of an earlier one."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def small_photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with photos of noise."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(6):
        pixels = random.integers(0, 256, (40, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return str(folder)
