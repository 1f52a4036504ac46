"""From a catalogue into a gallery: photos are read, embedded and written."""
