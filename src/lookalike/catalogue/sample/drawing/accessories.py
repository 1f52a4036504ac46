"""Hats, bags and shoes."""

from __future__ import annotations

from random import Random

from lookalike.catalogue.sample.drawing.shapes import (
    Button,
    Line,
    Part,
    Shape,
    band,
    both,
    disc,
    level,
    path,
    placed,
    spline,
    whole,
)


def hat(rng: Random) -> list[Shape]:
    """A cap, a bucket hat or a knitted hat."""
    return {"cap": _cap, "bucket": _bucket, "knitted": _knitted}[rng.choice(["cap", "bucket", "knitted"])](rng)


def _cap(rng: Random) -> list[Shape]:
    crown = path(
        (-0.62, 0.2), (-0.5, -0.32, 0.12), (0.02, -0.56, 0.14), (0.5, -0.3, 0.14), (0.6, 0.2, 0.1), (0, 0.26, -0.06)
    )
    visor = spline(
        (-0.1, 0.26),
        (0.3, 0.1),
        (0.62, 0.14),
        (0.9, 0.34),
        (0.93, 0.48),
        (0.6, 0.42),
        (0.2, 0.4),
        (-0.1, 0.36),
        closed=True,
    )
    seams = [
        Line(path((0.02, -0.55), (0.14, 0.22, 0.16)), 0.008),
        Line(path((0.02, -0.55), (-0.34, 0.22, -0.16)), 0.008),
        Line(path((0.1, 0.4), (0.86, 0.43, 0.16)), 0.007, "trim", 0.7, dash=0.02),
    ]
    return [
        Part(crown, folds=[path((-0.5, -0.1), (-0.3, 0.18, -0.1))], printed=(0.24, -0.06)),
        *seams,
        Button((0.02, -0.56), 0.05, "second"),
        Button((-0.12, -0.3), 0.018, "dark"),
        Button((0.28, -0.3), 0.018, "dark"),
        Part(visor, "second"),
        *seams[2:],
    ]


def _bucket(rng: Random) -> list[Shape]:
    slope = rng.uniform(0.82, 0.94)
    crown = whole(path((0, -0.5), (0.34, -0.46, 0.02), (0.5, 0.12, 0.06), level(0.5, 0.16, 0.04)))
    brim = whole(path((0, 0.06), (0.5, 0.02, 0.02), (slope, 0.46, -0.05), level(slope, 0.6, 0.14)))
    rings = [
        Line(
            path((-slope + 0.13 * n, 0.44 - 0.13 * n), (slope - 0.13 * n, 0.44 - 0.13 * n, -0.075)),
            0.006,
            "trim",
            0.6,
            dash=0.02,
        )
        for n in range(3)
    ]
    return [
        Part(brim, folds=[path((0.3, 0.14), (0.46, 0.5, 0.1)), path((-0.36, 0.14), (-0.52, 0.5, -0.1))]),
        *rings,
        Part(crown, folds=[path((-0.24, -0.3), (-0.3, 0.1, 0.1)), path((0.2, -0.1), (0.26, 0.1, 0.1))]),
        Part(band(path((-0.49, 0.08), (0.49, 0.08, -0.035)), 0.1), "trim", depth=0.7),
        Line(path((-0.35, -0.45), (0.35, -0.45, -0.06)), 0.007, strength=0.5),
    ]


def _knitted(rng: Random) -> list[Shape]:
    dome = whole(path((0, -0.56), (0.42, -0.3, 0.15), (0.52, 0.2, 0.08), (0, 0.24)))
    fold = whole(path((0, 0.1), (0.55, 0.05, -0.02), (0.54, 0.42, 0.03), level(0.54, 0.5, 0.08)))
    lines: list[Shape] = []
    for number in range(-7, 8):
        place = number / 7.5
        lines.append(
            Line(path((place * 0.2, -0.5 + abs(place) * 0.12), (place * 0.52, 0.1, 0.1 * place)), 0.008, strength=0.28)
        )
    ribs = [Line([(n * 0.045, 0.12), (n * 0.045, 0.47)], 0.012, strength=0.32) for n in range(-11, 12)]
    tuft = [Part(disc((0.01, -0.66), 0.17), "trim", depth=1.0)]
    tuft += [
        Part(disc((0.01 + dx, -0.66 + dy), 0.06), "trim", depth=0.5)
        for dx, dy in ((-0.08, 0.03), (0.07, 0.05), (0.0, -0.08))
    ]
    return [Part(dome), *lines, Part(fold, "second"), *ribs, *(tuft if rng.random() < 0.6 else [])]


