"""Image encoders of other libraries, by name or from their files, as PyTorch modules that give rows."""
