"""Measure what compilation by `torch.compile` is worth in training: forward and backward pass of a backbone.

    python bench/compiled.py mobilenetv2_100 --batch 32

Prints, without and with compilation, the seconds of the first step and the median of the others, both as processor time
of this process, so that other work on the machine does not matter much; compilers run in processes of their own, and
the seconds that pass at the first step are printed too.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from lookalike.models.network import Network, NetworkSettings
from lookalike.training.run.compilation import compiled_maps


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbone")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--width", type=int, default=120)
    parser.add_argument("--steps", type=int, default=10)
    given = parser.parse_args()
    photos = torch.rand(given.batch, 3, given.height, given.width, generator=torch.manual_seed(0))
    photos = photos.to(memory_format=torch.channels_last)
    print(
        f"{given.backbone}, {given.batch} photos of {given.height} x {given.width}, {torch.get_num_threads()} threads"
    )
    for compiled in (False, True):
        network = Network(NetworkSettings(given.backbone), heads={}).train()
        network.to(memory_format=torch.channels_last)
        maps = compiled_maps(network, device=photos.device) if compiled else network.maps
        times, passed = [], []
        for _ in range(given.steps + 1):
            began, clock = time.process_time(), time.monotonic()
            network.zero_grad()
            maps(photos).square().mean().backward()
            times.append(time.process_time() - began)
            passed.append(time.monotonic() - clock)
        way = "compiled" if compiled else "as it is"
        median = np.median(times[1:])
        print(f"{way}: first step {times[0]:.1f} s ({passed[0]:.0f} s passed), others {median:.3f} s", flush=True)


if __name__ == "__main__":
    main()
