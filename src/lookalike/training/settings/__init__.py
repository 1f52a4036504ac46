"""The settings of a training run, and the presets."""
