"""Measure several models, PCA projections and refinements on the dev splits of a training file.

    python bench/fusion.py CONFIG.toml default imagenet.onnx [--rows FILE.npz]

Prints Markdown tables, all measured in the same run on all dev photos: weights of spaces, principal components, and
query expansion, re-ranking and augmentation under the default weights of the first model. Changes whose 95 % interval
excludes 0 are marked + or -. With --rows the vectors are saved in the file, and read from it if it exists.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from lookalike.catalogue.opening import open_catalogue
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.evaluation.intervals import bootstrap_intervals
from lookalike.evaluation.ranking import Scorer, evaluate_scores
from lookalike.evaluation.task import Task, grades_task
from lookalike.retrieval.expansion import expand
from lookalike.retrieval.k_reciprocal import reciprocal_scores
from lookalike.spaces import DEFAULT_WEIGHTS, concatenate, slices, unit_rows
from lookalike.training.data.dataset import Split, read_splits, unknown_of
from lookalike.training.data.training_data import dev_changes
from lookalike.training.run.dev_measure import Described, changed_photos, described  # as in bench/quality.py
from lookalike.training.settings.run_settings import load_settings
from lookalike.tuning.pca import learn_projection
from lookalike.types import Float32

CANDIDATES = 100
Spaces = Mapping[str, Float32]
Look = Callable[[Float32, Float32, Float32], Float32]
"""Computes new scores from queries (Q, D), gallery (N, D) and scores (Q, N), -inf for excluded pairs."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A catalogue: its task, the vectors of its photos, and changed photos with the positions of their originals."""

    task: Task
    rows: Spaces
    changed: Mapping[str, tuple[Spaces, np.ndarray]]


def read_parts(config: Path, models: Sequence[str], kept: Path | None) -> list[Part]:
    """Embed all dev photos with all models."""
    settings = load_settings(config)
    base = config.parent
    splits = [read_splits(dataclasses.replace(data, dev_photos=0), folder=base)["dev"] for data in settings.data]
    given = settings.augmentation
    grounds = open_catalogue(str(base / given.backgrounds), columns=given.background_columns).items()
    changes = dev_changes(
        size=(240, 180), backgrounds=[item.location for item in grounds if item.attributes.get("split") == "dev"]
    )
    embedder = PhotoEmbedder(*(open_network(model) for model in models))
    known = dict(np.load(kept)) if kept is not None and kept.exists() else {}

    def describe(photos: Sequence[Image.Image]) -> Described:
        return Described(concatenate(embedder.embed(photos), embedder.spaces))

    def spaces(rows: Float32) -> Spaces:
        return {name: np.ascontiguousarray(rows[:, place]) for name, place in slices(embedder.spaces).items()}

    parts = []
    for place, split in enumerate(splits):
        if f"{place}/rows" not in known:
            from lookalike.images import open_image

            photos = (open_image(item.location, at_least=240, box=item.box) for item in split.items)
            known[f"{place}/rows"] = described(describe, photos).rows
            for name, change in changes.items():
                found: list[int] = []
                photos = changed_photos(split.items, change, at_least=240, found=found)
                known[f"{place}/{name}"] = described(describe, photos).rows
                known[f"{place}/{name} found"] = np.array(found)
        changed = {
            name: (spaces(known[f"{place}/{name}"]), known[f"{place}/{name} found"])
            for name in changes
            if len(known[f"{place}/{name} found"])
        }
        parts.append(Part(task_of(split), spaces(known[f"{place}/rows"]), changed))
    if kept is not None:
        np.savez(kept, **known)
    return parts


def task_of(split: Split) -> Task:
    """Make the leave-one-out task with the grades of the training file."""
    settings = split.settings
    return grades_task(split.items, settings.grades, apart=settings.apart, unknown=unknown_of(settings))


def joined(rows: Spaces, weights: Mapping[str, float]) -> Float32:
    """Return rows whose inner products are the scores."""
    total = sum(weights.values())
    parts = [np.sqrt(np.float32(weight / total)) * rows[name] for name, weight in weights.items() if weight]
    return np.concatenate(parts, axis=1)


def measure(parts: Sequence[Part], weights: Mapping[str, float], look: Look | None = None) -> dict[str, np.ndarray]:
    """Compute the values of each figure by query."""
    values: dict[str, np.ndarray] = {}
    for place, part in enumerate(parts):
        gallery = joined(part.rows, weights)
        measured = evaluate_scores(scorer_of(part.task, gallery, look), task=part.task).metric_values
        for at, name in enumerate(measured.metrics):
            if name == "ndcg@10" or name.startswith("precision@1[") or (name == "precision@1" and place):
                values[f"{place}/{name.partition('[')[0]}"] = measured.values[:, at]
        for name, (rows, found) in part.changed.items():
            queries = joined(rows, weights)
            scores = queries @ gallery.T
            scores = scores if look is None else look(queries, gallery, scores)
            values[f"{place}/{name} hit_rate@1"] = (scores.argmax(axis=1) == found).astype(np.float64)
    return values


def scorer_of(task: Task, gallery: Float32, look: Look | None) -> Scorer:
    """Return a scorer with a refinement of the scores."""

    def score(queries: np.ndarray) -> Float32:
        scores = gallery[queries] @ gallery.T
        if look is None:
            return scores
        for numbers in task.apart:
            scores[(numbers[queries][:, None] == numbers[None, :]) & (numbers[queries] >= 0)[:, None]] = -np.inf
        return look(gallery[queries], gallery, scores)

    return score


