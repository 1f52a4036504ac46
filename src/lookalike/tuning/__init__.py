"""Galleries made better: learned weights, shorter vectors, database-side augmentation."""
