"""Search for a learning rate."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.cli import main
from lookalike.errors import ConfigError, TrainingError, UsageError
from lookalike.training.outcome import RateCurve
from lookalike.training.run.rate_finder import HIGHEST, LOWEST, smoothed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "rates"
products = 6
photos = 2
workers = 0
[network]
backbone = "mobilenetv3_small_050"
embedding = 16
[input]
height = 32
width = 32
[[data]]
source = "sample/catalogue.csv"
heads = { type = 1.0 }
[[stage]]
epochs = 1
learning_rate = 1e-2
backbone_rate = 1e-3
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rates")
    write_drawn(folder / "sample", products=14, photos=2)
    (folder / "rates.toml").write_text(SETTINGS, encoding="utf-8")
    return folder / "rates.toml"


def test_the_steepest_fall_of_a_known_curve() -> None:
    rates = np.geomspace(1e-6, 1.0, 121)
    falls = 2.0 - 1.0 / (1.0 + np.exp(-2.0 * (np.log(rates) - np.log(1e-3))))  # steepest at 1e-3
    rises = np.where(rates > 1e-1, 3.0 * np.log(rates / 1e-1), 0.0)
    curve = RateCurve(rates.tolist(), (falls + rises).tolist(), (falls + rises).tolist())
    assert curve.steepest == pytest.approx(1e-3, rel=0.15)
    assert curve.least == pytest.approx(1e-1, rel=0.15)
    assert RateCurve([1e-6, 1e-5], [1.0, 2.0], [1.0, 2.0]).steepest == 1e-6


def test_the_average_has_no_bias() -> None:
    losses = np.random.default_rng(0).random(20).tolist()
    for number, found in enumerate(smoothed(losses)):
        weights = 0.9 ** np.arange(number, -1, -1)
        assert found == pytest.approx(np.average(losses[: number + 1], weights=weights))


def test_rates_rise_by_a_factor_until_the_loss_does(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(config.parent.iterdir())
    curve = lookalike.find_rate(config, steps=30)
    factors = np.diff(np.log(curve.rates))
    assert curve.rates[0] == pytest.approx(LOWEST)
    assert np.allclose(factors, np.log(HIGHEST / LOWEST) / 29)
    assert len(curve.losses) == len(curve.smoothed) == len(curve.rates) <= 30
    assert LOWEST <= curve.steepest <= curve.least <= HIGHEST
    assert lookalike.find_rate(config, steps=30) == curve

    assert main(["train", str(config), "--find-rate"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"the loss falls fastest at \S+, and is least at \S+", shown[-1])
    assert all(re.fullmatch(r" *\d\.\de[-+]\d\d +\d+\.\d{4}  #*", line) for line in shown[1:-1])
    assert set(config.parent.iterdir()) == before


def test_what_has_no_rates_is_refused(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="the first stage has learning_rate = 0"):
        lookalike.find_rate(config, overrides="stage.0.learning_rate=0")
    with pytest.raises(UsageError, match="the task 'finder'"):
        lookalike.find_rate("finder-mobile")
    with pytest.raises(UsageError, match="steps must be at least 10, got 3"):
        lookalike.find_rate(config, steps=3)
    assert main(["train", str(config), "--find-rate", "--resume", str(tmp_path)]) == 2
    assert "leave --resume out" in capsys.readouterr().err


def test_a_loss_that_is_never_finite_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.training.losses.objective.functional.cross_entropy", lambda *_, **__: _[0].sum() / 0)
    with pytest.raises(TrainingError, match="not finite"):
        lookalike.find_rate(config)
