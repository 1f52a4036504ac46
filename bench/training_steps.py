"""Measure forward and backward pass of a backbone in training: compiled, and in mixed precision on a CPU.

    python bench/training_steps.py mobilenetv2_100 --batch 32

Prints, for each way, the seconds of the first step and the median of the others, both as processor time of this
process, so that other work on the machine does not matter much; compilers run in processes of their own, and the
seconds that pass at the first step are printed too.
"""

from __future__ import annotations

import argparse
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from lookalike.models.network import Network, NetworkSettings
from lookalike.training.allocator import keep_freed_memory
from lookalike.training.run.compilation import compiled_maps
from lookalike.training.run.depthwise import DepthwiseGradients


@dataclass(frozen=True, slots=True)
class Way:
    """A way to take a step.

    Attributes:
        compiled: Whether the backbone is compiled.
        bf16: Whether it computes in bfloat16.
        fast: Whether the gradients of depthwise convolutions are ours.
    """

    compiled: bool = False
    bf16: bool = False
    fast: bool = False


WAYS = {
    "float32": Way(),
    "float32, compiled": Way(compiled=True),
    "bf16, PyTorch's gradients": Way(bf16=True),
    "bf16": Way(bf16=True, fast=True),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbone")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--width", type=int, default=120)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    given = parser.parse_args()
    photos = torch.rand(given.batch, 3, given.height, given.width, generator=torch.manual_seed(0))
    photos = photos.to(memory_format=torch.channels_last)
    print(
        f"{given.backbone}, {given.batch} photos of {given.height} x {given.width}, {torch.get_num_threads()} threads"
    )
    for name in given.ways:
        way = WAYS[name]
        network = Network(NetworkSettings(given.backbone), heads={}).train()
        network.to(memory_format=torch.channels_last)
        maps = compiled_maps(network, device=photos.device) if way.compiled else network.maps
        gradients: AbstractContextManager[object] = DepthwiseGradients() if way.fast else nullcontext()
        times, passed = [], []
        for _ in range(given.steps + 1):
            began, clock = time.process_time(), time.monotonic()
            network.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way.bf16):
                found = maps(photos)
            with gradients:
                found.float().square().mean().backward()
            times.append(time.process_time() - began)
            passed.append(time.monotonic() - clock)
        median = np.median(times[1:])
        print(f"{name}: first step {times[0]:.1f} s ({passed[0]:.0f} s passed), others {median:.3f} s", flush=True)


if __name__ == "__main__":
    keep_freed_memory()
    main()
