"""Draws docs/images/hard.jpg, two families of the hard benchmark side by side: python docs/images/hard.py."""

import tempfile
from pathlib import Path

from PIL import Image

from lookalike.catalogue.sample.layouts.hard import SIBLINGS
from lookalike.catalogue.sample.layouts.table import write_layout

SHOWN = ("h001", "h002")
PHOTOS = 5
TILE = (120, 160)


def main() -> None:
    """Put the photos of a product in a row, and its near-duplicates below it."""
    sheet = Image.new("RGB", (TILE[0] * PHOTOS * len(SHOWN) + 8, TILE[1] * SIBLINGS), "white")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "hard"
        write_layout(root, layout="hard", products=9, photos=PHOTOS, seed=1)
        for block, family in enumerate(SHOWN):
            for row, letter in enumerate("abc"):
                for column in range(PHOTOS):
                    with Image.open(root / "photos" / f"{family}{letter}-{column + 1}.jpg") as photo:
                        tile = photo.resize(TILE, Image.Resampling.LANCZOS)
                    sheet.paste(tile, ((block * PHOTOS + column) * TILE[0] + 8 * block, row * TILE[1]))
    sheet.save(Path(__file__).with_name("hard.jpg"), quality=74, optimize=True)


if __name__ == "__main__":
    main()
