"""Regions in which two photos agree: the arithmetic, the maps it needs, and whether the garment lights up."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.catalogue.sample.drawn import draw_photos, make_products
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.errors import ModelError
from lookalike.models.preprocessing import Preprocessing
from lookalike.retrieval.explanation import agreement
from lookalike.types import Float32


def slow_agreement(cells: Float32, others: Float32) -> list[list[float]]:
    """Each cell asks all cells of the other photo, and counts as much as it resembles its own photo's average."""

    def dot(one: list[float], two: list[float]) -> float:
        return sum(a * b for a, b in zip(one, two, strict=True))

    mine, theirs = ([[float(value) for value in cell] for row in part for cell in row] for part in (cells, others))
    mean = [sum(column) / len(mine) for column in zip(*mine, strict=True)]
    weights = [max(0.0, dot(cell, mean)) for cell in mine]
    values = []
    for cell, weight in zip(mine, weights, strict=True):
        cosines = [dot(cell, other) / math.sqrt(dot(cell, cell) * dot(other, other)) for other in theirs]
        values.append(max(0.0, *cosines) ** 2 * weight / max(weights))
    width = cells.shape[1]
    return [values[at : at + width] for at in range(0, len(values), width)]


def test_agreement_is_what_a_loop_over_all_pairs_of_cells_finds() -> None:
    random = np.random.default_rng(0)
    for offset in (0.0, 0.8):
        cells = random.normal(loc=offset, size=(3, 2, 5)).astype(np.float32)
        others = random.normal(loc=offset, size=(4, 3, 5)).astype(np.float32)
        agreed = agreement(cells, others)
        np.testing.assert_allclose(agreed, slow_agreement(cells, others), atol=1e-5)
        assert agreed.dtype == np.float32 and agreed.min() >= 0 and agreed.max() <= 1


def test_a_photo_agrees_with_itself_by_the_weight_of_each_cell_and_empty_maps_with_nothing() -> None:
    cells = np.array([[[4, 0], [2, 0]], [[0, 1], [0, 0]]], dtype=np.float32)  # the mean is (1.5, 0.25)
    np.testing.assert_allclose(agreement(cells, cells), [[1, 0.5], [0.25 / 6, 0]], atol=1e-6)
    assert not agreement(np.zeros_like(cells), cells).any()
    assert not agreement(cells, -cells).any()


@pytest.mark.parametrize(
    ("steps", "size", "area"),
    [
        (Preprocessing(40, 20), (300, 100), (0, 0, 1, 1)),
        (Preprocessing(40, 40, "pad"), (100, 50), (0, -0.5, 1, 1.5)),
        (Preprocessing(40, 40, "pad"), (10, 40), (-1.5, 0, 2.5, 1)),
        (Preprocessing(40, 40, "crop", 50), (100, 50), (0.3, 0.1, 0.7, 0.9)),
    ],
)
def test_the_area_is_the_part_of_the_photo_that_the_network_sees(
    steps: Preprocessing, size: tuple[int, int], area: tuple[float, ...]
) -> None:
    assert steps.area(*size) == pytest.approx(area)
    ramps = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    ramps[..., 0], ramps[..., 1] = np.linspace(0, 250, size[0])[None, :], np.linspace(0, 250, size[1])[:, None]
    seen = np.asarray(steps.fitted(Image.fromarray(ramps))).astype(float)
    centre = seen[steps.height // 2, steps.width // 2, :2] / 250
    assert centre == pytest.approx([(area[0] + area[2]) / 2, (area[1] + area[3]) / 2], abs=0.06)
    if steps.fit == "crop":  # the corners that are seen are where the area ends
        assert seen[0, 0, :2] / 250 == pytest.approx(area[:2], abs=0.03)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_an_exported_file_gives_the_last_map_as_pytorch_has_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from lookalike.models.checkpoint import save_checkpoint
    from lookalike.models.network import Network, NetworkSettings

    torch.manual_seed(1)
    network = Network(NetworkSettings("test_efficientnet", embedding=8), heads={}).eval()
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, network, preprocessing=Preprocessing(96, 64), name="m", classes={})
    (tmp_path / "photos").mkdir()
    for color in ("red", "navy"):
        Image.new("RGB", (60, 80), color).save(tmp_path / "photos" / f"{color}.png")
    file = lookalike.export(path, tmp_path / "m.onnx", calibrate=tmp_path / "photos").file
    photos = np.random.default_rng(0).normal(size=(3, 3, 96, 64)).astype(np.float32)
    with torch.no_grad():
        maps = network.maps(torch.from_numpy(photos)).numpy()
    assert maps.shape == (3, 256, 3, 2)
    threads = torch.get_num_threads()
    for opened in (open_network(file), open_network(file, runtime="openvino"), open_network(path, threads=threads + 1)):
        assert opened.has_map
        np.testing.assert_allclose(opened.maps(photos), maps, atol=1e-4 * np.abs(maps).max())
    assert torch.get_num_threads() == threads  # which trainings in this process have, too


def test_models_without_a_map_say_how_to_make_one(tiny_model: Path) -> None:
    network = open_network(tiny_model)
    assert not network.has_map
    with pytest.raises(ModelError, match=r"tiny@01234567 gives no feature map .*`lookalike export CHECKPOINT") as told:
        PhotoEmbedder(network).map_of(Image.new("RGB", (32, 32)))
    assert "\n" not in str(told.value)


@pytest.fixture(scope="module")
def embedder() -> PhotoEmbedder:
    return PhotoEmbedder(open_network("default", threads=1))


def first_photo(product: str) -> Image.Image:
    """The photo of a product of the sample on plain ground."""
    products = {product.id: product for product in make_products(30)}
    return next(iter(draw_photos(products[product], 1)))[1]


def two_garments(top: str, bottom: str) -> Image.Image:
    """Photos of two products of the sample, above each other."""
    picture = Image.new("RGB", (240, 640))
    for at, product in enumerate((top, bottom)):
        picture.paste(first_photo(product).resize((240, 320)), (0, 320 * at))
    return picture


def test_the_half_that_two_photos_share_lights_up(embedder: PhotoEmbedder) -> None:
    shirt, sweater, trousers, skirt = "d001", "d011", "d003", "d023"
    asked, same_top, same_bottom = (
        embedder.map_of(two_garments(*pair)).cells for pair in ((shirt, trousers), (shirt, skirt), (sweater, trousers))
    )
    for other, (shared, changed) in ((same_top, (slice(3), slice(3, 6))), (same_bottom, (slice(3, 6), slice(3)))):
        for one, two in ((asked, other), (other, asked)):
            agreed, alone = agreement(one, two), agreement(one, one)
            assert agreed[shared].mean() > 0.6 * alone[shared].mean() > 0.1
            assert agreed[changed].mean() < 0.4 * alone[changed].mean()


def test_the_garment_lights_up_and_not_the_plain_background(embedder: PhotoEmbedder) -> None:
    garment = first_photo("d013")
    picture = Image.new("RGB", (480, 640), "white")
    picture.paste(garment.resize((288, 320)), (0, 320))  # within the left three fifths of the lower half
    agreed = agreement(embedder.map_of(picture).cells, embedder.map_of(garment).cells)
    assert agreed[3:, :3].mean() > 5 * agreed[:2].mean() and agreed[3:, :3].max() == agreed.max()
