"""Hoodies, jackets and coats."""

from __future__ import annotations

from random import Random

from lookalike.catalogue.sample.drawing.shapes import Button, Line, Part, Points, Shape, band, both, path, whole
from lookalike.catalogue.sample.drawing.torso import Torso, creases, long_sleeves


def hoodie(rng: Random) -> list[Shape]:
    """A hooded sweatshirt with a kangaroo pocket and drawstrings."""
    torso = Torso(
        top=-0.86, bottom=rng.uniform(0.68, 0.78), hem=0.53, waist=0.56, chest=0.56, neck=0.22, neck_depth=0.2
    )
    hood = whole(path((0, -1.18), (0.26, -1.02, 0.16), (0.3, -0.74, 0.1), (0, -0.6, 0.06)))
    opening = whole(path((0, -1.08), (0.16, -0.98, 0.12), (0.15, -0.76, 0.06), (0, -0.62)))
    pocket = whole(path((0, 0.22), (0.25, 0.22), (0.4, 0.5, -0.08), (0.4, 0.66), (0, 0.66)))
    rib = torso.rib()
    strings: list[Shape] = []
    for side, length in ((-1, rng.uniform(0.34, 0.46)), (1, rng.uniform(0.34, 0.46))):
        string = path((side * 0.1, -0.64), (side * 0.13, -0.64 + length, 0.06 * side))
        strings += [Line(string, 0.02, "pale", 1.0), Button((side * 0.1, -0.645), 0.02, "metal")]
    return [
        *long_sleeves(torso, rng, cuff=0.11, wide=1.25),
        Part(whole(torso.half()), folds=creases(rng, torso, count=3), printed=(0, -0.12)),
        Part(rib, "trim", depth=0.7),
        Part(pocket, depth=0.6),
        Line(path((0.25, 0.24), (0.385, 0.5, -0.08)), 0.008),
        Line(path((-0.25, 0.24), (-0.385, 0.5, 0.08)), 0.008),
        Part(hood, folds=[path((0.2, -1.0), (0.24, -0.72, 0.1)), path((-0.2, -1.0), (-0.24, -0.72, -0.1))]),
        Part(opening, "lining"),
        *strings,
    ]


def jacket(rng: Random) -> list[Shape]:
    """A short jacket with a zip, ribbed ends and slanted pockets."""
    torso = Torso(bottom=rng.uniform(0.56, 0.68), hem=0.52, waist=0.57, chest=0.57, shoulder=0.57, neck_depth=0.12)
    bottom = torso.bottom + 0.13
    rib = torso.rib()
    pocket = [(0.24, 0.38), (0.38, 0.12)]
    teeth: Points = [(0, torso.top + 0.1), (0, bottom - 0.01)]
    return [
        *long_sleeves(torso, rng, cuff=0.11, wide=1.3, stuff="second"),
        torso.lining(),
        Part(whole(torso.half()), folds=creases(rng, torso, count=4)),
        Part(rib, "trim", depth=0.7),
        *torso.rib_lines(),
        *both(Part(band(pocket, 0.055), "trim", depth=0.6)),
        Line(teeth, 0.05, "dark", 0.55),
        Line(teeth, 0.022, "metal", 1.0),
        Line(teeth, 0.022, "dark", 0.9, dash=0.012),
        Part(band([(0.0, torso.top + 0.1), (0.012, torso.top + 0.22)], 0.03), "metal", depth=0.3),
        *torso.collar(0.11),
    ]


def coat(rng: Random) -> list[Shape]:
    """A long coat with lapels, buttons, and sometimes a belt."""
    torso = Torso(
        top=-1.14,
        bottom=1.1,
        neck=0.18,
        neck_depth=0.5,
        chest=0.54,
        waist=0.49,
        hem=rng.uniform(0.56, 0.66),
        shoulder=0.56,
    )
    double = rng.random() < 0.5
    seam = -0.14 if double else 0.0
    lapel = path(
        (0.0, -0.62),
        (0.15, -1.19, -0.06),
        (0.235, -1.12),
        (0.36, -0.84),
        (0.27, -0.82),
        (0.3, -0.74),
        (0.0, -0.38, 0.05),
    )
    columns = (0.13, -0.13) if double else (0.07,)
    buttons = [
        Button((x, -0.26 + 0.27 * number), 0.032, "trim") for x in columns for number in range(3 if double else 4)
    ]
    folds = [
        path((x, 0.35), (x * 1.15 + rng.uniform(-0.03, 0.03), 1.06, rng.uniform(-0.04, 0.04)))
        for x in (-0.42, -0.24, 0.22, 0.43)
    ]
    belt: list[Shape] = []
    if rng.random() < 0.5:
        belt = [
            Part(
                whole(path((0, 0.0), (torso.waist + 0.005, -0.02), (torso.waist + 0.005, 0.09), (0, 0.12))),
                "main",
                depth=0.8,
            ),
            Part(band([(0.02, 0.06), (0.16, 0.5)], 0.085), "main", angle=-15, depth=0.8),
        ]
    pocket = Part(path((0.2, 0.26), (0.43, 0.23), (0.44, 0.31), (0.21, 0.34), (0.2, 0.26)), depth=0.8)
    return [
        *long_sleeves(torso, rng, wide=1.3),
        torso.lining(),
        Part(whole(torso.half(pointed=True)), folds=[*folds, *creases(rng, torso, count=0)]),
        Line([(seam, -0.4), (seam - 0.02, 1.12)], 0.01),
        *both(pocket),
        *buttons,
        *belt,
        *both(Part(lapel, "main", angle=-18, depth=0.9)),
    ]
