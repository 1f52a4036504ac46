"""The built-in sample: a small catalogue of drawn garments, whose photos are free of rights of others.

The same seed gives the same products and photos, pixel by pixel.
"""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from PIL import Image

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.delimited import open_delimited
from lookalike.catalogue.sample.drawing import accessories, bottoms, outerwear, tops
from lookalike.catalogue.sample.drawing.cloth import COLORS, COMPANIONS, PATTERNS, PRINTS, Cloth, shaded, varied
from lookalike.catalogue.sample.drawing.painting import paint
from lookalike.catalogue.sample.drawing.scene import BACKGROUNDS, free_pose, photograph, studio_pose
from lookalike.catalogue.sample.drawing.shapes import Shape, Stuff
from lookalike.errors import CatalogueError, UsageError

VERSION = 1
"""Version of the drawings; a change of any photo needs a new number, so that old photos in caches are not used."""

TABLE = "catalogue.csv"


@dataclass(frozen=True, slots=True)
class Type:
    """A kind of garment.

    Attributes:
        name: Name in the catalogue.
        draw: Function that makes its shapes.
        patterns: Patterns besides plain.
        prices: Lowest and highest price.
        seasons: Values of the attribute `season`.
        genders: Values of the attribute `gender`.
    """

    name: str
    draw: Callable[[Random], list[Shape]]
    patterns: tuple[str, ...]
    prices: tuple[int, int]
    seasons: tuple[str, ...] = ("Spring", "Summer", "Autumn", "Winter")
    genders: tuple[str, ...] = ("Women", "Men")


_PRINTS = tuple(PRINTS)
_CHECKS = ("checked", "tartan")
_WARM, _COLD = ("Spring", "Summer"), ("Autumn", "Winter")

TYPES: tuple[Type, ...] = (
    Type("T-shirt", tops.t_shirt, ("striped", "dotted", *_PRINTS), (9, 30), _WARM),
    Type("Dress", bottoms.dress, ("floral", "dotted", "striped", *_CHECKS), (35, 120), _WARM, ("Women",)),
    Type("Trousers", bottoms.trousers, ("pinstriped", "checked"), (30, 90)),
    Type("Shoes", accessories.shoe, (), (40, 130)),
    Type("Shirt", tops.shirt, ("checked", "tartan", "pinstriped", "floral"), (25, 70)),
    Type("Bag", accessories.bag, ("striped", "dotted", "floral"), (20, 140)),
    Type("Hoodie", outerwear.hoodie, ("striped", *_PRINTS), (30, 75), _COLD),
    Type("Skirt", bottoms.skirt, ("floral", "tartan", "dotted", "striped"), (20, 60), genders=("Women",)),
    Type("Polo", tops.polo, ("striped", "pinstriped"), (20, 55), _WARM, ("Men",)),
    Type("Hat", accessories.hat, ("checked", "striped", "dotted"), (10, 35)),
    Type("Sweater", tops.sweater, ("striped", "band", "heart", "star"), (30, 95), _COLD),
    Type("Shorts", bottoms.shorts, ("floral", "checked", "striped"), (15, 45), ("Summer",)),
    Type("Jacket", outerwear.jacket, ("floral", "tartan"), (55, 180), _COLD),
    Type("Top", tops.long_sleeved_top, ("striped", "dotted", "floral"), (15, 40), genders=("Women",)),
    Type("Coat", outerwear.coat, ("checked", "tartan"), (90, 260), _COLD),
)


@dataclass(frozen=True, slots=True)
class Product:
    """One garment of the sample.

    Attributes:
        id: Id, such as `d007`.
        type: Type of garment.
        color: A name in `lookalike.catalogue.sample.drawing.cloth.COLORS`.
        second: Colour of its pattern and trimmings.
        pattern: A name in `PATTERNS`, or plain, or `print ...`.
        seed: Seed of everything else.
    """

    id: str
    type: Type
    color: str
    second: str
    pattern: str
    seed: str

    def attributes(self) -> dict[str, str | int]:
        """Attributes of the product in the catalogue."""
        rng = Random(f"{self.seed}/attributes")
        kind = self.type.name if "-" in self.type.name else self.type.name.lower()
        words = [self.color] if self.pattern == "plain" else [self.color, self.pattern]
        return {
            "title": f"{' '.join(words).capitalize()} {kind}",
            "type": self.type.name,
            "colour": self.color.capitalize(),
            "pattern": self.pattern,
            "gender": rng.choice(self.type.genders),
            "season": rng.choice(self.type.seasons),
            "price": rng.randint(*self.type.prices),
        }

    def paint(self) -> Image.Image:
        """Paint the garment: RGBA, without a background."""
        return paint(*self.parts())

    def parts(self) -> tuple[list[Shape], dict[Stuff, Cloth]]:
        """Return the shapes of the garment, from back to front, and the cloth of each kind of part."""
        rng = Random(f"{self.seed}/garment")
        color, second = varied(COLORS[self.color], rng), varied(COLORS[self.second], rng)
        others = [name for name in COMPANIONS[self.color] if name != self.second]
        third = COLORS[rng.choice(others)]
        main = Cloth(color, second, third, size=rng.uniform(0.12, 0.19))
        if self.pattern in PATTERNS:
            main = replace(main, pattern=self.pattern)
        elif self.pattern in PRINTS:
            main = replace(main, print_shape=self.pattern)
        two_colored = self.pattern == "plain" and rng.random() < 0.3
        stuffs: dict[Stuff, Cloth] = {
            "main": main,
            "second": Cloth(second) if two_colored else replace(main, print_shape=""),
            "trim": Cloth(second if two_colored or rng.random() < 0.3 else shaded(color, 0.84)),
            "lining": Cloth(shaded(color, 0.55)),
            "sole": Cloth(rng.choice([(240, 238, 232), (240, 238, 232), (216, 190, 150)])),
            "metal": Cloth(rng.choice([(198, 196, 192), (206, 176, 110)])),
            "pale": Cloth((240, 237, 230)),
            "dark": Cloth(shaded(color, 0.38)),
        }
        return self.type.draw(rng), stuffs

    def photo(self, name: str, *, garment: Image.Image, background: str) -> Image.Image:
        """Take a photo of the painted garment: RGB, in a straight pose on `white`, else in a free one."""
        rng = Random(f"{self.seed}/photo/{name}")
        pose = studio_pose(rng) if background == "white" else free_pose(rng)
        return photograph(garment, rng, pose=pose, background=background)


