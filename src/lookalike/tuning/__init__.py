"""Tuning of galleries: learned weights, PCA projections, database-side augmentation."""
