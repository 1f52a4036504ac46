"""Indexing: photos of a catalogue are read, embedded and written to a gallery."""
