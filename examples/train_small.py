"""Train a small model on photos of your own, and search with it.

    pip install 'lookalike[train]'
    python examples/train_small.py TABLE PHOTO [EPOCHS]

The table has columns `image` and `product`, and more than one photo of each product. Real training needs more photos, a
larger input and more epochs: docs/training.md.
"""

import sys
from pathlib import Path

import lookalike

SETTINGS = """
name = "small"
products = 16
photos = 2

[network]
backbone = "mobilenetv3_small_050"
embedding = 64

[input]
height = 96
width = 72

[[data]]
source = "{table}"
hold_out = 0.15

[[loss]]
name = "SupConLoss"
arguments = {{ temperature = 0.1 }}

[[stage]]
epochs = {epochs}
learning_rate = 3e-3
backbone_rate = 3e-3
"""


def main(table: str, photo: str, epochs: str = "10") -> None:
    """Train, export, index, search."""
    Path("small.toml").write_text(SETTINGS.format(table=table, epochs=epochs), encoding="utf-8")
    trained = lookalike.train("small.toml", report=print)
    exported = lookalike.export(trained.checkpoint, "small.onnx")
    print(f"least cosine between the exported model and the checkpoint: {exported.least_cosine:.4f}")
    with lookalike.open("small.gallery", model=str(exported.file)) as gallery:
        gallery.index(table)
        for match in gallery.search(photo, k=3).matches:
            print(f"{match.rank}. {match.item.id}  score {match.score:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
