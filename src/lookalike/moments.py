"""Moments as text."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(seconds: float) -> str:
    """Moment in UTC, such as 2026-11-29T13:05:00Z.

    Args:
        seconds: Seconds since 1970.

    >>> moment(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
