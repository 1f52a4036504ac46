"""A photo of a garment in, the same and similar garments out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lookalike import telemetry

if TYPE_CHECKING:
    from lookalike.embedding.report import Report
    from lookalike.errors import (
        AnnotationError,
        AnnotationErrors,
        CatalogueError,
        ConfigError,
        FilterError,
        GalleryClosedError,
        GalleryDamagedError,
        GalleryGoneError,
        GalleryLockedError,
        GalleryNotFoundError,
        GalleryUnreachableError,
        IndexFileError,
        LookalikeError,
        MismatchError,
        MissingExtraError,
        ModelError,
        PhotoError,
        RowFileError,
        StorageFailedError,
        StorageFullError,
        TrainingError,
        UnknownNameError,
        UsageError,
    )
    from lookalike.gallery.protocol import Gallery
    from lookalike.retriever import Retriever, open
    from lookalike.spaces import Space
    from lookalike.types import Answer, Box, Item, Match

__all__ = [
    "AnnotationError",
    "AnnotationErrors",
    "Answer",
    "Box",
    "CatalogueError",
    "ConfigError",
    "FilterError",
    "Gallery",
    "GalleryClosedError",
    "GalleryDamagedError",
    "GalleryGoneError",
    "GalleryLockedError",
    "GalleryNotFoundError",
    "GalleryUnreachableError",
    "IndexFileError",
    "Item",
    "LookalikeError",
    "Match",
    "MismatchError",
    "MissingExtraError",
    "ModelError",
    "PhotoError",
    "Report",
    "Retriever",
    "RowFileError",
    "Space",
    "StorageFailedError",
    "StorageFullError",
    "TrainingError",
    "UnknownNameError",
    "UsageError",
    "open",
]

telemetry.switch_off()  # the one effect of importing the package: a library that was imported first would report

_HOMES = {
    **dict.fromkeys(("Answer", "Box", "Item", "Match"), "lookalike.types"),
    **dict.fromkeys(("Retriever", "open"), "lookalike.retriever"),
    "Gallery": "lookalike.gallery.protocol",
    "Report": "lookalike.embedding.report",
    "Space": "lookalike.spaces",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import a public name when it is first used, so that `import lookalike` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "lookalike.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
