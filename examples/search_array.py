"""Search with an image in memory: a Pillow image, and a NumPy array.

python examples/search_array.py GALLERY PHOTO
"""

import sys

import numpy as np
from PIL import Image

import lookalike


def main(address: str, photo: str) -> None:
    """Search with a photo, with its centre, and with its mirror image."""
    image = Image.open(photo).convert("RGB")
    width, height = image.size
    middle = image.crop((width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    mirrored = np.asarray(image)[:, ::-1]  # (H, W, 3) uint8
    with lookalike.open(address) as gallery:
        for name, picture in (("whole", image), ("middle", middle), ("mirrored", mirrored)):
            best = gallery.search(picture, k=1).matches[0]
            print(f"{name}: {best.item.id}  score {best.score:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
