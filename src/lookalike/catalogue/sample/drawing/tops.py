"""Shirts and sweaters."""

from __future__ import annotations

from random import Random

from lookalike.catalogue.sample.drawing.shapes import Button, Line, Part, Shape, Step, both, level, path, whole
from lookalike.catalogue.sample.drawing.torso import Torso, creases, long_sleeves, pointed_collar, short_sleeves


def t_shirt(rng: Random) -> list[Shape]:
    """A T-shirt with a round or pointed neck, sometimes with long sleeves."""
    torso = Torso(
        bottom=rng.uniform(0.72, 0.92),
        hem=rng.uniform(0.5, 0.58),
        waist=rng.uniform(0.48, 0.55),
        neck_depth=rng.uniform(0.15, 0.22),
    )
    body = Part(whole(torso.half()), folds=creases(rng, torso), printed=(0, -0.25))
    hem = path((-torso.hem, torso.bottom - 0.05), (torso.hem, torso.bottom - 0.05, -0.012))
    return [
        *short_sleeves(torso, rng, stuff="second"),
        torso.lining(),
        body,
        Line(hem, 0.007, strength=0.45),
        *torso.collar(),
    ]


def long_sleeved_top(rng: Random) -> list[Shape]:
    """A tight top with long sleeves."""
    torso = Torso(
        bottom=rng.uniform(0.66, 0.84), hem=0.49, waist=0.46, chest=0.5, shoulder=0.52, neck=0.24, neck_depth=0.24
    )
    body = Part(whole(torso.half()), folds=creases(rng, torso), printed=(0, -0.2))
    return [
        *long_sleeves(torso, rng, cuff=0.05, cuff_stuff="second", stuff="second"),
        torso.lining(),
        body,
        *torso.collar(0.04),
    ]


def polo(rng: Random) -> list[Shape]:
    """A polo shirt: short sleeves, a collar, and a few buttons."""
    torso = Torso(bottom=rng.uniform(0.76, 0.92), hem=rng.uniform(0.5, 0.57), neck_depth=0.2)
    body = Part(whole(torso.half()), folds=creases(rng, torso), printed=(0, -0.1))
    top = torso.top + torso.neck_depth
    placket = Part(
        [(-0.045, top - 0.02), (0.045, top - 0.02), (0.045, top + 0.36), (-0.045, top + 0.36)], "main", depth=0.5
    )
    buttons = [Button((0, top + 0.1 + 0.11 * number), 0.02, "pale") for number in range(rng.choice([2, 3]))]
    return [
        *short_sleeves(torso, rng),
        torso.lining(),
        body,
        placket,
        *buttons,
        *pointed_collar(torso, "trim"),
    ]


def shirt(rng: Random) -> list[Shape]:
    """A buttoned shirt with cuffs and a breast pocket or two."""
    torso = Torso(bottom=rng.uniform(0.8, 0.9), hem=0.5, waist=0.49, neck_depth=0.16, neck=0.19)
    rounded: list[Step] = [(0.34, torso.bottom + 0.07, 0.06), level(0.34, torso.bottom + 0.17, 0.1)]
    top, bottom = torso.top + torso.neck_depth, torso.bottom + 0.165
    body = Part(whole(torso.half(*rounded)), folds=creases(rng, torso))
    placket = Part([(-0.05, top - 0.01), (0.05, top - 0.01), (0.05, bottom), (-0.05, bottom)], depth=0.35)
    buttons = [Button((0, top + 0.14 + 0.215 * number), 0.018, "pale") for number in range(7)]
    pocket = path((0.14, -0.47), (0.38, -0.49), (0.38, -0.24), (0.26, -0.18), (0.14, -0.22), (0.14, -0.47))
    pockets: list[Shape] = [Part(pocket, depth=0.5), Line([(0.14, -0.42), (0.38, -0.44)], 0.006, strength=0.4)]
    if rng.random() < 0.4:
        pockets = [shape for one in pockets for shape in both(one)]
    return [
        *long_sleeves(torso, rng, cuff=0.1, cuff_stuff="main"),
        torso.lining(),
        body,
        *pockets,
        placket,
        *buttons,
        *pointed_collar(torso),
    ]


def sweater(rng: Random) -> list[Shape]:
    """A knitted sweater with ribbed ends."""
    torso = Torso(bottom=rng.uniform(0.62, 0.74), hem=0.54, waist=0.56, neck_depth=rng.choice([0.12, 0.16]), chest=0.55)
    body = Part(whole(torso.half()), folds=creases(rng, torso, count=4), printed=(0, -0.2))
    rib = torso.rib()
    return [
        *long_sleeves(torso, rng, cuff=0.11, wide=1.2),
        torso.lining(),
        body,
        Part(rib, "trim", depth=0.7),
        *torso.rib_lines(),
        *torso.collar(0.085),
    ]
