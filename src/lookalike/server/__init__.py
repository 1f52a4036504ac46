"""HTTP API and web page over the `Retriever` that Python and the command line use."""
