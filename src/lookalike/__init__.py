"""Lookalike: a photo of a garment in, the same and similar garments out."""
