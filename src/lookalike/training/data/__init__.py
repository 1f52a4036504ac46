"""Training data: datasets, augmentation and batches."""
