"""Sweeps: runs with different values of settings, compared by the measure that chooses their best checkpoint."""

from __future__ import annotations

import itertools
import json
import os
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from lookalike.config import Length, Range, load
from lookalike.errors import ConfigError
from lookalike.extras import extra_wanted
from lookalike.storage.files import write_whole
from lookalike.storage.toml_file import read_toml
from lookalike.training.data.data_record import drop_records, keep_records
from lookalike.training.data.shared import SHARED
from lookalike.training.outcome import NotFiniteError
from lookalike.training.settings.limits import Name, Seed, Word
from lookalike.training.settings.presets import find_settings
from lookalike.training.train import train
from lookalike.types import JSON

RUNS: Final = "sweep.json"
"""File with the finished runs, in the folder of the sweep."""

REPEATED: Final = re.compile(r"seed|data\.\d+\.fold(_seed)?")
"""Settings over whose values figures are averaged."""

MOST: Final = 10_000
"""Largest number of runs of a sweep."""


@dataclass(frozen=True, slots=True)
class SearchedSettings:
    """Values of one setting that a search draws.

    Attributes:
        low: Lowest value.
        high: Highest value.
        log: Whether the logarithm is drawn evenly.
        whole: Whether values are whole numbers.
    """

    low: Annotated[float, Range(least=-1e9, most=1e9)]
    high: Annotated[float, Range(least=-1e9, most=1e9)]
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """All settings of a sweep.

    Attributes:
        config: Settings of the runs: a TOML file, relative to this one, or the name of a preset.
        name: Name of the sweep, and of its folder in `runs`.
        grid: Values by setting, such as `"loss.0.arguments.temperature" = [0.05, 0.1]`; each combination is a run.
        search: Settings whose values are drawn, for each combination of the grid, by Optuna's TPE sampler.
        trials: Runs of the search for each combination.
        seed: Seed of the search.
    """

    config: Word
    name: Name
    grid: Annotated[Mapping[str, tuple[object, ...]], Length(most=20)] = field(default_factory=dict)
    search: Annotated[Mapping[str, SearchedSettings], Length(most=20)] = field(default_factory=dict)
    trials: Annotated[int, Range(least=1, most=1000)] = 20
    seed: Seed = 0


@dataclass(frozen=True, slots=True)
class SweptRun:
    """A run of a sweep.

    Attributes:
        values: Its values by setting.
        figure: The dev measure of its best checkpoint; None if nothing is measured, or it failed.
        checkpoint: Path of its best checkpoint; empty if it failed.
        problem: Why it failed; empty if it did not.
    """

    values: Mapping[str, JSON]
    figure: float | None
    checkpoint: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """Runs of a sweep that differ by the seed or the fold alone.

    Attributes:
        values: Their values by setting, without the seed and the fold.
        runs: Number of runs with a figure.
        mean: Mean of their figures; None without any.
        deviation: Standard deviation of their figures; None of fewer than two.
        failed: Number of runs that failed.
    """

    values: Mapping[str, JSON]
    runs: int
    mean: float | None
    deviation: float | None
    failed: int


