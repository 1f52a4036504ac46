"""Search: the retriever, its results, and refinement of them."""
