"""Drawn photos in the layout of the Category and Attribute Prediction Benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from lookalike.catalogue.sample.drawing.categories import CATEGORIES
from lookalike.catalogue.sample.drawing.cloth import PRINTS
from lookalike.catalogue.sample.layouts.garments import (
    Garment,
    Marks,
    consumer_shot,
    make_garments,
    of_each,
    resized,
    shop_shot,
)
from lookalike.catalogue.sample.layouts.writing import (
    Drawn,
    labels,
    numbers,
    triples,
    vocabulary,
    write_annotation,
    write_photo,
)

LONGEST = 300
ATTRIBUTES = 1000
TYPE_CODES = {"upper": 1, "lower": 2, "full": 3}
SPLITS = ("train", "train", "val", "train", "test", "train", "train")
"""Splits of the photos, repeated in this order, as in the first rows of the published file."""

FINE: dict[str, tuple[str, ...]] = {
    "texture": ("floral", "graphic", "striped", "embroidered", "pleated", "solid", "lattice"),
    "sleeve": ("long_sleeve", "short_sleeve", "sleeveless"),
    "length": ("maxi_length", "mini_length", "no_dress"),
    "neckline": ("crew_neckline", "v_neckline", "square_neckline", "no_neckline"),
    "fabric": ("denim", "chiffon", "cotton", "leather", "faux", "knit"),
    "fit": ("tight", "loose", "conventional"),
}
_TEXTURES = {
    "floral": "floral",
    "striped": "striped",
    "pinstriped": "striped",
    "plain": "solid",
    "dotted": "embroidered",
}

Photo = tuple[Drawn, Garment, Marks]


def write_attributes(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write the layout of 2016: `Anno`, `Eval`, `Img`; see `lookalike.catalogue.sample.layouts.table.write_layout`."""
    drawn = _draw(root, products=products, photos=photos, seed=seed)
    _write_coarse(root / "Anno", drawn)
    _write_partition(root, drawn)
    return [photo for photo, _, _ in drawn]


