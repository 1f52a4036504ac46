"""Learn the parameters of `lookalike.embedding.color` from catalogue photos with colour labels.

    python bench/learn_colour.py labels.csv --onto clothing/labels.csv --onto street/labels.csv

The tables have the columns that `colour_photos.read_photos` names; only their split `train` is used. Writes
src/lookalike/embedding/color.npz, in a few minutes on two idle cores; results are in docs/colour.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from colour_photos import Photo, open_all, paste_all, read_photos
from lookalike.embedding import color
from lookalike.embedding.color import BORDER, LEVELS, RARE, bins
from lookalike.types import Int64

SIDE = 32  # half the input size of the descriptor: as good, and four times faster
DIMENSION = 64
EPOCHS, BATCH, PASTED = 5, 1024, 512
TEMPERATURE = 0.07  # of the cosines
BALANCE = 0.4  # 0 weighs all photos equally, 1 all colours
OWN = 0.5  # weight of the loss that pasted photos find their own originals, besides that of the same colour
RATES = {"mapping": 3e-3, "weights": 3e-2}
WRITTEN = Path(color.__file__).with_name("color.npz")


class Descriptor(nn.Module):
    """The computations of `lookalike.embedding.color` as a module, on batches."""

    def __init__(self) -> None:
        super().__init__()
        grid = bins()
        colors = torch.arange(LEVELS**3).repeat_interleave(8)
        where = torch.stack([torch.from_numpy(grid.numbers.ravel()), colors])
        shape = (grid.count, LEVELS**3)
        share = torch.from_numpy(grid.shares.ravel())
        self.to_bins = torch.sparse_coo_tensor(where, share, shape, check_invariants=True).coalesce()
        self.to_colors = self.to_bins.t().coalesce()
        across = (torch.arange(SIDE) + 0.5) / SIDE - 0.5
        bell = (across[None, :] / 0.22) ** 2 + (across[:, None] / 0.28) ** 2
        self.place = nn.Parameter((1.5 - 0.5 * bell).clamp(min=-8.0))
        self.tint = nn.Parameter(torch.zeros(grid.count))
        self.contrast = nn.Parameter(torch.tensor(1.0))
        self.mapping = nn.Linear(grid.count, DIMENSION, bias=False)
        edge = torch.ones(SIDE, SIDE)
        width = BORDER * SIDE // color.SIDE
        edge[width:, width:-width] = 0.0
        self.edge = edge.ravel()

    def symmetric_place(self) -> Tensor:
        """Log-odds of a garment by position, (32, 32), symmetric from left to right."""
        return (self.place + self.place.flip(1)) / 2

    def histogram(self, colors: Tensor, amounts: Tensor) -> Tensor:
        """Compute histograms, (B, N), of pixel colours, (B, P), with amounts that broadcast to them."""
        summed = torch.zeros(len(colors), LEVELS**3).scatter_add_(1, colors, amounts.expand(colors.shape))
        binned = torch.sparse.mm(self.to_bins, summed.T).T
        return binned / binned.sum(1, keepdim=True)

    def roots(self, colors: Tensor) -> Tensor:
        """Compute square roots of the garment's histogram, (B, N)."""
        place = self.symmetric_place().ravel()
        border, middle = self.histogram(colors, self.edge), self.histogram(colors, torch.sigmoid(place))
        odds = self.tint - self.contrast * torch.log((border + RARE) / (middle + RARE))
        by_color = torch.sparse.mm(self.to_colors, odds.T).T
        weights = torch.sigmoid(place + by_color.gather(1, colors))
        return (self.histogram(colors, weights) + 1e-8).sqrt()

    def forward(self, colors: Tensor) -> Tensor:
        """Compute descriptors, (B, 64) unit vectors."""
        return functional.normalize(self.mapping(self.roots(colors)))


def colors_of(photos: list[Image.Image]) -> Tensor:
    """Return the colours of the pixels of the shrunk photos as numbers below 4,096: (B, 32 * 32) int16."""
    numbers: list[Int64] = []
    for photo in photos:
        pixels = np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BOX)) // (256 // LEVELS)
        numbers.append(pixels.reshape(-1, 3) @ np.array([LEVELS**2, LEVELS, 1]))
    return torch.from_numpy(np.array(numbers, dtype=np.int16))


