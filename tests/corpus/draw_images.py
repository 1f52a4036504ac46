"""Draws tests/corpus/images: small files of every format, depth and kind of colour, which the fuzzing suite damages.

python tests/corpus/draw_images.py
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

FOLDER = Path(__file__).parent / "images"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WIDTH, HEIGHT = 24, 16


def picture() -> Image.Image:
    """A slope of colours with a hard edge."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([x * 255 // WIDTH, y * 255 // HEIGHT, np.where(x > y, 200, 40)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of PNG."""
    return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))


def raw_png(bits: int, kind: int, *, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """A PNG of any depth; interlaced ones hold noise."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    rng = np.random.default_rng(bits * 10 + kind)
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", WIDTH, HEIGHT, bits, kind, 0, 0, interlaced))
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for left, top, across, down in passes if interlaced else [(0, 0, 1, 1)]:
        wide, high = -(-(WIDTH - left) // across), -(-(HEIGHT - top) // down)
        for _ in range(high):
            rows += bytes([int(rng.integers(0, 5))]) + rng.bytes((wide * samples * bits + 7) // 8)
    palette = chunk(b"PLTE", bytes(range(3 * 2 ** min(bits, 6))) * (4 if bits == 8 else 1)) if kind == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + header + palette + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """What Pillow writes."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def files() -> dict[str, bytes]:
    """Every file by its name."""
    image, exif = picture(), Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "drawn"
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    grey = image.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    both = {"exif": exif.tobytes(), "icc_profile": SRGB}
    drawn: dict[str, bytes] = {}
    for mode, (suffix, options) in product(
        ("RGB", "L", "CMYK"), {"": {}, "-progressive": {"progressive": True}, "-told": both}.items()
    ):
        drawn[f"{mode.lower()}{suffix}.jpg"] = saved(image.convert(mode), "JPEG", **options)
    drawn["restart.jpg"] = saved(image, "JPEG", restart_marker_blocks=1, subsampling=0)
    for bits, kind in (
        (1, 0),
        (2, 0),
        (4, 0),
        (8, 0),
        (16, 0),
        (8, 2),
        (16, 2),
        (1, 3),
        (4, 3),
        (8, 3),
        (16, 4),
        (16, 6),
    ):
        transparent = chunk(b"tRNS", bytes(6)[: {0: 2, 2: 6, 3: 1}.get(kind, 0)]) if kind in (0, 2, 3) else b""
        drawn[f"{kind}-{bits}.png"] = raw_png(bits, kind, extra=transparent)
        drawn[f"{kind}-{bits}-interlaced.png"] = raw_png(bits, kind, interlaced=True)
    told = (
        chunk(b"cICP", b"\x0c\x0d\0\1") + chunk(b"gAMA", struct.pack(">L", 45455)) + chunk(b"eXIf", exif.tobytes()[6:])
    )
    told += chunk(b"iCCP", b"p\0\0" + zlib.compress(SRGB)) + chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(99)))
    told += chunk(b"cHRM", bytes(range(32))) + chunk(b"pHYs", bytes(9))
    drawn["told.png"] = raw_png(8, 2, extra=told)
    drawn["animated.png"] = saved(image, "PNG", save_all=True, append_images=[image.rotate(180)])
    drawn["lossy.webp"] = saved(image, "WEBP", **both)
    drawn["lossless.webp"] = saved(clear, "WEBP", lossless=True)
    drawn["animated.webp"] = saved(image, "WEBP", save_all=True, append_images=[image.rotate(180)])
    drawn["rgb.avif"] = saved(image, "AVIF", **both)
    drawn["rgba.avif"] = saved(clear, "AVIF")
    drawn["animated.avif"] = saved(image, "AVIF", save_all=True, append_images=[image.rotate(180)])
    drawn["grey.gif"] = saved(grey, "GIF")
    drawn["animated.gif"] = saved(image, "GIF", save_all=True, append_images=[image.rotate(180)], comment=b"drawn")
    for name, compression in (("raw", None), ("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("jpeg", "jpeg")):
        drawn[f"rgb-{name}.tif"] = saved(image, "TIFF", compression=compression, **both)
    for name, one in (("rgba", clear), ("cmyk", image.convert("CMYK")), ("lab", Image.merge("LAB", image.split()))):
        drawn[f"{name}.tif"] = saved(one, "TIFF", compression="tiff_lzw" if name != "lab" else None)
    drawn["1.tif"] = saved(image.convert("1"), "TIFF", compression="group4")
    drawn["p.tif"] = saved(image.convert("P"), "TIFF", compression="packbits")
    drawn["16.tif"] = saved(deep, "TIFF", compression="tiff_lzw")
    drawn["float.tif"] = saved(Image.fromarray(np.asarray(grey) / np.float32(255)), "TIFF")
    drawn["int.tif"] = saved(Image.fromarray(np.asarray(grey).astype(np.int32)), "TIFF")
    drawn["big.tif"] = saved(image, "TIFF", big_tiff=True)
    drawn["rgb.jp2"] = saved(image, "JPEG2000")
    drawn["rgba.jp2"] = saved(clear, "JPEG2000", irreversible=True)
    drawn["grey-tiled.j2k"] = saved(grey, "JPEG2000", no_jp2=True, tile_size=(8, 8))
    drawn["rgb.ppm"], drawn["grey.pgm"] = saved(image, "PPM"), saved(grey, "PPM")
    drawn["deep.pgm"] = saved(deep.convert("I"), "PPM")
    drawn["rgb.bmp"], drawn["p.bmp"] = saved(image, "BMP"), saved(image.convert("P"), "BMP")
    pillow_heif.register_heif_opener()
    drawn["told.heic"] = saved(image, "HEIF", quality=60, **both)
    drawn["rgba.heic"] = saved(clear, "HEIF", quality=60)
    deep_file = BytesIO()
    colors = np.asarray(image).astype(np.uint16) * 257
    pillow_heif.from_bytes("RGB;16", (WIDTH, HEIGHT), colors.tobytes()).save(deep_file, quality=60)
    drawn["deep.heic"] = deep_file.getvalue()
    return drawn


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, data in files().items():
        (FOLDER / name).write_bytes(data)
