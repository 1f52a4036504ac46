"""Files that the examples of README.md and docs/ need, made from the drawn sample in `demo`."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from documented_commands import ROOT

from lookalike.cli import main
from tiny_finder import write_tiny_finder
from tiny_model import write_tiny_model


def rewrite(source: Path, to: Path, **names: str) -> None:
    """Copy the drawn table to another place, with other names of columns; a name that is repeated is written twice."""
    with source.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with to.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in rows:
            writer.writerow([row.get(column, column) for column in names.values()])


def as_a_shop(folder: Path) -> None:
    """A table whose columns have the names of README.md."""
    shutil.copytree(folder / "demo" / "catalogue" / "photos", folder / "photos")
    named = {"id": "id", "file": "image", "group_id": "product", "colour": "colour", "price": "price"}
    rewrite(folder / "demo/catalogue/catalogue.csv", folder / "feed.csv", **named)
    shutil.copy(folder / "demo/catalogue/catalogue.csv", folder / "catalogue.csv")
    shutil.copy(folder / "demo/query.jpg", folder / "photo.jpg")
    write_training(folder / "my-shop.toml", name="my-shop")


def as_two_models(folder: Path) -> None:
    """A catalogue with the labels of docs/fusion.md, and a second model: the default one under another name."""
    onnx = pytest.importorskip("onnx")
    from lookalike.models.content_hash import append_checksum
    from lookalike.models.default_model import SHIPPED_MODEL

    shutil.copytree(folder / "demo" / "catalogue" / "photos", folder / "photos")
    named = {"id": "id", "image": "image", "product": "product", "gender": "gender"}
    rewrite(
        folder / "demo/catalogue/catalogue.csv",
        folder / "catalogue.csv",
        **named,
        articleType="type",
        baseColour="colour",
    )
    shutil.copy(folder / "demo/query.jpg", folder / "photos" / "1766.jpg")
    model = onnx.load(SHIPPED_MODEL)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    facts |= {"lookalike.name": "imagenet", "lookalike.fingerprint": "5f1d0c3a00000000"}
    onnx.helper.set_model_props(model, facts)
    onnx.save(model, folder / "imagenet.onnx")
    append_checksum(folder / "imagenet.onnx")


def as_labels(folder: Path) -> None:
    """The labels of docs/evaluation.md, and two reports to compare."""
    shutil.copytree(folder / "demo" / "catalogue" / "photos", folder / "photos")
    named = {"id": "id", "file": "image", "group_id": "product", "gender": "gender", "split": "dev", "photo": "sq224"}
    rewrite(
        folder / "demo/catalogue/catalogue.csv", folder / "labels.csv", **named, articleType="type", baseColour="colour"
    )
    for name, weight in (("imagenet", "color=1"), ("default", "deep=1")):
        asked = ["--gallery", "demo/drawn.gallery", "--weight", weight, "--report", name]
        assert main(["evaluate", "demo/catalogue/catalogue.csv", *asked]) == 0


def as_drawn_benchmark(folder: Path) -> None:
    """The benchmark that docs/deepfashion.md looks at."""
    assert main(["catalogue", "draw", "consumer2shop", "--to", "consumer2shop", "--products", "20"]) == 0


def as_training(folder: Path) -> None:
    """The configurations of docs/training.md, and forty photos without labels.

    The sweep has four runs, the text encoder a thirtieth of its steps.
    """
    write_training(folder / "shop.toml", name="shop")
    [sweep] = [shown for shown in settings_shown() if "\n[grid]" in shown]
    short = sweep.replace("[0.05, 0.1, 0.2]", "[0.05, 0.1]").replace("[0, 1, 2]", "[0, 1]")
    (folder / "sweep.toml").write_text(short, encoding="utf-8")
    (folder / "photos").mkdir()
    for photo in sorted((folder / "demo" / "catalogue" / "photos").iterdir())[:40]:
        shutil.copy(photo, folder / "photos")
    [words] = [shown for shown in settings_shown() if "steps = 600\n" in shown]
    (folder / "words.toml").write_text(words.replace("steps = 600\n", "steps = 20\n"), encoding="utf-8")


def as_research(folder: Path) -> None:
    """The configurations of docs/research.md."""
    for name, shown in zip(("ours.toml", "seeds.toml"), settings_shown("research.md"), strict=True):
        (folder / name).write_text(shown, encoding="utf-8")


def settings_shown(page: str = "training.md") -> list[str]:
    """The configurations that a page of docs/ shows."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```toml\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def write_training(path: Path, *, name: str) -> None:
    """Write the configuration that docs/training.md shows, with a thirteenth of its epochs."""
    short = re.sub(r"^epochs = \d+$", "epochs = 1", settings_shown()[0], flags=re.MULTILINE)
    assert short.count("epochs = 1\n") == 2 and 'name = "shop"\n' in short
    path.write_text(short.replace('name = "shop"\n', f'name = "{name}"\n'), encoding="utf-8")


def as_own_catalogue(folder: Path) -> None:
    """The catalogue of docs/python.md, and a configuration."""
    shutil.copytree(folder / "demo" / "catalogue", folder, dirs_exist_ok=True)
    write_training(folder / "my-shop.toml", name="my-shop")


def as_street(folder: Path) -> None:
    """The photos of docs/garments.md, their garments, and a finder that goes by colours."""
    write_tiny_finder(folder / "finder.onnx")
    (folder / "outfits").mkdir()
    for name in ("street.jpg", "mirror.jpg", "skirt.jpg", "outfits/outfit-17.jpg"):
        shutil.copy(folder / "demo/query.jpg", folder / name)
    (folder / "garments.csv").write_text('id,image,kind,box\n1,street.jpg,top,"20,20,200,280"\n', encoding="utf-8")


def as_new_model(folder: Path) -> None:
    """A model that describes photos otherwise than the default one."""
    write_tiny_model(folder / "new.onnx", name="new", fingerprint="fedcba9876543210", seed=1)


def as_feeds(folder: Path) -> None:
    """The feeds that docs/feeds.md shows."""
    page = (ROOT / "docs" / "feeds.md").read_text(encoding="utf-8")
    for name in ("feed.xml", "products_export.csv", "wc-product-export.csv", "import.csv"):
        shown = page.partition(f"$ cat demo/catalogue/{name}\n")[2].partition("\n$ ")[0]
        (folder / "demo" / "catalogue" / name).write_text(f"{shown}\n", encoding="utf-8")


def as_shop_with_visitors(folder: Path) -> None:
    """The program of docs/usage.md."""
    (folder / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "simulated_shoppers.py", folder / "examples")


def as_example_shop(folder: Path) -> None:
    """The shop of the examples, and a new model for it."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    as_new_model(folder)


def as_years(folder: Path) -> None:
    """A new model, and the decisions that docs/operations.md shows."""
    as_new_model(folder)
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    shown = page.partition("$ cat decisions.json\n")[2].partition("\n$ ")[0]
    (folder / "decisions.json").write_text(f"{shown}\n", encoding="utf-8")


PREPARED: dict[str, Callable[[Path], None]] = {
    "README.md": as_a_shop,
    "docs/deepfashion.md": as_drawn_benchmark,
    "docs/evaluation.md": as_labels,
    "docs/feeds.md": as_feeds,
    "docs/fusion.md": as_two_models,
    "docs/garments.md": as_street,
    "docs/operations.md": as_years,
    "docs/python.md": as_own_catalogue,
    "docs/research.md": as_research,
    "docs/shop.md": as_example_shop,
    "docs/training.md": as_training,
    "docs/usage.md": as_shop_with_visitors,
}