def same_color_loss(rows: Tensor, labels: Tensor, groups: Tensor, fresh: int, rarity: Tensor) -> Tensor:
    """Compute minus the log of the share of each row's similarity that goes to photos of its own colour.

    Only the first `fresh` rows, unchanged photos, are candidates; photos of the same group are excluded.

    Source: Goldberger et al. 2004, Neighbourhood Components Analysis; with a temperature, Frosst et al. 2019.
    """
    likeness = (rows @ rows[:fresh].T / TEMPERATURE).masked_fill(groups[:, None] == groups[None, :fresh], -1e4)
    right = (labels[:, None] == labels[None, :fresh]) & (groups[:, None] != groups[None, :fresh])
    shortfall = likeness.logsumexp(1) - likeness.masked_fill(~right, -1e4).logsumexp(1)
    answered = right.any(1)
    return (shortfall * rarity[labels])[answered].mean()


def learn(photos: list[Photo], backgrounds: list[Photo]) -> Descriptor:
    """Learn from photos with known colours."""
    originals = colors_of(open_all(photos, at_least=SIDE))
    scenes = paste_all(photos, backgrounds, seed=1, largest=0.95)
    pasted = torch.full((len(photos),), -1)
    pasted[list(scenes)] = torch.arange(len(scenes))
    scene_colors = colors_of(list(scenes.values()))
    labels, groups = (
        torch.from_numpy(np.unique([getattr(photo, name) for photo in photos], return_inverse=True)[1])
        for name in ("label", "group")
    )
    counts = torch.bincount(labels).float()
    rarity = (counts.mean() / counts) ** BALANCE

    descriptor = Descriptor()
    with torch.no_grad():  # initialise with the principal components of the photos
        some = originals[torch.randperm(len(photos))[:3000]].long()
        roots = torch.cat([descriptor.roots(part) for part in some.split(500)])
        descriptor.mapping.weight.copy_(torch.pca_lowrank(roots, q=DIMENSION, center=False)[2].T)
    weights = [descriptor.place, descriptor.tint, descriptor.contrast]
    optimizer = torch.optim.Adam([{"params": descriptor.mapping.parameters()}, {"params": weights}])
    steps = EPOCHS * (len(photos) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, list(RATES.values()), total_steps=steps)
    for epoch in range(EPOCHS):
        losses = []
        for chosen in torch.randperm(len(photos)).split(BATCH)[: len(photos) // BATCH]:
            with_scene = torch.where(pasted[chosen] >= 0)[0][:PASTED]
            again = chosen[with_scene]
            rows = descriptor(torch.cat([originals[chosen], scene_colors[pasted[again]]]).long())
            everyone = torch.cat([chosen, again])
            loss = same_color_loss(rows, labels[everyone], groups[everyone], BATCH, rarity)
            loss = loss + OWN * functional.cross_entropy(rows[BATCH:] @ rows[:BATCH].T / TEMPERATURE, with_scene)
            place = descriptor.place
            loss = loss + 0.02 * (place.diff(dim=0).square().mean() + place.diff(dim=1).square().mean())
            loss = loss + 0.01 * descriptor.tint.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"pass {epoch + 1} of {EPOCHS}: loss {np.mean(losses):.3f}, contrast {descriptor.contrast.item():.3f}")
    return descriptor


def write(descriptor: Descriptor) -> None:
    """Write the parameters beside the module that uses them, as 16-bit floats."""
    with torch.no_grad():
        place = descriptor.symmetric_place()[None, None]
        full = functional.interpolate(place, size=(color.SIDE, color.SIDE), mode="bilinear")[0, 0]
        np.savez(
            WRITTEN,
            place=full.numpy().astype(np.float16),
            tint=descriptor.tint.numpy().astype(np.float16),
            contrast=descriptor.contrast.numpy().astype(np.float32),
            mapping=descriptor.mapping.weight.numpy().astype(np.float16),
        )


def main() -> None:
    """Read the tables, learn, write."""
    parser = argparse.ArgumentParser(description="Learn the colour descriptor.")
    parser.add_argument("table", type=Path, help="catalogue photos on white, with the names of their colours")
    parser.add_argument("--onto", type=Path, action="append", required=True, help="photos to paste garments onto")
    parser.add_argument("--backgrounds", type=int, default=600, help="how many of each table")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    backgrounds: list[Photo] = []
    for table in arguments.onto:
        found = read_photos(table, split="train")
        backgrounds += [found[place] for place in random.permutation(len(found))[: arguments.backgrounds]]
    photos = [photo for photo in read_photos(arguments.table, split="train") if photo.label]
    print(f"{len(photos):,} photos, {len(backgrounds):,} backgrounds")
    write(learn(photos, backgrounds))


if __name__ == "__main__":
    main()
