"""Drawn photos in the layout of the In-shop Clothes Retrieval Benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from lookalike.catalogue.layouts.attributes import TYPE_CODES
from lookalike.catalogue.layouts.garments import BY_NAME, VIEWS, Garment, Shot, make_garments, resized, shop_shot
from lookalike.catalogue.layouts.writing import (
    Drawn,
    labels,
    numbers,
    triples,
    vocabulary,
    write_annotation,
    write_photo,
)
from lookalike.errors import UsageError

SIDE = 256
ATTRIBUTES = 463
GROUPS = {
    "WOMEN/Dresses": "Dress",
    "MEN/Denim": "Jeans",
    "WOMEN/Blouses_Shirts": "Blouse",
    "WOMEN/Cardigans": "Cardigan",
    "MEN/Jackets_Vests": "Jacket",
    "WOMEN/Skirts": "Skirt",
    "MEN/Tees_Tanks": "Tee",
    "WOMEN/Graphic_Tees": "Jersey",
    "MEN/Pants": "Chinos",
    "WOMEN/Jackets_Coats": "Coat",
    "WOMEN/Leggings": "Leggings",
    "MEN/Shirts_Polos": "Flannel",
    "WOMEN/Rompers_Jumpsuits": "Romper",
    "MEN/Shorts": "Trunks",
    "WOMEN/Shorts": "Shorts",
    "MEN/Sweaters": "Turtleneck",
    "WOMEN/Sweaters": "Sweater",
    "MEN/Sweatshirts_Hoodies": "Hoodie",
    "WOMEN/Sweatshirts_Hoodies": "Onesie",
    "WOMEN/Tees_Tanks": "Tank",
    "WOMEN/Denim": "Jeggings",
    "MEN/Suiting": "Blazer",
    "WOMEN/Pants": "Culottes",
}
"""The groups of the release, and what is drawn for each."""

POSES = {"front": (1, "front"), "side": (2, "side"), "back": (3, "back"), "full": (4, "zoom-out")}
ADDITIONAL = (5, "zoom-in")

Photo = tuple[Drawn, Garment, Shot]


def write_inshop(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `Anno`, `Eval`, `Img`; see `lookalike.catalogue.layouts.table.write_layout`.

    The first half of the products is for training, the others have photos that ask and photos that answer. Every third
    product comes in two colours, when there are photos enough.
    """
    if products < 2 or photos < 2:
        raise UsageError(f"In-shop needs at least 2 products with 2 photos each, not {products} with {photos}")
    names = [name for name, _ in vocabulary(ATTRIBUTES)]
    garments = make_garments([BY_NAME[name] for name in GROUPS.values()], count=products, seed=seed)
    drawn: list[Photo] = []
    attributes: dict[str, list[str]] = {}
    descriptions: list[dict[str, object]] = []
    for place, garment in enumerate(garments):
        product = f"id_{place + 1:08d}"
        guessed = set(Random(f"{garment.seed}/attributes").sample(names, 3)) | {garment.pattern}
        attributes[product] = [name for name in names if name in guessed]
        colored = [garment, garment.in_other_color] if place % 3 == 1 and photos >= 4 else [garment]
        texts = {
            color_name(each): [f"A {each.color} {garment.category.name.lower()}.", "Drawn, not sewn"]
            for each in colored
        }
        descriptions += [{"item": product, "color": color, "description": text} for color, text in texts.items()]
        for number in range(photos):
            variant, view_number = number % len(colored), number // len(colored)
            split = "train" if place < products // 2 else "query" if number // len(colored) % 2 == 0 else "gallery"
            if place >= products // 2 and number == photos - 1:
                split = "gallery"
            photo = _photo(root, colored[variant], place=place, variant=variant, number=view_number)
            color = color_name(colored[variant])
            photo[0].facts.update(
                split=split, color=color, attributes=attributes[product], description=" ".join(texts[color])
            )
            drawn.append(photo)
    drawn.sort(key=lambda photo: photo[0].name)
    _write_files(root, drawn, attributes, names)
    path = root / "Anno" / "list_description_inshop.json"
    path.write_text(json.dumps(descriptions), encoding="utf-8")
    return [photo for photo, _, _ in drawn]


def color_name(garment: Garment) -> str:
    """A colour as shops write it: with spaces and slashes."""
    shade = {"grey": "Heather grey", "blue": "Light blue"}.get(garment.color, garment.color.capitalize())
    return shade if garment.pattern == "plain" else f"{shade}/{garment.second}"


def _photo(root: Path, garment: Garment, *, place: int, variant: int, number: int) -> Photo:
    group = list(GROUPS)[place % len(GROUPS)]
    product = f"id_{place + 1:08d}"
    view = VIEWS[number] if number < len(VIEWS) else "additional"
    label = f"{2 * (variant + 1):02d}"
    name = f"img/{group}/{product}/{label}_{number + 1}_{view}.jpg"
    shot = resized(shop_shot(garment, number), longest=SIDE, square=True)
    write_photo(root / "Img", name, shot)
    gender, category = group.split("/")
    facts: dict[str, object] = {
        "gender": gender,
        "category": category,
        "variant": label,
        "view": view,
        "clothes_type": garment.clothes_type,
        "pose": POSES.get(view, ADDITIONAL)[1],
        "variation": "normal",
        "landmarks": [list(landmark) for landmark in shot.landmarks],
    }
    return Drawn(name, product, shot.box, facts), garment, shot


def _write_files(root: Path, drawn: list[Photo], attributes: dict[str, list[str]], names: list[str]) -> None:
    anno = root / "Anno"
    photos = [photo for photo, _, _ in drawn]
    write_annotation(
        root / "Eval" / "list_eval_partition.txt",
        [(photo.name, photo.product, f"{photo.facts['split']:<10}") for photo in photos],
        columns="image_name item_id evaluation_status",
        gap=20,
    )
    boxes, landmarks = [], []
    for photo, garment, shot in drawn:
        code = TYPE_CODES[garment.clothes_type]
        boxes.append((photo.name, code, POSES.get(str(photo.facts["view"]), ADDITIONAL)[0], *numbers(shot)))
        landmarks.append((photo.name, code, 1, *triples(shot)))
    columns = "image_name clothes_type pose_type x_1 y_1 x_2 y_2"
    write_annotation(anno / "list_bbox_inshop.txt", boxes, columns=columns)
    columns = "image_name clothes_type variation_type landmark_visibility_1 landmark_location_x_1 landmark_location_y_1"
    write_annotation(anno / "list_landmarks_inshop.txt", landmarks, columns=columns)
    write_annotation(anno / "list_item_inshop.txt", [(product,) for product in attributes], trailing="")
    folder = anno / "attributes"
    write_annotation(folder / "list_attr_cloth.txt", [(name,) for name in names], columns="attribute_name", trailing="")
    rows = [(product, *labels(positive, names)) for product, positive in attributes.items()]
    write_annotation(folder / "list_attr_items.txt", rows, columns="item_name attribute_labels")
    colors = [(photo.name, photo.facts["color"]) for photo in photos]
    write_annotation(folder / "list_color_cloth.txt", colors, columns="image_name  color", gap=6)