def bag(rng: Random) -> list[Shape]:
    """A shopper, a handbag or a backpack."""
    return {"shopper": _shopper, "handbag": _handbag, "backpack": _backpack}[
        rng.choice(["shopper", "handbag", "backpack"])
    ](rng)


def _shopper(rng: Random) -> list[Shape]:
    height = rng.uniform(0.66, 0.82)
    body = whole(path((0, -0.3), (0.6, -0.3), (0.56, height, 0.02), (0, height + 0.03, -0.01)))
    back = spline((-0.27, -0.26), (-0.25, -0.66), (-0.14, -0.92), (0.14, -0.92), (0.25, -0.66), (0.27, -0.26))
    front = spline((-0.31, -0.1), (-0.29, -0.54), (-0.17, -0.82), (0.17, -0.82), (0.29, -0.54), (0.31, -0.1))
    folds = [path((-0.4, -0.2), (-0.3, height - 0.2, -0.08)), path((0.36, 0.1), (0.26, height - 0.05, 0.08))]
    return [
        Part(band(back, 0.06), "trim", depth=0.6),
        Part(path((-0.6, -0.3), (0.6, -0.3, 0.02), (0.5, -0.22), (-0.5, -0.22)), "lining"),
        Part(body, folds=folds, printed=(0, 0.2)),
        Line([(-0.59, -0.25), (0.59, -0.25)], 0.007, "trim", 0.7, dash=0.02),
        Part(band(front, 0.06), "trim", depth=0.6),
    ]


def _handbag(rng: Random) -> list[Shape]:
    body = whole(path((0, -0.24), (0.62, -0.24, 0.02), (0.74, 0.46, 0.05), (0.6, 0.56, 0.12), (0, 0.58)))
    flap = whole(path((0, -0.28), (0.64, -0.27, 0.02), (0.62, 0.06, 0.08), (0.26, 0.22, 0.14), (0, 0.24, 0.04)))
    handle = spline((-0.42, -0.22), (-0.38, -0.56), (-0.2, -0.8), (0.2, -0.8), (0.38, -0.56), (0.42, -0.22))
    edge = path((-0.6, 0.05), (-0.26, 0.195, -0.14), (0.26, 0.195, -0.02), (0.6, 0.05, -0.14))
    return [
        Part(band(handle, 0.075), "trim", depth=0.8),
        Part(body),
        Part(flap, "second"),
        Line(edge, 0.008, "pale", 0.6, dash=0.022),
        *both(Button((0.42, -0.21), 0.05, "metal")),
        Part(band([(0, 0.12), (0, 0.3)], 0.13), "metal", depth=0.8),
        Button((0, 0.24), 0.03, "dark"),
    ]


def _backpack(rng: Random) -> list[Shape]:
    body = whole(path((0, -0.82), (0.42, -0.62, 0.12), (0.55, 0.1, 0.04), (0.52, 0.72, 0.05), (0, 0.8, 0.05)))
    pocket = whole(path((0, 0.1), (0.38, 0.1, 0.03), (0.4, 0.6, 0.05), (0.3, 0.68, 0.14), (0, 0.7)))
    loop = spline((-0.11, -0.74), (-0.09, -0.92), (0.0, -0.97), (0.09, -0.92), (0.11, -0.74))
    strap = spline((0.36, -0.66), (0.6, -0.4), (0.68, 0.05), (0.52, 0.6))
    zip_line = path((-0.44, 0.0), (-0.34, -0.5, 0.1), (0.0, -0.64, 0.14), (0.34, -0.5, 0.14), (0.44, 0.0, 0.1))
    return [
        *both(Part(band(strap, 0.1), "trim", depth=0.7)),
        Part(band(loop, 0.05), "trim", depth=0.6),
        Part(body),
        Line(zip_line, 0.03, "dark", 0.5),
        Line(zip_line, 0.014, "metal", 1.0, dash=0.016),
        Part(pocket, "second", printed=None),
        Line([(-0.36, 0.2), (0.36, 0.2)], 0.03, "dark", 0.5),
        Line([(-0.36, 0.2), (0.36, 0.2)], 0.014, "metal", 1.0, dash=0.016),
        Part(band([(0.2, 0.2), (0.21, 0.34)], 0.03), "trim", depth=0.4),
    ]


