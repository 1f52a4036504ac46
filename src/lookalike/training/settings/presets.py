"""The presets that are shipped: settings of a whole run by name, and what each is for."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from lookalike.config import build
from lookalike.errors import UnknownNameError, UsageError

FOLDER = Path(__file__).parent / "presets"


@dataclass(frozen=True, slots=True)
class AboutSettings:
    """What a preset is for.

    Attributes:
        summary: In a few words.
        aim: The published figure that it aims at, and whose it is; empty when there is none.
        measured: What was measured with it, or that nothing was.
    """

    summary: str = ""
    aim: str = ""
    measured: str = "not measured"


def presets() -> dict[str, AboutSettings]:
    """What each preset is for, by name, sorted."""
    found: dict[str, AboutSettings] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        about = tomllib.loads(path.read_text(encoding="utf-8")).get("about", {})
        found[path.stem] = build(AboutSettings, about, where=f"{path}: about")
    return found


def find_settings(given: str) -> tuple[Path, Path]:
    """The settings that a user names.

    Args:
        given: The path of a TOML file, or the name of a preset.

    Returns:
        The file, and the folder that paths in it are relative to: its own, or for a preset the current one.

    Raises:
        UsageError: There is no such file.
        UnknownNameError: There is no such preset.
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
