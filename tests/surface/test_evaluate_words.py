"""`lookalike evaluate --protocol words` and `changed-words`, on the table of the drawn sample.

The vectors are made of its labels, so that a child can say which items are nearest.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lookalike
from lookalike.catalogue.sample.drawn import make_products
from lookalike.cli import main
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.spaces import Space
from lookalike.text.words import read, words_of
from lookalike.types import Float32, Item
from tiny_model import write_tiny_model
from tiny_text_encoder import write_tiny_text_encoder

Capture = pytest.CaptureFixture[str]

FIELDS = ("type", "colour", "gender")
STRENGTH = {"type": 2.0, "colour": 2**0.5, "gender": 1.0}
"""Part of a label in a vector: a right type outweighs colour and gender, a right colour the gender."""


@dataclass(frozen=True)
class Sample:
    """The sample's table, a gallery of its items, and the words of the model's text encoder."""

    folder: Path
    items: Sequence[Item]
    words: Mapping[str, Float32]
    rows: Float32

    @property
    def table(self) -> Path:
        return self.folder / "catalogue.csv"

    @property
    def gallery(self) -> Path:
        return self.folder / "drawn.gallery"

    @property
    def model(self) -> Path:
        return self.folder / "shop.onnx"

    def teach(self, words: Mapping[str, Float32], *, photo_model: str = "tiny@01234567") -> None:
        write_tiny_text_encoder(self.folder / "shop.text.onnx", words, photo_model=photo_model)

    def titles(self) -> set[str]:
        return {str(item.attributes["title"]) for item in self.items}

    def nearest(self, words: Mapping[str, Float32], text: str) -> list[Item]:
        """All items, those first whose vectors are most like the sum of the words' vectors."""
        known = [words[word] for word in read(text, words.keys()).known]
        return self.by_score(unit(sum(known))) if known else []

    def by_score(self, query: Float32) -> list[Item]:
        scores = [round(score, 5) for score in (self.rows @ query).tolist()]
        return [self.items[at] for at in sorted(range(len(scores)), key=lambda at: -scores[at])]


def labels_of(item: Item) -> list[str]:
    return [" ".join(words_of(str(item.attributes[name]))) for name in FIELDS]


def row_of(labels: Iterable[str], words: Mapping[str, Float32]) -> Float32:
    """Sum of the vectors of the words of labels, of length 1."""
    return unit(sum(words[word] for label in labels for word in label.split()))


