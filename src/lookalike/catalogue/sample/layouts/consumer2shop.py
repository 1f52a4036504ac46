"""Drawn photos in the layout of the Consumer-to-shop Clothes Retrieval Benchmark."""

from __future__ import annotations

from pathlib import Path
from random import Random

from PIL import Image

from lookalike.catalogue.sample.layouts.attributes import TYPE_CODES
from lookalike.catalogue.sample.layouts.garments import (
    BY_NAME,
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
from lookalike.errors import UsageError

LONGEST = 300
ATTRIBUTES = 303
SOURCE_CODES = {"shop": 1, "consumer": 2}
SPLITS = ("train", "train", "val", "test")
GROUPS = {
    "CLOTHING/Coat": "Coat",
    "DRESSES/Dress": "Dress",
    "TOPS/T_Shirt": "Tee",
    "TROUSERS/Jeans": "Jeans",
    "CLOTHING/Hoodies": "Hoodie",
    "DRESSES/Skirt": "Skirt",
    "TOPS/Blouse": "Blouse",
    "TROUSERS/Leggings": "Leggings",
    "TROUSERS/Shorts": "Shorts",
    "TOPS/Tank_Top": "Tank",
}
TYPES = (
    ("\u989c\u8272", "", "color"),
    ("\u9762\u6599", "(\u6750\u8d28)", "cloth material"),
    ("\u7248\u578b", "", "shape"),
    ("\u90e8\u4ef6", "", "part"),
    ("\u98ce\u683c", "", "style"),
)
"""Types of attributes: name in Chinese, remark in brackets or empty, name in English."""

Photo = tuple[Drawn, Garment, Marks]


def write_consumer2shop(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `Anno`, `Eval`, `Img`; see `lookalike.catalogue.sample.layouts.table.write_layout`.

    The first photo of a product and every third after it are shop photos; each of its other photos makes a pair with
    each of these, so that shop photos are in several pairs.
    """
    if products < len(SPLITS) or photos < 2:
        raise UsageError(f"Consumer-to-shop needs at least 4 products with 2 photos each, not {products} with {photos}")
    names = [name for name, _ in vocabulary(ATTRIBUTES)]
    garments = make_garments([BY_NAME[name] for name in GROUPS.values()], count=products, seed=seed)
    attributes: dict[str, list[str]] = {}
    for place, garment in enumerate(garments):
        guessed = set(Random(f"{garment.seed}/attributes").sample(names, 2)) | {garment.pattern}
        attributes[f"id_{place + 1:08d}"] = [name for name in names if name in guessed]

    def draw(place: int, garment: Garment) -> list[Photo]:
        picture = garment.paint()
        return [_photo(root, garment, place=place, number=number, picture=picture) for number in range(photos)]

    drawn = of_each(garments, draw)
    sides: dict[str, dict[object, list[str]]] = {product: {"consumer": [], "shop": []} for product in attributes}
    for photo, _, _ in drawn:
        photo.attributes["attributes"] = attributes[photo.product]
        sides[photo.product][photo.attributes["source"]].append(photo.name)
    pairs = [
        (consumer, shop, product, SPLITS[place % len(SPLITS)])
        for place, (product, own) in enumerate(sides.items())
        for consumer in own["consumer"]
        for shop in own["shop"]
    ]
    columns = "image_pair_name_1 image_pair_name_2 item_id evaluation_status"
    write_annotation(root / "Eval" / "list_eval_partition.txt", pairs, columns=columns, gap=4)
    _write_files(root / "Anno", drawn, attributes, names)
    return [photo for photo, _, _ in drawn]


def _photo(root: Path, garment: Garment, *, place: int, number: int, picture: Image.Image) -> Photo:
    group = list(GROUPS)[place % len(GROUPS)]
    product = f"id_{place + 1:08d}"
    is_shop = number % 3 == 0
    own_number = number // 3 if is_shop else number - number // 3 - 1
    file = f"{'shop' if is_shop else 'comsumer'}_{own_number + 1:02d}.jpg"
    name = f"img/{group}/{product}/{file}"
    take = shop_shot if is_shop else consumer_shot
    shot = resized(take(garment, own_number, picture=picture), longest=LONGEST)
    marks = write_photo(root / "Img", name, shot)
    attributes: dict[str, object] = {
        "split": SPLITS[place % len(SPLITS)],
        "source": "shop" if is_shop else "consumer",
        "group": group.split("/")[0],
        "category": group.split("/")[1],
        "clothes_type": garment.clothes_type,
        "landmarks": [list(landmark) for landmark in marks.landmarks],
    }
    return Drawn(name, product, marks.box, attributes), garment, marks


def _write_files(anno: Path, drawn: list[Photo], attributes: dict[str, list[str]], names: list[str]) -> None:
    boxes, landmarks = [], []
    for photo, garment, marks in drawn:
        code = TYPE_CODES[garment.clothes_type]
        boxes.append((photo.name, code, SOURCE_CODES[str(photo.attributes["source"])], *numbers(marks)))
        landmarks.append((photo.name, code, 1, *triples(marks)))
    columns = "image_name clothes_type source_type x_1 y_1 x_2 y_2"
    write_annotation(anno / "list_bbox_consumer2shop.txt", boxes, columns=columns)
    columns = "image_name clothes_type variation_type landmark_visibility_1 landmark_location_x_1 landmark_location_y_1"
    write_annotation(anno / "list_landmarks_consumer2shop.txt", landmarks, columns=columns)
    write_annotation(anno / "list_item_consumer2shop.txt", [(product,) for product in attributes], trailing="")
    kinds = [(f"{chinese} {remark} {english}", code) for code, (chinese, remark, english) in enumerate(TYPES, start=1)]
    write_annotation(anno / "list_attr_type.txt", kinds, columns="attribute_type_name attribute_type")
    rows = [
        (f"{TYPES[code - 1][0]} {'(' + TYPES[code - 1][0] + ')' if place % 5 == 0 else ''} {name}", code)
        for place, (name, code) in enumerate(vocabulary(ATTRIBUTES))
    ]
    write_annotation(anno / "list_attr_cloth.txt", rows, columns="attribute_name attribute_type")
    items = [(product, *labels(positive, names)) for product, positive in attributes.items()]
    write_annotation(anno / "list_attr_items.txt", items, columns="item_id attribute_labels")
