"""Dresses, skirts, trousers and shorts."""

from __future__ import annotations

from random import Random

from lookalike.catalogue.sample.drawing.shapes import Button, Line, Part, Points, Shape, band, both, level, path, whole
from lookalike.catalogue.sample.drawing.torso import Torso, short_sleeves


def _drape(rng: Random, top: float, bottom: float, *, narrow: float, wide: float, count: int) -> list[Points]:
    """Make folds that fall from a waist and spread."""
    folds = []
    for number in range(count):
        place = (number + 0.5 + rng.uniform(-0.25, 0.25)) / count * 2 - 1
        start = top + (bottom - top) * rng.uniform(0.02, 0.3)
        folds.append(path((place * narrow, start), (place * wide * 0.94, bottom - 0.01, rng.uniform(-0.03, 0.03))))
    return folds


def dress(rng: Random) -> list[Shape]:
    """A dress with a waist: sleeveless, with straps, or with short sleeves."""
    kind = rng.choice(["sleeveless", "straps", "sleeves"])
    waist, bottom, wide = 0.33, rng.uniform(0.86, 1.16), rng.uniform(0.56, 0.82)
    torso = Torso(top=-1.12, bottom=-0.14, neck=0.19, neck_depth=0.24, shoulder=0.42, chest=0.42, waist=0.38, hem=waist)
    skirt = whole(path((0, -0.18), (waist, -0.18), (wide, bottom, -0.05), level(wide, bottom + 0.06, 0.06)))
    hem = path((-wide + 0.02, bottom - 0.045), (wide - 0.02, bottom - 0.045, -0.03 / wide))
    lower = Part(skirt, "second", folds=_drape(rng, -0.16, bottom, narrow=waist, wide=wide, count=7))
    belt = Part(whole(path((0, -0.21), (waist + 0.005, -0.22), (waist + 0.005, -0.13), (0, -0.12))), "trim", depth=0.8)
    folds = [path((0.3, -0.5), (0.12, -0.4, 0.1)), path((-0.3, -0.5), (-0.14, -0.38, -0.1))]
    if kind == "straps":
        top = path(
            (0, -0.74), (0.16, -0.84, -0.12), (0.3, -0.78, 0.12), (0.38, -0.56, -0.1), (waist, -0.14, -0.05), (0, -0.12)
        )
        straps = both(Part(band(path((0.19, -0.76), (0.16, -1.14, -0.06)), 0.045), depth=0.6))
        back = Part(path((-0.3, -0.72), (0.3, -0.72, -0.1), (0.3, -0.6), (-0.3, -0.6)), "lining", depth=0.5)
        return [back, *straps, lower, Part(whole(top), folds=folds), belt, Line(hem, 0.007, strength=0.4)]
    sleeves = short_sleeves(Torso(top=-1.12, shoulder=0.44, chest=0.42), rng) if kind == "sleeves" else []
    body = Part(whole(torso.half()), folds=folds)
    return [*sleeves, torso.lining(), lower, body, belt, *torso.collar(0.03), Line(hem, 0.007, strength=0.4)]


def skirt(rng: Random) -> list[Shape]:
    """A skirt: straight, flared or pleated."""
    kind = rng.choice(["straight", "flared", "pleated"])
    bottom = {"straight": 0.72, "flared": rng.uniform(0.55, 0.9), "pleated": rng.uniform(0.4, 0.66)}[kind]
    wide = {"straight": 0.5, "flared": rng.uniform(0.82, 0.95), "pleated": 0.8}[kind]
    top, waist = -0.72, 0.42
    sides = (0.56, -0.25, 0.06) if kind == "straight" else (0.56, -0.25, 0.02)
    outline = whole(path((0, top), (waist, top), sides, (wide, bottom, -0.03), level(wide, bottom + 0.07, 0.07)))
    band_outline = whole(path((0, top - 0.06), (waist, top - 0.08), (waist + 0.015, top + 0.04), (0, top + 0.06)))
    shapes: list[Shape] = []
    if kind == "pleated":
        shapes.append(Part(outline, depth=0.8))
        for number in range(-5, 6):
            place = number / 5.5
            end = bottom + 0.06 * (1 - place * place)
            pleat = [(place * waist, top + 0.05), (place * wide, end)]
            shapes.append(Line(pleat, 0.008, strength=0.5))
            shapes.append(Line([(x + 0.014, y) for x, y in pleat], 0.022, "dark", 0.14))
    else:
        count = 2 if kind == "straight" else 8
        shapes.append(Part(outline, folds=_drape(rng, top, bottom, narrow=waist, wide=wide, count=count)))
        hem = path((-wide + 0.02, bottom - 0.05), (wide - 0.02, bottom - 0.05, -0.033 / wide))
        shapes.append(Line(hem, 0.007, strength=0.4))
    if kind == "straight":
        shapes.append(Line([(0.26, bottom + 0.03), (0.26, bottom - 0.3)], 0.012, strength=0.8))
    shapes += [Part(band_outline, "trim", depth=0.8), Button((0, top), 0.026, "metal")]
    return shapes


