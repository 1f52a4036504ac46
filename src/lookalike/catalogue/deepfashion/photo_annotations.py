"""Photos of a benchmark as items, with boxes and landmarks in the file formats that DeepFashion's three share."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lookalike.catalogue.deepfashion.annotation_file import PHOTO_NAME, AnnotationFile, Problems, is_photo_name
from lookalike.catalogue.deepfashion.ragged import Ragged
from lookalike.errors import UsageError
from lookalike.types import JSON, Box, Item

CLOTHES_TYPES = {"1": "upper", "2": "lower", "3": "full"}
LANDMARKS = {"upper": 6, "lower": 4, "full": 8}
"""Number of landmarks by type of clothing. Their order is left and right collar, sleeve, waistline, hem; `upper` has
no waistline, `lower` neither collar nor sleeve."""


class Photos:
    """Photos of a data set, numbered from 0 in the order of its files."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: str) -> int:
        """Add a photo unless it is there; returns its number."""
        number = self.numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number

    def add_new(self, file: AnnotationFile, line: int, name: str) -> int | None:
        """Add a photo; a repeated one, or one that is not a path below `img/`, is a problem."""
        if not is_photo_name(name):
            file.problems.line(file.path, line, name, expected=PHOTO_NAME)
        elif name in self.numbers:
            file.problems.line(file.path, line, name, expected="a photo that has not come before")
        else:
            return self.add(name)
        return None


class RowMatcher:
    """Matches the rows of a file to photos, and counts rows and photos without a counterpart."""

    def __init__(self, file: AnnotationFile, photos: Photos) -> None:
        self.file, self.photos = file, photos
        self._seen = bytearray(len(photos))
        self._others = 0

    def number(self, name: str, line: int) -> int | None:
        """Number of the photo of a row; None when there is none, or it already has a row."""
        number = self.photos.numbers.get(name)
        if number is None:
            self._others += 1
        elif self._seen[number]:
            self.file.problems.line(self.file.path, line, name, expected="a photo that has not come before")
            return None
        else:
            self._seen[number] = 1
        return number

    def note(self, *, what: str) -> None:
        """Note the numbers of photos without a row and of rows without a photo."""
        without = len(self.photos) - sum(self._seen)
        notes, name = self.file.problems.notes, self.file.path.name
        if without:
            notes.append(f"{without:,} photos have no {what} in {name}")
        if self._others:
            notes.append(f"{self._others:,} rows of {name} are about photos that are not in the partition")


class Boxes:
    """Boxes of photos."""

    def __init__(self, count: int) -> None:
        self._corners = array("i", [0]) * (4 * count)
        self.empty = 0

    def put(self, number: int, corners: Sequence[int]) -> None:
        """Set the box of a photo; empty boxes are counted and dropped."""
        try:
            Box(*corners)
        except UsageError:
            self.empty += 1
        else:
            self._corners[4 * number : 4 * number + 4] = array("i", corners)

    def of(self, number: int) -> Box | None:
        """Box of a photo; None when it has none."""
        x1, y1, x2, y2 = self._corners[4 * number : 4 * number + 4]
        return Box(x1, y1, x2, y2) if x2 > x1 else None

    def note(self, problems: Problems, *, file: str) -> None:
        """Note the number of empty boxes."""
        if self.empty:
            problems.notes.append(f"{self.empty:,} boxes in {file} enclose nothing; those photos are used whole")


class Landmarks:
    """Landmarks of photos, each `[x, y, visibility]` or `[x, y]`.

    Pixels of the photo; visibility 0 is visible, 1 hidden, 2 cut off, as published.
    """

    def __init__(self, count: int, *, width: int) -> None:
        self.width = width
        self._numbers = Ragged(count, kind="h")

    def put(self, number: int, values: Sequence[int]) -> None:
        """Set the landmarks of a photo, flattened."""
        self._numbers.put(number, values)

    def of(self, number: int) -> list[JSON]:
        """Landmarks of a photo; empty when it has none."""
        values = self._numbers.of(number)
        return [values[place : place + self.width] for place in range(0, len(values), self.width)]


