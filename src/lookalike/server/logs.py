"""Logging as JSON lines on standard error. Photos, tokens and texts of queries are never logged."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        details: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            details["trace"] = self.formatException(record.exc_info)
        return json.dumps(details, ensure_ascii=True, default=str)


LEVELS: Final = {"lookalike": logging.INFO, "uvicorn": logging.WARNING, "python_multipart": logging.ERROR}
"""Loggers of the server, and their levels; forms that cannot be read are answered, and no matter for the log."""


def log_as_lines() -> None:
    """Let the server's loggers write JSON lines on standard error, and leave other loggers and their handlers alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name, level in LEVELS.items():
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
