"""What only the owner may ask for: work that takes seconds, and that a stranger could have done again and again.

The owner is who shows the token; the settings open single things to all.
"""

from __future__ import annotations

from lookalike.deadline import within
from lookalike.gallery.request import SearchRequest
from lookalike.index import SPELLINGS
from lookalike.server.context import AppContext
from lookalike.server.errors import ApiError


def check_allowed(request: SearchRequest, context: AppContext) -> None:
    """Refuse a stranger what is for the owner; it may look into the gallery, so it runs in a worker.

    Raises:
        ApiError: The search asks for such.
        DeadlineError: Its filter takes too long.
    """
    settings, gallery = context.settings, context.retriever.gallery
    if request.where is not None:
        with within(settings.scan_seconds):
            gallery.prepare_filter(request.where)
    if not settings.build_indexes and not gallery.has_index(request.index):
        what = f"the index {request.index!r} is not built, and only the owner may have it built"
        raise owner_only(what, "build_indexes")
    for metric in (request.metrics or {}).values():
        if SPELLINGS.get(metric.lower(), metric.lower()) in settings.owner_metrics:
            raise owner_only(f"the metric {metric!r} takes long, and is for the owner", "owner_metrics")


def owner_only(what: str, setting: str) -> ApiError:
    """Refuse what is for the owner.

    Args:
        what: Is refused, and why.
        setting: Opens it to all.
    """
    return ApiError("owner_only", f"{what}; show the token, or set `{setting}`", details={"setting": setting})
