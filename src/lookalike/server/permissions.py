"""Searches that need the token: those that build an index, and those with slow metrics.

Such a search takes seconds of processor time, and without the token any client could repeat it. The settings
`build_indexes` and `owner_metrics` allow them to all clients.
"""

from __future__ import annotations

from lookalike.deadline import within
from lookalike.gallery.request import SearchRequest
from lookalike.index import SPELLINGS
from lookalike.server.errors import ApiError
from lookalike.server.gallery_context import GalleryContext


def check_allowed(request: SearchRequest, context: GalleryContext) -> None:
    """Check that a search without the token is allowed. Reads the gallery, so it runs in a worker thread.

    Raises:
        ApiError: The search would build an index, or uses a metric of `owner_metrics`.
        DeadlineError: Preparing the filter takes longer than `scan_seconds`.
    """
    settings, gallery = context.settings, context.retriever.gallery
    if request.where is not None:
        with within(settings.scan_seconds):
            gallery.prepare_filter(request.where)
    if not settings.build_indexes and not gallery.has_index(request.index):
        what = f"the index {request.index!r} is not built, and building it needs the token"
        raise owner_only(what, "build_indexes")
    for metric in (request.metrics or {}).values():
        if SPELLINGS.get(metric.lower(), metric.lower()) in settings.owner_metrics:
            raise owner_only(f"the metric {metric!r} is slow, and needs the token", "owner_metrics")


def owner_only(what: str, setting: str) -> ApiError:
    """Error 403 for a search that needs the token.

    Args:
        what: What is refused, and why.
        setting: Name of the setting that allows it to all clients.
    """
    message = f"{what}; send the token, or change the setting `{setting}`"
    return ApiError("owner_only", message, details={"setting": setting})
