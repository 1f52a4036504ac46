"""Photos of painted garments: pose, background, shadow and light."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lookalike.catalogue.sample.drawing.cloth import Color, shaded

PHOTO_SIZE = (300, 400)
OVERSIZE = 1.5
_HALF_WIDTH, _HALF_HEIGHT = 1.0, 4 / 3


@dataclass(frozen=True, slots=True)
class Pose:
    """Pose of a garment in a photo.

    Attributes:
        turn: Clockwise rotation, in degrees.
        fill: Fraction of the photo's width or height that the garment takes, whichever it reaches first.
        shear: Horizontal shift per unit of height.
        tilt: Horizontal and vertical perspective; 0 is a frontal view.
        wobble: Amplitude of random deformation, in units of the canvas.
        mirrored: Whether left and right are exchanged.
        place: Middle of the garment from that of the photo, in units of the canvas; None draws one near it.
    """

    turn: float = 0.0
    fill: float = 0.86
    shear: float = 0.0
    tilt: tuple[float, float] = (0.0, 0.0)
    wobble: float = 0.0
    mirrored: bool = False
    place: tuple[float, float] | None = None


def studio_pose(rng: Random) -> Pose:
    """Straight pose of a shop's first photo."""
    return Pose(turn=rng.uniform(-1.5, 1.5), fill=rng.uniform(0.82, 0.9))


def free_pose(rng: Random) -> Pose:
    """Pose of a garment laid flat for a photo."""
    return Pose(
        turn=rng.uniform(-16, 16),
        fill=rng.choice([rng.uniform(0.7, 0.95), rng.uniform(0.95, 1.2)]),
        shear=rng.uniform(-0.08, 0.08),
        tilt=(rng.uniform(-0.1, 0.1), rng.uniform(-0.12, 0.12)),
        wobble=rng.uniform(0.0, 0.03),
        mirrored=rng.random() < 0.3,
    )


def photograph(garment: Image.Image, rng: Random, *, pose: Pose, background: str) -> Image.Image:
    """Take a photo.

    Args:
        garment: RGBA, as `lookalike.catalogue.sample.drawing.painting.paint` makes it.
        rng: Random generator of position, light and background.
        pose: Pose of the garment.
        background: A name in `BACKGROUNDS`.

    Returns:
        RGB of size `PHOTO_SIZE`.
    """
    return photograph_and_find(garment, rng, pose=pose, background=background)[0]


def photograph_and_find(
    garment: Image.Image, rng: Random, *, pose: Pose, background: str
) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """Take a photo as `photograph` does, and return the garment's box too.

    Returns:
        The photo, and left, top, right and bottom of the box in pixels; right and bottom are exclusive.
    """
    photo = BACKGROUNDS[background](rng)
    laid = posed(garment, pose, rng)
    cover = laid.getchannel("A")
    photo = laid_on(photo, laid, rng)
    box = cover.getbbox() or (0, 0, *PHOTO_SIZE)
    return photo if background == "white" else lit(photo, rng), box


def laid_on(photo: Image.Image, laid: Image.Image, rng: Random) -> Image.Image:
    """Lay what is posed, RGBA of the photo's size, on a photo, with its shadow."""
    cover = laid.getchannel("A")
    softness, reach = rng.uniform(4, 10), rng.uniform(3, 9)
    aside = rng.choice([-1, 1]) * rng.uniform(1, 6)
    shadow = cover.filter(ImageFilter.BoxBlur(softness)).filter(ImageFilter.BoxBlur(softness))
    shadow = shadow.transform(shadow.size, Image.Transform.AFFINE, (1, 0, -round(aside), 0, 1, -round(reach)))
    photo = Image.composite(photo.point(_DARKER), photo, shadow)
    photo.paste(laid, (0, 0), cover)
    return photo


