"""Bodies of upper-body garments, with their sleeves, collars and creases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from lookalike.catalogue.sample.drawing.shapes import (
    Line,
    Part,
    Point,
    Points,
    Shape,
    Step,
    Stuff,
    band,
    both,
    level,
    mirrored,
    path,
    whole,
)


@dataclass(frozen=True, slots=True)
class Torso:
    """Measurements of a garment's body; widths are from the middle to one side."""

    top: float = -0.98
    bottom: float = 0.86
    neck: float = 0.2
    neck_depth: float = 0.17
    shoulder: float = 0.55
    chest: float = 0.53
    waist: float = 0.52
    hem: float = 0.55

    @property
    def armpit(self) -> Point:
        """Lower end of the armhole."""
        return self.chest, self.top + 0.6

    def half(self, *bottom: Step, pointed: bool = False) -> Points:
        """Return the right half of the outline; `bottom` replaces the hem."""
        neck_bulge = 0.0 if pointed else -0.24
        middle = (self.top + 0.6 + self.bottom) / 2
        return path(
            (0, self.top + self.neck_depth),
            (self.neck, self.top, neck_bulge),
            (self.shoulder - 0.02, self.top + 0.115, 0.02),
            (self.shoulder, self.top + 0.145, 0.12),
            (*self.armpit, -0.1),
            (self.waist, middle, -0.03),
            (self.hem, self.bottom, -0.01),
            *(bottom or [level(self.hem, self.bottom + 0.03, 0.03)]),
        )

    def neckline(self, *, pointed: bool = False) -> Points:
        """Return the front edge of the neck, from left to right."""
        right = path((0, self.top + self.neck_depth), (self.neck, self.top, 0.0 if pointed else -0.24))
        return mirrored(right) + right[1:]

    def rib(self) -> Points:
        """Return a knitted band at the lower end."""
        low = self.bottom + 0.13
        half = self.hem - 0.03
        return whole(
            path((0, self.bottom), (self.hem, self.bottom - 0.03), (half, low - 0.03, 0.1), level(half, low, 0.03))
        )

    def rib_lines(self) -> list[Shape]:
        """Return the grooves of that band."""
        count = round(self.hem / 0.037) - 1
        places = [0.037 * number for number in range(-count, count + 1)]
        low = self.bottom + 0.12
        return [Line([(x, self.bottom + 0.005), (x * 0.97, low)], 0.006, strength=0.3) for x in places]

    def lining(self) -> Part:
        """Return the inside of the back, visible through the neck."""
        back = path((-self.neck, self.top), (self.neck, self.top, -0.09))
        depth = self.top + self.neck_depth + 0.05
        return Part([*back, (self.neck * 0.8, depth), (-self.neck * 0.8, depth)], "lining", depth=0.6)

    def collar(self, width: float = 0.055, stuff: Stuff = "trim") -> list[Shape]:
        """Return a knitted band around the neck: its back, then its front."""
        back = path((-self.neck - 0.012, self.top), (self.neck + 0.012, self.top, -0.09))
        return [Part(band(back, width), stuff, depth=0.5), Part(band(self.neckline(), width), stuff, depth=0.5)]


def creases(rng: Random, torso: Torso, *, count: int = 5) -> list[Points]:
    """Return soft folds from the armpits to the middle and down the front."""
    folds: list[Points] = []
    x, y = torso.armpit
    for side in (-1, 1):
        for number in range(2):
            reach = rng.uniform(0.18, 0.34)
            drop = rng.uniform(0.06, 0.3) + 0.12 * number
            start = (side * (x - 0.03), y + 0.03 + 0.07 * number)
            folds.append(path(start, (side * (x - reach), y + drop, 0.1 * side)))
    for _ in range(count):
        start_x = rng.uniform(-0.8, 0.8) * torso.waist
        start_y = rng.uniform(y + 0.25, max(y + 0.3, torso.bottom - 0.45))
        length = rng.uniform(0.3, 0.6)
        end = (start_x + rng.uniform(-0.12, 0.12), min(start_y + length, torso.bottom - 0.02))
        folds.append(path((start_x, start_y), (*end, rng.uniform(-0.1, 0.1))))
    return folds


