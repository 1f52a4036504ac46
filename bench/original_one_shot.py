"""One query of the original system on current PyTorch, in its own process: prints the five best photos.

Usage: original_one_shot.py PHOTO FOLDER, where FOLDER holds the original's model.pth.tar, all_feat.npy,
all_color_feat.npy and all_feat.list.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.spatial.distance import cdist
from torch.nn import functional
from torchvision import transforms

from original_network import SIZE, OriginalNetwork

CELLS = 10
COLOR_WEIGHT = 0.1
ANSWERS = 5


def main(photo: Path, folder: Path) -> None:
    """Load everything, embed the photo, score all rows, and print the answers."""
    network = OriginalNetwork()
    network.load_state_dict(torch.load(folder / "model.pth.tar", map_location="cpu", weights_only=True))
    network.eval()
    deep, color = np.load(folder / "all_feat.npy"), np.load(folder / "all_color_feat.npy")
    names = (folder / "all_feat.list").read_text(encoding="utf-8").splitlines()

    prepare = transforms.Compose(
        [
            transforms.Resize(SIZE),
            transforms.CenterCrop(SIZE),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    pixels = prepare(Image.open(photo).convert("RGB"))[None]
    with torch.no_grad():
        query_deep, attention = network(pixels)
        cells = functional.avg_pool2d(pixels, 32)[0].flatten(1).numpy()
    places = np.argpartition(attention[0].flatten().numpy(), -CELLS)[-CELLS:]
    query_color = cells[:, places].reshape(1, -1)

    scores = -(cdist(query_deep.numpy(), deep)[0] + COLOR_WEIGHT * cdist(query_color, color)[0])
    for place in np.argsort(-scores)[:ANSWERS]:
        print(f"{scores[place]:.4f} {names[place]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
