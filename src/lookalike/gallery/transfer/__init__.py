"""Galleries copied, exported and imported."""
