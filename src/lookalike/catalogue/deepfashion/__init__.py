"""Readers of DeepFashion's published benchmarks."""
