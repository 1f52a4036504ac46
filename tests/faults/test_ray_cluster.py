"""A Ray cluster of two nodes, one of which is killed during a run: every photo is embedded once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.cli import main
from lookalike.errors import UsageError
from lookalike.ingest.ray.cluster import import_ray
from lookalike.ingest.report import IndexReport

if find_spec("ray") is None:  # not importorskip: Ray reads its settings when it is imported
    pytest.skip("Ray is not installed", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of which there are many

ITEMS, PHOTOS = 240, 12
STORE = 80 * 2**20
"""Bytes of a node's object store, the least that Ray takes."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    import_ray()
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many items of a few photos, large enough that none is described at once; one is cut short, one is not there."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PHOTOS):
        pixels = np.random.default_rng(number).integers(0, 256, size=(9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((900, 900), Image.Resampling.BILINEAR).save(folder / f"{number}.png")
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:5000])
    names = [f"{number % PHOTOS}.png" for number in range(ITEMS)]
    names[50], names[51] = "cut.png", "none.png"
    lines = [f'{number},{name},{number},"{5 * (number % 7)},0,800,800"' for number, name in enumerate(names)]
    path = folder / "shop.csv"
    path.write_text("\n".join(["id,image,price,box", *lines]), encoding="utf-8")
    return path


def rows(gallery: Path) -> dict[str, np.ndarray]:
    with lookalike.open(gallery) as shop:
        return {
            item.id: np.concatenate([vectors[space.name][at] for space in shop.gallery.spaces])
            for items, vectors in shop.gallery.rows()
            for at, item in enumerate(items)
        }


