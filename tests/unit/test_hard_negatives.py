"""Hard negatives: against neighbours found one by one, in batches, and in runs that are stopped and resumed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.errors import ConfigError, TrainingError
from lookalike.images import open_image
from lookalike.training.data import hard_negatives
from lookalike.training.data.dataset import Split, TrainingPhotos, label_classes
from lookalike.training.data.hard_negatives import BankPhotos
from lookalike.training.data.sampling import GroupSampler, group_photos
from lookalike.training.outcome import Stopped
from lookalike.training.run import loop, mining
from lookalike.training.run.dev_measure import describe_with
from lookalike.training.run.interruption import Interruption
from lookalike.training.run.processes import start_processes
from lookalike.training.run.run_folder import RunFolder
from lookalike.training.run.validation import in_eval_mode
from lookalike.training.settings.objective_settings import HardNegativeSettings, LossSettings
from lookalike.training.settings.run_settings import DataSettings, StageSettings, TrainingSettings, load_settings
from lookalike.types import Float32, Int64, Item

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "tiny"
products = 4
photos = 2
workers = 0
save_every = 1
epoch_photos = 24
[network]
backbone = "test_convnext"
embedding = 8
[input]
height = 32
width = 32
[hard_negatives]
every = 1
group = 2
false_negative_above = 0.9999
[[data]]
source = "sample/catalogue.csv"
hold_out = 0.3
grades = ["type"]
[[loss]]
name = "SupConLoss"
[[stage]]
epochs = 1
learning_rate = 1e-3
[[stage]]
epochs = 3
learning_rate = 1e-3
backbone_rate = 1e-3
"""


def similarity(one: Float32, other: Float32) -> float:
    """The highest cosine of a photo of one and a photo of the other."""
    return max(min(float(a @ b), 1.0) for a in one for b in other)


def slow_neighbours(
    rows: Float32, bank: BankPhotos, *, wanted: int, limit: float
) -> tuple[list[list[int]], list[float], list[float], int]:
    """Hard negatives of each group, their similarities, those of all pairs, and the pairs that are too similar."""
    count = len(bank.apart)
    of_group = [rows[(bank.groups == number) & bank.compared & ~np.isnan(rows[:, 0])] for number in range(count)]
    catalogue = [bank.origin[bank.groups == number][0] for number in range(count)]
    neighbours: list[list[int]] = []
    mined, overall, too_similar = [], [], 0
    for group in range(count):
        others = [
            other
            for other in range(count)
            if other != group and catalogue[other] == catalogue[group] and len(of_group[group]) and len(of_group[other])
        ]
        scores = {other: similarity(of_group[group], of_group[other]) for other in others}
        overall += scores.values()
        too_similar += sum(score > limit for score in scores.values())
        taken: list[int] = []
        for other in sorted(others, key=lambda other: (-scores[other], other)):
            far = all(similarity(of_group[other], of_group[each]) <= limit for each in [group, *taken])
            apart = all(not bank.apart[other] & bank.apart[each] for each in [group, *taken])
            if far and apart and len(taken) < wanted:
                taken.append(other)
        mined += [scores[other] for other in taken]
        neighbours.append(taken)
    return neighbours, mined, overall, too_similar // 2


def drawn_bank(random: np.random.Generator, *, photos: int, groups: int) -> BankPhotos:
    numbers = np.concatenate([np.arange(groups), random.integers(groups, size=photos - groups)])
    catalogue = random.integers(2, size=groups)
    return BankPhotos(
        numbers,
        origin=catalogue[numbers],
        compared=random.random(photos) < 0.9,
        apart=[frozenset([100 + group, int(random.integers(12))]) for group in range(groups)],
    )


