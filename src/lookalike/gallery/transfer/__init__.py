"""Copies, exports and imports of galleries."""