_DARKER = [value * 150 // 255 for value in range(256)] * 3


def posed(garment: Image.Image, pose: Pose, rng: Random) -> Image.Image:
    """Transform the garment into the photo, at `OVERSIZE` times the size against aliasing.

    The four channels are passed as CMYK, which Pillow transforms channel by channel; RGBA would be premultiplied and
    back for each cell of the mesh.
    """
    box = garment.getchannel("A").getbbox() or (0, 0, *garment.size)
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    unit = garment.width / 2
    reach = max((box[2] - box[0]) / garment.width, (box[3] - box[1]) / garment.height)
    scale = min(pose.fill / reach, 1.5)
    cos, sin = math.cos(math.radians(pose.turn)), math.sin(math.radians(pose.turn))
    slack = max(0.0, 0.9 - scale * reach)
    shift = pose.place or (rng.uniform(-slack, slack) * 0.5, rng.uniform(-slack, slack) * 0.6)
    waves = [rng.uniform(0, 2 * math.pi) for _ in range(4)]

    def source(x: float, y: float) -> tuple[float, float]:
        x, y = x - shift[0], y - shift[1]
        away = 1 + pose.tilt[0] * x + pose.tilt[1] * y
        x, y = x / away / scale, y / away / scale
        x, y = x * cos + y * sin, y * cos - x * sin
        x += pose.shear * y + pose.wobble * (math.sin(3.1 * y + waves[0]) + math.sin(2.3 * x + 1.7 * y + waves[1]))
        y += pose.wobble * (math.sin(2.9 * x + waves[2]) + math.sin(1.9 * y + 2.1 * x + waves[3]))
        if pose.mirrored:
            x = -x
        return round(x * unit + middle[0], 3), round(y * unit + middle[1], 3)

    size = (round(PHOTO_SIZE[0] * OVERSIZE), round(PHOTO_SIZE[1] * OVERSIZE))
    steps = (6, 8) if pose.wobble else (3, 4)
    mesh = []
    for column in range(steps[0]):
        for row in range(steps[1]):
            left, right = (size[0] * edge // steps[0] for edge in (column, column + 1))
            top, bottom = (size[1] * edge // steps[1] for edge in (row, row + 1))
            corners: list[float] = []
            for px, py in ((left, top), (left, bottom), (right, bottom), (right, top)):
                corners += source((px / size[0] * 2 - 1) * _HALF_WIDTH, (py / size[1] * 2 - 1) * _HALF_HEIGHT)
            if min(corners[::2]) < box[2] and max(corners[::2]) > box[0]:
                mesh.append(((left, top, right, bottom), tuple(corners)))
    channels = Image.merge("CMYK", garment.split())
    laid = channels.transform(size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
    return Image.merge("RGBA", laid.resize(PHOTO_SIZE, Image.Resampling.BOX).split())


def lit(photo: Image.Image, rng: Random) -> Image.Image:
    """Vary the light: gradient, colour temperature, brightness, and sometimes the light of a window."""
    photo = ImageChops.multiply(photo, _noise(rng, (3, 4), 212, 255).convert("RGB"))
    if rng.random() < 0.25:
        photo = Image.composite(photo, photo.point([value * 190 // 255 for value in range(256)] * 3), _window(rng))
    gain, warmth = rng.uniform(0.96, 1.22), rng.uniform(-0.07, 0.07)
    table: list[int] = []
    for tint in (1 + warmth, 1.0, 1 - warmth):
        table += [min(255, round(value * gain * tint)) for value in range(256)]
    return photo.point(table)


def _window(rng: Random) -> Image.Image:
    """Mask of sunlight through a window of four slanted panes."""
    mask = Image.new("L", (PHOTO_SIZE[0] // 2, PHOTO_SIZE[1] // 2), 0)
    draw = ImageDraw.Draw(mask)
    left, top, slant = rng.uniform(-10, 40), rng.uniform(10, 50), rng.choice([-1, 1]) * rng.uniform(0.2, 0.5)
    for column in range(2):
        for row in range(2):
            x, y = left + column * 58, top + row * 70
            corners = [(x, y), (x + 50, y + 8), (x + 50, y + 70), (x, y + 62)]
            draw.polygon([(a + slant * (b - 100), b) for a, b in corners], fill=255)
    return mask.filter(ImageFilter.BoxBlur(2)).resize(PHOTO_SIZE, Image.Resampling.BILINEAR)


def _noise(rng: Random, cells: tuple[int, int], low: int, high: int) -> Image.Image:
    """Smooth noise: a grid of random values from `low` to `high`, interpolated to the size of a photo."""
    grain = Image.frombytes("L", cells, rng.randbytes(cells[0] * cells[1]))
    span = [low + (high - low) * value // 255 for value in range(256)]
    return grain.point(span).resize(PHOTO_SIZE, Image.Resampling.BICUBIC)


def _textured(color: Color, *fields: Image.Image) -> Image.Image:
    ground = Image.new("RGB", PHOTO_SIZE, color)
    for field in fields:
        ground = ImageChops.multiply(ground, field.convert("RGB"))
    return ground


def _white(rng: Random) -> Image.Image:
    return Image.new("RGB", PHOTO_SIZE, (rng.choice([248, 251, 253]),) * 3)


def _grey(rng: Random) -> Image.Image:
    """A roll of grey paper, darker towards the edges."""
    tone = rng.randint(178, 222)
    vignette = Image.radial_gradient("L").point([255 - value // 5 for value in range(256)])
    return _textured((tone, tone, tone + 3), vignette.resize(PHOTO_SIZE, Image.Resampling.BILINEAR))


def _paper(rng: Random) -> Image.Image:
    """Coloured paper, as in a still life: a wall and a table."""
    color = rng.choice([(236, 214, 200), (205, 220, 226), (214, 224, 204), (238, 226, 190), (226, 208, 224)])
    ground = _textured(color, _noise(rng, (4, 5), 236, 255))
    edge = rng.randint(230, 330)
    ground.paste(shaded(color, 0.93), (0, edge, *PHOTO_SIZE))
    return ground


def _plaster(rng: Random) -> Image.Image:
    tone = rng.randint(190, 230)
    color = (tone, tone - rng.randint(2, 8), tone - rng.randint(6, 18))
    return _textured(
        color, _noise(rng, (6, 8), 222, 255), _noise(rng, (40, 54), 236, 255), _noise(rng, (150, 200), 240, 255)
    )


def _wood(rng: Random) -> Image.Image:
    """Planks of different shades, with fine streaks along them and dark gaps between."""
    color = rng.choice([(196, 156, 112), (158, 114, 76), (222, 196, 158), (128, 100, 80)])
    ground = _textured(color, _noise(rng, (150, 5), 196, 255), _noise(rng, (34, 9), 220, 255))
    draw = ImageDraw.Draw(ground)
    width = rng.randint(52, 84)
    x = -rng.randint(0, width)
    while x < PHOTO_SIZE[0]:
        plank = (max(x, 0), 0, min(x + width, PHOTO_SIZE[0]), PHOTO_SIZE[1])
        if plank[2] > plank[0]:
            shade = rng.randint(214, 255)
            ground.paste(ground.crop(plank).point([value * shade // 255 for value in range(256)] * 3), plank[:2])
        draw.line([(x, 0), (x, PHOTO_SIZE[1])], fill=shaded(color, 0.45), width=2)
        x += width
    return ground.transpose(Image.Transpose.ROTATE_90).resize(PHOTO_SIZE) if rng.random() < 0.3 else ground


def _linen(rng: Random) -> Image.Image:
    """A bed sheet with soft folds."""
    color = rng.choice([(238, 234, 226), (214, 220, 228), (226, 216, 204)])
    sheet = _textured(color, _noise(rng, (5, 7), 214, 255), _noise(rng, (150, 200), 244, 255))
    folds = Image.new("L", (PHOTO_SIZE[0] // 2, PHOTO_SIZE[1] // 2), 255)
    draw = ImageDraw.Draw(folds)
    for _ in range(rng.randint(4, 7)):
        start = (rng.uniform(-20, 170), rng.uniform(-20, 220))
        draw.line([start, (start[0] + rng.uniform(-120, 120), start[1] + rng.uniform(-90, 90))], fill=205, width=5)
    folds = folds.filter(ImageFilter.BoxBlur(3)).filter(ImageFilter.BoxBlur(3))
    return ImageChops.multiply(sheet, folds.resize(PHOTO_SIZE, Image.Resampling.BILINEAR).convert("RGB"))


def _tiles(rng: Random) -> Image.Image:
    color = rng.choice([(206, 210, 208), (188, 198, 204), (220, 208, 194)])
    ground = _textured(color, _noise(rng, (7, 9), 226, 255), _noise(rng, (100, 130), 246, 255))
    draw = ImageDraw.Draw(ground)
    side = rng.randint(70, 120)
    for x in range(rng.randint(0, side), PHOTO_SIZE[0], side):
        draw.line([(x, 0), (x, PHOTO_SIZE[1])], fill=shaded(color, 0.8), width=2)
    for y in range(rng.randint(0, side), PHOTO_SIZE[1], side):
        draw.line([(0, y), (PHOTO_SIZE[0], y)], fill=shaded(color, 0.8), width=2)
    return ground


def _outdoors(rng: Random) -> Image.Image:
    """A park or a street, far out of focus."""
    above, below, spots = rng.choice(
        [
            ((186, 206, 214), (122, 142, 92), [(84, 116, 70), (146, 168, 106), (214, 216, 190)]),
            ((206, 204, 200), (140, 136, 134), [(110, 108, 112), (186, 170, 150), (226, 206, 160)]),
            ((220, 196, 168), (150, 120, 98), [(184, 122, 84), (232, 206, 150), (116, 96, 90)]),
        ]
    )
    size = (PHOTO_SIZE[0] // 4, PHOTO_SIZE[1] // 4)
    scene = Image.new("RGB", size, above)
    fade = Image.linear_gradient("L").resize(size)
    scene.paste(below, (0, 0), fade)
    draw = ImageDraw.Draw(scene)
    for _ in range(rng.randint(14, 24)):
        x, y, r = rng.uniform(0, size[0]), rng.uniform(0, size[1]), rng.uniform(3, 12)
        draw.ellipse([x - r, y - r, x + r, y + r], fill=rng.choice(spots))
    scene = scene.filter(ImageFilter.BoxBlur(4)).filter(ImageFilter.BoxBlur(3))
    return scene.resize(PHOTO_SIZE, Image.Resampling.BICUBIC)


BACKGROUNDS: Mapping[str, Callable[[Random], Image.Image]] = {
    "white": _white,
    "grey": _grey,
    "paper": _paper,
    "plaster": _plaster,
    "wood": _wood,
    "linen": _linen,
    "tiles": _tiles,
    "outdoors": _outdoors,
}
