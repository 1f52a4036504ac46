"""Average the weights of a network before and after fine-tuning.

    python bench/blend.py EARLIER.safetensors LATER 0.7 OUT.safetensors

LATER is a checkpoint, or the folder of a stopped run, of which the moving average in its state is taken; 0.7 is its
share. The later run must have started from the earlier one's weights (Wortsman et al. 2022, Robust fine-tuning of
zero-shot models). The model gets the name of the file OUT.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from lookalike.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def later_run(path: Path) -> Checkpoint:
    """Load a checkpoint, or that of a stopped run's last measure with the moving average of its last step."""
    if not path.is_dir():
        return load_checkpoint(path)
    checkpoint = load_checkpoint(path / "last.safetensors")
    average = torch.load(path / "state.pt", map_location="cpu", weights_only=True)["average"]
    if average is None:
        raise SystemExit(f"{path}: the run has no moving average of its weights; set `ema` and train again")
    checkpoint.network.load_state_dict(average)
    return checkpoint


def main() -> None:
    """Average and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("earlier", type=Path)
    parser.add_argument("later", type=Path)
    parser.add_argument("share", type=float)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    earlier, later = load_checkpoint(given.earlier), later_run(given.later)
    if not 0 <= given.share <= 1:
        parser.error(f"the share must be between 0 and 1, got {given.share}")
    if earlier.classes != later.classes:
        parser.error("the two networks have different classes")
    # Tensors computed from the training labels are the later run's: the signs of their columns are arbitrary.
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
