"""Measure the default model's text encoder on the dev photos of the catalogue: phrases, titles, changed photos.

    python bench/words.py myntra/kinds.csv [default | MODEL.onnx]

The table is that of `bench/add_kinds.py`. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.labels import labels_of
from lookalike.embedding.model_loading import find_model, open_network
from lookalike.images import open_image
from lookalike.models.text_encoder_file import text_encoder_of
from lookalike.text.composition import COLOR, DEEP, asked, compose
from lookalike.text.encoder import TextEncoder
from lookalike.text.lexicon import COLOUR, ENGLISH, GARMENT, GENDER, lexicon
from lookalike.text.words import words_of
from lookalike.types import Float32, Labels

LARGE = ("p225x300", "sq224")
"""Sizes of catalogue photos of 224 pixels or more."""

ROLES = (GARMENT, COLOUR, GENDER)
LABELS = {"common": ("type", "colour", "gender"), "the catalogue's own": ("articleType", "baseColour", "gender")}
"""Columns of garment, colour and gender: in words common to all sources, and in the catalogue's."""

LEAST = 3
"""Photos that have the labels of a phrase, at least."""

PER_ATTRIBUTE = 300
"""Most queries of changed photos for each attribute."""

USUAL = ("{colour} {garment} for {gender}",)
ORDERS = ("{gender} {garment} {colour}", "{garment}, {gender}, {colour}", "{colour} {gender} {garment}")
SENTENCES = (
    "is there something like a {garment} that is {colour} and made for {gender}?",
    "my friend would love some {garment} for {gender}, in the color {colour}",
    "{gender} want a {garment}; its color should be {colour}",
    "i have seen a {garment} for {gender}, it was {colour}",
    "have you got this {garment} for {gender} in {colour} too?",
)
"""Sentences that training did not have."""


@dataclass(frozen=True, slots=True)
class Photos:
    """Dev photos.

    Attributes:
        rows: Rows of the table.
        vectors: (N, D) float32 by space.
        shown: What the model says that each photo shows.
    """

    rows: Sequence[Mapping[str, str]]
    vectors: Mapping[str, Float32]
    shown: Sequence[Labels]

    def labels(self, columns: Sequence[str]) -> list[tuple[str, ...]]:
        """Labels of each photo."""
        return [tuple(row[column] for column in columns) for row in self.rows]


