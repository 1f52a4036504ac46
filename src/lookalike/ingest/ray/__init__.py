"""Describing the photos of a catalogue on many machines, with Ray."""
