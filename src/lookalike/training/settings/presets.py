"""The shipped presets: complete training settings by name, with a description of each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from lookalike.config import build
from lookalike.errors import UnknownNameError, UsageError

FOLDER = Path(__file__).parent / "presets"


@dataclass(frozen=True, slots=True)
class AboutSettings:
    """Description of a preset.

    Attributes:
        summary: Short description.
        aim: Published figure that the preset aims at, with its origin; empty for none.
        source: Where that figure was read; empty without one.
        curve: What is published of the course of such a run: a curve, a log, its epochs; empty without an aim.
        verified: What of the recipe has been tried here.
        measured: Measured results, or a statement that there are none.
    """

    summary: str = ""
    aim: str = ""
    source: str = ""
    curve: str = ""
    verified: str = ""
    measured: str = "not measured"


def presets() -> dict[str, AboutSettings]:
    """List the presets with their descriptions, sorted by name."""
    found: dict[str, AboutSettings] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        about = tomllib.loads(path.read_text(encoding="utf-8")).get("about", {})
        found[path.stem] = build(AboutSettings, about, where=f"{path}: about")
    return found


def find_settings(given: str) -> tuple[Path, Path]:
    """Find a settings file or a preset.

    Args:
        given: Path of a TOML file, or name of a preset.

    Returns:
        The file, and the folder that its paths are relative to: the file's own, or for a preset the current one.

    Raises:
        UsageError: The file does not exist.
        UnknownNameError: The preset does not exist.
    """
    path = Path(given)
    if path.is_file():
        return path, path.parent
    if path.suffix or path.name != given:
        raise UsageError(f"{given}: no such file")
    names = [preset.stem for preset in sorted(FOLDER.glob("*.toml"))]
    if given not in names:
        raise UnknownNameError("preset", given, names)
    return FOLDER / f"{given}.toml", Path()
