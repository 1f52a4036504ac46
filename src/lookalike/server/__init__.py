"""The HTTP API and its page: a door to the same `Retriever` that Python and the command line use."""
