"""A gallery in a Milvus collection: the same promises as the one in a folder, beyond one machine."""