def sweep(
    config: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[str], None] = lambda line: None,
) -> list[SweptRun]:
    """Train a model for each combination of values; a sweep that was stopped goes on where it was.

    A run whose loss is not finite counts as failed, and the sweep goes on.

    Args:
        config: TOML file of the sweep; see `SweepSettings`.
        out: Folder of the sweep; None is `runs/NAME`. Each run has a folder in it.
        progress: Called after each step of a run with the number of steps done and in all.
        report: Called with a line for each run, and with its lines.

    Returns:
        The runs, in their order.

    Raises:
        ConfigError: A setting of the sweep or of a run is wrong, or the folder has a sweep over other settings or
            data.
        MissingExtraError: Optuna is not installed, and values are searched.
        UsageError: As `lookalike.train`.
        Stopped: A run was interrupted; its state is saved.
    """
    settings = load(SweepSettings, path := Path(config))
    combinations = combinations_of(settings, where=str(path))
    folder = Path("runs") / settings.name if out is None else Path(out)
    (folder / SHARED).mkdir(parents=True, exist_ok=True)
    source = str(path.parent / settings.config) if settings.config.endswith(".toml") else settings.config
    base = json.loads(json.dumps(read_toml(find_settings(source)[0]), default=str))
    runs = read_runs(folder, settings, base=base)
    trials = settings.trials if settings.search else 1
    total = len(combinations) * trials
    for number in range(len(runs), total):
        values = combinations[number // trials]
        if settings.search:
            before = runs[number - number % trials :]
            values = {**values, **drawn(settings, before, number=number)}
        report(f"run {number + 1} of {total}: {described(values)}")
        runs.append(one_run(source, values, folder=folder / f"{number:04}", progress=progress, report=report))
        keep_records(folder / SHARED)
        if settings.search and runs[-1].figure is None and not runs[-1].problem:
            raise ConfigError(f"{source}: a search goes by the dev figures of its runs, and there are no dev photos")
        kept = {"settings": base, "runs": [asdict(run) for run in runs]}
        write_whole(folder / RUNS, json.dumps(kept, indent=1).encode())
    return runs


def one_run(
    source: str,
    values: Mapping[str, JSON],
    *,
    folder: Path,
    progress: Callable[[int, int], None],
    report: Callable[[str], None],
) -> SweptRun:
    """Train with some values, or go on with a run that was stopped."""
    overrides = [f"{name}={json.dumps(value)}" for name, value in values.items()]
    begun = (folder / "state.pt").is_file()
    if not begun:
        drop_records(folder.parent / SHARED)
    try:
        trained = train(
            source,
            overrides=overrides,
            **({"resume": folder} if begun else {"out": folder}),
            progress=progress,
            report=report,
        )
    except NotFiniteError as error:
        report(str(error))
        return SweptRun(values, None, "", str(error))
    return SweptRun(values, trained.figure, str(trained.checkpoint))


def combinations_of(settings: SweepSettings, *, where: str) -> list[dict[str, JSON]]:
    """All combinations of the values of the grid, those of the last setting changing fastest.

    Raises:
        ConfigError: There is nothing to vary, too much, or a value is a table.
    """
    if not settings.grid and not settings.search:
        raise ConfigError(f"{where}: nothing to vary: name values in [grid], or ranges in [search]")
    if twice := [name for name in settings.grid if name in settings.search]:
        raise ConfigError(f"{where}: {twice[0]} is in [grid] and in [search]; leave one of them out")
    for name, values in settings.grid.items():
        if not values or not all(isinstance(value, bool | int | float | str) for value in values):
            raise ConfigError(f"{where}: grid.{name}: expected a list of numbers, words, true or false, got {values!r}")
    for name, searched in settings.search.items():
        if searched.low > searched.high or (searched.log and searched.low <= 0):
            raise ConfigError(f"{where}: search.{name}: expected low <= high, and low above 0 for log, got {searched}")
        if searched.whole and not (searched.low.is_integer() and searched.high.is_integer()):
            raise ConfigError(f"{where}: search.{name}: expected whole numbers for low and high, got {searched}")
    made: list[dict[str, Any]] = [
        dict(zip(settings.grid, values, strict=True)) for values in itertools.product(*settings.grid.values())
    ]
    runs = len(made) * (settings.trials if settings.search else 1)
    if runs > MOST:
        raise ConfigError(f"{where}: expected at most {MOST:,} runs, got {runs:,}")
    return made


def read_runs(folder: Path, settings: SweepSettings, *, base: Mapping[str, JSON]) -> list[SweptRun]:
    """Read the finished runs of a sweep.

    Args:
        folder: Folder of the sweep.
        settings: Its settings.
        base: Settings of the runs that are not varied, as their file has them.

    Raises:
        ConfigError: They vary other settings, or the others have changed.
    """
    file = folder / RUNS
    if not file.is_file():
        return []
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        before, runs = kept["settings"], [SweptRun(**run) for run in kept["runs"]]
        changed = [name for name in {**before, **base} if before.get(name) != base.get(name)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{file}: damaged: {error}; delete it to begin the sweep again") from None
    if changed:
        raise ConfigError(
            f"{folder}: {', '.join(sorted(changed))} of {settings.config} has changed since the sweep began; "
            "choose another name"
        )
    varied = {*settings.grid, *settings.search}
    expected = combinations_of(settings, where=str(folder))
    trials = settings.trials if settings.search else 1
    for number, run in enumerate(runs):
        planned = expected[number // trials] if number < len(expected) * trials else None
        drawn_from = {name: each for name, each in settings.search.items() if name in run.values}
        inside = all(each.low <= float(str(run.values[name])) <= each.high for name, each in drawn_from.items())
        if planned is None or run.values.keys() != varied or not planned.items() <= run.values.items() or not inside:
            raise ConfigError(f"{folder}: holds a sweep over other values; choose another name")
    return runs


def drawn(settings: SweepSettings, before: Sequence[SweptRun], *, number: int) -> dict[str, JSON]:
    """Draw the values of the next run of a search by what the runs before it gave.

    Source: Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization, as Optuna's `TPESampler`.

    Raises:
        MissingExtraError: Optuna is not installed.
    """
    with extra_wanted("a search for settings", "sweep"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ranges: dict[str, Any] = {
        name: optuna.distributions.IntDistribution(int(each.low), int(each.high), log=each.log)
        if each.whole
        else optuna.distributions.FloatDistribution(each.low, each.high, log=each.log)
        for name, each in settings.search.items()
    }
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=settings.seed + number))
    for run in before:
        values = {name: run.values[name] for name in ranges}
        state = optuna.trial.TrialState.FAIL if run.figure is None else optuna.trial.TrialState.COMPLETE
        study.add_trial(optuna.trial.create_trial(params=values, distributions=ranges, value=run.figure, state=state))
    found: dict[str, JSON] = study.ask(ranges).params
    return found


def compared(runs: Sequence[SweptRun]) -> list[Setup]:
    """Figures of the runs with equal values but for the seed and the fold, the best mean first."""
    groups: dict[str, list[SweptRun]] = {}
    for run in runs:
        key = json.dumps({name: value for name, value in run.values.items() if not REPEATED.fullmatch(name)})
        groups.setdefault(key, []).append(run)
    setups = []
    for key, members in groups.items():
        figures = [run.figure for run in members if run.figure is not None]
        setups.append(
            Setup(
                json.loads(key),
                len(figures),
                statistics.fmean(figures) if figures else None,
                statistics.stdev(figures) if len(figures) > 1 else None,
                sum(bool(run.problem) for run in members),
            )
        )
    return sorted(setups, key=lambda setup: (setup.mean is None, -(setup.mean or 0.0)))


def described(values: Mapping[str, JSON]) -> str:
    """Values in a line, such as `seed = 0, network.embedding = 64`."""
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
