"""Limits of all settings of training and of the server: each field declares them, and no other value is taken."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytorch_metric_learning import distances, losses, miners, reducers
from torch import nn

from lookalike.cli import main
from lookalike.config import Length, Pattern, Range, bare_type, build, limits_of
from lookalike.errors import ConfigError, UsageError
from lookalike.server.settings import Settings
from lookalike.training.data.augmentation import Augmentation
from lookalike.training.finder.settings import FinderSettings, load_finder_settings
from lookalike.training.losses.argument_types import ARGUMENT_TYPES
from lookalike.training.losses.metric_losses import (
    NAMED,
    UNFIT_OBJECTS,
    check_it_computes,
    known_losses,
    known_miners,
    parameters_of,
)
from lookalike.training.settings.objective_settings import DRAWN_TRIPLETS, LossSettings
from lookalike.training.settings.photo_settings import AugmentationSettings
from lookalike.training.settings.run_settings import TrainingSettings, load_settings
from lookalike.training.text.settings import TextSettings, load_text_settings

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

Path_ = tuple[str | int, ...]

WHOLE: Mapping[type, dict[str, Any]] = {
    TrainingSettings: {
        "name": "tiny",
        "data": [{"source": "drawn", "heads": {"type": 1.0}, "tags": {"tag": 1.0}, "where": {"a": ["b"]}}],
        "stage": [{"epochs": 1, "learning_rate": 0.1}],
        "loss": [{"name": "SupConLoss"}],
        "input": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
        "network": {"relevance": [{"labels": ["type"]}]},
    },
    FinderSettings: {
        "task": "finder",
        "name": "tiny",
        "data": [{"photos": "a.csv", "boxes": "b.csv"}],
        "stage": [{"steps": 1, "learning_rate": 0.1}],
    },
    TextSettings: {"task": "text", "name": "tiny", "data": [{"gallery": "a.gallery"}]},
    Settings: {"events": True, "interleave_weights": {"deep": 1.0}},
}
"""The least of each kind of settings, with a table of each kind."""

LOADERS = {TrainingSettings: load_settings, FinderSettings: load_finder_settings, TextSettings: load_text_settings}
KINDS = pytest.mark.parametrize("kind", list(WHOLE), ids=lambda kind: kind.__name__)

WRONG_TYPES: tuple[object, ...] = ({}, {"a": 1}, [[]], "no\nnumber", True, [{"a": []}])
NOT_NUMBERS = (math.nan, math.inf, -math.inf, -1e300, 1e300, 10**400, -(10**400))


def leaves(kind: type, path: Path_ = ()) -> Iterator[tuple[Path_, object]]:
    """Place and type of every plain field of a dataclass and of the dataclasses within."""
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        yield from leaves_of(hint, (*path, name))


def leaves_of(hint: object, path: Path_) -> Iterator[tuple[Path_, object]]:
    bare = bare_type(hint)
    if dataclasses.is_dataclass(bare):
        yield from leaves(typing.cast(type, bare), path)
        return
    yield path, hint
    if typing.get_origin(bare) is tuple:
        yield from leaves_of(typing.get_args(bare)[0], (*path, 0))
    if typing.get_origin(bare) is Mapping and typing.get_args(bare)[1] is not object:
        yield from leaves_of(typing.get_args(bare)[1], (*path, "entry"))


def changed(whole: object, path: Path_, value: object) -> Any:
    """Settings with another value in one place."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(first, int):
        members = list(whole) if isinstance(whole, list) and whole else [{}]
        return [changed(members[0], rest, value), *members[1:]]
    table = dict(whole) if isinstance(whole, dict) else {}
    return {**table, first: changed(table.get(first, {}), rest, value)}


def outside(hint: object) -> Iterator[object]:
    """Values that a field must refuse."""
    bare = bare_type(hint)
    origin = typing.get_origin(bare)
    if bare in (int, float):
        yield from (value for value in WRONG_TYPES if value is not None)
        yield from NOT_NUMBERS
        yield from ([1.5] if bare is int else [])
        for limit in limits_of(hint):
            assert isinstance(limit, Range)
            step = 1 if bare is int else 1e-9
            yield from ([limit.above] if limit.above is not None else [])
            yield from ([limit.below] if limit.below is not None else [])
            yield from ([limit.least - step] if limit.least is not None else [])
            yield from ([limit.most + max(step, limit.most * 1e-9)] if limit.most is not None and bare is float else [])
            yield from ([limit.most + 1] if limit.most is not None and bare is int else [])
    elif bare is bool:
        yield from (0, 1, "yes", [], math.nan)
    elif bare is str:
        yield from (3, True, [], {}, math.nan, "a\0b", "x" * 20_000)
        limits = limits_of(hint)
        yield from ([""] if any(isinstance(limit, Length) and limit.least for limit in limits) else [])
        yield from (["", "..", "a/b", "/etc", "a\nb"] if any(isinstance(limit, Pattern) for limit in limits) else [])
    elif origin is typing.Literal:
        yield from ("none of them", " ", 3, [], True, math.nan, 16**5000)
    elif origin is tuple:
        yield from (3, "a", {}, True, math.nan)
        yield from ([[]] if any(isinstance(limit, Length) and limit.least for limit in limits_of(hint)) else [])
    elif origin is Mapping:
        yield from (3, "a", [], True, math.nan)
        if typing.get_args(bare)[1] is object:
            yield from ({"a": math.nan}, {"a": 10**400}, {"a": [1]}, {"a": {"b": {"c": 1}}}, {"a": "x" * 1000})
    else:
        yield from outside_union(bare)