def write_attributes_fine(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write the later layout: `Anno_coarse`, `Anno_fine` (of every other photo), `Eval`, `Img`."""
    drawn = _draw(root, products=products, photos=photos, seed=seed)
    _write_coarse(root / "Anno_coarse", drawn)
    _write_partition(root, drawn)
    _write_fine(root / "Anno_fine", drawn[::2])
    return [photo for photo, _, _ in drawn]


def _draw(root: Path, *, products: int, photos: int, seed: int) -> list[Photo]:
    categories = [category for category in CATEGORIES if category.has_photos]
    names = [name for name, _ in vocabulary(ATTRIBUTES)]
    garments = make_garments(categories, count=products, seed=seed)
    titles = [f"{each.color.title()}_{each.pattern.title()}_{each.category.name}" for each in garments]

    def draw(place: int, garment: Garment) -> list[Photo]:
        known, title, picture = _coarse(garment, names), titles[place], garment.paint()
        first = 1 + photos * titles[:place].count(title)
        drawn: list[Photo] = []
        for number in range(photos):
            name = f"img/{title}/img_{first + number:08d}.jpg"
            take = shop_shot if number % 2 == 0 else consumer_shot
            shot = resized(take(garment, number, picture=picture), longest=LONGEST)
            marks = write_photo(root / "Img", name, shot)
            attributes: dict[str, object] = {
                "split": SPLITS[(place * photos + number) % len(SPLITS)],
                "category": garment.category.name,
                "clothes_type": garment.clothes_type,
                "attributes": known,
                "landmarks": [list(landmark) for landmark in marks.landmarks],
            }
            drawn.append((Drawn(name, title, marks.box, attributes), garment, marks))
        return drawn

    return of_each(garments, draw)


def _coarse(garment: Garment, names: list[str]) -> list[str]:
    """Return attributes of a garment: those that are visible, and two random ones."""
    known = {garment.pattern, f"{garment.color} {garment.pattern}"}
    known.update(Random(f"{garment.seed}/coarse").sample(names, 2))
    return [name for name in names if name in known]


def _write_coarse(anno: Path, drawn: list[Photo]) -> None:
    rows = [(photo.name, garment, marks, photo) for photo, garment, marks in drawn]
    _write_categories(anno)
    places = {category.name: place for place, category in enumerate(CATEGORIES, start=1)}
    write_annotation(
        anno / "list_category_img.txt",
        [(name, places[garment.category.name]) for name, garment, _, _ in rows],
        columns="image_name  category_label",
        gap=24,
        trailing="",
    )
    attributes = vocabulary(ATTRIBUTES)
    columns = "attribute_name  attribute_type"
    write_annotation(anno / "list_attr_cloth.txt", attributes, columns=columns, gap=4)
    names = [name for name, _ in attributes]
    write_annotation(
        anno / "list_attr_img.txt",
        [(name, *labels(map(str, _listed(photo)), names)) for name, _, _, photo in rows],
        columns="image_name  attribute_labels",
    )
    _write_boxes(anno, drawn)
    columns = "image_name  clothes_type  landmark_visibility_1  landmark_location_x_1  landmark_location_y_1"
    write_annotation(
        anno / "list_landmarks.txt",
        [(name, TYPE_CODES[garment.clothes_type], *triples(marks)) for name, garment, marks, _ in rows],
        columns=columns,
    )


def _listed(photo: Drawn) -> list[str]:
    attributes = photo.attributes["attributes"]
    assert isinstance(attributes, list)
    return attributes


def _write_categories(anno: Path) -> None:
    types = [Garment(category, "", "", "", "").clothes_type for category in CATEGORIES]
    rows = [(category.name, TYPE_CODES[kind]) for category, kind in zip(CATEGORIES, types, strict=True)]
    write_annotation(anno / "list_category_cloth.txt", rows, columns="category_name  category_type", gap=3)


def _write_boxes(anno: Path, drawn: list[Photo]) -> None:
    rows = [(photo.name, *numbers(marks)) for photo, _, marks in drawn]
    write_annotation(anno / "list_bbox.txt", rows, columns="image_name  x_1  y_1  x_2  y_2", gap=2)


def _write_partition(root: Path, drawn: list[Photo]) -> None:
    rows = [(photo.name, photo.attributes["split"]) for photo, _, _ in drawn]
    write_annotation(root / "Eval" / "list_eval_partition.txt", rows, columns="image_name  evaluation_status", gap=3)


def _write_fine(anno: Path, drawn: list[Photo]) -> None:
    """Write the files of the splits, which have neither counts nor column names, and the names of the attributes."""
    kinds = enumerate(FINE.items(), start=1)
    attributes = [(name, code) for code, (_, names) in kinds for name in names]
    write_annotation(anno / "list_attr_cloth.txt", attributes, columns="attribute_name  attribute_type")
    _write_categories(anno)
    names = [name for name, _ in attributes]
    places = {category.name: place for place, category in enumerate(CATEGORIES, start=1)}
    for split in ("train", "val", "test"):
        rows = [row for row in drawn if row[0].attributes["split"] == split]
        columns: dict[str, Sequence[Sequence[object]]] = {
            f"{split}.txt": [(photo.name,) for photo, _, _ in rows],
            f"{split}_attr.txt": [
                ["1" if label == "1" else "0" for label in labels(fine_attributes(garment).values(), names)]
                for _, garment, _ in rows
            ],
            f"{split}_cate.txt": [(places[garment.category.name],) for _, garment, _ in rows],
            f"{split}_bbox.txt": [numbers(marks) for _, _, marks in rows],
            f"{split}_landmarks.txt": [_sixteen(marks) for _, _, marks in rows],
        }
        for file, lines in columns.items():
            write_annotation(anno / file, lines, counted=False, trailing="")


def fine_attributes(garment: Garment) -> dict[str, str]:
    """Return the value of each of the six types of fine attributes."""
    rng = Random(f"{garment.seed}/fine")
    answers = {question: rng.choice(known) for question, known in FINE.items()}
    texture = "graphic" if garment.pattern in PRINTS else _TEXTURES.get(garment.pattern, "lattice")
    if garment.clothes_type != "full":
        answers["length"] = "no_dress"
    return {**answers, "texture": texture}


def _sixteen(marks: Marks) -> list[int]:
    """Return x and y of eight landmarks, in sequence; 0 for those that the garment does not have."""
    known = [value for x, y, _ in marks.landmarks for value in (x, y)]
    return known + [0] * (16 - len(known))
