"""Training settings and the shipped presets."""