def outside_union(hint: object) -> Iterator[object]:
    """Values that a field of several types must refuse."""
    if bool in typing.get_args(hint):
        yield from ("a", [], {}, math.nan, math.inf, -1.0, 1e300, 10**400)
    elif typing.get_origin(hint) in (types.UnionType, typing.Union):
        yield from (3, [], True, math.nan, "a\0b", {"a": 0}, {"a": -1.0}, {"a": math.nan}, {"a": "b"}, {"a\0": 1.0})
    else:
        raise AssertionError(f"a test for {hint} is missing")


@KINDS
def test_every_number_and_every_list_of_settings_declares_its_limits(kind: type) -> None:
    found = 0
    for path, hint in leaves(kind):
        bare = bare_type(hint)
        if bare in (int, float):
            [limit] = limits_of(hint)
            assert isinstance(limit, Range), path
            assert (limit.least, limit.above) != (None, None) and (limit.most, limit.below) != (None, None), path
            found += 1
    assert found >= 12


@KINDS
def test_defaults_and_ends_of_ranges_are_allowed(kind: type) -> None:
    build(kind, WHOLE[kind], where="x")
    for path, hint in leaves(kind):
        for limit in limits_of(hint):
            if isinstance(limit, Range):
                whole = typing.get_args(hint)[0] is int
                for end in (limit.least, limit.most):
                    if end is not None and isinstance(path[-1], str):
                        build(kind, changed(WHOLE[kind], path, int(end) if whole else float(end)), where="x")


@KINDS
def test_values_outside_the_limits_are_refused_in_one_line(kind: type, tmp_path: Path) -> None:
    tried = 0
    for path, hint in leaves(kind):
        if path == ("task",):
            continue
        for value in outside(hint):
            with pytest.raises(UsageError) as caught:
                build(kind, changed(WHOLE[kind], path, value), where="x.toml")
            message = str(caught.value)
            named = next(str(part) for part in reversed(path) if isinstance(part, str))
            assert "\n" not in message and len(message) < 500, message
            assert named in message, (path, message)
            assert "x.toml" in message and ("expected" in message or "unknown value" in message), message
            for limit in limits_of(hint):
                assert isinstance(caught.value, ConfigError)
                if typing.get_args(hint)[0] in (int, float):
                    assert str(limit) in message and "got " in message
            tried += 1
    assert tried > 400


