"""Local files: locks, writes that survive a power cut, and checksums."""
