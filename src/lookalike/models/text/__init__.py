"""The network of text encoders."""
