"""Text encoders: trained on the drawn sample, until words find the photos that they fit; the exported file."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from lookalike.catalogue.sample.drawn import open_drawn
from lookalike.cli.commands import make_app
from lookalike.errors import (
    CatalogueError,
    ConfigError,
    LookalikeError,
    MismatchError,
    ModelError,
    UnknownNameError,
    UsageError,
)
from lookalike.gallery.opening import gallery_of, open_gallery
from lookalike.models.checkpoint import CONTENT, content_sum
from lookalike.models.export_checkpoint import export
from lookalike.models.onnx_file import write_metadata
from lookalike.models.text.checkpoint import load_text_encoder
from lookalike.models.text.tokenizer import make_tokenizer
from lookalike.models.text_encoder_file import FORMAT
from lookalike.spaces import Space
from lookalike.text.encoder import TextEncoder
from lookalike.text.lexicon import lexicon
from lookalike.training.run.schedule import rate_factor
from lookalike.training.settings.presets import find_settings
from lookalike.training.text.batches import TextBatches
from lookalike.training.text.dev_words import measure_words
from lookalike.training.text.labelled_texts import Fact, TitledPhotos, facts_of, part_of
from lookalike.training.text.learnt_words import descriptive_words, learnt_words, numbered
from lookalike.training.text.loop import read_all, train_text_encoder
from lookalike.training.text.settings import TextDataSettings, WordSettings, load_text_settings
from lookalike.training.train import train
from lookalike.types import Float32, Item

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

RUN = """
task = "text"
name = "shop"
steps = 420
batch = 48
photos = 64
measure_every = 210
save_every = 200
temperature = 0.03
network = { width = 48, hidden = 64, dropout = 0.0 }
words = { titles = 2, beginnings = 2, first = 1.0 }

