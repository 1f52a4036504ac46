"""Indexing: reads and embeds the photos of a catalogue, and writes them to a gallery."""