def unit(row: Any) -> Float32:
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """The drawn sample without its photos, which are not looked at; the encoder's words are those of the labels."""
    rows = [
        {"id": f"{product.id}-{at}", "image": f"{product.id}-{at}.jpg", "product": product.id, **product.attributes()}
        for product in make_products(45)
        for at in range(4)
    ]
    with (tmp_path / "catalogue.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    items = [Item(str(row["id"]), str(row["image"]), product=str(row["product"]), attributes={**row}) for row in rows]
    values = [(name, word) for name in FIELDS for word in sorted({str(row[name]).lower() for row in rows})]
    parts = np.eye(len(values), dtype=np.float32)
    words = {word: parts[at] * np.float32(STRENGTH[name]) for at, (name, word) in enumerate(values)}
    words["t"] = words.pop("t-shirt") - words["shirt"]  # the two words of its name have its vector together
    vectors = np.stack([row_of(labels_of(item), words) for item in items])
    sample = Sample(tmp_path, items, words, vectors)
    write_tiny_model(sample.model)
    sample.teach(words)
    with LocalGallery(sample.gallery, create=True) as gallery:
        gallery.add(items, {"deep": vectors}, spaces=[Space("deep", len(values), "tiny@01234567")])
        gallery.remember_model(str(sample.model))
    return sample


def evaluated(capsys: Capture, sample: Sample, *arguments: object) -> Any:
    capsys.readouterr()
    assert main(["evaluate", *map(str, (sample.table, "-g", sample.gallery, *arguments)), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def figures_of(found: Any) -> dict[str, float]:
    return {name: figure["value"] for name, figure in found["metrics"].items()}


def queries_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "queries.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# Words alone.


def slow_ndcg(grades: Sequence[int], best: Sequence[int]) -> float:
    """Gain 2^grade - 1 of the first ten, less at later ranks, divided by that of the best order."""
    gained, possible = (
        sum((2**grade - 1) / np.log2(1 + rank) for rank, grade in enumerate(row[:10], start=1))
        for row in (grades, sorted(best, reverse=True))
    )
    return float(gained / possible)


def slow_phrase(sample: Sample, words: Mapping[str, Float32], text: str, labels: Sequence[str]) -> dict[str, float]:
    """Figures of one text, word by word."""

    def grade(item: Item) -> int:
        agrees = [own == asked for own, asked in zip(labels_of(item), labels, strict=True)]
        return agrees.index(False) if False in agrees else 3

    grades = [grade(item) for item in sample.nearest(words, text)]
    return {
        "precision@1": float(grades[:1] == [3]),
        "ndcg@10": slow_ndcg(grades, [grade(item) for item in sample.items]),
        "hit_rate@10": float(3 in grades[:10]),
    }


TEXTS = {
    "plain": "{1} {0} for {2}",
    "keywords": "{2} {0} {1}",
    "sentence": "my friend recommended {0} in {1}, suitable for {2}",
}


def slow_words(sample: Sample, words: Mapping[str, Float32]) -> dict[str, float]:
    """Figures of all phrases and titles, but those of synonyms."""
    found: dict[str, list[float]] = {}
    for labels in {tuple(labels_of(item)) for item in sample.items}:
        for wording, text in TEXTS.items():
            for name, value in slow_phrase(sample, words, text.format(*labels), labels).items():
                found.setdefault(f"{name}[{wording}]", []).append(value)
    for title in sample.titles():
        nearest = [item.attributes["title"] for item in sample.nearest(words, title)]
        for k in (1, 10):
            found.setdefault(f"hit_rate@{k}[own title]", []).append(float(title in nearest[:k]))
    return {name: float(np.mean(values)) for name, values in found.items()}


def scrambled(words: Mapping[str, Float32]) -> dict[str, Float32]:
    """Words that all mean something else."""
    return dict(zip(words, [*list(words.values())[1:], next(iter(words.values()))], strict=True))


def test_words_that_mean_their_labels_find_them_all(sample: Sample, capsys: Capture) -> None:
    found = evaluated(capsys, sample, "--protocol", "words=type,colour,gender")
    figures = figures_of(found)
    assert {name for name in figures if name.endswith(("[plain]", "[keywords]", "[sentence]"))} == {
        f"{name}[{wording}]" for name in ("precision@1", "ndcg@10", "hit_rate@10") for wording in TEXTS
    }
    assert all(figures[f"{name}[{wording}]"] == 1 for name in ("precision@1", "ndcg@10") for wording in TEXTS)
    for name, value in slow_words(sample, sample.words).items():
        assert figures[name] == pytest.approx(value), name
    assert found["queries"] == len({tuple(labels_of(item)) for item in sample.items}) + len(sample.titles())
    assert found["weights"] == {"deep": 1.0}
    assert figures["hit_rate@10[own title, hybrid]"] == 1  # the letters of a title are in its item


def test_words_that_mean_other_labels_do_not(sample: Sample, capsys: Capture) -> None:
    words = scrambled(sample.words)
    sample.teach(words)
    figures = figures_of(evaluated(capsys, sample, "--protocol", "words=type,colour,gender"))
    for name, value in slow_words(sample, words).items():
        assert figures[name] == pytest.approx(value, abs=1e-6), name
    assert figures["precision@1"] < 0.2


def test_few_items_titles_and_unknown_words_are_told(sample: Sample, capsys: Capture) -> None:
    """A phrase that fewer than three items fit is not asked, and a text of unknown words finds nothing."""
    few = "id not in ('d001-0', 'd001-1')"
    found = evaluated(capsys, sample, "--protocol", "words=type,colour,gender", "--where", few)
    assert "1 phrases are left out: fewer than 3 items of the gallery have all their labels" in found["notes"]
    sample.teach({"shirt": sample.words["shirt"]})
    found = evaluated(capsys, sample, "--protocol", "words")
    silent = sum(not read(title, {"shirt"}).known for title in sample.titles())
    assert f"{silent} texts have no word that the text encoder has learnt; they count as 0" in found["notes"]
    sample.teach(sample.words)
    sample.table.write_text(sample.table.read_text().replace("title", "text", 1))
    found = evaluated(capsys, sample, "--protocol", "words=type,colour,gender")
    assert "no item has a title, an attribute such as `title`: only phrases are asked" in found["notes"]
    assert not any("own title" in name for name in found["metrics"])


# Words beside a photo.


def slow_changes(
    sample: Sample, queries: Sequence[str], fields: Sequence[str], *, words_alone: bool
) -> dict[str, float]:
    """Figures of changes, whose queries are given as `d001-0, colour: blue`, by the words or by the photo alone."""
    items = {item.id: item for item in sample.items}
    labels = {item.id: dict(zip(FIELDS, labels_of(item), strict=True)) for item in sample.items}
    found: dict[str, list[float]] = {}
    for query in queries:
        id_, name, label = query.replace(": ", ", ").split(", ")
        wanted = {field: labels[id_][field] for field in fields} | {name: label}
        row = row_of([label] if words_alone else labels[id_].values(), sample.words)
        others = [item for item in sample.by_score(row) if item.product != items[id_].product]
        agree = [{field: labels[item.id][field] == asked for field, asked in wanted.items()} for item in others]
        possible = sum(all(each.values()) for each in agree)
        assert possible > 0
        for part in ("{}", f"{name}: {{}}", *(["{}, ten exist"] if possible >= 10 else [])):
            found.setdefault(part.format("new value"), []).append(sum(each[name] for each in agree[:10]) / 10)
            kept = sum(all(is_same for other, is_same in each.items() if other != name) for each in agree[:10]) / 10
            found.setdefault(part.format("others kept"), []).append(kept)
            found.setdefault(part.format("both"), []).append(sum(all(each.values()) for each in agree[:10]) / 10)
    return {f"precision@10[{name}]": float(np.mean(values)) for name, values in found.items()}


@pytest.mark.parametrize(("weight", "fields"), [(0, FIELDS), (1, ("type", "gender"))])
def test_a_changed_label_is_counted_as_a_child_counts(
    sample: Sample, capsys: Capture, weight: int, fields: Sequence[str]
) -> None:
    report = sample.folder / "report"
    options = ("--protocol", f"changed-words={','.join(fields)}", "--text-weight", weight)
    found = evaluated(capsys, sample, *options, "--report", report)
    queries = [row["query"] for row in queries_of(report)]
    assert found["queries"] == len(queries) == len(set(queries)) > 150
    expected = slow_changes(sample, queries, fields, words_alone=weight == 1)
    assert figures_of(found) == pytest.approx(expected, abs=1e-6)
    assert list(found["metrics"])[:3] == [f"precision@10[{part}]" for part in ("new value", "others kept", "both")]
    assert ("precision@10[both, ten exist]" in found["metrics"]) == (len(fields) == 2)
    assert f"weight of the words beside the photo: {weight}" in found["notes"]


def test_a_photo_and_a_word_find_what_has_both(sample: Sample, capsys: Capture) -> None:
    """With words as strong as the photo, nothing is better than what the gallery has of the changed garment."""
    found = evaluated(capsys, sample, "--protocol", "changed-words=type,colour,gender")
    most = next(note for note in found["notes"] if note.startswith("the gallery allows"))
    assert f"{figures_of(found)['precision@10[both]']:.4f}" in most


def test_comparisons_weigh_each_phrase_by_its_wordings(sample: Sample, capsys: Capture) -> None:
    right, wrong = sample.folder / "right", sample.folder / "wrong"
    options = ("--protocol", "words=type,colour,gender")
    first = evaluated(capsys, sample, *options, "--report", right)
    sample.teach(scrambled(sample.words))
    second = evaluated(capsys, sample, *options, "--report", wrong)
    assert main(["evaluate", "--compare", str(right), str(wrong), "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)["metrics"]
    for name, value in figures_of(first).items():
        assert compared[name]["a"] == pytest.approx(value)
        assert compared[name]["b"] == pytest.approx(second["metrics"][name]["value"])
    assert compared["precision@1"]["p_value"] < 0.001
    assert "| precision@1[plain] | 1.0000 |" in (right / "report.md").read_text()
    assert {row["category"] for row in queries_of(right)} == {str(item.attributes["type"]) for item in sample.items}


def test_a_retriever_and_python_give_the_same(sample: Sample, capsys: Capture) -> None:
    said: list[tuple[int, int]] = []
    with lookalike.open(sample.gallery) as retriever:
        found = lookalike.evaluate(
            sample.table,
            gallery=retriever,
            protocol="words=type",
            progress=lambda done, total: said.append((done, total)),
        )
    assert found.to_json() == evaluated(capsys, sample, "--protocol", "words=type")
    assert said == [(done, len(said)) for done in range(1, len(said) + 1)]


MISTAKES = {
    "no labels to change": (["--protocol", "changed-words"], "needs attributes, the leading one first"),
    "no such label": (["--protocol", "words=color"], "did you mean 'colour'?"),
    "a weight without a photo": (
        ["--protocol", "words=type", "--text-weight", "0.3"],
        "'fashioniq' and 'fashion200k' alone",
    ),
    "a weight too large": (["--protocol", "changed-words=type", "--text-weight", "2"], "text_weight must be a number"),
    "distances": (["--protocol", "words=type", "--metric", "deep=euclidean"], "leave metrics and apart out"),
    "nothing changes": (["--protocol", "changed-words=type", "--where", "type = 'Hat'"], "differ in one of type alone"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(sample: Sample, capsys: Capture, mistake: str) -> None:
    words, message = MISTAKES[mistake]
    assert main(["evaluate", str(sample.table), "-g", str(sample.gallery), *words]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.startswith("error: ") and shown.count("\n") == 1


def test_a_model_without_words_says_how_to_get_them(sample: Sample, capsys: Capture) -> None:
    (sample.folder / "shop.text.onnx").unlink()
    for measured in (["-g", str(sample.gallery)], ["--model", str(sample.model)]):
        assert main(["evaluate", str(sample.table), *measured, "--protocol", "words=type"]) == 2
        shown = capsys.readouterr().err
        assert "needs a text encoder, MODEL.text.onnx beside one model" in shown
        assert '`lookalike train` with `task = "text"` makes one' in shown
    sample.teach(sample.words, photo_model="other@fedcba98")
    assert main(["evaluate", str(sample.table), "-g", str(sample.gallery), "--protocol", "words=type"]) == 2
    assert "text encoder of the model other@fedcba98" in capsys.readouterr().err


def test_titles_alone_need_titles(sample: Sample, capsys: Capture) -> None:
    figures = figures_of(evaluated(capsys, sample, "--protocol", "words"))
    assert list(figures) == [f"hit_rate@{k}[own title{way}]" for way in ("", ", hybrid") for k in (1, 10)]
    sample.table.write_text(sample.table.read_text().replace("title", "text", 1))
    assert main(["evaluate", str(sample.table), "-g", str(sample.gallery), "--protocol", "words"]) == 2
    assert "no item has a title, an attribute such as `title`; name attributes" in capsys.readouterr().err
