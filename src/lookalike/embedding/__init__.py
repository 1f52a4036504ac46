"""From photos to vectors."""
