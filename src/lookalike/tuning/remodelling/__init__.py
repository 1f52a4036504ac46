"""A new model for a gallery that is served: its vectors are made aside, and put in place in one commit."""