@pytest.mark.parametrize(("seed", "cells"), [(0, 1), (1, 500), (2, 2**24), (3, 2**24)])
def test_hard_negatives_are_those_that_are_found_one_by_one(
    seed: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hard_negatives, "CELLS", cells)
    random = np.random.default_rng(seed)
    bank = drawn_bank(random, photos=160, groups=60)
    rows = random.normal(size=(160, 4)).astype(np.float32)
    rows[random.integers(160, size=30)] = rows[random.integers(160, size=30)]  # copies, some of other products
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[random.integers(160, size=5)] = np.nan  # unreadable
    places = np.flatnonzero(bank.compared)
    limit = 0.97
    given = HardNegativeSettings(every=1, group=5, false_negative_above=limit)
    found = bank.mine(places, rows[places], settings=given)
    neighbours, mined, overall, too_similar = slow_neighbours(rows, bank, wanted=4, limit=limit)
    assert [[each for each in row if each >= 0] for row in found.neighbours.tolist()] == neighbours
    assert found.neighbours.shape == (60, 4) and too_similar > 10
    assert found.similarity == pytest.approx(np.mean(mined), abs=1e-6)
    assert found.overall == pytest.approx(np.mean(overall), abs=1e-6)
    assert (found.false_negatives, found.groups) == (too_similar, sum(map(bool, neighbours)))


def test_where_all_are_the_same_there_are_no_hard_negatives() -> None:
    bank = BankPhotos(
        np.arange(4), np.zeros(4, dtype=np.int64), np.ones(4, dtype=np.bool_), [frozenset([n]) for n in range(4)]
    )
    rows = np.tile(np.float32([0.6, 0.8]), (4, 1))
    found = bank.mine(np.arange(4), rows, settings=HardNegativeSettings(every=1, group=3))
    assert (found.neighbours == -1).all() and (found.groups, found.similarity) == (0, 0.0)
    assert (found.compared, found.false_negatives) == (4, 6) and found.overall == pytest.approx(1.0)