@pytest.mark.parametrize("kind", list(LOADERS), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = " + "9" * 5000, "not a TOML file"),
        ("name = " + "[" * 5000, "not a TOML file"),
        ("name = 0x" + "f" * 9000, "name: expected a text"),
        ("name = 1979-05-27T07:32:00Z", "name: expected a text"),
        ("name = '''a\n[x]'''", "name: expected a text"),
        ("a\\u0000b = 1", "not a TOML file"),
        ('"a\\nb" = 1', "unknown setting"),
    ],
)
def test_hostile_files_are_refused_in_one_line(kind: type, text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    task = f'task = "{WHOLE[kind]["task"]}"\n' if "task" in WHOLE[kind] else ""
    path.write_text(task + text, encoding="utf-8")
    with pytest.raises(UsageError, match=words) as caught:
        LOADERS[kind](path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("input.height=0", "input: height: expected a whole number from 8 to 2,048, got 0"),
        ("augmentation.smallest_crop=2", "augmentation: smallest_crop: expected a number from 0.001 to 1, got 2.0"),
        ("network.embedding=-5", "network: embedding: expected a whole number from 0 to 65,536, got -5"),
        ("seed=-1", "seed: expected a whole number from 0 to 4,294,967,295, got -1"),
        ("data.0.hold_out=-0.5", "data[0]: hold_out: expected a number from 0 to below 1, got -0.5"),
        ("loss.0.weight=-1", "loss[0]: weight: expected a number from 0 to 1,000,000, got -1.0"),
        ("loss.0.weight=nan", "loss[0]: weight: expected a number from 0 to 1,000,000, got nan"),
        ("input.std=[1.0]", "input: std: expected a list of length 3, got (1.0,)"),
        ("stage=[]", "stage: expected a list of length 1 to 1,000, got ()"),
        ("input.fit=crop", "input: short_side: expected a short side of at least 224 for the crop of 224 x 224"),
        ("input.fit=crpo", "unknown value of {file}: input: fit 'crpo'; did you mean 'crop'?"),
        ("name=../elsewhere", "name: expected a text of 1 to 100 characters on one line, without slashes"),
        ("data.0.where={type=[]}", "where.type: expected a list of length 1 to 100,000, got ()"),
    ],
)
def test_the_command_says_what_is_allowed_and_fails_as_wrong_usage(
    change: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'name = "run"\n[[data]]\nsource = "drawn"\n[[loss]]\nname = "SupConLoss"\n'
        "[[stage]]\nepochs = 1\nlearning_rate = 0.1\n",
        encoding="utf-8",
    )
    assert main(["train", str(path), "--set", change]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and words.replace("{file}", str(path)) in line


OWNERS: dict[str, type] = {
    **{name: getattr(losses, name) for name in known_losses() if name != DRAWN_TRIPLETS},
    DRAWN_TRIPLETS: nn.TripletMarginLoss,
    **{name: getattr(miners, name) for name in known_miners()},
    **{
        name: getattr(module, name)
        for module in (distances, reducers)
        for name in dir(module)
        if name[0].isupper() and "Base" not in name and name not in (*UNFIT_OBJECTS, "MultipleReducers")
    },
}


def test_every_number_and_word_that_a_loss_takes_has_a_range() -> None:
    own = {"num_classes", "embedding_size", "embedding_reg_weight", "weight_reg_weight", "collect_stats"}
    objects = {"size_average", "reduce", "aggregation_func", "mat_based_loss", "allowed_neg_range", "allowed_pos_range"}
    left_out = {"args", "kwargs", "weight_init_func", "weight_regularizer", "embedding_regularizer"}
    taken = {argument for owner in OWNERS.values() for argument in parameters_of(owner)}
    assert taken == {*ARGUMENT_TYPES, *NAMED, *own, *objects, *left_out}
    for argument, hint in ARGUMENT_TYPES.items():
        bare = bare_type(hint)
        assert bare in (int, float, bool) or typing.get_origin(bare) is typing.Literal, argument
        assert bare not in (int, float) or limits_of(hint), argument


@pytest.mark.parametrize("name", known_losses())
def test_hostile_arguments_of_losses_are_refused_in_one_line(name: str) -> None:
    required = {"margin": 0.4, "Tn": 10} if name == "RankedListLoss" else {}
    for argument in parameters_of(OWNERS[name]):
        if argument not in ARGUMENT_TYPES:
            continue
        for value in (math.nan, math.inf, -1e9, 1e300, 10**400, "no\nnumber", 2 if argument == "swap" else -5000):
            with pytest.raises(UsageError, match=f"{name}: {argument}: expected|unknown value of {name}") as caught:
                check_it_computes(LossSettings(name, arguments={**required, argument: value}))
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (LossSettings("PNPLoss", miner="BatchHardMiner"), "cannot be computed"),
        (LossSettings("TripletMarginLoss", arguments={"reducer": "PerAnchorReducer"}), "cannot be computed"),
        (LossSettings("SupConLoss", arguments={"reducer": "DoNothingReducer"}), "unknown reducer"),
        (LossSettings("SupConLoss", arguments={"distance": {"name": 3}}), "unknown distance '3'"),
        (LossSettings("SupConLoss", arguments={"distance": {"name": "LpDistance", "p": 0}}), "LpDistance: p: expected"),
    ],
)
def test_arguments_that_exclude_each_other_are_refused_before_the_run(settings: LossSettings, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        check_it_computes(settings)
    assert "\n" not in str(caught.value)


def test_photos_are_augmented_at_both_ends_of_every_range() -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 30, 3), dtype=np.uint8))
    for crop in ("photo", "input"):
        for path, hint in leaves(AugmentationSettings):
            for limit in limits_of(hint):
                if not isinstance(limit, Range) or path == ("paste",):
                    continue
                for end in (limit.least, limit.most if path != ("short_side",) else 16):
                    assert end is not None
                    strong = AugmentationSettings(**{"crop": crop, "spoil": 1.0, path[0]: end})
                    change = Augmentation(strong, size=(8, 11), backgrounds=())
                    for seed in range(5):
                        assert change(photo, random=np.random.default_rng(seed)).size == (11, 8)
