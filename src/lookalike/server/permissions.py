"""What only the owner may ask for: work that takes seconds, and that a stranger could have done again and again.

The owner is who shows the token; the settings open single things to all.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lookalike.deadline import within
from lookalike.index import SPELLINGS
from lookalike.server.context import AppContext
from lookalike.server.errors import ApiError
from lookalike.server.schemas import Options


@runtime_checkable
class Building(Protocol):
    """A gallery in this process, which builds indexes when they are first asked for."""

    def has_index(self, name: str) -> bool:
        """Whether an index can be searched without building it first."""
        ...

    def find_passing(self, where: str) -> None:
        """Find out what a filter passes, so that a search with it, which comes next, need not."""
        ...


def check_allowed(options: Options, context: AppContext) -> None:
    """Refuse a stranger what is for the owner; it may look into the gallery, so it runs in a worker.

    Raises:
        ApiError: The search asks for such.
        DeadlineError: Its filter takes too long.
    """
    settings, gallery = context.settings, context.retriever.gallery
    if options.where is not None and isinstance(gallery, Building):
        with within(settings.scan_seconds):
            gallery.find_passing(options.where)
    if not settings.build_indexes and isinstance(gallery, Building) and not gallery.has_index(options.index):
        what = f"the index {options.index!r} is not built, and only the owner may have it built"
        raise owner_only(what, "build_indexes")
    for metric in (options.metrics or {}).values():
        if SPELLINGS.get(metric.lower(), metric.lower()) in settings.owner_metrics:
            raise owner_only(f"the metric {metric!r} takes long, and is for the owner", "owner_metrics")


def owner_only(what: str, setting: str) -> ApiError:
    """Refuse what is for the owner.

    Args:
        what: Is refused, and why.
        setting: Opens it to all.
    """
    return ApiError("owner_only", f"{what}; show the token, or set `{setting}`", details={"setting": setting})
