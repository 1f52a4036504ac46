"""Embedding of a catalogue's photos on a Ray cluster."""