def test_a_bank_has_a_photo_of_each_product_before_a_second_of_any() -> None:
    groups = np.repeat(np.arange(10), [1, 2, 3, 4, 5, 5, 4, 3, 2, 1])
    compared = groups != 9
    bank = BankPhotos(groups, np.zeros(30, dtype=np.int64), compared, [frozenset()] * 10)

    def counts(**given: Any) -> list[int]:
        return np.bincount(groups[bank.drawn(**given)], minlength=10).tolist()

    assert counts(of_each=3, most=100, seed=[1]) == [1, 2, 3, 3, 3, 3, 3, 3, 2, 0]
    assert counts(of_each=3, most=9, seed=[1]) == [1] * 9 + [0]
    fifteen = counts(of_each=3, most=15, seed=[1])
    assert sum(fifteen) == 15 and min(fifteen[:9]) == 1 and max(fifteen) == 2
    assert sum(counts(of_each=1, most=5, seed=[1])) == 5
    draws = [bank.drawn(of_each=1, most=100, seed=[seed]).tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def training_photos(data: Sequence[DataSettings], items: Sequence[Sequence[Item]]) -> TrainingPhotos:
    splits = [Split(settings, of_split) for settings, of_split in zip(data, items, strict=True)]
    return TrainingPhotos(splits, classes=label_classes(splits, ["kind"]), tags={})


def items(count: int, *, start: int = 0) -> list[Item]:
    return [
        Item(f"{p}-{n}", "x.jpg", product=f"p{p}", attributes={"kind": "ab"[p % 2], "sender": f"s{p % 3}"})
        for p in range(start, start + count)
        for n in range(2)
    ]


def test_products_are_apart_by_what_the_dev_measure_keeps_apart() -> None:
    data = [DataSettings("s", apart=("sender",)), DataSettings("t"), DataSettings("u", instance_loss=False)]
    photos = training_photos(data, [items(6), items(4), items(3)])
    settings = TrainingSettings("x", tuple(data), (StageSettings(1.0, 0.1),), loss=(LossSettings("SupConLoss"),))
    bank = BankPhotos.of(photos, group_photos(settings, photos))
    met = [[bool(one & other) for other in bank.apart] for one in bank.apart]
    first = [[one % 3 == other % 3 for other in range(6)] for one in range(6)]
    assert [row[:6] for row in met[:6]] == first
    assert not any(any(row[6:]) for row in met[:6])
    assert [row[6:] for row in met[6:]] == np.eye(7, dtype=bool).tolist()
    assert bank.compared.tolist() == [True] * 20 + [False] * 6


def sampled(neighbours: Int64 | None, *, start: int = 0, counts: Sequence[int] = (6, 3)) -> list[list[int]]:
    groups, origin = np.repeat(np.arange(30), 2), np.repeat([0, 1], [40, 20])
    sampler = GroupSampler(
        groups, origin, counts=counts, photos=2, steps=40, start=start, seed=5, neighbours=neighbours
    )
    return [[view.place // 2 for view in batch[::2]] for batch in sampler]


def test_a_batch_has_products_in_turn_with_their_hard_negatives() -> None:
    neighbours = np.full((30, 2), -1, dtype=np.int64)
    for product in range(20):
        neighbours[product] = [(product + 1) % 20, (product + 7) % 20]
    batches = sampled(neighbours)
    turns = []
    for batch in batches:
        assert len(set(batch)) == 9 and max(batch[:6]) < 20 <= min(batch[6:])
        turns.append(batch[0])
        assert batch[1:3] == neighbours[batch[0]].tolist()
    assert len({*turns}) > 15
    assert sampled(neighbours, start=13) == batches[13:]
    assert [sorted(batch) for batch in sampled(neighbours, counts=(20, 10))] == [list(range(30))] * 40
    nothing = sampled(np.full((30, 2), -1, dtype=np.int64))
    assert all(len(set(batch)) == 9 for batch in nothing)
    assert np.bincount(np.ravel([batch[:6] for batch in nothing])).min() > 4  # all come, by chance


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Products with different photos, and two with the same ones."""
    folder = tmp_path_factory.mktemp("mining")
    table = write_drawn(folder / "sample", products=14, photos=2)
    lines = table.read_text(encoding="utf-8").splitlines()
    for number in (1, 2):
        shutil.copyfile(folder / f"sample/photos/d001-{number}.jpg", folder / f"sample/photos/copy-{number}.jpg")
        row = next(line for line in lines if line.startswith(f"d001-{number},"))
        lines.append(row.replace("d001", "copy"))
    table.write_text("\n".join(lines), encoding="utf-8")
    (folder / "tiny.toml").write_text(SETTINGS, encoding="utf-8")
    return folder / "tiny.toml"


@pytest.fixture(scope="module")
def trained(config: Path) -> Path:
    return loop.train(config, out=config.parent / "whole").checkpoint.parent


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_mines_before_each_epoch(config: Path, tmp_path: Path) -> None:
    said: list[str] = []
    run = loop.train(config, out=tmp_path / "run", report=said.append).checkpoint.parent
    mined = [entry for entry in log_of(run) if "hard_negatives" in entry]
    steps = [entry["all_steps"] for entry in log_of(run) if "loss" in entry]
    assert [(entry["stage"], entry["step"]) for entry in mined] == [(0, 0), (1, 0), (1, 3), (1, 6)]
    assert steps == list(range(1, 13))
    for entry in mined:
        figures = entry["hard_negatives"]
        assert figures["groups"] == figures["compared"] > 4
        assert figures["overall"] < figures["similarity"] <= 0.9999
    lines = [line for line in said if line.startswith("hard negatives after step ")]
    assert len(lines) == 4 and "mean similarity 0." in lines[0]


@pytest.mark.parametrize("stops", [(1, 2), (4, 3), (8, 9)])
def test_a_run_that_is_stopped_takes_the_same_course(
    stops: tuple[int, ...], config: Path, trained: Path, tmp_path: Path
) -> None:
    """Wherever it is stopped: before a mining is due, after it, and in the middle between two."""
    resume = None
    for stop in sorted(stops):

        def at_stop(done: int, total: int, stop: int = stop) -> None:
            if done == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            loop.train(config, out=tmp_path / "run", resume=resume, progress=at_stop)
        resume = tmp_path / "run"
    loop.train(config, resume=resume, overrides=["workers=1"] if stops == (8, 9) else [])
    for name in ("best.safetensors", "last.safetensors", "log.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (trained / name).read_bytes()


def test_a_run_that_is_stopped_while_it_mines_is_saved(config: Path, trained: Path, tmp_path: Path) -> None:
    class Stopping(mining.Miner):
        def mine(self, *args: Any, **given: Any) -> Any:
            self.asked_to_stop = lambda: given["step"] == 3
            return super().mine(*args, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lookalike.training.run.batches.Miner", Stopping)
        with pytest.raises(Stopped) as stopped:
            loop.train(config, out=tmp_path / "run")
    assert stopped.value.steps == 6
    loop.train(config, resume=tmp_path / "run")
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == (trained / "last.safetensors").read_bytes()


def make_run(config: Path, out: Path, *overrides: str) -> loop.Run:
    settings = load_settings(config, overrides=overrides)
    folder = RunFolder(out)
    folder.begin(settings)
    accelerator = start_processes(settings.device, settings.precision)
    return loop.Run(settings, base=config.parent, folder=folder, accelerator=accelerator, interruption=Interruption())


def test_the_same_photos_of_two_products_are_no_negatives_of_each_other(config: Path, tmp_path: Path) -> None:
    run = make_run(config, tmp_path / "run", "hard_negatives.group=4", "data.0.hold_out=0")
    photos, miner = run.training_data.photos, run.source.miner
    assert miner is not None
    run.stepper_of(run.settings.stage[0])
    statistics = {name: value.clone() for name, value in run.network.state_dict().items()}
    modes = [module.training for module in run.network.modules()]
    found = miner.mine(run.network, stage=0, step=0)
    assert [module.training for module in run.network.modules()] == modes
    assert all((statistics[name] == value).all() for name, value in run.network.state_dict().items())
    assert found is not None and found.compared == 15
    number = {item.product: int(group) for item, group in zip(photos.items, photos.products, strict=True)}
    original, copied = number["d001"], number["copy"]
    assert copied not in found.neighbours[original] and original not in found.neighbours[copied]
    assert all(not {original, copied} <= {*row} for row in found.neighbours.tolist())
    # The same, worked out of each photo alone, as the finished model would embed it.
    describe = describe_with(run.network, run.training_data.preprocessing)
    with in_eval_mode(run.network):
        rows = np.concatenate([describe([open_image(item, at_least=32, box=item.box)]).rows for item in photos.items])
    neighbours, mined, _, _ = slow_neighbours(rows, miner.bank_photos, wanted=3, limit=0.9999)
    assert [[each for each in row if each >= 0] for row in found.neighbours.tolist()] == neighbours
    assert found.similarity == pytest.approx(np.mean(mined), abs=1e-5)


def test_photos_that_cannot_be_read_are_listed_and_no_negatives(config: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(config.parent / "sample", tmp_path / "sample")
    settings = tmp_path / "tiny.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    (folder / "photos" / "d003-1.jpg").write_bytes(b"damaged")
    run = make_run(settings, tmp_path / "run", "data.0.hold_out=0", "unreadable=100")
    assert run.source.miner is not None
    run.stepper_of(run.settings.stage[0])
    found = run.source.miner.mine(run.network, stage=0, step=0)
    assert found is not None and found.compared == 15 and [*run.unreadable.skipped] == ["photos/d003-1.jpg"]
    for photo in (folder / "photos").iterdir():
        photo.write_bytes(b"damaged")
    with pytest.raises(TrainingError, match=r"^none of 30 training photos can be read for hard negatives$"):
        run.source.miner.mine(run.network, stage=0, step=3)


def test_values_of_a_label_are_mined_as_products_are(config: Path, tmp_path: Path) -> None:
    run = make_run(config, tmp_path / "run", "loss.0.labels=type", "products=3", "data.0.hold_out=0")
    assert run.source.miner is not None
    run.stepper_of(run.settings.stage[0])
    found = run.source.miner.mine(run.network, stage=0, step=0)
    kinds = len(run.training_data.classes["type"])
    assert found is not None and found.compared == kinds == len(found.neighbours)
    assert f"{found.groups} of {kinds} values of 'type' have some" in mining.told(found, step=3)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("hard_negatives.group=5", "hard_negatives: expected group from 2 to products = 4, got 5"),
        ('sampler.name="balanced" sampler.balance="type"', "need the sampler 'products', not 'balanced'"),
        ("loss=[] data.0.heads={type=1.0}", "are for metric losses"),
        ("photos=1 loss.0.labels=type", "hard_negatives of 'type' need photos >= 2, got 1"),
        ("hard_negatives={group=3}", "hard_negatives with every = 0 are off: set every above 0, or leave them out"),
        ("hard_negatives.every=-1", "every: expected a number from 0.01 to 100,000, or 0"),
        ("hard_negatives.false_negative_above=0", "false_negative_above: expected a number above 0 and up to 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(override: str, told: str, config: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_settings(config, overrides=tuple(override.split()))
    assert told in str(error.value) and "\n" not in str(error.value)
