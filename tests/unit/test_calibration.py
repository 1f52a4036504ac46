"""Calibration: curves, their fit, temperatures, and the file that keeps them, each against an oracle."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

import lookalike
from lookalike.embedding.calibration import METADATA, Calibration, RelevanceCurve, tempered
from lookalike.embedding.model_loading import open_network
from lookalike.errors import ConfigError, ModelError, UsageError
from lookalike.evaluation.calibration_error import expected_calibration_error
from lookalike.models.default_model import SHIPPED_MODEL
from lookalike.models.onnx_file import read_metadata
from lookalike.tuning.curve_fitting import Pairs, fit_curve, fit_logistic, fit_steps, fit_temperature
from tiny_model import write_tiny_model


def drawn_pairs(count: int = 4000, *, capped: bool = False) -> Pairs:
    """Pairs whose probability is known: logistic in the cosine and the log-odds of a kind, or that but at most 0.4."""
    random = np.random.default_rng(3)
    query = np.repeat(np.arange(count // 10), 10)
    cosines, kind = random.uniform(0, 1, count), np.repeat(random.uniform(0.2, 0.95, count // 10), 10)
    truth = 1 / (1 + np.exp(-(8 * cosines + 2 * np.log(kind / (1 - kind)) - 6)))
    same = random.uniform(size=count) < (np.minimum(truth, 0.4) if capped else truth)
    return Pairs(cosines, {"kind": kind}, same, query, ["one", "two"] * (count // 20))


def test_a_relevance_is_the_logistic_function_of_the_weighted_features() -> None:
    curve = RelevanceCurve(8.0, -6.0, {"kind": 2.0, "nothing": -5.0})
    for cosine, about in ((0.5, {"kind": 0.9, "nothing": 0.1}), (-1.0, {"kind": 0.2}), (0.9, {})):
        kind, nothing = (about.get(name, 0.5) for name in ("kind", "nothing"))
        logit = 8 * cosine + 2 * math.log(kind / (1 - kind)) - 5 * math.log(nothing / (1 - nothing)) - 6
        expected = 1 / (1 + math.exp(-logit))
        assert curve.relevance(np.array([cosine], dtype=np.float32), about)[0] == pytest.approx(expected, abs=1e-6)
    sure = curve.relevance(np.array([0.0]), {"kind": 1.0, "nothing": 0.0})
    assert sure == pytest.approx(1 / (1 + math.exp(6 - 7 * math.log(0.999 / 0.001))))
    steep = RelevanceCurve(1e6, 0.0)
    assert steep.relevance(np.array([-1, 0, 1], dtype=np.float32), {}).tolist() == [0.0, 0.5, 1.0]


def test_steps_are_interpolated_and_flat_outside() -> None:
    curve = RelevanceCurve(1.0, 0.0, steps=((0.4, 0.1), (0.6, 0.5)))
    logit = [math.log(p / (1 - p)) for p in (0.2, 0.4, 0.45, 0.6, 0.9)]
    np.testing.assert_allclose(
        curve.relevance(np.array(logit, dtype=np.float32), {}), [0.1, 0.1, 0.2, 0.5, 0.5], atol=1e-6
    )


def test_the_logistic_fit_is_scikit_learns() -> None:
    pairs = drawn_pairs()
    ours = fit_logistic(pairs)
    theirs = LogisticRegression(tol=1e-8, max_iter=1000)
    kind = pairs.about["kind"]
    theirs.fit(np.stack([pairs.cosines, np.log(kind / (1 - kind))], axis=1), pairs.same)
    np.testing.assert_allclose([ours.cosine, ours.odds["kind"]], theirs.coef_[0], rtol=1e-3)
    assert ours.bias == pytest.approx(float(theirs.intercept_[0]), rel=1e-3)


def test_the_steps_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    values = np.round(random.uniform(size=600), 2)  # with ties
    same = random.uniform(size=600) < values**2
    steps = np.array(fit_steps(values, same))
    theirs = IsotonicRegression(out_of_bounds="clip").fit(values, same)
    places = np.unique(values)
    np.testing.assert_allclose(
        np.interp(places, steps[:, 0], steps[:, 1]), theirs.predict(places).clip(0.005, 0.995), atol=1e-4
    )


def test_a_curve_gets_steps_only_if_they_help() -> None:
    plain, bent = fit_curve(drawn_pairs()), fit_curve(drawn_pairs(capped=True))
    assert not plain.curve.steps and plain.error < 0.03
    assert bent.curve.steps and bent.error < 0.03
    assert (plain.queries, plain.pairs) == (400, 4000)
    assert plain.errors.keys() == {"one", "two"} and all(error < 0.06 for error in plain.errors.values())
    assert plain.same == pytest.approx(drawn_pairs().same.mean())
    assert replace(bent.curve, steps=()) == fit_logistic(drawn_pairs(capped=True))


def test_pairs_that_teach_nothing_are_refused() -> None:
    pairs = drawn_pairs()
    with pytest.raises(UsageError, match="more kinds are needed"):
        fit_curve(replace(pairs, same=np.ones_like(pairs.same)))
    with pytest.raises(UsageError, match="no higher cosines"):
        fit_curve(replace(pairs, cosines=-pairs.cosines, about={}))


def test_the_calibration_error_is_the_gap_in_bins_of_equal_size() -> None:
    probabilities = np.array([0.9, 0.1, 0.2, 0.8])
    happened = np.array([True, False, True, False])
    assert expected_calibration_error(probabilities, happened, bins=2) == pytest.approx((0.35 + 0.35) / 2)
    assert expected_calibration_error(probabilities, happened, bins=1) == pytest.approx(0.0)
    assert expected_calibration_error(probabilities, happened) == pytest.approx((0.1 + 0.1 + 0.8 + 0.8) / 4)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_confident_logits_is_found(true_temperature: float) -> None:
    random = np.random.default_rng(1)
    logits = random.normal(size=(20_000, 4)) * 2
    powers = np.exp(logits)
    truth = (powers.cumsum(axis=1) / powers.sum(axis=1, keepdims=True) > random.uniform(size=(20_000, 1))).argmax(
        axis=1
    )
    stretched = np.exp(logits * true_temperature)
    given = (stretched / stretched.sum(axis=1, keepdims=True)).astype(np.float32)
    assert fit_temperature(given, truth) == pytest.approx(true_temperature, rel=0.03)
    powers /= powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(tempered(given, true_temperature), powers, atol=1e-4)


def test_what_no_calibration_is_says_why() -> None:
    whole = Calibration(
        RelevanceCurve(9.0, -5.0, steps=((0.0, 0.1), (1.0, 0.9))),
        RelevanceCurve(7.0, -4.0),
        {"kind": 1.5},
    )
    assert Calibration.from_json(whole.to_json(), file="m.onnx") == whole
    parts = json.loads(whole.to_json())
    for change in (
        {"photo": {"cosine": -1.0, "bias": 0.0}},
        {"photo": {"cosine": 1.0, "bias": 0.0, "odds": {"colour": 1.0}}},
        {"item": {"cosine": 1.0, "bias": float("nan")}},
        {"photo": {"cosine": 1.0, "bias": 0.0, "steps": [[0.5, 0.9], [0.6, 0.8]]}},
        {"photo": {"cosine": 1.0, "bias": 0.0, "steps": [[0.5]]}},
        {"temperatures": {"kind": 0.0}},
        {"more": 1},
    ):
        with pytest.raises(ModelError, match=r"m\.onnx: its calibration is damaged"):
            Calibration.from_json(json.dumps(parts | change), file="m.onnx")
    with pytest.raises(ModelError, match="damaged"):
        Calibration.from_json("{", file="m.onnx")
    with pytest.raises(ConfigError):
        RelevanceCurve(0.0, 0.0)


def test_metadata_is_read_as_onnx_reads_it(labelled_model: Path, tmp_path: Path) -> None:
    expected = {entry.key: entry.value for entry in onnx.load(labelled_model).metadata_props}
    assert read_metadata(labelled_model) == expected
    assert read_metadata(SHIPPED_MODEL)["lookalike.name"] == "default"
    wrong = tmp_path / "wrong.onnx"
    for content in (b"not a model", b"\xff\xff", b"\xff" * 100_000, labelled_model.read_bytes()[:-200]):
        wrong.write_bytes(content)
        with pytest.raises(ModelError, match="not an ONNX file"):
            read_metadata(wrong)


COLORS = {"dress": (200, 40, 40), "skirt": (40, 180, 60), "top": (40, 60, 200), "nothing": (128, 128, 128)}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of three kinds, and queries that also show nothing."""
    folder = tmp_path_factory.mktemp("tables")
    random = np.random.default_rng(0)
    for name, kinds in (("catalogue", ["dress", "skirt", "top"]), ("queries", [*COLORS])):
        rows = ["id,image,kind,gender,price"]
        for number in range(40):
            kind = shown = kinds[number % len(kinds)]
            if number % 9 == 5:  # not all labels are right
                kind = kinds[(number + 1) % len(kinds)]
            pixels = random.normal(COLORS[shown], 40, size=(32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}-{number}.png")
            rows.append(f"{name}-{number},{name}-{number}.png,{kind},{'women' if number % 2 else 'unisex'},{number}")
        (folder / f"{name}.csv").write_text("\n".join(rows), encoding="utf-8")
    (folder / "queries-1.png").write_bytes(b"no photo")
    return folder


def test_a_model_is_calibrated_and_stays_the_same_model(tables: Path, labelled_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "calibrated.onnx"
    made = lookalike.calibrate(labelled_model, tables / "catalogue.csv", queries=tables / "queries.csv", out=file)
    before, after = open_network(labelled_model).identity, open_network(made.file).identity
    assert after.calibration == Calibration(
        made.photo.curve, made.item.curve, {head: each.temperature for head, each in made.heads.items()}
    )
    assert (after.model_id, after.labels, before.calibration) == (before.model_id, before.labels, None)
    assert made.heads.keys() == {"kind", "gender"} and made.heads["kind"].photos == 39
    assert made.heads["gender"].photos == 19  # unisex is no class
    assert (made.photo.queries, made.photo.pairs) == (39, 39 * 39)  # all other items, as there are fewer than 50
    assert (made.item.queries, made.item.pairs) == (40, 40 * 39)
    # Of the 40 queries, one cannot be read; 5 are labelled wrongly, one of them as nothing, and one that is nothing.
    assert made.no_garment == {"nothing": pytest.approx(9 / 10), "garments": pytest.approx(1 / 29)}
    assert made.photo.errors == {str(tables / "queries.csv"): made.photo.error}
    [skipped] = made.skipped
    assert skipped.startswith("queries-1.png")
    json.dumps(made.to_json())


def test_a_calibrated_model_believes_garments_and_no_others(tables: Path, labelled_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "calibrated.onnx"
    lookalike.calibrate(labelled_model, tables / "catalogue.csv", queries=tables / "queries.csv", out=file)
    with lookalike.open(tmp_path / "shop.gallery", model=file) as shop:
        shop.index(tables / "catalogue.csv")
        best = [shop.search(tables / f"queries-{number}.png").matches[0].relevance for number in (0, 2, 3)]
    dress, top, nothing = (relevance or 0.0 for relevance in best)
    assert dress > 0.6 and top > 0.6 and nothing < 0.3


def test_calibrating_again_replaces_a_calibration_even_a_damaged_one(
    tables: Path, labelled_model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "again.onnx"
    file.write_bytes(labelled_model.read_bytes())
    first = lookalike.calibrate(file, tables / "queries.csv")
    once = open_network(file).identity.calibration
    assert once is not None and first.no_garment.keys() == {"nothing", "garments"}
    damaged = write_tiny_model(tmp_path / "damaged.onnx", labels=True, metadata={METADATA: '{"photo": 1}'})
    for model in (file, damaged):
        again = lookalike.calibrate(model, tables / "queries.csv")
        assert replace(again, file=file) == first
        assert open_network(model).identity.calibration == once


def test_a_model_without_heads_is_calibrated_by_the_cosine_alone(
    tables: Path, tiny_model: Path, tmp_path: Path
) -> None:
    made = lookalike.calibrate(tiny_model, [tables / "catalogue.csv"], where="price < 30", out=tmp_path / "plain.onnx")
    assert not made.photo.curve.odds and not made.heads and made.no_garment == {}
    assert made.photo.curve == made.item.curve
    assert made.photo.pairs == 30 * 29


def test_wrong_calls_say_what_is_wrong(tables: Path, tiny_model: Path, tmp_path: Path) -> None:
    catalogue = tables / "catalogue.csv"
    with pytest.raises(UsageError, match="no photo has an attribute 'type'"):
        lookalike.calibrate(tiny_model, catalogue, kind="type", out=tmp_path / "m.onnx")
    with pytest.raises(UsageError, match="the installed model is not changed"):
        lookalike.calibrate("default", catalogue)
    checkpoint = tmp_path / "m.safetensors"
    checkpoint.write_bytes(b"")
    with pytest.raises(UsageError, match="export the checkpoint first"):
        lookalike.calibrate(checkpoint, catalogue)
    alone = tmp_path / "alone.csv"
    alone.write_text(f"id,image,kind\na,{tables / 'catalogue-0.png'},dress\n", encoding="utf-8")
    with pytest.raises(UsageError, match="a single photo"):
        lookalike.calibrate(tiny_model, alone, out=tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_a_damaged_calibration_is_refused(tmp_path: Path) -> None:
    file = write_tiny_model(tmp_path / "m.onnx", metadata={METADATA: "{}"})
    with pytest.raises(ModelError, match="calibration is damaged"):
        open_network(file)
