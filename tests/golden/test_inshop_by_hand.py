"""The official In-shop protocol on a tree of ten photos with vectors set by hand, and figures worked out on paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.catalogue import open_catalogue
from lookalike.cli import main
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.spaces import Space
from lookalike.types import Float32

PLACES = {
    # The photo, its side, and where it stands on a circle, in degrees: nearer is more similar.
    "MEN/Denim/id_00000001/01_1_front.jpg": ("query", 0),
    "MEN/Denim/id_00000001/02_1_front.jpg": ("gallery", 50),
    "MEN/Denim/id_00000001/01_2_side.jpg": ("gallery", 4),
    "WOMEN/Dresses/id_00000002/01_1_front.jpg": ("query", 100),
    "WOMEN/Dresses/id_00000002/01_3_back.jpg": ("gallery", 90),
    "WOMEN/Dresses/id_00000003/01_1_front.jpg": ("query", 20),
    "WOMEN/Dresses/id_00000003/01_2_side.jpg": ("gallery", 102),
    "WOMEN/Dresses/id_00000003/03_1_front.jpg": ("gallery", 130),
    "WOMEN/Dresses/id_00000004/01_1_front.jpg": ("train", 1),
    "WOMEN/Dresses/id_00000004/01_2_side.jpg": ("train", 21),
}
"""What the queries find, worked out on paper; the right answers are in brackets:

    query at   0: (4), (50), 90, 102, 130                      right at ranks 1 and 2 of 2
    query at 100: 102, (90), 130, 50, 4                        right at rank 2 of 1
    query at  20: 4, 50, 90, (102), (130)                      right at ranks 4 and 5 of 2

The queries themselves and the photos of the train split are in the same gallery and must not answer.
"""

BY_HAND = {
    "hit_rate@1": 1 / 3,
    "hit_rate@5": 1,
    "hit_rate@10": 1,
    "recall@1": (1 / 2 + 0 + 0) / 3,
    "precision@10": (2 + 1 + 2) / 10 / 3,
    "map": ((1 + 1) / 2 + 1 / 2 + (1 / 4 + 2 / 5) / 2) / 3,
    "map@r": (1 + 0 + 0) / 3,
    "r_precision": (1 + 0 + 0) / 3,
    "mrr": (1 + 1 / 2 + 1 / 4) / 3,
    "ndcg@10": (1 + (1 / np.log2(3)) / 1 + (1 / np.log2(5) + 1 / np.log2(6)) / (1 + 1 / np.log2(3))) / 3,
}


def on_a_circle(*degrees: float) -> Float32:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.fixture
def inshop(tmp_path: Path) -> tuple[Path, Path]:
    """The tree and a gallery of its photos."""
    root = tmp_path / "In-shop Clothes Retrieval Benchmark"
    (root / "Eval").mkdir(parents=True)
    (root / "Img" / "img").mkdir(parents=True)
    lines = [f"img/{photo}{' ' * 20}{photo.split('/')[2]} {side}      " for photo, (side, _) in PLACES.items()]
    text = "\n".join([str(len(lines)), "image_name item_id evaluation_status", *lines, ""])
    (root / "Eval" / "list_eval_partition.txt").write_text(text)
    items = list(open_catalogue(str(root)).items())
    degrees = [next(place for photo, (_, place) in PLACES.items() if one.photo.endswith(photo)) for one in items]
    with LocalGallery(tmp_path / "inshop.gallery", create=True) as gallery:
        gallery.add(items, {"deep": on_a_circle(*degrees)}, spaces=[Space("deep", 2, "hand@00000000")])
    return root, tmp_path / "inshop.gallery"


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_figures_are_those_worked_out_by_hand(
    inshop: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, gallery = inshop
    found = evaluated(capsys, root, "--gallery", gallery)  # the protocol is the benchmark's own
    assert (found["protocol"], found["model"], found["queries"], found["gallery"]) == ("inshop", "hand@00000000", 3, 5)
    assert found["weights"] == {"deep": 1.0}
    for name, value in BY_HAND.items():
        assert found["metrics"][name]["value"] == pytest.approx(value, abs=1e-9), name
        low, high = found["metrics"][name]["interval"]
        assert 0 <= low <= found["metrics"][name]["value"] <= high <= 1
    assert list(found["per_category"]) == ["Dresses", "Denim"]
    assert found["per_category"]["Dresses"]["hit_rate@1"] == 0
    assert found["per_category"]["Denim"]["hit_rate@1"] == 1


def test_the_same_by_distances(inshop: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    root, gallery = inshop
    found = evaluated(capsys, root, "--gallery", gallery, "--protocol", "inshop", "--metric", "deep=euclidean")
    assert found["metrics"]["mrr"]["value"] == pytest.approx(BY_HAND["mrr"])


def test_a_photo_that_the_gallery_lacks_counts_and_is_named(
    inshop: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, address = inshop
    with LocalGallery(address) as gallery:
        lost = next(one.id for one in gallery.list()[1] if one.photo.endswith("id_00000001/01_1_front.jpg"))
        gallery.remove([lost])
    assert main(["evaluate", str(root), "--gallery", str(address), "--json"]) == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out)["queries"] == 3
    assert json.loads(shown.out)["metrics"]["hit_rate@1"]["value"] == 0
    assert "id_00000001/01_1_front.jpg: the gallery has no vectors of it" in shown.err
