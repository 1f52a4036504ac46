"""Training of finders."""
