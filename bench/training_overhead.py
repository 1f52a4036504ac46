"""Measure what a training step costs beyond a plain PyTorch loop with the same network, loss, optimiser and batches.

    python bench/training_overhead.py [--backbone mobilenetv2_100] [--steps 40] [--products 8] [--height 160]

The two take turns, step by step, in one process: after each step of `lookalike train`'s own loop the plain loop takes
its step on the same batch, which both read from the disk. The losses of each step are compared. Processor time (user
and system) counts; on a machine that does other work, time on the clock does not say much. Left out are what comes once
in many steps: dev measures, saved states, and the loading of photos, which worker processes do.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time

from lookalike.training.allocator import keep_freed_memory

keep_freed_memory()  # as the command does, before PyTorch is imported; it holds for both loops

import timm  # noqa: E402
import torch  # noqa: E402
from pytorch_metric_learning.losses import SupConLoss  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from lookalike.benchmarking.report import BenchmarkReport  # noqa: E402
from lookalike.catalogue.sample.drawn import write_drawn  # noqa: E402
from lookalike.training.run.interruption import Interruption  # noqa: E402
from lookalike.training.run.loop import Run  # noqa: E402
from lookalike.training.run.optimiser_step import ShardOfBatch  # noqa: E402
from lookalike.training.run.processes import start_processes  # noqa: E402
from lookalike.training.run.run_folder import RunFolder  # noqa: E402
from lookalike.training.settings.run_settings import load_settings  # noqa: E402

RATE, DECAY, LONGEST, TEMPERATURE, SCALE, SMOOTHING = 1e-3, 0.02, 5.0, 0.1, 16.0, 0.05
WARM = 3
"""Steps that are not counted."""

SETTINGS = """
name = "overhead"
products = {products}
photos = 4
workers = 0
schedule = "constant"
epoch_photos = {epoch}
save_every = 1000000
weight_decay = {decay}
clip_norm = {longest}
[network]
backbone = "{backbone}"
embedding = 128
head_scale = {scale}
[input]
height = {height}
width = {width}
[heads]
label_smoothing = {smoothing}
[[data]]
source = "sample/catalogue.csv"
heads = {{ type = 1.0 }}
[[loss]]
name = "SupConLoss"
arguments = {{ temperature = {temperature} }}
[[stage]]
epochs = 1
learning_rate = {rate}
backbone_rate = {rate}
warmup = 0.0
"""


class Plain(nn.Module):
    """The network and its loss, as one would write them in a notebook.

    Args:
        backbone: timm model.
        classes: Number of classes of the head.
    """

    def __init__(self, backbone: str, *, classes: int) -> None:
        super().__init__()
        self.backbone = timm.create_model(backbone, pretrained=False, num_classes=0, global_pool="")
        self.embedding = nn.Linear(
            int(getattr(self.backbone, "head_hidden_size", 0) or self.backbone.num_features), 128
        )
        self.head = nn.Linear(128, classes, bias=False)
        self.loss = SupConLoss(temperature=TEMPERATURE)

    def forward(self, photos: Tensor, products: Tensor, types: Tensor) -> Tensor:
        """Return the loss of a batch."""
        rows = functional.normalize(self.embedding(self.backbone(photos).flatten(2).mean(dim=2)), dim=1)
        scores = SCALE * functional.linear(rows, functional.normalize(self.head.weight, dim=1))
        loss: Tensor = self.loss(rows, products) + functional.cross_entropy(scores, types, label_smoothing=SMOOTHING)
        return loss


def plain_of(run: Run, backbone: str) -> Plain:
    """A plain network with the weights of a run's."""
    head = run.network.heads.get_submodule("head_type")
    assert isinstance(head, nn.Linear)
    plain = Plain(backbone, classes=head.out_features)
    plain.backbone.load_state_dict(run.network.backbone.state_dict())
    plain.embedding.load_state_dict(run.network.embedding.state_dict())
    plain.head.load_state_dict(head.state_dict())
    return plain.to(memory_format=torch.channels_last).train()


def stored(folder: Path, start: int, steps: int) -> Iterator[ShardOfBatch]:
    """Read the batches of a run from the disk."""
    for step in range(start, steps):
        photos, places, roles = torch.load(folder / f"{step}.pt")
        yield photos, places, roles, places, [""] * len(places)


