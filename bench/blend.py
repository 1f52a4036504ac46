"""Average the weights of two runs of one network: the later one has learnt more, the earlier one has forgotten less.

    python bench/blend.py EARLIER.safetensors LATER 0.7 OUT.safetensors

LATER is a checkpoint, or the folder of a run that was stopped: then the moving average in its state is taken. 0.7 is
its share. The later run must have begun with the earlier one's weights, otherwise their mean is no network (Wortsman et
al. 2022, Robust fine-tuning of zero-shot models). The model is called as the file is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from lookalike.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def later_run(path: Path) -> Checkpoint:
    """A checkpoint; or that of a stopped run's last measure, with the moving average of its last step."""
    if not path.is_dir():
        return load_checkpoint(path)
    checkpoint = load_checkpoint(path / "last.safetensors")
    average = torch.load(path / "state.pt", map_location="cpu", weights_only=True)["average"]
    if average is None:
        raise SystemExit(f"{path}: the run kept no moving average; set ema")
    checkpoint.network.load_state_dict(average)
    return checkpoint


def main() -> None:
    """Blend and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("earlier", type=Path)
    parser.add_argument("later", type=Path)
    parser.add_argument("share", type=float)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    earlier, later = load_checkpoint(given.earlier), later_run(given.later)
    if not 0 <= given.share <= 1:
        parser.error(f"a share is between 0 and 1, got {given.share}")
    if earlier.classes != later.classes:
        parser.error("the two know different classes")
    # What is made from the training labels, and not learnt, is the later run's: the signs of its columns are arbitrary.
    made = {name for name, _ in later.network.named_buffers() if name.startswith("relevance.")}
    before, blended = earlier.network.state_dict(), later.network.state_dict()
    for name, tensor in blended.items():
        if name not in made and tensor.is_floating_point():
            tensor.lerp_(before[name], 1.0 - given.share)
    save_checkpoint(
        given.out,
        later.network,
        preprocessing=later.preprocessing,
        name=given.out.stem,
        classes=later.classes,
    )
    print(f"wrote {given.out}: {1 - given.share:.2f} of {given.earlier}, {given.share:.2f} of {given.later}")


if __name__ == "__main__":
    main()