def read_boxes(file: AnnotationFile, photos: Photos, *, codes: int = 0) -> tuple[Boxes, list[bytearray]]:
    """Read `name code... x_1 y_1 x_2 y_2`.

    Args:
        file: The file.
        photos: Photos of the partition; rows of other photos are ignored.
        codes: Number of codes from 1 to 9 between name and box.

    Returns:
        Boxes, and a column for each code, 0 where unknown.
    """
    boxes, matcher = Boxes(len(photos)), RowMatcher(file, photos)
    columns = [bytearray(len(photos)) for _ in range(codes)]
    for line, fields in file.fields(5 + codes):
        text = " ".join(fields)
        corners = whole_numbers(fields[1 + codes :])
        given = fields[1 : 1 + codes]
        if corners is None or not all(len(code) == 1 and code in "123456789" for code in given):
            file.problems.line(file.path, line, text, expected=f"a name, then whole numbers ({file.columns})")
            continue
        number = matcher.number(fields[0], line)
        if number is not None:
            boxes.put(number, corners)
            for column, code in zip(columns, given, strict=True):
                column[number] = int(code)
    matcher.note(what="box")
    boxes.note(file.problems, file=file.path.name)
    return boxes, columns


def read_landmarks(file: AnnotationFile, photos: Photos, *, first: int) -> tuple[Landmarks, bytearray]:
    """Read the ragged `name clothes_type ... (visibility x y)...`.

    Args:
        file: The file.
        photos: Photos of the partition; rows of other photos are ignored.
        first: Field, from 0, at which the landmarks begin: 2, or 3 where a variation stands before them.

    Returns:
        Landmarks, and the field before them for each photo, 0 where unknown.
    """
    landmarks, matcher = Landmarks(len(photos), width=3), RowMatcher(file, photos)
    before = bytearray(len(photos))
    for line, fields in file.fields(first + 3, at_least=True):
        text = " ".join(fields)
        kind = CLOTHES_TYPES.get(fields[1])
        values = whole_numbers(fields[2:])
        if kind is None or values is None or len(fields) - first != 3 * LANDMARKS[kind]:
            count = f"{LANDMARKS[kind]} landmarks" if kind else "a type of clothes from 1 to 3 and its landmarks"
            expected = f"{count} of 3 whole numbers each from field {first + 1}, not {len(fields) - first} numbers"
            file.problems.line(file.path, line, text, expected=expected)
            continue
        number = matcher.number(fields[0], line)
        if number is not None:
            triples = values[first - 2 :]
            if first == 3:
                before[number] = values[0] % 256
            landmarks.put(number, [triples[place + move] for place in range(0, len(triples), 3) for move in (1, 2, 0)])
    matcher.note(what="landmarks")
    return landmarks, before


def whole_numbers(texts: Sequence[str]) -> list[int] | None:
    """Parse whole numbers such as `072` or `-3`; None if one is malformed, or too large for a coordinate of a photo."""
    try:
        numbers = [int(text) for text in texts]
    except ValueError:
        return None
    if any("_" in text for text in texts):
        return None  # Python reads 1_0 as 10
    return numbers if all(-32768 <= number < 32768 for number in numbers) else None


def items_of(
    photos: Photos,
    products: Sequence[str],
    boxes: Boxes | None,
    *,
    folder: Path,
    photo_folder: str,
    attributes: Callable[[int], dict[str, JSON]],
) -> Callable[[], Iterator[Item]]:
    """Function that iterates over the items of a retrieval benchmark, one for each photo.

    Args:
        photos: N photos.
        products: Product of each photo.
        boxes: Boxes of the photos, if there are any.
        folder: Folder that the photos' paths are relative to.
        photo_folder: Folder of the photos in it, in place of `img`.
        attributes: Attributes of a photo by its number.
    """

    def items() -> Iterator[Item]:
        for number, name in enumerate(photos.names):
            yield Item(
                id=name,
                photo=photo_folder + name.removeprefix("img"),
                root=str(folder),
                product=products[number],
                box=boxes.of(number) if boxes else None,
                attributes=attributes(number),
            )

    return items
