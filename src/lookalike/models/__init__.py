"""Networks, their pre-processing, checkpoints and export."""