def expansion(count: int, *, alpha: float = 3.0) -> Look:
    """Return query expansion with `count` neighbours."""

    def look(queries: Float32, gallery: Float32, scores: Float32) -> Float32:
        nearest = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        asked = expand(queries, gallery[nearest], np.take_along_axis(scores, nearest, axis=1), alpha=alpha)
        return np.where(np.isfinite(scores), asked @ gallery.T, np.float32(-np.inf))

    return look


def among_candidates(judge: Callable[[Float32, Float32], Float32]) -> Look:
    """Return a refinement that reorders the best candidates and keeps them ahead of all others."""

    def look(queries: Float32, gallery: Float32, scores: Float32) -> Float32:
        judged = scores - 10
        for row, (query, known) in enumerate(zip(queries, scores, strict=True)):
            best = np.argsort(-known, kind="stable")[:CANDIDATES]
            best = best[np.isfinite(known[best])]
            judged[row, best] = judge(query, gallery[best])
        return judged

    return look


def reciprocal(neighbours: int, expansion: int, trust: float) -> Look:
    """Return re-ranking by k-reciprocal neighbours."""

    def judge(query: Float32, candidates: Float32) -> Float32:
        rows = np.concatenate([query[None], candidates])
        return reciprocal_scores(rows @ rows.T, neighbours=neighbours, expansion=expansion, trust=trust)

    return among_candidates(judge)


def augmentation(count: int) -> Look:
    """Return augmentation of candidates with their neighbours among the candidates."""

    def judge(query: Float32, candidates: Float32) -> Float32:
        similarity = candidates @ candidates.T
        np.fill_diagonal(similarity, -1)
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        rows = expand(candidates, candidates[nearest], np.take_along_axis(similarity, nearest, axis=1))
        return rows @ query

    return among_candidates(judge)


def reduced(parts: Sequence[Part], dimensions: Mapping[str, int], *, whiten: float) -> list[Part]:
    """Return the parts with PCA projections, fitted to each catalogue's own rows."""
    shorter = []
    for part in parts:
        rows = {name: unit_rows(part.rows[name]) for name in dimensions}
        learned = {
            name: learn_projection(lambda name=name: iter([rows[name]]), dimension=count, whiten=whiten)  # noqa: B023
            for name, count in dimensions.items()
        }

        def apply(spaces: Spaces, learned: Mapping = learned) -> Spaces:
            return {name: learned[name].apply(part) if name in learned else part for name, part in spaces.items()}

        changed = {name: (apply(spaces), found) for name, (spaces, found) in part.changed.items()}
        shorter.append(Part(part.task, apply(part.rows), changed))
    return shorter


def heading(names: Sequence[str], *, first: str) -> None:
    """Print the first two lines of a table."""
    print(f"\n| {first} | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))


def show(name: str, values: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray] | None = None) -> None:
    """Print a row of a table; with `before`, changes whose 95 % interval excludes 0 are marked."""
    cells = []
    for key, column in values.items():
        mark = ""
        if before is not None:
            [(low, high)] = bootstrap_intervals((column - before[key])[:, None])
            mark = " +" if low > 0 else " -" if high < 0 else ""
        cells.append(f"{column.mean():.3f}{mark}")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def words(weights: Mapping[str, float]) -> str:
    """Return weights as the name of a row."""
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items())


def main() -> None:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("models", nargs=2)
    parser.add_argument("--rows", type=Path)
    arguments = parser.parse_args()
    parts = read_parts(arguments.config, arguments.models, arguments.rows)
    first, second = ("deep-default", next(n for n in parts[0].rows if n.startswith("deep-") and n != "deep-default"))
    usual = {first: 1.0, "color": DEFAULT_WEIGHTS["color"]}
    plain = measure(parts, usual)

    heading([*plain], first="weights")
    show(words(usual), plain)
    for weights in ({second: 1.0}, *({**usual, second: weight} for weight in (0.1, 0.3, 0.5, 1.0))):
        show(words(weights), measure(parts, weights), plain)

    alone = {first: 1.0}
    whole = measure(parts, alone)
    heading([*plain], first=f"numbers of {first}, whiten")
    show(f"all {parts[0].rows[first].shape[1]}", whole)
    for dimension in (32, 64, 128):
        for whiten in (0.0, 0.5, 1.0):
            values = measure(reduced(parts, {first: dimension}, whiten=whiten), alone)
            show(f"{dimension}, {whiten:g}", values, whole)
    together = {**usual, second: 0.3}
    whole = measure(parts, together)
    heading([*plain], first=f"{words(together)}: numbers of {first} and {second}")
    show("all", whole)
    for short, other in ((128, 256), (64, 128)):
        values = measure(reduced(parts, {first: short, second: other}, whiten=0.0), together)
        show(f"{short} and {other}", values, whole)

    heading([*plain], first=words(usual))
    show("one look", plain)
    looks = {f"expand {count}": expansion(count) for count in (1, 2, 3, 5, 10)}
    looks |= {f"rerank {CANDIDATES}: {k1}, {k2}, {trust:g}": reciprocal(k1, k2, trust)
              for k1, k2, trust in ((20, 6, 0.3), (20, 6, 0.7), (20, 6, 0.9), (10, 3, 0.9))}  # fmt: skip
    looks |= {f"augment {count}": augmentation(count) for count in (2, 5)}
    for name, look in looks.items():
        started = perf_counter()
        values = measure(parts, usual, look)
        taken = perf_counter() - started
        show(name, values, plain)
        asked = sum(len(part.task.queries) + sum(len(found) for _, found in part.changed.values()) for part in parts)
        print(f"<!-- {name}: {taken / asked * 1000:.2f} ms a query -->", flush=True)


if __name__ == "__main__":
    main()
