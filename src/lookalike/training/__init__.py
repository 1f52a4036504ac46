"""Training: data, augmentation, sampling, losses and the loop."""
