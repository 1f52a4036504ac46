"""Shapes of garments: parts with outlines, lines and buttons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Point: TypeAlias = tuple[float, float]
Points: TypeAlias = list[Point]
Step: TypeAlias = tuple[float, float] | tuple[float, float, float]
Stuff: TypeAlias = Literal["main", "second", "trim", "lining", "sole", "metal", "pale", "dark", "detail"]

POINTS_PER_CURVE = 14


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of cloth.

    Attributes:
        outline: Closed outline.
        stuff: Kind of its cloth.
        angle: Clockwise rotation of the cloth's pattern, in degrees.
        folds: Lines of the creases.
        depth: Strength of the shading at its edges, from 0 (flat) to 1 (round).
        printed: Centre of a print; None for none.
    """

    outline: Points
    stuff: Stuff = "main"
    angle: float = 0.0
    folds: Sequence[Points] = ()
    depth: float = 1.0
    printed: Point | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A seam, a stitch or an edge."""

    points: Points
    width: float = 0.008
    stuff: Stuff = "dark"
    strength: float = 0.6
    dash: float = 0.0


@dataclass(frozen=True, slots=True)
class Button:
    """A button, an eyelet or a snap."""

    middle: Point
    radius: float = 0.022
    stuff: Stuff = "trim"


Shape: TypeAlias = Part | Line | Button


def path(*steps: Step) -> Points:
    """Join points by lines or curves.

    Args:
        steps: (x, y) for a straight line to that point; (x, y, bulge) for a curve whose greatest distance from the
            straight line is that fraction of its length, to the left in direction of travel with y pointing down:
            outwards on a clockwise outline.
    """
    points: Points = [(steps[0][0], steps[0][1])]
    for step in steps[1:]:
        (x1, y1), (x2, y2) = points[-1], (step[0], step[1])
        bulge = step[2] if len(step) == 3 else 0.0
        if not bulge:
            points.append((x2, y2))
            continue
        middle_x = (x1 + x2) / 2 + 2 * bulge * (y2 - y1)
        middle_y = (y1 + y2) / 2 - 2 * bulge * (x2 - x1)
        for number in range(1, POINTS_PER_CURVE + 1):
            t = number / POINTS_PER_CURVE
            a, b, c = (1 - t) * (1 - t), 2 * t * (1 - t), t * t
            points.append((a * x1 + b * middle_x + c * x2, a * y1 + b * middle_y + c * y2))
    return points


def level(half: float, y: float, sag: float) -> Step:
    """Return the step from a hem's right end at x = `half` to its middle at `y`, `sag` lower, with a level tangent."""
    return 0.0, y, sag / (4 * half)


def spline(*through: Point, closed: bool = False) -> Points:
    """Join points by a smooth curve (Catmull-Rom)."""
    count = len(through)
    points: Points = []
    for start in range(count if closed else count - 1):
        numbers = [start - 1, start, start + 1, start + 2]
        p0, p1, p2, p3 = (through[n % count] if closed else through[min(max(n, 0), count - 1)] for n in numbers)
        for number in range(POINTS_PER_CURVE):
            t = number / POINTS_PER_CURVE
            weights = (
                (-t + 2 * t * t - t * t * t) / 2,
                (2 - 5 * t * t + 3 * t * t * t) / 2,
                (t + 4 * t * t - 3 * t * t * t) / 2,
                (t * t * t - t * t) / 2,
            )
            sums = [sum(w * p[axis] for w, p in zip(weights, (p0, p1, p2, p3), strict=True)) for axis in (0, 1)]
            points.append((sums[0], sums[1]))
    return points if closed else [*points, through[-1]]


def mirrored(points: Iterable[Point]) -> Points:
    """Mirror points left to right and reverse their order, which keeps the orientation."""
    return [(-x, y) for x, y in reversed(list(points))]


def whole(half: Points) -> Points:
    """Complete an outline from its right half, which goes from the middle at the top to the middle at the bottom."""
    return half + mirrored(half)


def both(shape: Shape) -> list[Shape]:
    """Return a shape and its mirror image."""
    if isinstance(shape, Part):
        printed = (-shape.printed[0], shape.printed[1]) if shape.printed else None
        folds = [mirrored(fold) for fold in shape.folds]
        other: Shape = Part(mirrored(shape.outline), shape.stuff, -shape.angle, folds, shape.depth, printed)
    elif isinstance(shape, Line):
        other = Line(mirrored(shape.points), shape.width, shape.stuff, shape.strength, shape.dash)
    else:
        other = Button((-shape.middle[0], shape.middle[1]), shape.radius, shape.stuff)
    return [other, shape]


def placed(shapes: Iterable[Shape], *, by: Point, scale: float = 1.0) -> list[Shape]:
    """Scale shapes about the centre of the canvas, then move them."""

    def place(points: Iterable[Point]) -> Points:
        return [(x * scale + by[0], y * scale + by[1]) for x, y in points]

    result: list[Shape] = []
    for shape in shapes:
        if isinstance(shape, Part):
            printed = place([shape.printed])[0] if shape.printed else None
            folds = [place(fold) for fold in shape.folds]
            result.append(Part(place(shape.outline), shape.stuff, shape.angle, folds, shape.depth, printed))
        elif isinstance(shape, Line):
            width, dash = shape.width * scale, shape.dash * scale
            result.append(Line(place(shape.points), width, shape.stuff, shape.strength, dash))
        else:
            result.append(Button(place([shape.middle])[0], shape.radius * scale, shape.stuff))
    return result


def band(points: Points, width: float, *, tapered: bool = False) -> Points:
    """Return the outline of a band along a line; if `tapered`, its ends are points."""
    left: Points = []
    right: Points = []
    last = len(points) - 1
    for number, (x, y) in enumerate(points):
        (x1, y1), (x2, y2) = points[max(number - 1, 0)], points[min(number + 1, last)]
        length = math.hypot(x2 - x1, y2 - y1) or 1.0
        half = width / 2
        if tapered:
            t = number / max(last, 1)
            half *= 4 * t * (1 - t)
        dx, dy = (y2 - y1) / length * half, -(x2 - x1) / length * half
        left.append((x + dx, y + dy))
        right.append((x - dx, y - dy))
    return left + right[::-1]


def dashes(points: Points, dash: float) -> list[Points]:
    """Cut a line into dashes of length `dash`, with gaps of three fifths of it."""
    pieces: list[Points] = []
    current: Points = [points[0]]
    left, drawing = dash, True
    for end in points[1:]:
        start = current[-1]
        length = math.hypot(end[0] - start[0], end[1] - start[1])
        done = 0.0
        while length - done > left:
            done += left
            cut = (start[0] + (end[0] - start[0]) * done / length, start[1] + (end[1] - start[1]) * done / length)
            if drawing:
                pieces.append([*current, cut])
            current, drawing = [cut], not drawing
            left = dash if drawing else dash * 0.6
        left -= length - done
        current.append(end)
    return pieces


def disc(middle: Point, radius: float, *, corners: int = 24) -> Points:
    """Return the corners of a regular polygon that looks like a circle."""
    turns = [2 * math.pi * number / corners for number in range(corners)]
    return [(middle[0] + radius * math.cos(turn), middle[1] + radius * math.sin(turn)) for turn in turns]
