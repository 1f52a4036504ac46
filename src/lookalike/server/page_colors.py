"""Colours of the page: a shop's own, checked for contrast, with those that follow from them, as a style sheet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from lookalike.errors import ConfigError

Rgb: TypeAlias = tuple[int, int, int]

HEX: Final = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")
READABLE: Final = 4.5
"""Least contrast of text. Source: WCAG 2.2, success criterion 1.4.3."""

VISIBLE: Final = 3.0
"""Least contrast of outlines. Source: WCAG 2.2, success criterion 1.4.11."""

BLACK: Final = (0, 0, 0)
WHITE: Final = (255, 255, 255)
TILE: Final = 0.065
"""Share of the text colour in the background of photos, as in base.css."""

QUIET: Final = 0.68
EDGE: Final = 0.5
DEFAULTS: Final = {
    "light": {"background": "#faf9f6", "surface": "#ffffff", "text": "#1a1a1d", "accent": "#ad3319"},
    "dark": {"background": "#141517", "surface": "#1e1f22", "text": "#f0efec", "accent": "#ff9274"},
}
"""Colours by scheme and setting, as in base.css and dark.css."""


@dataclass(frozen=True, slots=True)
class Colors:
    """Colours of the page in one scheme, such as `#1a6b54`; empty ones are the defaults.

    Attributes:
        background: Background of the page; by default `#faf9f6`, in the dark `#141517`.
        surface: Background of fields, buttons and dialogs; by default `#ffffff`, in the dark `#1e1f22`.
        text: Texts; by default `#1a1a1d`, in the dark `#f0efec`. It needs a contrast of 4.5 with both backgrounds.
        accent: Main buttons, marks and links; by default `#ad3319`, in the dark `#ff9274`, or the light one made paler.
            Links take the colour of texts if this one cannot be read on the backgrounds.
    """

    background: str = ""
    surface: str = ""
    text: str = ""
    accent: str = ""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value and not HEX.fullmatch(value.lower()):
                raise ConfigError(f"{name} must be a colour such as #1a6b54, got {value!r:.60}")


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one scheme, complete and readable.

    Attributes:
        properties: CSS custom properties of base.css.
        warnings: What the operator should know of them.
    """

    properties: dict[str, Rgb]
    warnings: tuple[str, ...]


def palette(scheme: str, colors: Colors, *, light_accent: str = "") -> Palette:
    """Complete the colours of a scheme.

    Args:
        scheme: `light` or `dark`.
        colors: Colours of the settings.
        light_accent: Accent of the light scheme, from which that of the dark one is made if it has none.

    Raises:
        ConfigError: Texts cannot be read on a background.
    """
    given = {name: rgb(getattr(colors, name) or DEFAULTS[scheme][name]) for name in Colors.__slots__}
    background, surface, text, accent = (given[name] for name in Colors.__slots__)
    for name, behind in (("background", background), ("surface", surface)):
        if (found := contrast(text, behind)) < READABLE:
            better = readable(text, (behind,), READABLE)
            raise ConfigError(
                f"[page.{scheme}]: the text {hexadecimal(text)} has a contrast of {found:.1f} with the {name} "
                f"{hexadecimal(behind)}, and {READABLE} is the least that can be read; take "
                f"{hexadecimal(better)} or change the {name}"
            )
    behind_texts = (background, surface, mixed(text, background, TILE))
    text = readable(text, behind_texts, READABLE)
    if scheme == "dark" and light_accent and not colors.accent:
        accent = readable(rgb(light_accent), behind_texts, READABLE)
    warnings = []
    link = accent
    if (found := min(contrast(accent, behind) for behind in behind_texts)) < READABLE:
        link = text
        warnings.append(
            f"[page.{scheme}]: the accent {hexadecimal(accent)} has a contrast of {found:.1f} with the backgrounds, "
            f"and {READABLE} is the least for texts; links and the mark of the focus take the colour of texts"
        )
    properties = {
        "paper": background,
        "raised": surface,
        "ink": text,
        "quiet": nearest_readable(text, background, QUIET, behind_texts, READABLE),
        "edge": nearest_readable(text, background, EDGE, behind_texts[:2], VISIBLE),
        "accent": accent,
        "on-accent": max((WHITE, BLACK), key=lambda one: contrast(one, accent)),
        "link": link,
    }
    return Palette(properties, tuple(warnings))


def style_sheet(palettes: dict[str, Palette]) -> str:
    """Style sheet that gives the page its colours; with both schemes, the dark one is for those who ask for it."""
    rules = []
    for scheme, complete in palettes.items():
        said = "".join(f" --{name}: {hexadecimal(color)};" for name, color in complete.properties.items())
        rule = f":root {{{said} }}"
        both = len(palettes) > 1 and scheme == "dark"
        rules.append(f"@media (prefers-color-scheme: dark) {{ {rule} }}" if both else rule)
    return "\n".join([*rules, ""])


def rgb(color: str) -> Rgb:
    """Red, green and blue of `#rrggbb` or `#rgb`, each from 0 to 255."""
    digits = color.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def hexadecimal(color: Rgb) -> str:
    """`#rrggbb` of a colour."""
    return "#" + bytes(color).hex()


def luminance(color: Rgb) -> float:
    """Relative luminance, from 0 to 1. Source: WCAG 2.2, definition of relative luminance."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (one / 255 for one in color)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Rgb, other: Rgb) -> float:
    """Contrast of two colours, from 1 to 21. Source: WCAG 2.2, definition of contrast ratio."""
    lower, higher = sorted((luminance(one), luminance(other)))
    return (higher + 0.05) / (lower + 0.05)


def mixed(one: Rgb, other: Rgb, share: float) -> Rgb:
    """Mixture of two colours, as CSS's `color-mix(in srgb, one share, other)`."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def steps(start: float) -> Iterator[float]:
    """Shares from `start` to 1, both included."""
    yield from (start + (1 - start) * step / 50 for step in range(51))


def nearest_readable(one: Rgb, other: Rgb, share: float, behind: Iterable[Rgb], least: float) -> Rgb:
    """Mixture of two colours with at least a share of the first, as much as it needs for its contrast."""
    behind = tuple(behind)
    mixtures = [mixed(one, other, more) for more in steps(share)]
    return next((each for each in mixtures if all(contrast(each, under) >= least for under in behind)), one)


def readable(color: Rgb, behind: Iterable[Rgb], least: float) -> Rgb:
    """Colour made darker or paler, as little as it needs for its contrast with what is behind it."""
    behind = tuple(behind)
    found = []
    for end in (BLACK, WHITE):
        for share in steps(0.0):
            each = mixed(end, color, share)
            if all(contrast(each, under) >= least for under in behind):
                found.append((share, each))
                break
    return min(found)[1] if found else color