def trousers(rng: Random) -> list[Shape]:
    """Trousers with two legs, pockets and belt loops; wide or narrow."""
    hem = rng.choice([0.15, 0.19, 0.27])
    return _legs(rng, bottom=1.14, hem=hem, spread=0.3 + hem * 0.25)


def shorts(rng: Random) -> list[Shape]:
    """Shorts."""
    return _legs(rng, bottom=rng.uniform(0.16, 0.34), hem=rng.uniform(0.27, 0.3), spread=0.35, top=-0.6)


def _legs(rng: Random, *, bottom: float, hem: float, spread: float, top: float = -1.12) -> list[Shape]:
    waist, crotch, hip = 0.4, top + 0.66, 0.5
    knee = (crotch + bottom) / 2
    outline = path(
        (-0.01, top + 0.02),
        (waist, top),
        (hip, top + 0.45, 0.05),
        (spread + hem * 0.98 + 0.01, knee, 0.01),
        (spread + hem, bottom),
        (spread - hem, bottom + 0.02, -0.02),
        (max(spread - hem - 0.01, 0.05), knee, 0.01),
        (0.012, crotch, -0.03),
        (-0.01, top + 0.02),
    )
    folds = [
        path((0.04, crotch + 0.02), (0.26, crotch - 0.06, 0.12)),
        path((0.05, crotch + 0.08), (0.3, crotch + 0.1, 0.14)),
        path((spread, crotch + 0.1), (spread + rng.uniform(-0.02, 0.03), bottom - 0.05, 0.01)),
    ]
    if bottom > 0.8:
        folds += [
            path((spread - hem * 0.7, knee + rng.uniform(-0.05, 0.05)), (spread + hem * 0.4, knee - 0.08, 0.1)),
            path((spread + hem * 0.8, bottom - 0.24), (spread - hem * 0.3, bottom - 0.16, 0.1)),
        ]
    seam_end = spread + hem - 0.03
    details: list[Shape] = [
        Line(path((hip - 0.03, top + 0.42), (seam_end, bottom - 0.02, 0.0)), 0.006, strength=0.3),
        Line(
            [(spread - hem + 0.01, bottom - 0.045), (spread + hem - 0.005, bottom - 0.065)],
            0.007,
            "trim",
            0.8,
            dash=0.02,
        ),
        Line(path((0.2, top + 0.1), (0.44, top + 0.3, -0.22)), 0.009, strength=0.8),
        Line(path((0.185, top + 0.1), (0.44, top + 0.325, -0.22)), 0.007, "trim", 0.8, dash=0.018),
    ]
    waistband = whole(path((0, top - 0.04), (waist, top - 0.06), (waist + 0.012, top + 0.07), (0, top + 0.09)))
    fly = path((0.0, top + 0.08), (0.0, crotch - 0.02))
    stitch = path((0.085, top + 0.09), (0.085, top + 0.36), (0.01, top + 0.5, 0.2))
    loops = [
        Part(
            [(x - 0.018, top - 0.06), (x + 0.018, top - 0.06), (x + 0.018, top + 0.1), (x - 0.018, top + 0.1)],
            depth=0.5,
        )
        for x in (-0.27, 0.27)
    ]
    return [
        Part(
            path((-waist, top - 0.05), (waist, top - 0.05), (waist * 0.8, top + 0.04), (-waist * 0.8, top + 0.04)),
            "lining",
        ),
        *both(Part(outline, folds=folds)),
        *[mirror for detail in details for mirror in both(detail)],
        Line(fly, 0.009, strength=0.8),
        Line(stitch, 0.007, "trim", 0.8, dash=0.018),
        Part(waistband, depth=0.8),
        *loops,
        Button((0.0, top + 0.025), 0.027, "metal"),
    ]