[[data]]
gallery = "shop.gallery"
garment = ["type"]
colour = ["colour"]
gender = ["gender"]
other = ["pattern", "season"]
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a gallery of the first photo of each drawn product."""
    folder = tmp_path_factory.mktemp("shop")
    rows = [
        {"id": item.id, "image": item.location, "product": item.product, **item.attributes}
        for item in open_drawn().items()
        if item.id.endswith("-1")
    ]
    with (folder / "shop.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    done = CliRunner().invoke(make_app(), ["index", str(folder / "shop.csv"), "-g", str(folder / "shop.gallery")])
    assert done.exit_code == 0, done.output
    (folder / "run.toml").write_text(RUN, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def checkpoint(shop: Path) -> Path:
    reported: list[str] = []
    trained = train(shop / "run.toml", out=shop / "run", report=reported.append)
    assert reported[0].startswith("60 photos of default@") and trained.skipped == []
    assert "nothing to measure" in reported[1]  # without a dev split
    return trained.checkpoint


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> TextEncoder:
    file = checkpoint.with_name("default.text.onnx")
    done = CliRunner().invoke(make_app(), ["export", str(checkpoint), "--onnx", str(file), "--half"])
    assert done.exit_code == 0 and "least cosine" in done.output, done.output
    return TextEncoder(file)


@pytest.fixture(scope="module")
def photos(shop: Path) -> tuple[list[Item], Float32]:
    with gallery_of(shop / "shop.gallery") as gallery:
        batches = list(gallery.rows())
    return [item for items, _ in batches for item in items], np.concatenate([rows["deep"] for _, rows in batches])


FRAMES = (
    "{colour} {type}",
    "i am looking for a {type}, please, in {colour}",
    "{type} {colour}",
    "this, but a {colour} {type}",
)


@pytest.mark.parametrize("frame", FRAMES)
def test_words_find_a_photo_of_their_type_and_colour(
    frame: str, encoder: TextEncoder, photos: tuple[list[Item], Float32]
) -> None:
    items, vectors = photos
    labels = [(item.attributes["type"], item.attributes["colour"]) for item in items]
    right = 0
    for item, asked in zip(items, labels, strict=True):
        read = encoder.read(frame.format(**item.attributes))
        assert read.unknown == () and not read.corrected
        right += labels[int((encoder.encode([" ".join(read.known)]) @ vectors.T).argmax())] == asked
    # All of them with six seeds; processors round sums differently, as other seeds would.
    assert right >= len(items) - 2


def test_other_words_for_the_same_have_the_same_vector(encoder: TextEncoder) -> None:
    same = ["red dress", "red frock", "rotes Kleid", "rouge robe"]
    rows = encoder.encode([" ".join(encoder.read(text).known) for text in same])
    np.testing.assert_allclose(rows[1:], rows[[0, 0, 0]], atol=1e-6)
    assert encoder.read("red seersucker frock").unknown == ("seersucker",)
    assert encoder.read("saree").unknown == ("saree",)  # the lexicon has it, and no photo shows one
    assert float(np.abs(encoder.encode(["", "seersucker"])).max()) == 0.0


def test_the_exported_file_is_the_checkpoint(checkpoint: Path, encoder: TextEncoder) -> None:
    loaded = load_text_encoder(checkpoint)
    assert (loaded.name, loaded.photo_model) == (encoder.name, encoder.photo_model)
    assert encoder.learnt == {*loaded.words} and encoder.file.stat().st_size < 300_000
    texts = ["Grey T-shirts!", "a navy coat, for men", "unheard", "red"]
    tokens = torch.tensor([each.ids for each in make_tokenizer(loaded.words).encode_batch(texts)])
    with torch.no_grad():
        rows = loaded.network(tokens).numpy()
    np.testing.assert_allclose(encoder.encode(texts), rows, atol=5e-3)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(alone, encoder.encode(texts), atol=1e-5)  # whatever the padding


def test_weights_that_are_not_numbers_are_not_exported(checkpoint: Path, tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in load_file(checkpoint).items()}
    state["out.bias"][0] = float("nan")
    with safe_open(checkpoint, framework="pt") as file:
        header = {key: value for key, value in file.metadata().items() if key != CONTENT}
    header[CONTENT] = content_sum(state, header)
    save_file(state, tmp_path / "nan.safetensors", metadata=header)
    with pytest.raises(LookalikeError, match="least cosine nan"):
        export(tmp_path / "nan.safetensors", tmp_path / "nan.text.onnx")
    assert not (tmp_path / "nan.text.onnx").exists()


def test_damaged_and_foreign_files_are_refused(checkpoint: Path, encoder: TextEncoder, tmp_path: Path) -> None:
    content = bytearray(encoder.file.read_bytes())
    for place in (len(content) // 2, len(content) - 5):
        damaged = tmp_path / "damaged.text.onnx"
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        with pytest.raises(ModelError, match=r"damaged\.text\.onnx"):
            TextEncoder(damaged)
    with pytest.raises(ModelError, match=r"none\.text\.onnx"):
        TextEncoder(tmp_path / "none.text.onnx")
    described = tmp_path / "described.text.onnx"
    sound = {"tokenizer": make_tokenizer(["red"]).to_str(), "words": '["red"]'}
    for key, value in (("tokenizer", "{}"), ("words", "5"), ("words", "{")):
        described.write_bytes(content)
        about = {"format": FORMAT, "name": "shop", "photo_model": "shop@01234567", **sound, key: value}
        write_metadata(described, {f"lookalike.{name}": text for name, text in about.items()})
        with pytest.raises(ModelError, match="its tokenizer or its words are damaged"):
            TextEncoder(described)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(checkpoint.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="does not fit its checksum"):
        load_text_encoder(broken)
    with pytest.raises(UsageError, match="a text encoder is exported whole or with half"):
        export(checkpoint, tmp_path / "x.onnx", int8=True)


def test_a_run_that_was_stopped_goes_the_way_it_would_have_gone(shop: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise Enough

    short = ["steps=8", "save_every=3", "measure_every=4", "network.dropout=0.1"]
    train(shop / "run.toml", overrides=short, out=tmp_path / "whole")
    with pytest.raises(Enough):
        train(shop / "run.toml", overrides=short, out=tmp_path / "run", progress=stop)
    train(shop / "run.toml", overrides=short, resume=tmp_path / "run")
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "run")]
    assert [json.loads(line) for line in logs[0]] == [json.loads(line) for line in logs[1]]
    whole, again = ((tmp_path / name / "last.safetensors").read_bytes() for name in ("whole", "run"))
    assert whole == again
    with pytest.raises(ConfigError, match="steps makes 7 steps, and 8 are taken"):
        train(shop / "run.toml", overrides=[*short, "steps=7"], resume=tmp_path / "run")
    train(shop / "run.toml", overrides=[*short, "steps=10"], resume=tmp_path / "whole")
    entries = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    longer = [entry["factor"] for entry in entries if entry["all_steps"] > 8 and "factor" in entry]
    assert longer == [rate_factor(step, 10, warmup=0.05) for step in (8, 9)]
    copied = shutil.copytree(shop, tmp_path / "shop")
    train(copied / "run.toml", overrides=short, resume=tmp_path / "run")
    done = CliRunner().invoke(
        make_app(), ["gallery", "set", "d001-1", "type=Dress", "-g", str(copied / "shop.gallery")]
    )
    assert done.exit_code == 0, done.output
    with pytest.raises(ConfigError, match="the data changed since the run began: 1 item with other labels, the first"):
        train(copied / "run.toml", overrides=short, resume=tmp_path / "run")


def test_equal_runs_are_equal_with_several_threads(shop: Path, tmp_path: Path) -> None:
    """Threads that add gradients up as they come change the last digits of weights, which no loss shows."""
    before, written = torch.get_num_threads(), set[bytes]()
    torch.set_num_threads(2)
    try:
        for number in range(6):
            seen: list[bool] = []
            note = lambda done, total: seen.append(torch.are_deterministic_algorithms_enabled())  # noqa: B023, E731
            train(shop / "run.toml", overrides=["steps=8"], out=tmp_path / str(number), progress=note)
            written.add((tmp_path / str(number) / "last.safetensors").read_bytes())
            assert seen == [True] * 8 and not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(before)
    assert len(written) == 1


def test_the_preset_completes_a_short_run(shop: Path, tmp_path: Path) -> None:
    file, _ = find_settings("text-default")
    given = [
        *("steps=2", "batch=4", "photos=8", "network.width=8", "network.hidden=8", "data.0.gallery=shop.gallery"),
        *('data.0.garment=["type"]', 'data.0.colour=["colour"]', "data.0.other=[]", "data.0.dev_where={}"),
        "data.0.hold_out=0.3",
    ]
    reported: list[str] = []
    trained = train_text_encoder(file, overrides=given, base=shop, out=tmp_path / "run", report=reported.append)
    assert load_text_encoder(trained.checkpoint).name == "default"
    assert "titles hit_rate@10" in reported[-1]


def test_the_dev_measure_counts_what_a_child_would(shop: Path) -> None:
    """Three red dresses, one blue one: the encoder knows colours, and takes every title for that of the last photo."""
    items = [Item(str(number), "") for number in range(4)]
    axes = np.eye(3, dtype=np.float32)
    labels = [
        {"garment": ["Dress"], "colour": [colour], "gender": ["Women"]} for colour in ("Red", "Red", "Red", "Blue")
    ]
    titles = [["red"], ["red"], ["red"], ["blue"]]
    photos = TitledPhotos(items, axes[[0, 0, 0, 1]], np.ones((4, 1), np.float32), titles, labels)
    words = ["blue", "dress", "for", "red", "women"]
    table = torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]])

    class Sum(torch.nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return table[tokens].sum(dim=1)

    figures = measure_words(Sum(), make_tokenizer(words), photos)
    assert figures == {"phrases precision@1": 1.0, "titles hit_rate@10": 1.0}
    table[4] = torch.tensor([0.0, 1, 0])
    assert measure_words(Sum(), make_tokenizer(words), photos)["phrases precision@1"] == 0.0
    assert measure_words(Sum(), make_tokenizer(words), TitledPhotos([], axes[:0], axes[:0], [], [])) == {}


def test_words_that_go_with_many_beginnings_describe() -> None:
    titles = [
        [brand, "striped", "shirt", *model] for brand, model in (("acme", ["zed"]), ("best", []), ("core", ["2"]))
    ]
    settings = WordSettings(titles=1, beginnings=3, first=0.3)
    assert descriptive_words([*titles, ["acme", "zed"]], settings) == {"striped", "shirt"}
    assert descriptive_words([["shirt", "striped"], *titles], WordSettings(titles=1, beginnings=2)) == {
        "striped",
        "shirt",
    }
    words = learnt_words(
        titles, [Fact("garment", "garment", "dress"), Fact("other", "other", "bog oak")], lexicon(), settings
    )
    assert words["frock"] == words["kleid"] == words["dress"] == "dress" and words["shirt"] == "shirt"
    assert words["oak"] == "oak" and "acme" not in words and "saree" not in words
    assert words["the"] == words["und"] == words["looking"]
    numbers = dict(zip(["", *words], numbered(words), strict=True))
    assert numbers["frock"] == numbers["dress"] != numbers["shirt"] and list(numbers.values()).count(0) == 1
    assert sorted({*numbers.values()}) == list(range(len({*numbers.values()})))


def test_facts_are_labels_and_what_titles_and_colours_add() -> None:
    colors = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], dtype=np.float32)
    labels = [
        {"garment": ["Sweatshirts", "top"], "colour": ["Red"], "gender": ["Men"], "other": [""]},
        {"garment": ["Shirts", "top"], "colour": ["Navy Blue", "blue"], "gender": [""], "other": ["Casual"]},
        {"garment": ["Lamp"], "colour": [""], "gender": ["Men"], "other": ["Oak"]},
        {"garment": [], "colour": [], "gender": [], "other": []},
    ]
    titles = [["red", "hoodie"], ["checked", "shirt"], ["striped", "lamp"], []]
    photos = TitledPhotos(
        [Item(str(place), "") for place in range(4)], colors, np.ones((4, 64), np.float32), titles, labels
    )
    facts, true_of = facts_of(photos, lexicon())
    found = {(fact.role, fact.value): np.flatnonzero(row).tolist() for fact, row in zip(facts, true_of, strict=True)}
    assert found[("garment", "sweatshirt")] == [0] and found[("garment", "top")] == [0, 1]
    assert found[("garment", "hoodie")] == [0]  # finer than its label
    assert found[("garment", "lamp")] == [2] and found[("other", "oak")] == [2]  # not in the lexicon
    assert found[("colour", "navy")] == [1] and found[("colour", "blue")] == [1]
    assert found[("colour", "crimson")] == [0]  # a shade of red that no label names
    assert found[("gender", "men")] == [0, 2] and found[("other", "casual")] == [1]
    assert found[("other", "checked")] == [1] and found[("other", "striped")] == [2]


def test_photos_that_nothing_can_be_said_of_are_asked_for_by_no_text(shop: Path) -> None:
    settings = load_text_settings(shop / "run.toml", overrides=("batch=16", "photos=4", "titles=0.5"))
    rows = np.ones((3, 2), np.float32)
    titles = [["lovely"], ["red", "dress"], []]
    photos = TitledPhotos([Item(str(place), "") for place in range(3)], rows, rows, titles, [{}, {}, {}])
    facts = [Fact("colour", "colour", "red")]
    learnt = frozenset(("lovely", "red", "dress"))
    true_of = np.array([[False, True, False]])
    batches = TextBatches(photos, facts, true_of, lexicon=lexicon(), learnt=learnt, settings=settings)
    for step in range(4):
        batch = batches.make(step)
        assert len(batch.texts) == 16 and not any("lovely" in text for text in batch.texts)
        assert (batch.fits == (batch.photos == 1)).all()
    with pytest.raises(CatalogueError, match="no training photo has a label"):
        TextBatches(photos, facts, true_of & False, lexicon=lexicon(), learnt=learnt, settings=settings)


def test_a_title_stands_for_the_most_exact_facts(shop: Path) -> None:
    settings = load_text_settings(shop / "run.toml", overrides=("batch=16", "photos=4", "titles=1"))
    rows = np.ones((2, 2), np.float32)
    photos = TitledPhotos([Item("0", ""), Item("1", "")], rows, rows, [["shoe"], ["sneaker"]], [{}, {}])
    facts = [Fact("garment", "garment", "shoes"), Fact("garment", "garment", "sports shoes")]
    true_of = np.array([[True, True], [False, True]])
    learnt = frozenset(("shoe", "sneaker"))
    batches = TextBatches(photos, facts, true_of, lexicon=lexicon(), learnt=learnt, settings=settings)
    batch = batches.make(0)
    exact = batch.fits[[text == "sneaker" for text in batch.texts]]
    assert len(exact) and (exact[:, batch.photos == 1] == 1).all()


FACTS_OF_TITLES = """
import numpy as np
from lookalike.text.lexicon import lexicon
from lookalike.training.text.labelled_texts import TitledPhotos, facts_of
from lookalike.types import Item
rows = np.ones((2, 64), np.float32)
titles = [["red", "striped", "cotton", "dress", "women"], ["blue", "checked", "shirt", "men"]]
labels = [{"garment": ["dress", "gown"], "other": ["summer", "casual", "party"]}, {"garment": ["shirt"]}]
photos = TitledPhotos([Item("0", ""), Item("1", "")], rows, rows, titles, labels)
print([fact.value for fact in facts_of(photos, lexicon())[0]])
"""


def test_every_process_trains_on_the_same_texts() -> None:
    """The order of facts decides which are drawn."""
    said = {
        subprocess.run(
            [sys.executable, "-c", FACTS_OF_TITLES], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
    assert b"casual" in said.pop()


def test_items_go_to_their_split() -> None:
    data = TextDataSettings("g")
    assert part_of(Item("a", ""), data) == "train" == part_of(Item("a", "", attributes={"split": "train"}), data)
    assert part_of(Item("a", "", attributes={"split": "dev"}), data) == "dev"
    assert part_of(Item("a", "", attributes={"split": "test"}), data) is None
    held_out = TextDataSettings("g", hold_out=0.5)
    parts = {name: part_of(Item(name, "", product="p"), held_out) for name in "abc"}
    assert len({*parts.values()}) == 1  # photos of a product stay together
    assert {part_of(Item(str(number), ""), held_out) for number in range(20)} == {"train", "dev"}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("measure_every=-1", "measure_every: expected a whole number from 0"),
        ("weight_decay=-0.1", "weight_decay: expected a number from 0"),
        ("words.first=1.5", "words: first: expected a number from 0 to 1"),
        ("data.0.hold_out=1", "hold_out: expected a number from 0 to below 1"),
        ("steps=0", "steps: expected a whole number from 1"),
        ("titles=2", "titles: expected a number from 0 to 1"),
        ("temperature=0", r"temperature: expected a number from 0\.001"),
        ("ema=1", "ema: expected a number from 0 to below 1"),
        ("data=[]", "data: expected a list of length 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(shop: Path, override: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_text_settings(shop / "run.toml", overrides=(override,))


def test_galleries_without_photos_to_learn_from_are_refused(shop: Path, tiny_model: Path) -> None:
    settings = load_text_settings(shop / "run.toml", overrides=('data.0.train=["none"]', 'data.0.split="type"'))
    with pytest.raises(UnknownNameError, match=r"unknown value of 'type' in .* 'none'; known: "):
        read_all(settings, base=shop)
    settings = load_text_settings(shop / "run.toml", overrides=('data.0.dev_where={colour=["mauve"]}',))
    with pytest.raises(UnknownNameError, match=r"unknown value of 'colour' in .* 'mauve'"):
        read_all(settings, base=shop)
    done = CliRunner().invoke(
        make_app(), ["index", str(shop / "shop.csv"), "-g", str(shop / "o.gallery"), "--model", str(tiny_model)]
    )
    assert done.exit_code == 0
    two = load_text_settings(shop / "run.toml", overrides=('data=[{gallery="shop.gallery"}, {gallery="o.gallery"}]',))
    with pytest.raises(MismatchError, match="belongs to one photo model"):
        read_all(two, base=shop)
    with open_gallery(str(shop / "plain.gallery"), create=True) as gallery:
        gallery.add([Item("a", "")], {"deep": np.ones((1, 2), np.float32)}, spaces=(Space("deep", 2, "other@1"),))
    with open_gallery(str(shop / "colors.gallery"), create=True) as gallery:
        gallery.add([Item("a", "")], {"color": np.ones((1, 2), np.float32)}, spaces=(Space("color", 2, "color@2"),))
    colors = load_text_settings(shop / "run.toml", overrides=('data=[{gallery="colors.gallery"}]',))
    with pytest.raises(MismatchError, match=r"the spaces of this gallery: color \(2 of color@2\)"):
        read_all(colors, base=shop)
    plain = load_text_settings(shop / "run.toml", overrides=('data=[{gallery="plain.gallery"}]',))
    with pytest.raises(MismatchError, match="the space 'color', and this gallery does not have it"):
        read_all(plain, base=shop)
