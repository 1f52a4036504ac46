"""Scenes without garments, drawn: rooms, landscapes, streets, meals, things; walls and floors are surfaces."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from drawn_surfaces import Generator, Size, Style, clouds, color, grey, of_array, shaded, surface, whole

Corner = tuple[float, float]


def room(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """A room in perspective, with furniture along the back wall and on the floor."""
    width, height = size
    left, right = width * random.uniform(0.05, 0.3), width * random.uniform(0.7, 0.95)
    top, bottom = height * random.uniform(0.05, 0.25), height * random.uniform(0.55, 0.75)
    picture = Image.new("RGB", size, color(random, style, value=(0.5, 1.0)))
    draw = ImageDraw.Draw(picture)
    wall = color(random, style, value=(0.6, 1.0))
    side = tuple(int(value * random.uniform(0.75, 0.95)) for value in wall)
    draw.polygon([(0, 0), (left, top), (left, bottom), (0, height)], side)
    draw.polygon([(width, 0), (right, top), (right, bottom), (width, height)], side)
    draw.polygon([(0, 0), (width, 0), (right, top), (left, top)], grey(random, 200, 256))
    draw.rectangle((left, top, right, bottom), wall)
    floor, cover = surface(random, size, style), Image.new("L", size, 0)
    ImageDraw.Draw(cover).polygon([(left, bottom), (right, bottom), (width, height), (0, height)], 255)
    picture.paste(floor, (0, 0), cover)
    back = right - left
    for _ in range(whole(random, (0, 3))):  # windows and pictures on the wall
        x, y = left + back * random.uniform(0.05, 0.7), top + (bottom - top) * random.uniform(0.08, 0.3)
        box = (x, y, x + back * random.uniform(0.12, 0.3), y + (bottom - top) * random.uniform(0.2, 0.45))
        draw.rectangle(box, color(random, style), grey(random, 20, 250), max(1, width // 90))
        if random.random() < 0.5:
            draw.line(((box[0] + box[2]) / 2, box[1], (box[0] + box[2]) / 2, box[3]), grey(random, 20, 250), 2)
    for _ in range(whole(random, (1, 4))):
        piece = FURNITURE[random.integers(len(FURNITURE))]
        foot = random.uniform(bottom, height * 0.95)
        near = 0.5 + (foot - bottom) / (height - bottom + 1)
        wide = back * random.uniform(0.2, 0.5) * near
        x = random.uniform(0, width - wide)
        piece(draw, random, (x, foot - wide * random.uniform(0.5, 1.1), x + wide, foot), style)
    return shaded(picture, random)


Box = tuple[float, float, float, float]


def sofa(draw: ImageDraw.ImageDraw, random: np.random.Generator, box: Box, style: Style) -> None:
    """Back, seat, arms and cushions."""
    left, top, right, bottom = box
    shade, tall, wide = color(random, style), bottom - top, right - left
    darker = tuple(int(value * 0.8) for value in shade)
    draw.rounded_rectangle((left, top + 0.1 * tall, right, bottom - 0.1 * tall), 0.1 * tall, darker)
    draw.rounded_rectangle((left, top + 0.5 * tall, right, bottom - 0.1 * tall), 0.08 * tall, shade)
    for x in (left, right - 0.15 * wide):
        draw.rounded_rectangle((x, top + 0.35 * tall, x + 0.15 * wide, bottom - 0.05 * tall), 0.05 * tall, darker)
    for x in np.linspace(left + 0.2 * wide, right - 0.35 * wide, whole(random, (0, 3))):
        draw.rounded_rectangle((x, top + 0.25 * tall, x + 0.17 * wide, top + 0.52 * tall), 4, color(random, style))


def desk(draw: ImageDraw.ImageDraw, random: np.random.Generator, box: Box, style: Style) -> None:
    """A table or chair: a top on legs, perhaps with a back."""
    left, top, right, bottom = box
    shade, tall, wide = color(random, style, value=(0.2, 0.8)), bottom - top, right - left
    high = top + random.uniform(0.2, 0.5) * tall
    thick = max(2, 0.05 * wide)
    for x in (left, right - thick, left + 0.2 * wide, right - 0.2 * wide):
        draw.rectangle((x, high, x + thick, bottom), shade)
    draw.rectangle((left - 2, high, right + 2, high + 1.5 * thick), shade)
    if random.random() < 0.5:
        draw.rectangle((left, top, left + thick, high), shade)
        draw.rectangle((left, top, right, top + 2 * thick), shade)


def shelf(draw: ImageDraw.ImageDraw, random: np.random.Generator, box: Box, style: Style) -> None:
    """A shelf of books, or a cupboard with doors."""
    left, top, right, bottom = box
    top -= (bottom - top) * 0.6
    draw.rectangle((left, top, right, bottom), color(random, style, value=(0.3, 0.9)), (60, 50, 40), 2)
    rows = whole(random, style.cells) // 2 + 1
    books = random.random() < 0.6
    for y in np.linspace(top, bottom, rows + 1)[1:]:
        draw.line((left, y, right, y), (60, 50, 40), 2)
        x = left + 3
        while books and x < right - 6:
            thick, tall = random.uniform(3, 9), max(3, (bottom - top) / rows * random.uniform(0.5, 0.9))
            draw.rectangle((x, y - tall, min(x + thick, right), y - 1), color(random, style))
            x += thick


def lamp(draw: ImageDraw.ImageDraw, random: np.random.Generator, box: Box, style: Style) -> None:
    """A standing lamp or a plant in a pot."""
    left, top, right, bottom = box
    top -= (bottom - top) * 0.7
    middle, wide = (left + right) / 2, (right - left) / 2
    draw.line((middle, top, middle, bottom), (50, 50, 50), max(2, int(wide / 15)))
    if random.random() < 0.5:
        shade = [(middle - wide / 4, top), (middle + wide / 4, top), (middle + wide / 2, top + wide / 2)]
        draw.polygon([*shade, (middle - wide / 2, top + wide / 2)], color(random, style, value=(0.7, 1.0)))
        draw.ellipse((middle - wide / 4, bottom - 4, middle + wide / 4, bottom + 4), (50, 50, 50))
        return
    for _ in range(whole(random, (8, 30))):
        x, y = middle + random.normal(0, wide / 3), top + wide / 2 + random.normal(0, wide / 3)
        leaf = (int(random.integers(20, 90)), int(random.integers(80, 170)), int(random.integers(20, 80)))
        draw.ellipse((x - wide / 6, y - wide / 12, x + wide / 6, y + wide / 12), leaf)
    draw.rectangle((middle - wide / 5, bottom - wide / 3, middle + wide / 5, bottom), color(random, style))


FURNITURE = (sofa, desk, shelf, lamp)


def landscape(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """Sky with clouds, hills, and trees or a sea."""
    width, height = size
    sky = np.array(color(random, style, value=(0.5, 1.0)), dtype=np.float64)
    pale = np.linspace(0, 1, height)[:, None, None]
    veil = np.clip(clouds(random, size, 2.6), 0, 2)[..., None] / 3 * (random.random() < 0.7)
    picture = of_array((sky * (1 - pale) + 230 * pale) * (1 - veil) + 255 * veil)
    draw = ImageDraw.Draw(picture)
    if random.random() < 0.4:
        x, y, side = random.uniform(0, width), random.uniform(0, height / 3), random.uniform(5, 25)
        draw.ellipse((x - side, y - side, x + side, y + side), (255, 250, random.integers(150, 250)))
    base = height * random.uniform(0.35, 0.6)
    for layer in range(whole(random, (1, 4))):
        ridge = (
            base
            + layer * height * 0.12
            + height * 0.06 * np.interp(np.arange(width), np.linspace(0, width, 9), random.normal(size=9))
        )
        shade = tuple((np.array(color(random, style, value=(0.25, 0.7))) * (1 - 0.1 * layer)).astype(int).tolist())
        draw.polygon([(0, height), *enumerate(ridge.tolist()), (width, height)], shade)
    if random.random() < 0.4:
        ground, cover = surface(random, size, style), Image.new("L", size, 0)
        ImageDraw.Draw(cover).rectangle((0, height * 0.75, width, height), 255)
        picture.paste(ground, (0, 0), cover)
    for _ in range(whole(random, (0, 9))):
        x, foot = random.uniform(0, width), random.uniform(base, height)
        tall = height * random.uniform(0.05, 0.3)
        draw.rectangle((x - tall / 20, foot - tall / 2, x + tall / 20, foot), (80, 55, 35))
        leaf = (int(random.integers(10, 90)), int(random.integers(60, 150)), int(random.integers(10, 70)))
        if random.random() < 0.5:
            draw.polygon(
                [(x, foot - 1.3 * tall), (x - tall / 3, foot - tall / 4), (x + tall / 3, foot - tall / 4)], leaf
            )
        else:
            draw.ellipse((x - tall / 2, foot - 1.3 * tall, x + tall / 2, foot - 0.3 * tall), leaf)
    return picture


def street(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """Houses with windows, a road, perhaps a car."""
    width, height = size
    picture = Image.new("RGB", size, color(random, style, value=(0.6, 1.0)))
    road, ground = height * random.uniform(0.65, 0.85), surface(random, size, style)
    draw = ImageDraw.Draw(picture)
    x = -random.uniform(0, 20)
    while x < width:
        wide, tall = width * random.uniform(0.15, 0.4), road * random.uniform(0.4, 0.95)
        draw.rectangle((x, road - tall, x + wide, road), color(random, style, value=(0.3, 0.9)))
        glass = color(random, style, value=(0.2, 1.0))
        rows, columns = whole(random, style.cells), whole(random, (2, 5))
        for row in range(rows):
            for column in range(columns):
                a, b = x + wide * (column + 0.25) / columns, road - tall + tall * (row + 0.25) / rows
                draw.rectangle((a, b, a + wide / columns / 2, b + tall / rows / 2), glass)
        x += wide
    picture.paste(ground.crop((0, 0, width, height - int(road))), (0, int(road)))
    if random.random() < 0.6:
        car(
            draw,
            random,
            (width * random.uniform(0, 0.4), road - height * 0.1, width * 0.9, road + height * 0.12),
            style,
        )
    return shaded(picture, random)


def car(draw: ImageDraw.ImageDraw, random: np.random.Generator, box: Box, style: Style) -> None:
    """A car from the side."""
    left, top, right, bottom = box
    wide, tall, shade = right - left, bottom - top, color(random, style)
    draw.polygon(
        [(left + part * wide, top + y * tall) for part, y in ((0.2, 0.45), (0.32, 0.05), (0.68, 0.05), (0.82, 0.45))],
        shade,
    )
    draw.polygon(
        [(left + part * wide, top + y * tall) for part, y in ((0.27, 0.42), (0.35, 0.12), (0.65, 0.12), (0.75, 0.42))],
        grey(random, 60, 200),
    )
    draw.rounded_rectangle((left, top + 0.4 * tall, right, bottom - 0.15 * tall), 0.1 * tall, shade)
    for x in (left + 0.22 * wide, left + 0.78 * wide):
        draw.ellipse((x - 0.2 * tall, bottom - 0.4 * tall, x + 0.2 * tall, bottom), (25, 25, 25))
        draw.ellipse((x - 0.1 * tall, bottom - 0.3 * tall, x + 0.1 * tall, bottom - 0.1 * tall), (150, 150, 150))


def meal(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """Plates with food, from above or at an angle, and a glass or a fork."""
    width, height = size
    picture = surface(random, size, style)
    draw, flatness = ImageDraw.Draw(picture), random.uniform(0.5, 1.0)
    for _ in range(whole(random, (1, 3))):
        x, y = random.uniform(0.3, 0.7) * width, random.uniform(0.3, 0.7) * height
        side = min(size) * random.uniform(0.25, 0.45)
        rim = grey(random, 190, 256) if random.random() < 0.7 else color(random, style)
        for part, shade in ((1.0, rim), (0.75, tuple(int(value * 0.93) for value in rim))):
            reach = (x - side * part, y - side * flatness * part, x + side * part, y + side * flatness * part)
            draw.ellipse(reach, shade, (120, 120, 120))
        for _ in range(whole(random, (1, 4))):
            food, bite = color(random, style, value=(0.3, 0.95)), side * random.uniform(0.05, 0.3)
            for _ in range(whole(random, (3, 30))):
                a, b = random.normal(0, side / 4, 2) * (1, flatness)
                spread = random.uniform(0.5, 1.3, 2) * bite
                reach = (x + a - spread[0], y + b - spread[1], x + a + spread[0], y + b + spread[1])
                draw.ellipse(reach, tuple(int(np.clip(value * random.uniform(0.8, 1.15), 0, 255)) for value in food))
    if random.random() < 0.5:
        x = width * random.uniform(0.02, 0.12)
        draw.line((x, height * 0.3, x, height * 0.8), (190, 190, 195), max(2, width // 50))
        draw.ellipse((x - width * 0.03, height * 0.2, x + width * 0.03, height * 0.33), (190, 190, 195))
    return shaded(of_array(np.asarray(picture) + 4 * clouds(random, size, 1.0)[..., None]), random)


def thing(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """A bottle, a cup, a box, a ball, a clock or a car on a plain or a rough ground."""
    width, height = size
    plain = random.random() < 0.5
    picture = Image.new("RGB", size, grey(random, 225, 256)) if plain else surface(random, size, style)
    draw, shade = ImageDraw.Draw(picture), color(random, style)
    x, y, side = width / 2, height / 2, min(size) * random.uniform(0.2, 0.42)
    lit = tuple(min(255, int(value * 1.25 + 20)) for value in shade)
    sort = random.integers(6)
    if sort == 0:
        neck, round_at = side * random.uniform(0.12, 0.25), side * random.uniform(0.3, 0.5)
        draw.rounded_rectangle((x - round_at, y - 0.3 * side, x + round_at, y + side), side * 0.1, shade)
        draw.polygon(
            [
                (x - round_at, y - 0.2 * side),
                (x - neck, y - 0.6 * side),
                (x + neck, y - 0.6 * side),
                (x + round_at, y - 0.2 * side),
            ],
            shade,
        )
        draw.rectangle((x - neck, y - side, x + neck, y - 0.55 * side), shade)
        draw.rectangle((x - round_at, y, x + round_at, y + 0.6 * side), lit)
    elif sort == 1:
        draw.ellipse(
            (x + 0.3 * side, y - 0.4 * side, x + 0.95 * side, y + 0.4 * side), None, shade, max(3, int(side / 8))
        )
        draw.rounded_rectangle((x - 0.6 * side, y - 0.7 * side, x + 0.6 * side, y + 0.7 * side), side * 0.15, shade)
        draw.ellipse((x - 0.6 * side, y - 0.85 * side, x + 0.6 * side, y - 0.55 * side), lit)
    elif sort == 2:
        slant = side * random.uniform(0.2, 0.5)
        draw.rectangle((x - side, y - 0.4 * side, x + 0.6 * side, y + 0.8 * side), shade)
        draw.polygon(
            [
                (x - side, y - 0.4 * side),
                (x - side + slant, y - 0.4 * side - slant),
                (x + 0.6 * side + slant, y - 0.4 * side - slant),
                (x + 0.6 * side, y - 0.4 * side),
            ],
            lit,
        )
        dark = tuple(int(value * 0.7) for value in shade)
        draw.polygon(
            [
                (x + 0.6 * side, y - 0.4 * side),
                (x + 0.6 * side + slant, y - 0.4 * side - slant),
                (x + 0.6 * side + slant, y + 0.8 * side - slant),
                (x + 0.6 * side, y + 0.8 * side),
            ],
            dark,
        )
    elif sort == 3:
        across, down = np.meshgrid(np.arange(width) - x, np.arange(height) - y)
        inside = np.hypot(across, down) < side
        light = np.clip(1.2 - np.hypot(across + side / 3, down + side / 3) / side * 0.8, 0.15, 1.2)
        picture = of_array(np.where(inside[..., None], np.array(shade) * light[..., None], np.asarray(picture)))
    elif sort == 4:
        draw.ellipse((x - side, y - side, x + side, y + side), grey(random, 200, 256), shade, max(3, int(side / 10)))
        for hour in range(12):
            a, b = math.sin(hour * math.pi / 6), math.cos(hour * math.pi / 6)
            draw.line(
                (x + 0.75 * side * a, y + 0.75 * side * b, x + 0.85 * side * a, y + 0.85 * side * b), (30, 30, 30), 2
            )
        for reach in (0.45, 0.7):
            turn = random.uniform(0, 2 * math.pi)
            draw.line((x, y, x + reach * side * math.sin(turn), y + reach * side * math.cos(turn)), (30, 30, 30), 3)
    else:
        car(draw, random, (x - side * 1.1, y - side * 0.5, x + side * 1.1, y + side * 0.5), style)
    return shaded(picture, random) if not plain or random.random() < 0.5 else picture


SCENES: dict[str, Generator] = {"room": room, "landscape": landscape, "street": street, "meal": meal, "thing": thing}
"""Generators by name."""
