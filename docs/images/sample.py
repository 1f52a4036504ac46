"""Draws docs/images/sample.jpg, a look at the built-in sample: python docs/images/sample.py."""

from pathlib import Path

from PIL import Image

from lookalike.catalogue.sample.drawn import draw_photos, make_products

COLUMNS = 10
TILE = (120, 160)


def main() -> None:
    """Put three photos of each of the sample's first twenty products below each other."""
    products = make_products(COLUMNS * 2)
    sheet = Image.new("RGB", (TILE[0] * COLUMNS, TILE[1] * 6), "white")
    for number, product in enumerate(products):
        for row, (_, photo) in enumerate(draw_photos(product, 3)):
            place = (number % COLUMNS * TILE[0], (number // COLUMNS * 3 + row) * TILE[1])
            sheet.paste(photo.resize(TILE, Image.Resampling.LANCZOS), place)
    sheet.save(Path(__file__).with_name("sample.jpg"), quality=74, optimize=True)


if __name__ == "__main__":
    main()
