"""Photos: reading their bytes, recognising their formats, and `open_image`, which decodes them."""

from lookalike.images.formats import content_type
from lookalike.images.memory_budget import Budget, one_photo
from lookalike.images.opening import open_image, open_with_size
from lookalike.images.source import DEFAULT_LIMITS, Limits, Source, read_bytes

__all__ = [
    "DEFAULT_LIMITS",
    "Budget",
    "Limits",
    "Source",
    "content_type",
    "one_photo",
    "open_image",
    "open_with_size",
    "read_bytes",
]
