"""Embedding of photos: networks, the colour embedding, and the runtimes that run them."""
