"""Tables of several evaluations in the form of papers, with published figures beside."""
