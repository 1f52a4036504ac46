"""Synthetic data: the drawn sample, and drawn data sets in published layouts."""
