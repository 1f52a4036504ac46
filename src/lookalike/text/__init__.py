"""Text: the words of a query, and their vectors in the space of a photo model."""