def read_photos(table: Path, model: str) -> Photos:
    """Embed the dev photos of a table."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "dev" and row["photo"] in LARGE]
    embedder = PhotoEmbedder(open_network(model))
    vectors = defaultdict(list)
    shown: list[Labels] = []
    for row in rows:
        photo = open_image(table.parent / row["file"], at_least=embedder.wanted_size)
        embedded = embedder.embed_prepared([embedder.prepare(photo)])
        shown.append(labels_of(embedded.labels, embedder.labels).shown)
        for space, of_space in embedded.vectors.items():
            vectors[space].append(of_space)
    return Photos(rows, {space: np.concatenate(parts) for space, parts in vectors.items()}, shown)


@dataclass(frozen=True, slots=True)
class Say:
    """Makes phrases of labels.

    Attributes:
        frames: Sentences with places for the words; one is taken by chance.
        language: Language of the words.
        any_phrase: Whether any phrase of the lexicon is taken, or the label's own words and in other languages the
            usual ones.
        random: Source of chance.
    """

    frames: Sequence[str]
    language: str
    any_phrase: bool
    random: np.random.Generator

    def __call__(self, *labels: str) -> str:
        """Phrase of labels of a garment, its colour and gender."""
        words = {role: self.words(role, label) for role, label in zip(ROLES, labels, strict=True)}
        return self.frames[int(self.random.integers(len(self.frames)))].format(**words)

    def words(self, attribute: str, label: str) -> str:
        """Words for a label; its own where the lexicon has none."""
        value = lexicon().value_of(attribute, label)
        phrases = lexicon().phrases[self.language].get(attribute, {}).get(value or "", ())
        if not phrases or (self.language == ENGLISH and not self.any_phrase):
            return " ".join(words_of(label))
        return " ".join(phrases[int(self.random.integers(len(phrases))) if self.any_phrase else 0])


def measure_phrases(encoder: TextEncoder, photos: Photos, columns: Sequence[str], say: Say) -> str:
    """Cells of a table: number of phrases; all right at rank 1, each label right at rank 1; NDCG@10."""
    labels = photos.labels(columns)
    wanted = [each for each, count in Counter(labels).items() if count >= LEAST and all(each)]
    rows = np.concatenate([asked(encoder.read(say(*each)), encoder)[DEEP] for each in wanted])
    order = np.argsort(-(rows @ photos.vectors[DEEP].T), axis=1, kind="stable")[:, :10]
    right = np.array([[[a == b for a, b in zip(labels[p], each, strict=True)] for p in places]
                      for places, each in zip(order, wanted, strict=True)])  # fmt: skip
    discounts = 1 / np.log2(np.arange(2, 12))
    ndcg = []
    for each, found in zip(wanted, right, strict=True):
        gains = 2.0 ** np.cumprod(found, axis=1).sum(axis=1) - 1
        all_right = np.array([[a == b for a, b in zip(other, each, strict=True)] for other in labels])
        best = np.sort(2.0 ** np.cumprod(all_right, axis=1).sum(axis=1) - 1)[::-1][:10]
        ndcg.append((gains * discounts).sum() / (best * discounts).sum())
    first = [*right[:, 0].mean(axis=0)]
    cells = [f"{len(wanted)}", *(f"{x:.3f}" for x in (right[:, 0].all(axis=1).mean(), *first, np.mean(ndcg)))]
    return " | ".join(cells)


def print_phrases(encoder: TextEncoder, photos: Photos) -> None:
    """Print how well phrases are answered, in several wordings and languages."""
    kinds = {
        "as in training": (USUAL, ENGLISH, False),
        "other order": (ORDERS, ENGLISH, False),
        "new sentences": (SENTENCES, ENGLISH, False),
        "synonyms": (USUAL, ENGLISH, True),
        "new sentences, synonyms": (SENTENCES, ENGLISH, True),
        **{language: (USUAL, language, True) for language in lexicon().phrases if language != ENGLISH},
    }
    print("| labels | wording | phrases | all right, rank 1 | garment | colour | gender | ndcg@10 |")
    print("|---|---|---|---|---|---|---|---|")
    for name, columns in LABELS.items():
        for wording, (frames, language, any_phrase) in kinds.items():
            say = Say(frames, language, any_phrase, np.random.default_rng(0))
            print(f"| {name} | {wording} | {measure_phrases(encoder, photos, columns, say)} |", flush=True)


def print_titles(encoder: TextEncoder, photos: Photos) -> None:
    """Print how often a title finds its own photo, and how fast."""
    read = [encoder.read(row["title"]) for row in photos.rows]
    began = perf_counter()
    rows = np.concatenate([asked(each, encoder)[DEEP] for each in read])
    took = (perf_counter() - began) / len(read) * 1000
    cosines = rows @ photos.vectors[DEEP].T
    ranks = (cosines > np.diag(cosines)[:, None]).sum(axis=1)
    unknown = np.mean([len(each.unknown) / (len(each.known) + len(each.unknown)) for each in read])
    rates = ", ".join(f"hit_rate@{k} {(ranks < k).mean():.3f}" for k in (1, 10))
    print(f"\ntitles: {rates}; {unknown:.2f} of their words are unknown; {took:.2f} ms each")


def print_changes(encoder: TextEncoder, photos: Photos) -> None:
    """Print how well photos that words change are answered, of the spaces deep 1, color 0.1."""
    columns = LABELS["common"]
    labels = np.array(photos.labels(columns))
    groups = np.array([row["group_id"] for row in photos.rows])
    says = {"type": "a {} like this", "colour": "this, but {}", "gender": "the same for {}"}
    print("\n| changed | queries | new of the first ten | others kept | both | both, labels unknown |")
    print("|---|---|---|---|---|---|")
    for place, column in enumerate(columns):
        others = [other for other in range(3) if other != place]
        queries = []
        for row in range(len(labels)):
            alike = (labels[:, others] == labels[row, others]).all(axis=1) & (groups != groups[row])
            counts = Counter(labels[alike, place])
            named = all(labels[row])
            queries += [
                (row, new) for new, n in counts.items() if named and n >= 10 and new and new != labels[row, place]
            ]
        random = np.random.default_rng(0)
        chosen = [queries[at] for at in random.permutation(len(queries))[:PER_ATTRIBUTE]]
        shares = defaultdict(list)
        for row, new in chosen:
            text = encoder.read(says[column].format(new))
            photo = {space: rows[row : row + 1] for space, rows in photos.vectors.items()}
            for known in (True, False):
                shown = photos.shown[row] if known else None
                query = compose(photo, text, encoder, labels=shown, weight=0.5)
                scores = photos.vectors[DEEP] @ query[DEEP][0] + 0.1 * photos.vectors[COLOR] @ query[COLOR][0]
                nearest = np.argsort(-np.where(groups == groups[row], -9, scores), kind="stable")[:10]
                has_new = labels[nearest, place] == new
                keeps = (labels[nearest][:, others] == labels[row, others]).all(axis=1)
                shares["new", known].append(has_new.mean())
                shares["kept", known].append(keeps.mean())
                shares["both", known].append((has_new & keeps).mean())
        cells = [np.mean(shares[key]) for key in (("new", True), ("kept", True), ("both", True), ("both", False))]
        print(f"| {column} | {len(chosen)} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |", flush=True)


def main() -> None:
    """Measure everything, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("--encoder", type=Path, help="text encoder; by default the one beside the model")
    given = parser.parse_args()
    encoder = TextEncoder(given.encoder or text_encoder_of(find_model(given.model)))
    photos = read_photos(given.table, given.model)
    print(f"{len(photos.rows):,} photos; {len(encoder.learnt or ()):,} words; of {encoder.photo_model}\n")
    print_phrases(encoder, photos)
    print_titles(encoder, photos)
    print_changes(encoder, photos)


if __name__ == "__main__":
    main()
