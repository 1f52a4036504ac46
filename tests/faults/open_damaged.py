"""Damages files of a folder and opens each: python tests/faults/open_damaged.py FOLDER SEED FIRST COUNT.

Runs in a process of its own, for a decoder written in C may crash it. The number of each try is written before it, so
the last line tells the one that crashed; what is wrong with a try is a line that begins with "wrong".
"""

from __future__ import annotations

import faulthandler
import resource
import sys
import time
import zlib
from pathlib import Path
from random import Random

from lookalike.errors import PhotoError
from lookalike.images import Limits, open_image
from peak_memory import peak_memory

LIMITS = Limits(pixels=2**22, memory=2**27)
SLOWEST_S = 10.0
MOST_MEMORY = 2**31
ODD_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    31,
    32,
    64,
    127,
    128,
    255,
    256,
    1024,
    32767,
    65535,
    2**24,
    2**31 - 1,
    2**32 - 1,
)


def damaged(data: bytes, luck: Random, others: list[bytes]) -> bytes:
    """A file after one to five changes, most of them where headers are."""
    changed = bytearray(data)
    for _ in range(luck.randint(1, 5)):
        end = len(changed) if luck.random() < 0.5 else min(len(changed), 200)
        at = luck.randrange(max(end, 1))
        way = luck.randrange(8)
        if way == 0:
            changed[at : at + 1] = bytes([luck.randrange(256)])
        elif way == 1 and at < len(changed):
            changed[at] ^= 1 << luck.randrange(8)
        elif way in (2, 3):
            size = luck.choice((1, 2, 4))
            number = luck.choice(ODD_NUMBERS) % 256**size
            changed[at : at + size] = number.to_bytes(size, luck.choice(("big", "little")))
        elif way == 4:
            length = luck.randrange(1, 64)
            del changed[at : at + length]
        elif way == 5:
            start, length = luck.randrange(len(data)), luck.randrange(1, 200)
            changed[at:at] = data[start : start + length]
        elif way == 6:
            other = luck.choice(others)
            start, length = luck.randrange(len(other)), luck.randrange(1, 200)
            changed[at : at + length] = other[start : start + length]
        else:
            del changed[max(1, luck.randrange(len(changed) + 1)) :]
        if not changed:
            return b"\0"
    return with_checksums(bytes(changed)) if luck.random() < 0.7 else bytes(changed)


def with_checksums(data: bytes) -> bytes:
    """A damaged PNG with the checksums of its chunks put right, so that what lies behind them is reached."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    mended, at = bytearray(data), 8
    while at + 12 <= len(mended):
        end = at + 8 + int.from_bytes(mended[at : at + 4], "big")
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = zlib.crc32(mended[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(mended)


def told_size(data: bytes) -> set[int] | None:
    """The two sides as the header says, where that is easily read."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return {int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")}
    if data.startswith((b"P5 ", b"P6 ", b"P5\n", b"P6\n")):
        sides = data[2:40].split()[:2]
        return {int(side) for side in sides} if all(side.isdigit() for side in sides) else None
    return None


def fault_of(data: bytes, at_least: int | None) -> str | None:
    """What is wrong about how a file is opened; None when it gives one picture or one error."""
    began = time.monotonic()
    try:
        image = open_image(data, at_least=at_least, limits=LIMITS)
    except PhotoError as error:
        if not error.reason or "\n" in str(error):
            return f"an error of another form: {error!r}"
    except BaseException as error:  # noqa: BLE001 - whatever comes is what is looked for
        return f"another error: {error!r}"
    else:
        sides = told_size(data)
        if image.mode != "RGB" or image.info or image.width * image.height > LIMITS.pixels:
            return f"a picture of another form: {image.mode} {image.size} {image.info}"
        if sides is not None and set(image.size) != sides:
            return f"{image.size} where the header says {sides}"
        image.tobytes()
    taken = time.monotonic() - began
    return f"it took {taken:.1f} s" if taken > SLOWEST_S else None


def tell(line: str) -> None:
    """Write a line at once, for the next thing may be a crash."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: Path, seed: str, first: int, count: int) -> None:
    """Make `count` tries from the `first` on, each with numbers of its own."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    names = sorted(path for path in folder.iterdir() if path.is_file())
    files = [path.read_bytes() for path in names]
    for path, data in zip(names, files, strict=True):
        open_image(data, limits=LIMITS, name=path.name)  # as it was drawn, which also loads every decoder
    for number in range(first, first + count):
        luck = Random(f"{seed} {number}")
        chosen = luck.randrange(len(files))
        data = damaged(files[chosen], luck, files)
        tell(f"{number} {names[chosen].name}")
        at_least = luck.choice((None, 1, 4, 300))
        if fault := fault_of(data, at_least):
            tell(f"wrong {number} {names[chosen].name}: {fault}")
        if (peak := peak_memory()) > MOST_MEMORY:
            tell(f"wrong {number} {names[chosen].name}: {peak:,} bytes of memory")
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
