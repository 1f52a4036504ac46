"""Reading of files of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from lookalike.errors import ConfigError, short_reason
from lookalike.storage.files import read_file

LONGEST_FILE: Final = 16 << 20
"""Largest size of a file of settings, in bytes."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: The file is missing, not a file, too large, or not TOML.
    """
    import tomllib  # which few commands need

    try:
        return tomllib.loads(read_file(path, most=LONGEST_FILE).decode())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # also of a number of thousands of digits
        raise ConfigError(f"{path}: not a TOML file: {short_reason(error)}") from None
