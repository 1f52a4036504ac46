"""Networks, preprocessing, checkpoints and export."""