@pytest.mark.timeout(600)
def test_a_node_is_killed_and_every_photo_is_there_once(
    cluster: Any, table: Path, tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    killed: list[int] = []

    def kill_one(report: IndexReport, total: int) -> None:
        if report.done and not killed:
            killed.append(report.done)
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    with lookalike.open(tmp_path / "ray", model=str(tiny_model)) as shop:
        report = shop.index(table, ray=cluster.address, progress=kill_one)
        assert capfd.readouterr().out == ""  # Ray itself would tell of the lost node where results belong
        assert killed[0] <= ITEMS // 4  # so the node was lost in the middle
        assert (report.added, report.replaced, report.updated) == (ITEMS - 2, 0, 0)
        assert [(one.id, one.photo) for one in report.skipped] == [("50", "cut.png"), ("51", "none.png")]
        assert (tmp_path / "ray" / "skipped.csv").read_text(encoding="utf-8").splitlines()[
            2
        ] == "51,none.png,no such file"
        assert len(shop.gallery) == ITEMS - 2
        assert shop.gallery.verify().problems == ()  # type: ignore[attr-defined]

    with lookalike.open(tmp_path / "here", model=str(tiny_model)) as shop:
        shop.index(table)
    there, here = rows(tmp_path / "ray"), rows(tmp_path / "here")
    assert sorted(there) == sorted(here)
    for id_, row in here.items():
        np.testing.assert_allclose(there[id_], row, atol=1e-5)
    with lookalike.open(tmp_path / "ray") as ray_shop, lookalike.open(tmp_path / "here") as shop:
        assert ray_shop.gallery.source_items(str(table)) == shop.gallery.source_items(str(table))


def test_garments_are_found_on_the_cluster_as_here(
    cluster: Any, table: Path, tmp_path: Path, tiny_model: Path, tiny_finder: Path
) -> None:
    few = table.with_name("few.csv")
    few.write_text("\n".join(table.read_text(encoding="utf-8").splitlines()[:9]), encoding="utf-8")
    for number, color in enumerate([(220, 10, 10), (10, 220, 10), (10, 10, 220)]):
        Image.new("RGB", (300, 300), color).save(few.with_name(f"{number}.png"))
    found = []
    for place, options in (("ray", {"ray": cluster.address}), ("here", {})):
        with lookalike.open(tmp_path / place, model=str(tiny_model), finder=tiny_finder) as shop:
            report = shop.index(few, garments=True, boxes=False, **options)  # type: ignore[arg-type]
            assert report.garments == shop.gallery.garment_count
            [batch] = shop.gallery.records()
            order = sorted(range(len(batch)), key=[item.id for item in batch.items].__getitem__)
            found.append(batch.take(order))
    assert found[0].items == found[1].items and sum(len(item.garments) for item in found[0].items) > len(found[0])
    for name, vectors in found[0].vectors.items():
        np.testing.assert_allclose(vectors, found[1].vectors[name], atol=1e-5)


def test_figures_by_the_cluster_are_those_of_one_process(
    cluster: Any, table: Path, tiny_model: Path, other_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of two models at once; photos that cannot be read count as 0 in both, and the reasons are told."""
    header, *lines = table.read_text(encoding="utf-8").splitlines()
    few = table.with_name("measured.csv")
    labelled = [f"{line},p{number % 5}" for number, line in enumerate(lines[:60])]
    few.write_text("\n".join([f"{header},product", *labelled]), encoding="utf-8")
    for models in ([tiny_model], [tiny_model, other_model]):
        here = lookalike.evaluate(few, model=models, protocol="product")
        there = lookalike.evaluate(few, model=models, protocol="product", ray=cluster.address)
        assert there.figures == pytest.approx(here.figures, abs=1e-6)
        assert there.to_json()["model"] == here.to_json()["model"]
        assert sorted(there.skipped) == sorted(here.skipped) and len(here.skipped) == 2
        assert here.embedded is not None and there.embedded is not None
        for name, rows_here in here.embedded.rows.items():
            np.testing.assert_allclose(there.embedded.rows[name], rows_here, atol=1e-5)
    words = ["evaluate", str(few), "--model", str(tiny_model), "--json"]
    assert main([*words, "--ray", cluster.address]) == 3
    shown = json.loads(capsys.readouterr().out)
    assert main(words) == 3
    assert json.loads(capsys.readouterr().out)["metrics"] == shown["metrics"]


def test_an_evaluation_uses_a_cluster_to_embed_alone(table: Path, tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(UsageError, match=r"no Ray cluster can be reached at 127\.0\.0\.1:1: connection refused"):
        lookalike.evaluate(table, model=tiny_model, protocol="grades=price", ray="127.0.0.1:1")
    with pytest.raises(UsageError, match="a gallery has its vectors already; leave ray out"):
        lookalike.evaluate(table, gallery=tmp_path / "g", ray="127.0.0.1:1")
    with pytest.raises(UsageError, match="measures class scores, in this process alone; leave ray out"):
        lookalike.evaluate(table, model=tiny_model, protocol="classes", ray="127.0.0.1:1")


def test_nothing_is_done_twice(cluster: Any, table: Path, tmp_path: Path, tiny_model: Path) -> None:
    """What is known is not sent; what is sent is what has changed, and another machine sees the same content again."""
    few = table.with_name("few.csv")
    few.write_text("\n".join(table.read_text(encoding="utf-8").splitlines()[:4]), encoding="utf-8")
    with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
        shop.index(few)
        again = shop.index(few, ray="nobody-is-asked:1")
        assert (again.unchanged, again.embedded) == (3, 0)
        os.utime(table.with_name("1.png"), ns=(1, 1))
        touched = shop.index(few, ray=cluster.address, shards=str(tmp_path / "shards"))
        assert (touched.unchanged, touched.embedded) == (3, 0)
        file_stamp = shop.gallery.source_items(str(few))["1"][1]
    assert file_stamp is not None
    assert file_stamp.modified_ns == 1
    assert list((tmp_path / "shards").iterdir()) == []


def test_known_contents_are_not_embedded_on_the_cluster(
    cluster: Any, table: Path, tmp_path: Path, tiny_model: Path
) -> None:
    """Neither those of another source, nor those that come twice among the photos of a shard."""
    header, *lines = table.read_text(encoding="utf-8").splitlines()
    few, moved = table.with_name("few.csv"), table.parent / "moved"
    few.write_text("\n".join([header, *lines[:4]]), encoding="utf-8")
    moved.mkdir()
    for number in range(6):
        os.link(table.with_name(f"{number}.png"), moved / f"{number}.png")
    again = [f"new {line}" for line in lines[:5]] + [f"variant {lines[4]}"]
    (moved / "shop.csv").write_text("\n".join([header, *again]), encoding="utf-8")
    with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
        shop.index(few)
        report = shop.index(moved / "shop.csv", ray=cluster.address)
        assert (report.added, report.embedded, report.reused) == (6, 1, 5)
    found = rows(tmp_path / "g")
    for number in range(4):
        np.testing.assert_array_equal(found[f"new {number}"], found[f"{number}"])
    np.testing.assert_array_equal(found["variant 4"], found["new 4"])


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1:1", "no Ray cluster can be reached at 127.0.0.1:1: connection refused"),
        ("shop.csv", "a Ray cluster has an address such as 192.168.1.7:6379, got 'shop.csv'"),
        ("host:99999", "a Ray cluster has an address such as 192.168.1.7:6379, got 'host:99999'"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_in_one_line(
    table: Path, tmp_path: Path, tiny_model: Path, address: str, told: str
) -> None:
    gallery = tmp_path / "g"
    with lookalike.open(gallery, model=str(tiny_model)) as shop, pytest.raises(UsageError) as error:
        shop.index(table, ray=address)
    assert str(error.value) == told
    assert not gallery.exists()


def test_an_embedder_of_this_process_cannot_be_sent(table: Path, tmp_path: Path, tiny_model: Path) -> None:
    from lookalike.embedding.model_choice import ModelFile
    from lookalike.retrieval.retriever import Retriever

    embedder = ModelFile(str(tiny_model)).load(None, gallery="g")
    with pytest.raises(UsageError, match="a model that can be sent"):
        Retriever(str(tmp_path / "g"), embedder).index(table, ray="127.0.0.1:1")


def test_shards_without_a_cluster_are_a_mistake(table: Path, tmp_path: Path, tiny_model: Path) -> None:
    with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop, pytest.raises(UsageError, match="Ray cluster"):
        shop.index(table, shards=str(tmp_path / "shards"))
