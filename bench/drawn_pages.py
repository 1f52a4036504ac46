"""Pages without garments, drawn: papers, handwriting, codes, charts, screens."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from drawn_surfaces import Color, Generator, Size, Style, color, grey, shaded, surface, whole


def text(random: np.random.Generator, style: Style, count: int) -> str:
    """Words and numbers."""
    words = ("".join(random.choice(style.syllables.split(), whole(random, (1, 4)))) for _ in range(count))
    return " ".join(f"{random.uniform(1, 2000):.2f}" if random.random() < 0.15 else word for word in words)


def font(random: np.random.Generator, size: Size, style: Style) -> ImageFont.FreeTypeFont:
    """Pillow's own font, in a random size."""
    made = ImageFont.load_default(max(7, int(min(size) * random.uniform(*style.letters))))
    if not isinstance(made, ImageFont.FreeTypeFont):
        raise SystemExit("Pillow has no FreeType here: text cannot be drawn")
    return made


def paper(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """A page with headings, paragraphs and tables, plain or photographed on a table."""
    width, height = size
    page = Image.new("RGB", size, grey(random, 225, 256))
    draw, ink = ImageDraw.Draw(page), grey(random, 0, 90)
    letters = font(random, size, style)
    step, margin = int(letters.size * random.uniform(1.2, 1.8)), int(width * random.uniform(0.04, 0.12))
    y = margin
    if random.random() < 0.6:
        draw.text((margin, y), text(random, style, 2), ink, ImageFont.load_default(letters.size * 2))
        y += letters.size * 3
    if random.random() < 0.3:
        draw.rectangle(
            (width - margin - width // 5, margin, width - margin, margin + height // 12), color(random, style)
        )
    while y < height - margin - step:
        if random.random() < 0.3:
            y = table(draw, random, (margin, y, width - margin, height - margin), letters, style, ink) + step
            continue
        for _ in range(whole(random, (2, 8))):
            line = text(random, style, 30)
            while draw.textlength(line, letters) > width - 2 * margin:
                line = line.rpartition(" ")[0]
            draw.text((margin, y), line, ink, letters)
            y += step
            if y > height - margin - step:
                break
        y += step
    return photographed(page, random, style) if random.random() < 0.5 else page


def table(
    draw: ImageDraw.ImageDraw,
    random: np.random.Generator,
    box: tuple[int, int, int, int],
    letters: ImageFont.FreeTypeFont,
    style: Style,
    ink: Color,
) -> int:
    """Draw a table of words and numbers; returns its lower edge."""
    left, top, right, bottom = box
    step = int(letters.size * 1.7)
    columns = whole(random, (2, 5))
    rows = min(whole(random, style.cells), max(1, (bottom - top) // step))
    edges = np.linspace(left, right, columns + 1).astype(int).tolist()
    ruled, head = random.random() < 0.7, color(random, style, value=(0.7, 1.0))
    for row in range(rows):
        y = top + row * step
        if row == 0:
            draw.rectangle((left, y, right, y + step), head)
        for x in edges[:-1]:
            words = text(random, style, 1) if row == 0 or x == left else f"{random.uniform(0, 999):.2f}"
            draw.text((x + 2, y + 2), words, ink, letters)
        if ruled:
            draw.line((left, y, right, y), ink)
    if ruled:
        for x in edges:
            draw.line((x, top, x, top + rows * step), ink)
    return top + rows * step


def photographed(page: Image.Image, random: np.random.Generator, style: Style) -> Image.Image:
    """Lay a page at an angle on a surface, in uneven light."""
    ground = surface(random, page.size, style)
    scale = random.uniform(0.6, 0.95)
    small = page.resize((int(page.width * scale), int(page.height * scale)), Image.Resampling.BILINEAR)
    cover = Image.new("L", small.size, 255)
    angle = random.uniform(-style.tilt, style.tilt)
    small, cover = (each.rotate(angle, Image.Resampling.BILINEAR, expand=True) for each in (small, cover))
    place = ((ground.width - small.width) // 2, (ground.height - small.height) // 2)
    ground.paste(small, place, cover)
    return shaded(ground, random)


def pie(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """A pie chart with a legend."""
    picture, draw, ink, letters = titled(random, size, style)
    angles = np.concatenate([[0], random.dirichlet(np.ones(whole(random, style.cells))).cumsum()]) * 360
    left, top, side = 0.1 * size[0], 0.2 * size[1], 0.7 * min(size)
    for number, (first, last) in enumerate(pairwise(angles.tolist())):
        shade = color(random, style)
        draw.pieslice((left, top, left + side, top + side), first, last, shade, ink)
        y = top + number * 1.5 * letters.size
        draw.rectangle((size[0] * 0.82, y, size[0] * 0.82 + letters.size, y + letters.size), shade)
    return picture


def heat_map(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """A grid of shades between two colours."""
    picture, draw, _, _ = titled(random, size, style)
    low, high = np.array(color(random, style)), np.array(color(random, style))
    across = np.linspace(0.1, 0.95, whole(random, style.cells) + 1) * size[0]
    down = np.linspace(0.15, 0.9, whole(random, style.cells) + 1) * size[1]
    for x1, x2 in pairwise(across):
        for y1, y2 in pairwise(down):
            draw.rectangle((x1, y1, x2, y2), tuple((low + random.random() * (high - low)).astype(int).tolist()))
    return picture


def plot(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """Bars, lines or points over a grid."""
    width, height = size
    picture, draw, ink, letters = titled(random, size, style)
    left, top, right, bottom = 0.12 * width, 0.15 * height, 0.95 * width, 0.85 * height
    for y in np.linspace(top, bottom, whole(random, (3, 8))):
        draw.line((left, y, right, y), grey(random, 100, 200))
        draw.text((0.01 * width, y - letters.size / 2), f"{random.uniform(0, 100):.0f}", ink, letters)
    count, sort = whole(random, style.cells) + 1, random.integers(3)
    places = np.linspace(left, right, count + 1)
    for _ in range(1 if sort == 0 else whole(random, (1, 4))):
        shade, values = color(random, style), random.uniform(top, bottom, count)
        if sort == 0:
            for (x1, x2), y in zip(pairwise(places), values, strict=True):
                draw.rectangle((x1 + 2, y, x2 - 2, bottom), shade)
        elif sort == 1:
            draw.line(list(zip(places, values, strict=False)), shade, max(1, width // 120))
        else:
            for x, y in random.uniform((left, top), (right, bottom), (count * 8, 2)):
                draw.ellipse((x - 3, y - 3, x + 3, y + 3), shade)
    draw.line((left, top, left, bottom, right, bottom), ink, 2)
    return picture


def titled(
    random: np.random.Generator, size: Size, style: Style
) -> tuple[Image.Image, ImageDraw.ImageDraw, Color, ImageFont.FreeTypeFont]:
    """A light or dark page with a line of words on top; returns also what draws on it, the ink and the font."""
    dark = random.random() < 0.35
    picture = Image.new("RGB", size, grey(random, 10, 60) if dark else grey(random, 225, 256))
    draw, ink = ImageDraw.Draw(picture), grey(random, 180, 255) if dark else grey(random, 0, 100)
    letters = font(random, size, style)
    if random.random() < 0.4:
        draw.rectangle((0, 0, size[0], 0.08 * size[1]), color(random, style))
    draw.text((0.05 * size[0], 0.03 * size[1]), text(random, style, 3), ink, letters)
    return picture, draw, ink, letters


def chat(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """A conversation in bubbles."""
    width, height = size
    picture, draw, ink, letters = titled(random, size, style)
    step = int(letters.size * 1.5)
    y, mine_shade, other_shade = height // 10 + step, color(random, style), grey(random, 90, 200)
    while y < height - step:
        mine, long, lines = random.random() < 0.5, random.uniform(0.3, 0.75) * width, whole(random, (1, 4))
        x = width * 0.96 - long if mine else width * 0.04
        bubble = (x, y, x + long, y + lines * step + step // 2)
        draw.rounded_rectangle(bubble, step // 2, mine_shade if mine else other_shade)
        for line in range(lines):
            said = text(random, style, max(1, int(long / letters.size / 4)))
            draw.text((x + step / 2, y + step / 4 + line * step), said, ink, letters)
        y += lines * step + step
    return picture


def program(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """The indented, coloured text of a program."""
    picture, draw, _, letters = titled(random, size, style)
    depth = 0
    for y in range(size[1] // 10, size[1], int(letters.size * 1.5)):
        depth = int(np.clip(depth + random.integers(-1, 2), 0, 5))
        x = 0.05 * size[0] + depth * 2 * letters.size
        for _ in range(whole(random, (0, 5))):
            word = text(random, style, 1)
            draw.text((x, y), word, color(random, style, value=(0.4, 0.8)), letters)
            x += draw.textlength(word + " ", letters)
    return picture


def tiles(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """A screen of symbols with captions, or of keys."""
    picture, draw, ink, letters = titled(random, size, style)
    across, down = whole(random, (2, 5)), whole(random, style.cells)
    wide, tall = size[0] / across, size[1] * 0.9 / down
    captions, one, shade = random.random() < 0.5, random.random() < 0.4, color(random, style)
    for row in range(down):
        for column in range(across):
            x, y = column * wide, 0.1 * size[1] + row * tall
            box = (x + 0.1 * wide, y + 0.08 * tall, x + 0.9 * wide, y + (0.7 if captions else 0.92) * tall)
            draw.rounded_rectangle(box, 0.1 * min(wide, tall), shade if one else color(random, style))
            place = (x + 0.1 * wide, y + 0.74 * tall) if captions else (x + 0.35 * wide, y + 0.4 * tall)
            draw.text(place, text(random, style, 1)[: int(wide / letters.size * 1.6)], ink, letters)
    return picture


def code(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """A square or a bar code with its number."""
    picture = Image.new("RGB", size, grey(random, 235, 256))
    draw, ink = ImageDraw.Draw(picture), grey(random, 0, 60)
    side = int(min(size) * random.uniform(0.5, 0.9))
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    cells = 21 + 4 * whole(random, (0, 4))
    if random.random() < 0.5:
        dots = random.random((cells, cells)) < 0.5
        for y, x in ((0, 0), (0, cells - 7), (cells - 7, 0)):
            dots[y : y + 7, x : x + 7] = True
            dots[y + 1 : y + 6, x + 1 : x + 6] = False
            dots[y + 2 : y + 5, x + 2 : x + 5] = True
        cell = Image.fromarray(np.where(dots, 0, 245).astype(np.uint8)).resize((side, side), Image.Resampling.NEAREST)
        picture.paste(cell, (left, top))
    else:
        x = float(left)
        while x < left + side:
            thick = random.integers(1, 5) * side / 150
            draw.rectangle((x, top + side * 0.2, x + thick, top + side * 0.7), ink)
            x += thick + random.integers(1, 5) * side / 150
    draw.text((left, top + side), text(random, style, 3), ink, font(random, size, style))
    return photographed(picture, random, style) if random.random() < 0.5 else picture


def handwriting(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """Lines of scribbled loops on ruled or plain paper."""
    width, height = size
    picture = Image.new("RGB", size, grey(random, 215, 256))
    draw, ink = ImageDraw.Draw(picture), color(random, style, value=(0.1, 0.5))
    step = height / whole(random, style.cells)
    for y in np.arange(step, height, step):
        if random.random() < 0.7:
            draw.line((0, y, width, y), (150, 170, 210))
        x = 0.08 * width
        while x < random.uniform(0.6, 0.95) * width:
            turns = np.linspace(0, random.uniform(2, 7) * 2 * math.pi, 90)
            sizes = step * random.uniform(0.1, 0.3, len(turns))
            smooth = np.convolve(sizes, np.ones(15) / 15, "same")
            points = np.stack(
                [x + turns * step * 0.08 + smooth * np.sin(turns), y - smooth - smooth * np.cos(turns)], 1
            )
            draw.line([tuple(point) for point in points.tolist()], ink, max(1, int(step / 20)))
            x = points[-1, 0] + 0.3 * step
    return photographed(picture, random, style) if random.random() < 0.4 else picture


PAGES: dict[str, Generator] = {
    "paper": paper,
    "handwriting": handwriting,
    "code": code,
    "pie": pie,
    "heat map": heat_map,
    "plot": plot,
    "chat": chat,
    "program": program,
    "tiles": tiles,
}
"""Generators by name."""