def short_sleeves(torso: Torso, rng: Random, *, stuff: Stuff = "main") -> list[Shape]:
    """Sleeves to above the elbow, with a sewn hem."""
    x, y = torso.armpit
    reach, drop = rng.uniform(0.88, 0.95), y + rng.uniform(-0.02, 0.1)
    inner = (reach - 0.24, drop + 0.15)
    outline = path(
        (torso.shoulder - 0.12, torso.top + 0.08),
        (torso.shoulder - 0.01, torso.top + 0.115),
        (torso.shoulder + 0.1, torso.top + 0.19, 0.08),
        (reach, drop, 0.03),
        (*inner, -0.03),
        (x - 0.08, y + 0.04, -0.06),
        (torso.shoulder - 0.12, torso.top + 0.08),
    )
    hem = [(reach - 0.03, drop - 0.045), (inner[0] - 0.025, inner[1] - 0.05)]
    fold = path((x + 0.02, y - 0.05), (reach - 0.14, y - 0.12, 0.1))
    return [*both(Part(outline, stuff, angle=-32, folds=[fold])), *both(Line(hem, 0.007, strength=0.45))]


def long_sleeves(
    torso: Torso,
    rng: Random,
    *,
    cuff: float = 0.0,
    cuff_stuff: Stuff = "trim",
    stuff: Stuff = "main",
    wide: float = 1.0,
) -> list[Shape]:
    """Sleeves to the wrist, with cuffs of that length."""
    x, y = torso.armpit
    wrist, end = rng.uniform(0.84, 0.9), rng.uniform(0.5, 0.64)
    width = 0.15 * wide
    outline = path(
        (torso.shoulder - 0.12, torso.top + 0.08),
        (torso.shoulder - 0.01, torso.top + 0.115),
        (torso.shoulder + 0.15, torso.top + 0.42, 0.1),
        (wrist + width / 2 + 0.02, end, 0.03),
        (wrist - width / 2, end + 0.035),
        (x + 0.1, y + 0.5, 0.02),
        (x - 0.08, y - 0.06),
        (torso.shoulder - 0.12, torso.top + 0.08),
    )
    folds = [
        path((x + 0.08, y + 0.1), (wrist - 0.06, y + 0.28, -0.2)),
        path((x + 0.2, y + 0.42), (x + 0.34, y + 0.36, 0.2)),
        path((wrist - 0.09, end - 0.3), (wrist + 0.06, end - 0.16, 0.15)),
    ]
    shapes = both(Part(outline, stuff, angle=-13, folds=folds))
    if cuff:
        corners: Sequence[Point] = [
            (wrist + width / 2 + 0.005, end - 0.01),
            (wrist + width / 2 + 0.005, end + cuff),
            (wrist - width / 2 + 0.015, end + cuff + 0.03),
            (wrist - width / 2 - 0.005, end + 0.02),
        ]
        shapes += both(Part([*corners], cuff_stuff, angle=-13, depth=0.7))
    return shapes


def pointed_collar(torso: Torso, stuff: Stuff = "main", *, spread: float = 0.17) -> list[Shape]:
    """A turned-down collar with two points."""
    stand = path((-torso.neck, torso.top - 0.02), (torso.neck, torso.top - 0.02, 0.14))
    low = [
        (torso.neck - 0.01, torso.top + 0.06),
        (0, torso.top + torso.neck_depth),
        (-torso.neck + 0.01, torso.top + 0.06),
    ]
    wing = path(
        (0.01, torso.top + torso.neck_depth + 0.01),
        (torso.neck - 0.015, torso.top - 0.055, -0.1),
        (torso.neck + 0.05, torso.top + 0.035, 0.05),
        (torso.neck - 0.01 + spread * 0.2, torso.top + torso.neck_depth + spread * 0.6, 0.02),
    )
    return [Part([*stand, *low], "lining", depth=0.5), *both(Part(wing, stuff, angle=-20, depth=0.7))]
