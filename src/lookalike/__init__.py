"""A photo of a garment in, the same and similar garments out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lookalike import telemetry

if TYPE_CHECKING:
    from lookalike.embedding.report import Report
    from lookalike.errors import (
        CatalogueError,
        ConfigError,
        FilterError,
        GalleryDamagedError,
        GalleryLockedError,
        GalleryNotFoundError,
        LookalikeError,
        MismatchError,
        MissingExtraError,
        ModelError,
        PhotoError,
        UnknownNameError,
        UsageError,
    )
    from lookalike.retriever import Retriever, open
    from lookalike.types import Answer, Box, Item, Match

__all__ = [
    "Answer",
    "Box",
    "CatalogueError",
    "ConfigError",
    "FilterError",
    "GalleryDamagedError",
    "GalleryLockedError",
    "GalleryNotFoundError",
    "Item",
    "LookalikeError",
    "Match",
    "MismatchError",
    "MissingExtraError",
    "ModelError",
    "PhotoError",
    "Report",
    "Retriever",
    "UnknownNameError",
    "UsageError",
    "open",
]

telemetry.switch_off()  # the one effect of importing the package: a library that was imported first would report

_HOMES = {
    **dict.fromkeys(("Answer", "Box", "Item", "Match"), "lookalike.types"),
    **dict.fromkeys(("Retriever", "open"), "lookalike.retriever"),
    "Report": "lookalike.embedding.report",
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
