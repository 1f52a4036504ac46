"""The drawn sample: garments that are drawn, and data sets of them in published layouts."""