def make_products(count: int, *, seed: int = 0) -> list[Product]:
    """Make products, without repeating type, colour and pattern while there are other combinations."""
    rng = Random(f"{seed}/products")
    seen: set[tuple[str, str, str]] = set()
    products: list[Product] = []
    for number in range(count):
        kind = TYPES[number % len(TYPES)]
        for _ in range(20):
            color = rng.choice(list(COLORS))
            pattern = rng.choice(kind.patterns) if kind.patterns and rng.random() < 0.6 else "plain"
            if (kind.name, color, pattern) not in seen:
                break
        seen.add((kind.name, color, pattern))
        second = rng.choice(COMPANIONS[color])
        products.append(Product(f"d{number + 1:03}", kind, color, second, pattern, f"{seed}/{number}"))
    return products


def draw_photos(product: Product, count: int) -> Iterator[tuple[str, Image.Image]]:
    """Draw a product's photos, by name: the first on white, the others on other backgrounds."""
    garment = product.paint()
    others = [name for name in BACKGROUNDS if name != "white"]
    Random(f"{product.seed}/backgrounds").shuffle(others)
    for number in range(count):
        background = others[(number - 1) % len(others)] if number else "white"
        name = f"{product.id}-{number + 1}"
        yield name, product.photo(name, garment=garment, background=background)


def changed_photo(product: Product) -> Image.Image:
    """Draw a photo of a product that is not in the catalogue, with another pose, light and background."""
    last = Random(f"{product.seed}/backgrounds")
    others = [name for name in BACKGROUNDS if name != "white"]
    last.shuffle(others)
    return product.photo("changed", garment=product.paint(), background=others[-1])


def write_drawn(folder: Path, *, products: int = 60, photos: int = 4, seed: int = 0) -> Path:
    """Draw a catalogue into a folder.

    Args:
        folder: Folder to write to; created if missing.
        products: Number of products.
        photos: Number of photos of each product.
        seed: Seed of the products and photos.

    Returns:
        Path of the table, with the columns id, image, product, title, type, colour, pattern, gender, season, price.

    Raises:
        UsageError: `products` or `photos` is below 1.
    """
    if products < 1 or photos < 1:
        raise UsageError(f"a sample has at least one product and one photo of each, not {products} and {photos}")
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str | int]] = []
    for product in make_products(products, seed=seed):
        for name, photo in draw_photos(product, photos):
            image = f"photos/{name}.jpg"
            photo.save(folder / image, quality=90)
            rows.append({"id": name, "image": image, "product": product.id, **product.attributes()})
    table = folder / TABLE
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table


def open_drawn() -> Catalogue:
    """Open the sample; it is drawn on the first use and kept in the user's cache.

    Raises:
        CatalogueError: The cache cannot be written.
    """
    table = cached_sample()
    return replace(open_delimited(table, columns={}), kind="drawn", source="drawn")


def cached_sample() -> Path:
    """Return the path of the sample's table in the cache, after drawing it if it is not there; safe between processes.

    Raises:
        CatalogueError: The cache cannot be written.
    """
    cache = _cache_folder()
    folder = cache / f"drawn-{VERSION}"
    if (folder / TABLE).is_file():
        return folder / TABLE
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="drawing-") as unfinished:
            write_drawn(Path(unfinished) / "sample")
            _put_in_place(Path(unfinished) / "sample", folder)
    except OSError as error:
        raise CatalogueError(
            f"{cache}: the drawn sample cannot be kept there ({error.strerror}); "
            f"set LOOKALIKE_CACHE to a folder that can be written"
        ) from None
    return folder / TABLE


def _put_in_place(finished: Path, folder: Path) -> None:
    """Rename a finished sample into place; a sample that another process has put there in the meantime is kept."""
    if folder.exists() and not (folder / TABLE).is_file():
        shutil.rmtree(folder)  # incomplete: some of its files were removed
    try:
        finished.rename(folder)
    except OSError:
        if not (folder / TABLE).is_file():
            raise


def _cache_folder() -> Path:
    own = os.environ.get("LOOKALIKE_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lookalike"
