"""Saved models of the original system: read without executing code, indexed and trained on."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet50
from torchvision.transforms import v2

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.sample.layouts.table import write_layout
from lookalike.embedding.color_original import color_original
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.errors import ModelError
from lookalike.images import open_image
from lookalike.models.checkpoint import load_checkpoint
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.original_checkpoint import CATEGORIES
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.pretrained import load_pretrained

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


class TheirNetwork(nn.Module):
    """The original's network, as its description has it."""

    def __init__(self, classes: int = 20) -> None:
        super().__init__()
        self.backbone = nn.Sequential(*list(resnet50(weights=None).children())[:-2])
        self.fc, self.fc2 = nn.Linear(2048, 512), nn.Linear(512, classes)

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        maps = self.backbone(photos)
        deep = self.fc(nn.functional.avg_pool2d(maps, 7).flatten(1))
        return deep, self.fc2(deep), maps.mean(dim=1)


@pytest.fixture(scope="module")
def theirs() -> TheirNetwork:
    torch.manual_seed(5)
    return TheirNetwork().eval()


@pytest.fixture(scope="module")
def saved(theirs: TheirNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As PyTorch 0.2 wrote it: no zip archive, and no count of batches in the normalisation layers."""
    path = tmp_path_factory.mktemp("models") / "model_9_final.pth.tar"
    state = OrderedDict((key, value) for key, value in theirs.state_dict().items() if "num_batches" not in key)
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (301, 257, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_its_features_are_the_originals(saved: Path, theirs: TheirNetwork, photo: Image.Image) -> None:
    embedder = PhotoEmbedder(open_network(saved))
    steps = v2.Compose(
        [
            *(v2.Resize(224), v2.CenterCrop(224), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    pixels = steps(photo)[None]
    with torch.no_grad():
        deep, scores, attention = theirs(pixels)
    ours = embedder.embed([photo])
    np.testing.assert_allclose(ours["deep"], deep.numpy(), rtol=1e-3, atol=2e-3)
    assert np.linalg.norm(ours["deep"]) > 2  # as they are, not scaled to length 1
    colours = color_original(pixels.numpy(), attention.numpy())
    np.testing.assert_allclose(np.sort(ours["color-original"]), np.sort(colours), atol=1e-4)
    checkpoint = load_checkpoint(saved)
    with torch.no_grad():
        assert torch.allclose(checkpoint.network.scores("category", deep), scores, atol=1e-4)
    assert checkpoint.name == "model_9_final" and tuple(checkpoint.classes["category"]) == CATEGORIES


@pytest.mark.parametrize("size", [(300, 400), (401, 233), (150, 90), (91, 517), (224, 224)])
def test_the_crop_is_torchvisions_to_the_pixel(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    photo = Image.fromarray(pixels)
    expected = v2.Compose([v2.Resize(224), v2.CenterCrop(224)])(photo)
    ours = Preprocessing(224, 224, fit="crop", short_side=224).fitted(photo)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(expected))


def test_training_begins_with_it(saved: Path, theirs: TheirNetwork) -> None:
    settings = NetworkSettings("torchvision:resnet50", init=saved.name, normalise=False, heads="linear")
    upper = Network(settings, heads={"category": 20})
    assert load_pretrained(upper, folder=saved.parent, classes={"category": CATEGORIES}).notes == ()
    assert torch.equal(upper.heads["head_category"].weight, theirs.fc2.weight)
    assert torch.equal(upper.embedding.weight, theirs.fc.weight)
    every = Network(settings, heads={"category": 50})
    loaded = load_pretrained(every, folder=saved.parent, classes={"category": [f"c{n}" for n in range(50)]})
    assert torch.equal(every.embedding.weight, theirs.fc.weight)
    assert "heads.head_category.bias, heads.head_category.weight" in loaded.notes[0]


def test_it_is_indexed_and_searched_at_once(saved: Path, photo: Image.Image, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from lookalike.cli.commands import make_app

    (tmp_path / "photos").mkdir()
    photo.save(tmp_path / "photos" / "a.png")
    photo.rotate(180).save(tmp_path / "photos" / "b.png")
    gallery = str(tmp_path / "g")
    run = CliRunner().invoke(
        make_app(), ["index", str(tmp_path / "photos"), "--gallery", gallery, "--model", str(saved)]
    )
    assert run.exit_code == 0, run.output
    query = ["search", str(tmp_path / "photos" / "b.png"), "--gallery", gallery, "--json"]
    query += ["--metric", "deep=euclidean", "--metric", "color-original=euclidean", "--weight", "deep=1"]
    answer = json.loads(CliRunner().invoke(make_app(), [*query, "--weight", "color-original=0.1"]).stdout)
    assert [match["id"] for match in answer["matches"]] == ["b.png", "a.png"]
    assert answer["matches"][0]["score"] == pytest.approx(0.0, abs=1e-2)


def test_its_own_categories_are_measured(saved: Path, theirs: TheirNetwork, tmp_path: Path) -> None:
    """Top-3 accuracy of the scores that the original gives, worked out beside it; photos of its twenty categories."""
    from typer.testing import CliRunner

    from lookalike.cli.commands import make_app

    root = str(tmp_path / "drawn")
    write_layout(Path(root), layout="attributes", products=8, photos=4)
    upper = ["--where", "clothes_type = 'upper'", "--json"]
    done = CliRunner().invoke(make_app(), ["evaluate", root, "--model", str(saved), *upper])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    items = [item for item in open_catalogue(root).items() if item.attributes["split"] == "test"]
    items = [item for item in items if item.attributes["clothes_type"] == "upper"]
    steps = Preprocessing(224, 224, fit="crop", short_side=224)
    photos = [open_image(item.location, at_least=224, box=item.box) for item in items]
    with torch.no_grad():
        _, scores, _ = theirs(torch.from_numpy(np.stack([steps(photo) for photo in photos])))
    best = [{CATEGORIES[place] for place in row.topk(3).indices.tolist()} for row in scores]
    right = [item.attributes["category"] in names for item, names in zip(items, best, strict=True)]
    assert found["queries"] == len(items) > 1
    assert found["metrics"]["category_accuracy@3"]["value"] == pytest.approx(np.mean(right))


def test_other_files_are_refused_in_one_line(tmp_path: Path, theirs: TheirNetwork) -> None:
    torch.save({"x": torch.ones(1)}, tmp_path / "other.pth.tar")
    with pytest.raises(ModelError, match="not a model that the original system saved"):
        load_checkpoint(tmp_path / "other.pth.tar")
    torch.save({"code": Path}, tmp_path / "code.pth.tar")
    with pytest.raises(ModelError, match="not a file of plain tensors"):
        load_checkpoint(tmp_path / "code.pth.tar")
    state = {key: value for key, value in theirs.state_dict().items() if key != "backbone.4.0.conv1.weight"}
    torch.save(state, tmp_path / "part.pth.tar")
    with pytest.raises(ModelError, match=r"backbone\.4\.0\.conv1\.weight is missing"):
        load_checkpoint(tmp_path / "part.pth.tar")


def test_an_imported_gallery_is_asked_with_a_photo_by_the_checkpoint_that_made_it(
    theirs: TheirNetwork, saved: Path, tmp_path: Path
) -> None:
    """The original's files and its checkpoint: a photo finds itself, at distance 0."""
    from lookalike import open as open_gallery
    from lookalike.errors import MismatchError
    from lookalike.gallery.local.gallery import LocalGallery
    from lookalike.gallery.transfer.folders import export_gallery, import_folder

    base = tmp_path / "deepfashion"
    write_layout(base / "img", layout="imagefolder", products=3, photos=2)
    paths = sorted(str(path.relative_to(base)) for path in base.rglob("*.jpg"))
    embedder = PhotoEmbedder(open_network(saved))
    rows = embedder.embed([open_image(base / path, at_least=embedder.wanted_size) for path in paths])
    np.save(base / "all_feat.npy", rows["deep"])
    np.save(base / "all_color_feat.npy", rows["color-original"])
    (base / "all_feat.list").write_text("\n".join(paths))
    with LocalGallery(tmp_path / "g.gallery", create=True) as gallery:
        import_folder(base, gallery)
        export_gallery(gallery, tmp_path / "out", format="original")
    for name in ("all_feat.npy", "all_color_feat.npy", "all_feat.list"):
        assert (tmp_path / "out" / name).read_bytes() == (base / name).read_bytes()
    with open_gallery(tmp_path / "g.gallery", model=str(saved)) as shop:
        for path in paths:
            metrics = {"deep": "euclidean", "color-original": "euclidean"}
            best = shop.search(base / path, k=2, metrics=metrics, weights={"deep": 1, "color-original": 0.1}).matches
            assert best[0].item.id == path
            assert best[0].score == pytest.approx(0, abs=1e-3)
            assert best[1].score < -1e-2
        with pytest.raises(MismatchError, match="imported features"):
            shop.index(base / "img")  # what is asked with is the user's word; what is added must be certain
    with open_gallery(tmp_path / "g.gallery") as shop, pytest.raises(MismatchError, match=r"made them with --model"):
        shop.search(base / paths[0])
