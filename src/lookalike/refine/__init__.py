"""Better answers than one search gives: weights that were learned, shorter rows, second looks at the nearest."""
