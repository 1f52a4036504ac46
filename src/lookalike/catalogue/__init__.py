"""Where items come from: a folder, a table, the drawn sample, a list of paths."""

from lookalike.catalogue.opening import open_catalogue
from lookalike.catalogue.protocol import Catalogue, Skip

__all__ = ["Catalogue", "Skip", "open_catalogue"]
