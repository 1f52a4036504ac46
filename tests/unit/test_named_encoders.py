"""Image encoders by name: rows and pixels are those of timm and torchvision themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config
from torch import nn
from torch.nn import functional
from torchvision import models

import lookalike
from lookalike.cli import main
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.evaluation.named_models import model_files
from lookalike.models.encoders.timm_encoder import timm_encoder
from lookalike.models.encoders.torchvision_encoder import torchvision_encoder
from lookalike.models.preprocessing import PreprocessingChanges
from tiny_clip import drawn_photos, stir

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

Capture = pytest.CaptureFixture[str]
AS_IT_IS = PreprocessingChanges()


def written(model: nn.Module, file: Path) -> str:
    """Save stirred weights, so that none has the value of a new network."""
    stir(model)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, file)
    return str(file)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_vit2", "test_convnext", "test_efficientnet"])
@pytest.mark.parametrize("classes", [None, 7, 0])
def test_an_encoder_of_timm_gives_what_timm_gives(name: str, classes: int | None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs: Any = timm.create_model(name, **({} if classes is None else {"num_classes": classes})).eval()
    weights = written(theirs, tmp_path / "weights.safetensors")
    ours = timm_encoder(name, weights=weights, changes=AS_IT_IS)
    transform = create_transform(**resolve_model_data_config(theirs))
    pixels = torch.stack([transform(photo) for photo in drawn_photos()])
    mine = np.stack([ours.preprocessing(photo) for photo in drawn_photos()])
    np.testing.assert_allclose(mine, pixels.numpy(), atol=1e-6)
    with torch.no_grad():
        expected = theirs.forward_head(theirs.forward_features(pixels), pre_logits=True)
        torch.testing.assert_close(ours.network(pixels), expected, atol=1e-5, rtol=1e-4)


def test_the_preprocessing_of_all_published_weights_is_read_or_refused() -> None:
    from lookalike.models.encoders.timm_encoder import _preprocessing

    refused, without_like = [], []
    for name in timm.list_models(pretrained=True):
        config: Any = timm.get_pretrained_cfg(name)
        share = config.crop_pct
        if config.crop_mode == "border" or share > 1 or (config.crop_mode == "squash" and share < 1):
            without_like.append(name)  # padded by timm, or squashed to more than the crop
        try:
            _preprocessing(config.to_dict(), AS_IT_IS, where=name)
        except lookalike.ModelError as error:
            assert "has no like here; choose with --fit" in str(error)
            refused.append(name)
    assert refused == without_like and 0 < len(refused) < 50
    config = timm.get_pretrained_cfg(refused[0])
    assert _preprocessing(config.to_dict(), PreprocessingChanges(fit="stretch"), where="").fit == "stretch"


def input_of_last_layer(model: nn.Module, layer: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """What the layer of classes reads, while the whole model runs."""
    read: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _, inputs, __: read.append(inputs[0]))
    with torch.no_grad():
        model(pixels)
    handle.remove()
    return read[0]


@pytest.mark.parametrize(
    ("name", "last"), [("resnet18", "fc"), ("mobilenet_v3_small", "classifier.3"), ("squeezenet1_1", "classifier.1")]
)
def test_an_encoder_of_torchvision_gives_what_its_last_layer_reads(name: str, last: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = models.get_model(name, weights=None).eval()
    weights = written(theirs, tmp_path / "weights.safetensors")
    ours = torchvision_encoder(name, weights=weights, changes=AS_IT_IS)
    transforms = models.get_model_weights(name)["DEFAULT"].transforms()
    pixels = torch.stack([transforms(photo) for photo in drawn_photos()])
    mine = np.stack([ours.preprocessing(photo) for photo in drawn_photos()])
    np.testing.assert_allclose(mine, pixels.numpy(), atol=1e-6)
    read = input_of_last_layer(theirs, theirs.get_submodule(last), pixels)
    expected = read if read.ndim == 2 else read.mean(dim=(2, 3))  # a convolution to classes reads maps
    with torch.no_grad():
        torch.testing.assert_close(ours.network(pixels), expected, atol=1e-4, rtol=1e-4)


def test_a_finetuned_classifier_of_torchvision_loses_its_own_classes(tmp_path: Path) -> None:
    theirs = models.get_model("resnet18", num_classes=5).eval()
    ours = torchvision_encoder("resnet18", weights=written(theirs, tmp_path / "w.safetensors"), changes=AS_IT_IS)
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.network(pixels), input_of_last_layer(theirs, theirs.fc, pixels))


def test_the_command_makes_a_model_that_embeds_as_timm_does(tmp_path: Path, capsys: Capture) -> None:
    theirs: Any = timm.create_model("test_vit", num_classes=0, img_size=64).eval()
    weights = written(theirs, tmp_path / "weights.safetensors")
    made = tmp_path / "vit.onnx"
    arguments = ["--weights", weights, "--size", "64", "--mean", "0.4", "--std", "0.2,0.3,0.4", "--onnx", str(made)]
    assert main(["export", "timm:test_vit", *arguments]) == 0
    out = capsys.readouterr().out
    assert f"wrote {made}, the photo model test_vit@" in out
    assert "photos: 64 x 64, crop from 67, bicubic, mean 0.4, 0.4, 0.4, deviation 0.2, 0.3, 0.4\n" in out
    changed = {"input_size": (3, 64, 64), "mean": (0.4,) * 3, "std": (0.2, 0.3, 0.4)}
    transform = create_transform(**(resolve_model_data_config(theirs) | changed))
    with torch.no_grad():
        rows = functional.normalize(theirs(torch.stack([transform(photo) for photo in drawn_photos()]))).numpy()
    np.testing.assert_allclose(PhotoEmbedder(open_network(made)).embed(drawn_photos())["deep"], rows, atol=1e-5)


def test_a_folder_of_timm_is_the_same_encoder(tmp_path: Path) -> None:
    from lookalike.models.encoders.export import fingerprint
    from lookalike.models.encoders.folder import encoder_of_folder

    folder = tmp_path / "mine"
    folder.mkdir()
    weights = written(timm.create_model("test_vit", num_classes=0), folder / "model.safetensors")
    config = {"input_size": [3, 160, 160], "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1], "crop_pct": 0.5}
    described = {"architecture": "test_vit", "num_classes": 0, "pretrained_cfg": config}
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")
    made = encoder_of_folder(folder, name="mine", changes=AS_IT_IS)
    assert made is not None and made.preprocessing.mean == (0.1, 0.2, 0.3) and made.preprocessing.short_side == 320
    of_name = timm_encoder("test_vit", weights=weights, changes=AS_IT_IS)
    pixels = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(made.network(pixels), of_name.network(pixels))
    assert fingerprint(made) != fingerprint(of_name), "its preprocessing differs"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of weights for the mistakes."""
    folder = tmp_path_factory.mktemp("files")
    written(timm.create_model("test_vit"), folder / "vit.safetensors")
    (folder / "text.safetensors").write_text("no weights", encoding="utf-8")
    torch.save(timm.create_model("test_vit"), folder / "code.pth")
    return {"vit": folder / "vit.safetensors", "text": folder / "text.safetensors", "code": folder / "code.pth"}