def shoe(rng: Random) -> list[Shape]:
    """A pair of sneakers, low or high, seen from the side."""
    one = _sneaker(rng, high=rng.random() < 0.45)
    return placed(one, by=(-0.1, -0.26), scale=0.86) + placed(one, by=(0.1, 0.28), scale=0.86)


def _sneaker(rng: Random, *, high: bool) -> list[Shape]:
    top = -0.7 if high else -0.36
    throat = (
        path((-0.34, top - 0.03), (0.16, -0.12, -0.06)) if high else path((-0.36, top - 0.02), (0.16, -0.12, -0.04))
    )
    upper = [
        *path((-0.92, 0.26), (-0.85, -0.05, -0.04), (-0.86, top, 0.06), (-0.76, top - 0.03, 0.2), (-0.36, top, -0.16)),
        *throat,
        *path((0.16, -0.12), (0.6, -0.02, 0.04), (0.94, 0.26, 0.22), (-0.92, 0.26)),
    ]
    sole = path(
        (-0.94, 0.22), (-0.4, 0.25, -0.03), (0.6, 0.25), (0.96, 0.2, -0.05), (0.98, 0.3, 0.2), (0.84, 0.4, 0.14),
        (-0.84, 0.41), (-0.96, 0.34, 0.2), (-0.94, 0.22),
    )  # fmt: skip
    toe = path((0.56, 0.26), (0.62, -0.01, -0.2), (0.93, 0.26, 0.22))
    heel = path((-0.91, 0.26), (-0.86, -0.04, -0.04), (-0.86, -0.12), (-0.64, 0.02, 0.12), (-0.56, 0.26, 0.06))
    swoosh = band(
        spline((-0.5, 0.18), (-0.28, 0.02), (0.0, 0.06), (0.3, 0.14)), 0.075 + rng.uniform(0.0, 0.03), tapered=True
    )
    tongue = path(
        (-0.42, top + 0.1), (-0.34, top - 0.2, 0.04), (-0.18, top - 0.16, 0.2), (0.2, -0.12, 0.02), (-0.1, 0.0)
    )
    stay = band([(x - 0.02, y + 0.035) for x, y in throat], 0.1)
    laces: list[Shape] = []
    count = 6 if high else 4
    for number in range(count):
        x, y = throat[round((len(throat) - 3) * (number + 0.6) / count)]
        laces += [
            Line([(x - 0.07, y + 0.07), (x + 0.07, y - 0.045)], 0.034, "pale", 1.0),
            Button((x - 0.07, y + 0.075), 0.017, "dark"),
        ]
    return [
        Part(tongue, "second", depth=0.8),
        Part(upper, folds=[path((0.22, -0.04), (0.32, 0.14, 0.12)), path((0.38, -0.02), (0.44, 0.14, 0.12))]),
        Part(heel, "trim", depth=0.6),
        Part(swoosh, "trim", depth=0.3),
        Part(toe, "second", depth=0.7),
        Part(stay, "second", depth=0.5),
        *laces,
        Part(sole, "sole", depth=0.8),
        Line(path((-0.95, 0.3), (-0.4, 0.32, -0.02), (0.6, 0.32), (0.975, 0.27, -0.04)), 0.014, "trim", 0.8),
    ]
