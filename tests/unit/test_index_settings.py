"""Settings of indexes in a folder: stored, checked and applied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from lookalike import index as indexes
from lookalike.cli import main
from lookalike.errors import UnknownNameError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.index import IndexSettings
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item

SPACES = [Space("deep", 32, "tiny@1")]
ROWS: Float32 = unit_rows(np.random.default_rng(0).standard_normal((3000, 32), dtype=np.float32))
QUERIES = ROWS[:50] * np.float32(1)


def exactly(k: int) -> np.ndarray:
    """The best rows by all inner products."""
    return np.argsort(-(QUERIES @ ROWS.T), axis=1, kind="stable")[:, :k]


def filled(folder: Path) -> LocalGallery:
    gallery = LocalGallery(folder, create=True)
    gallery.add([Item(id=str(n), photo="x.jpg") for n in range(len(ROWS))], {"deep": ROWS}, spaces=SPACES)
    return gallery


def test_lists_are_as_many_as_was_said() -> None:
    for name, usual in (("ivf", 77), ("kmeans", 50)):
        assert indexes.build(name, ROWS, spaces=SPACES)._lists.nlist == usual  # type: ignore[attr-defined]
        made: Any = indexes.build(name, ROWS, spaces=SPACES, settings=IndexSettings(nlist=20, nprobe=3))
        assert (made._lists.nlist, made._grouping.probes) == (20, 3)
        few: Any = indexes.build(name, ROWS, spaces=SPACES, settings=IndexSettings(nlist=1_000_000))
        assert few._lists.nlist == len(ROWS)


def test_more_probes_find_more_and_all_find_everything(tmp_path: Path) -> None:
    found = []
    for probes in (1, 8, 50):
        made = indexes.build("kmeans", ROWS, spaces=SPACES, settings=IndexSettings(nprobe=probes))
        positions, _ = made.search(QUERIES, 10)
        found.append(np.mean([len(set(a) & set(b)) for a, b in zip(positions, exactly(10), strict=True)]) / 10)
        told, _ = indexes.build("kmeans", ROWS, spaces=SPACES).search(QUERIES, 10, probes=probes)
        assert np.array_equal(positions, told)
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.95


def test_a_graph_has_the_edges_that_were_said_and_is_searched_as_far() -> None:
    sparse: Any = indexes.build("hnsw", ROWS, spaces=SPACES, settings=IndexSettings(M=2, efConstruction=4))
    assert sparse._graph.hnsw.nb_neighbors(1) == 2
    assert sparse._graph.hnsw.efConstruction == 4
    usual: Any = indexes.build("hnsw", ROWS, spaces=SPACES)
    assert (usual._graph.hnsw.nb_neighbors(1), usual._graph.hnsw.efConstruction) == (32, 40)
    assert isinstance(usual._graph, faiss.IndexHNSWSQ)

    def recall(settings: IndexSettings) -> float:
        made = indexes.build("hnsw", ROWS, spaces=SPACES, settings=settings)
        positions, _ = made.search(QUERIES, 1)
        return float(np.mean(positions[:, 0] == np.arange(len(QUERIES))))

    near, far = (recall(IndexSettings(M=2, efConstruction=4, ef=ef)) for ef in (1, 2000))
    assert near < far


def test_a_gallery_keeps_its_settings_and_builds_its_indexes_again(tmp_path: Path) -> None:
    with filled(tmp_path / "g") as gallery, LocalGallery(tmp_path / "g") as other:
        wanted = gallery.search({"deep": QUERIES}, SearchRequest(k=5, index="ivf"))
        other.search({"deep": QUERIES}, SearchRequest(k=5, index="ivf"))
        gallery.set_index({"nlist": 10, "nprobe": 10})
        for one in (gallery, other):
            assert one.index_settings == IndexSettings(nlist=10, nprobe=10)
            found = one.search({"deep": QUERIES}, SearchRequest(k=5, index="ivf"))
            segment: Any = one._current.present().segment
            assert segment._indexes["ivf"]._lists.nlist == 10
            assert np.array_equal(found.rows[:, 0], wanted.rows[:, 0])
    with LocalGallery(tmp_path / "g") as again:
        again.search({"deep": QUERIES}, SearchRequest(k=5, index="ivf"))
        state: Any = again._current.present().segment
        assert state._indexes["ivf"]._lists.nlist == 10  # from its file
        again.set_index({})
        again.search({"deep": QUERIES}, SearchRequest(k=5, index="ivf"))
        state = again._current.present().segment
        assert state._indexes["ivf"]._lists.nlist == 77


@pytest.mark.parametrize("settings", [{"nlist": 0}, {"M": 1}, {"ef": -3}, {"nprobe": 2.5}, {"M": True}, {"ef": 10**9}])
def test_what_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(settings))} must be a whole number from"):
        IndexSettings.checked(settings)


def test_the_command_sets_shows_and_resets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path / "g").close()
    tune = ["gallery", "tune", "-g", str(tmp_path / "g")]
    assert main([*tune, "M=48", "ef=256", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"M": 48, "ef": 256}
    info = ["gallery", "info", "-g", str(tmp_path / "g"), "--json"]
    assert main(info) == 0
    assert json.loads(capsys.readouterr().out)["index"]["settings"] == {"M": 48, "ef": 256}
    assert main([*tune]) == 0
    assert capsys.readouterr().out.strip() == "M 48, ef 256"
    assert main([*tune, "--reset"]) == 0
    assert "the defaults of each index" in capsys.readouterr().out
    assert main(info) == 0
    assert "settings" not in json.loads(capsys.readouterr().out)["index"]
    for wrong, said in (("M=many", "whole numbers"), ("m=8", "unknown setting of an index 'm'"), ("M", "M")):
        assert main([*tune, wrong]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(UnknownNameError, match="did you mean 'nlist'"):
        IndexSettings.checked({"n_list": 3})
