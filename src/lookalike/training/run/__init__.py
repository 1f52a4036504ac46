"""The training run: loop, steps, checkpoints and log."""
