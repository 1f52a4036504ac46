"""Drawn photos in the layout of the In-shop Clothes Retrieval Benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from PIL import Image

from lookalike.catalogue.sample.layouts.attributes import TYPE_CODES
from lookalike.catalogue.sample.layouts.garments import (
    BY_NAME,
    VIEWS,
    Garment,
    Marks,
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
"""Groups of the release, and the categories drawn for each."""

POSES = {"front": (1, "front"), "side": (2, "side"), "back": (3, "back"), "full": (4, "zoom-out")}
ADDITIONAL = (5, "zoom-in")

Photo = tuple[Drawn, Garment, Marks]


def write_inshop(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `Anno`, `Eval`, `Img`; see `lookalike.catalogue.sample.layouts.table.write_layout`.

    The first half of the products is the train split; the others have query and gallery photos. Every third product
    has two colours, if there are enough photos.
    """
    if products < 2 or photos < 2:
        raise UsageError(f"In-shop needs at least 2 products with 2 photos each, not {products} with {photos}")
    names = [name for name, _ in vocabulary(ATTRIBUTES)]
    garments = make_garments([BY_NAME[name] for name in GROUPS.values()], count=products, seed=seed)
    attributes: dict[str, list[str]] = {}
    descriptions: list[dict[str, object]] = []
    texts: list[dict[str, list[str]]] = []
    for place, garment in enumerate(garments):
        product = f"id_{place + 1:08d}"
        guessed = set(Random(f"{garment.seed}/attributes").sample(names, 3)) | {garment.pattern}
        attributes[product] = [name for name in names if name in guessed]
        texts.append({color_name(each): _description(each) for each in _colored(garment, place, photos=photos)})
        descriptions += [{"item": product, "color": color, "description": text} for color, text in texts[-1].items()]

    def draw(place: int, garment: Garment) -> list[Photo]:
        colored = [(each, each.paint()) for each in _colored(garment, place, photos=photos)]
        drawn: list[Photo] = []
        for number in range(photos):
            view, variant = divmod(number, len(colored))
            garment, picture = colored[variant]
            photo = _photo(root, garment, place=place, variant=variant, number=view, picture=picture)
            is_last = number == photos - 1
            split = "train" if place < products // 2 else "gallery" if is_last or view % 2 == 1 else "query"
            color = color_name(garment)
            description = " ".join(texts[place][color])
            photo[0].attributes.update(
                split=split, color=color, attributes=attributes[photo[0].product], description=description
            )
            drawn.append(photo)
        return drawn

    drawn = of_each(garments, draw)
    drawn.sort(key=lambda photo: photo[0].name)
    _write_files(root, drawn, attributes, names)
    path = root / "Anno" / "list_description_inshop.json"
    path.write_text(json.dumps(descriptions), encoding="utf-8")
    return [photo for photo, _, _ in drawn]


def _colored(garment: Garment, place: int, *, photos: int) -> list[Garment]:
    """Return a product in each of its colours."""
    return [garment, garment.in_other_color] if place % 3 == 1 and photos >= 4 else [garment]


def _description(garment: Garment) -> list[str]:
    return [f"A {garment.color} {garment.category.name.lower()}.", "Drawn, not sewn"]


def color_name(garment: Garment) -> str:
    """Return a colour as shops write it, with spaces and slashes."""
    shade = {"grey": "Heather grey", "blue": "Light blue"}.get(garment.color, garment.color.capitalize())
    return shade if garment.pattern == "plain" else f"{shade}/{garment.second}"


def _photo(root: Path, garment: Garment, *, place: int, variant: int, number: int, picture: Image.Image) -> Photo:
    group = list(GROUPS)[place % len(GROUPS)]
    product = f"id_{place + 1:08d}"
    view = VIEWS[number] if number < len(VIEWS) else "additional"
    label = f"{2 * (variant + 1):02d}"
    name = f"img/{group}/{product}/{label}_{number + 1}_{view}.jpg"
    shot = resized(shop_shot(garment, number, picture=picture), longest=SIDE, square=True)
    marks = write_photo(root / "Img", name, shot)
    gender, category = group.split("/")
    attributes: dict[str, object] = {
        "gender": gender,
        "category": category,
        "variant": label,
        "view": view,
        "clothes_type": garment.clothes_type,
        "pose": POSES.get(view, ADDITIONAL)[1],
        "variation": "normal",
        "landmarks": [list(landmark) for landmark in marks.landmarks],
    }
    return Drawn(name, product, marks.box, attributes), garment, marks


def _write_files(root: Path, drawn: list[Photo], attributes: dict[str, list[str]], names: list[str]) -> None:
    anno = root / "Anno"
    photos = [photo for photo, _, _ in drawn]
    write_annotation(
        root / "Eval" / "list_eval_partition.txt",
        [(photo.name, photo.product, f"{photo.attributes['split']:<10}") for photo in photos],
        columns="image_name item_id evaluation_status",
        gap=20,
    )
    boxes, landmarks = [], []
    for photo, garment, marks in drawn:
        code = TYPE_CODES[garment.clothes_type]
        boxes.append((photo.name, code, POSES.get(str(photo.attributes["view"]), ADDITIONAL)[0], *numbers(marks)))
        landmarks.append((photo.name, code, 1, *triples(marks)))
    columns = "image_name clothes_type pose_type x_1 y_1 x_2 y_2"
    write_annotation(anno / "list_bbox_inshop.txt", boxes, columns=columns)
    columns = "image_name clothes_type variation_type landmark_visibility_1 landmark_location_x_1 landmark_location_y_1"
    write_annotation(anno / "list_landmarks_inshop.txt", landmarks, columns=columns)
    write_annotation(anno / "list_item_inshop.txt", [(product,) for product in attributes], trailing="")
    folder = anno / "attributes"
    write_annotation(folder / "list_attr_cloth.txt", [(name,) for name in names], columns="attribute_name", trailing="")
    rows = [(product, *labels(positive, names)) for product, positive in attributes.items()]
    write_annotation(folder / "list_attr_items.txt", rows, columns="item_name attribute_labels")
    colors = [(photo.name, photo.attributes["color"]) for photo in photos]
    write_annotation(folder / "list_color_cloth.txt", colors, columns="image_name  color", gap=6)
