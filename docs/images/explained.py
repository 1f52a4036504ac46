"""Draws docs/images/explained.jpg, outfits that share a garment with the query: python docs/images/explained.py."""

import csv
import tempfile
from pathlib import Path

from PIL import Image

import lookalike
from lookalike.catalogue.sample.drawn import draw_photos, make_products
from lookalike.render.montage import write_montage

ASKED = ("d001", "d003")
OUTFITS = (("d001", "d023"), ("d001", "d012"), ("d011", "d003"), ("d020", "d003"), ("d007", "d008"))
GARMENT = (240, 320)


def main() -> None:
    """Search with a T-shirt above trousers among outfits, of which four have one of the two."""
    products = {product.id: product for product in make_products(30)}
    photos = {
        product: next(iter(draw_photos(products[product], 1)))[1] for outfit in (ASKED, *OUTFITS) for product in outfit
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "outfits.csv").open("w", newline="") as table:
            rows = csv.writer(table)
            rows.writerow(["image", "title"])
            for outfit in (ASKED, *OUTFITS):
                picture = Image.new("RGB", (GARMENT[0], GARMENT[1] * 2))
                for place, product in enumerate(outfit):
                    picture.paste(photos[product].resize(GARMENT, Image.Resampling.LANCZOS), (0, GARMENT[1] * place))
                picture.save(folder / f"{'-'.join(outfit)}.png")
                if outfit != ASKED:
                    kinds = [products[product].type.name for product in outfit]
                    rows.writerow([f"{'-'.join(outfit)}.png", f"{kinds[0]}, {kinds[1].lower()}"])
        query = folder / f"{'-'.join(ASKED)}.png"
        with lookalike.open(folder / "outfits.gallery") as outfits:
            outfits.index(folder / "outfits.csv")
            answer = outfits.search(query, garment="whole", k=5, explain=True)
            with Image.open(query) as photo:
                write_montage(Path(__file__).with_name("explained.jpg"), photo.convert("RGB"), answer=answer)


if __name__ == "__main__":
    main()