MISTAKES = {
    "no such model of timm": (["timm:test_vitt"], "did you mean 'test_vit"),
    "no such tag of timm": (["timm:test_vit.r160"], "unknown pretrained weights of timm"),
    "a tag as weights": (
        ["timm:test_vit", "--weights", "r160_in1k"],
        "timm names its weights in the name of the model",
    ),
    "weights of another model": (["timm:test_resnet", "--weights", "{vit}"], "does not fit timm's test_resnet: "),
    "weights that are none": (["timm:test_vit", "--weights", "{text}"], "not a safetensors file"),
    "weights that are code": (["timm:test_vit", "--weights", "{code}"], "not a file of plain tensors"),
    "no such file": (["timm:test_vit", "--weights", "./none.pth"], "none.pth: no such file"),
    "no such size": (["timm:test_vit", "--weights", "{vit}", "--size", "63"], "does not"),
    "no such model of torchvision": (["torchvision:resnet19"], "did you mean 'resnet1"),
    "no classifier of torchvision": (["torchvision:raft_small"], "unknown image classifier of torchvision"),
    "no such weights of torchvision": (
        ["torchvision:resnet18", "--weights", "IMAGENET1K_V7"],
        "unknown weights of torchvision:resnet18 'IMAGENET1K_V7'; did you mean 'IMAGENET1K_V1'?",
    ),
    "of another torchvision": (["torchvision:resnet18", "--weights", "{vit}"], "does not fit torchvision's resnet18: "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line(mistake: str, files: dict[str, Path], tmp_path: Path, capsys: Capture) -> None:
    arguments, words = MISTAKES[mistake]
    given = [argument.format(**files) for argument in arguments]
    assert main(["export", *given, "--onnx", str(tmp_path / "new.onnx")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1 and len(err) < 2000
    assert not [*tmp_path.iterdir()]


def test_without_a_network_published_weights_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.download_url_to_file", refused)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, weights, words in (
        ("timm:test_vit.r160_in1k", None, "its weights cannot be fetched: .*; give a file with --weights"),
        ("torchvision:resnet18", "IMAGENET1K_V1", "its weights IMAGENET1K_V1 cannot be fetched: .*no route to host"),
        ("open_clip:ViT-B-32", "laion2b_s34b_b79k", "its weights 'laion2b_s34b_b79k' cannot be fetched: "),
        ("hf-hub:facebook/dinov2-small", None, "its files cannot be fetched: "),
    ):
        with pytest.raises(lookalike.ModelError, match=words) as caught:
            lookalike.export_encoder(name, tmp_path / "new.onnx", weights=weights)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "new.onnx").exists()


def test_an_evaluation_takes_a_folder_as_its_exported_file(tmp_path: Path) -> None:
    from lookalike.catalogue.sample.drawn import write_drawn

    folder = tmp_path / "mine"
    folder.mkdir()
    written(timm.create_model("test_vit", num_classes=0, img_size=32), folder / "model.safetensors")
    config = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}
    described = {"architecture": "test_vit", "num_classes": 0, "pretrained_cfg": config}
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")
    table = write_drawn(tmp_path / "sample", products=6, photos=2)
    made = lookalike.export_encoder(folder, tmp_path / "mine.onnx")
    of_file = lookalike.evaluate(table, model=made.file, protocol="product")
    of_folder = lookalike.evaluate(table, model=str(folder), protocol="product")
    assert of_folder.to_json() == of_file.to_json() and of_folder.model == made.model_id
    with pytest.raises(lookalike.UnknownNameError, match="did you mean 'test_vit"):
        lookalike.evaluate(table, model="timm:test_vitt")


def test_the_default_model_is_meant_where_a_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "default").mkdir()
    monkeypatch.chdir(tmp_path)
    with model_files(["default"]) as files:
        assert files == ["default"]