def main() -> None:
    """Take turns, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--products", type=int, default=8, help="products of a batch, with 4 photos of each")
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--width", type=int, default=120)
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--profile", action="store_true", help="print where the run's own loop spends its time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), given)


def measure(folder: Path, given: argparse.Namespace) -> None:
    """Draw a catalogue, and train on it in both ways."""
    report = BenchmarkReport([])  # made first: it records the load of the machine
    write_drawn(folder / "sample", products=max(12, given.products), photos=4)
    text = SETTINGS.format(
        **{name: getattr(given, name) for name in ("backbone", "products", "height", "width")},
        epoch=given.steps * given.products * 4,
        decay=DECAY,
        longest=LONGEST,
        scale=SCALE,
        smoothing=SMOOTHING,
        temperature=TEMPERATURE,
        rate=RATE,
    )
    (folder / "run.toml").write_text(text, encoding="utf-8")
    settings = load_settings(folder / "run.toml")
    run_folder = RunFolder(folder / "run")
    run_folder.begin(settings)
    accelerator = start_processes("cpu", "no")
    run = Run(settings, base=folder, folder=run_folder, accelerator=accelerator, interruption=Interruption())
    plain = plain_of(run, given.backbone)
    weights = list(plain.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [weight for weight in weights if weight.ndim > 1]},
            {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=RATE,
        weight_decay=DECAY,
    )
    run.training_data.show_for(settings.stage[0])
    for step, (photos, places, roles, *_) in enumerate(run.batches(0, given.steps)):
        torch.save((photos, places, roles), folder / f"{step}.pt")
    run.batches = lambda number, steps: stored(folder, 0, steps)  # type: ignore[method-assign]
    products = torch.from_numpy(run.training_data.photos.products)
    types = torch.from_numpy(run.training_data.photos.labels["type"])
    batches = stored(folder, 0, given.steps)
    ours: list[tuple[float, float]] = []
    plains: list[tuple[float, float]] = []
    losses: list[float] = []
    profile = cProfile.Profile()

    def plain_step() -> None:
        photos, places, *_ = next(batches)
        optimizer.zero_grad(set_to_none=True)
        loss = plain(photos.to(memory_format=torch.channels_last), products[places], types[places])
        loss.backward()
        nn.utils.clip_grad_norm_(weights, LONGEST)
        optimizer.step()
        losses.append(float(loss.detach()))

    began = [0.0, 0.0]

    def turn(done: int, total: int) -> None:
        profile.disable()
        now = [process_time(), perf_counter()]
        if done:
            ours.append((now[0] - began[0], now[1] - began[1]))
            plain_step()
            after = [process_time(), perf_counter()]
            plains.append((after[0] - now[0], after[1] - now[1]))
        began[:] = [process_time(), perf_counter()]
        if given.profile and done >= WARM:
            profile.enable()

    run.all_stages(turn)
    run.close()
    run_folder.release()
    lines = map(json.loads, (folder / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines())
    logged = [sum(line["loss"].values()) for line in lines if "loss" in line]
    parts = [abs(one - other) / abs(other) for one, other in zip(logged, losses, strict=True)]
    print(
        f"{given.steps} steps of {given.products * 4} photos, {given.backbone}, {given.height} x {given.width}, ",
        end="",
    )
    print(
        f"{torch.get_num_threads()} threads; losses from {losses[0]:.2f} to {losses[-1]:.2f}, "
        f"which differ by a part of {parts[0]:.1e} in the first step and {max(parts):.1e} at most"
    )
    figures: dict[str, dict[str, float]] = {}
    for place, what in enumerate(("processor time", "time on the clock")):
        mine = [step[place] for step in ours[WARM:]]
        theirs = [step[place] for step in plains[WARM:]]
        print(
            f"{what}: {statistics.median(mine) * 1000:.1f} ms a step, plain {statistics.median(theirs) * 1000:.1f} ms; "
            f"ratio of the sums {sum(mine) / sum(theirs):.3f}, of the medians "
            f"{statistics.median(mine) / statistics.median(theirs):.3f}"
        )
        figures[what] = {
            "ours_ms": statistics.median(mine) * 1000,
            "plain_ms": statistics.median(theirs) * 1000,
            "ratio_of_sums": sum(mine) / sum(theirs),
        }
    if given.json:
        told = {**report.to_json(), "backbone": given.backbone, "steps": given.steps, "rows": figures}
        given.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if given.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
