"""Readers of published benchmarks beside the three of DeepFashion."""
