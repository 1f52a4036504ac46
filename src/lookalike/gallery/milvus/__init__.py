"""Galleries in Milvus collections, with the interface of those in folders."""
