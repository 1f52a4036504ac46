"""The layouts that can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from lookalike.catalogue.sample.layouts.writing import Drawn
from lookalike.errors import UnknownNameError, UsageError

LAYOUTS: Mapping[str, str] = {
    "attributes": "lookalike.catalogue.sample.layouts.attributes:write_attributes",
    "attributes-fine": "lookalike.catalogue.sample.layouts.attributes:write_attributes_fine",
    "inshop": "lookalike.catalogue.sample.layouts.inshop:write_inshop",
    "consumer2shop": "lookalike.catalogue.sample.layouts.consumer2shop:write_consumer2shop",
    "deepfashion2": "lookalike.catalogue.sample.layouts.deepfashion2:write_deepfashion2",
    "street2shop": "lookalike.catalogue.sample.layouts.street2shop:write_street2shop",
    "sop": "lookalike.catalogue.sample.layouts.for_methods:write_online_products",
    "cub": "lookalike.catalogue.sample.layouts.for_methods:write_birds",
    "fashioniq": "lookalike.catalogue.sample.layouts.fashioniq:write_fashioniq",
    "fashion200k": "lookalike.catalogue.sample.layouts.fashion200k:write_fashion200k",
    "hard": "lookalike.catalogue.sample.layouts.hard:write_hard",
    "imagefolder": "lookalike.catalogue.sample.layouts.plain:write_imagefolder",
    "table": "lookalike.catalogue.sample.layouts.plain:write_table",
}


def write_layout(folder: Path, *, layout: str, products: int = 46, photos: int = 4, seed: int = 0) -> list[Drawn]:
    """Draw a data set into an empty folder.

    Args:
        folder: Folder to write to; created if missing.
        layout: A name in `LAYOUTS`.
        products: Number of products; 46 are one of each category that has photos.
        photos: Number of photos of each product.
        seed: Seed of the products and photos.

    Returns:
        Annotations of each photo, in the order of the files.

    Raises:
        UnknownNameError: There is no such layout.
        UsageError: The layout needs more products or photos, or the folder is not empty.
    """
    if layout not in LAYOUTS:
        raise UnknownNameError("layout", layout, LAYOUTS)
    if products < 1 or photos < 1:
        raise UsageError(f"there must be at least one product and one photo of each, not {products} and {photos}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder; name another one")
    module, _, function = LAYOUTS[layout].partition(":")
    write: Callable[..., list[Drawn]] = getattr(import_module(module), function)
    return write(folder, products=products, photos=photos, seed=seed)
