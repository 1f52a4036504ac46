"""What DeepFashion's three benchmarks tell of each photo in files of one shape: boxes and landmarks."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from lookalike.catalogue.deepfashion.annotation_file import PHOTO_NAME, AnnotationFile, Problems, is_photo_name
from lookalike.catalogue.deepfashion.ragged import Ragged
from lookalike.errors import UsageError
from lookalike.types import JSON, Box

CLOTHES_TYPES = {"1": "upper", "2": "lower", "3": "full"}
LANDMARKS = {"upper": 6, "lower": 4, "full": 8}
"""How many points each type of clothes has. Their order is left and right collar, sleeve, waistline, hem; `upper` has
no waistline, `lower` neither collar nor sleeve."""


class Photos:
    """The photos of a data set in its order, and the number of each."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: str) -> int:
        """Take in a photo, once; gives its number."""
        number = self.numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number

    def add_new(self, file: AnnotationFile, line: int, name: str) -> int | None:
        """Take in a photo that must be a path beneath `img/` and not have come before; else that is a problem."""
        if not is_photo_name(name):
            file.problems.line(file.path, line, name, expected=PHOTO_NAME)
        elif name in self.numbers:
            file.problems.line(file.path, line, name, expected="a photo that has not come before")
        else:
            return self.add(name)
        return None


class RowMatcher:
    """Takes the rows of one file to the photos that they tell of, and notes how well the two agree."""

    def __init__(self, file: AnnotationFile, photos: Photos) -> None:
        self.file, self.photos = file, photos
        self._seen = bytearray(len(photos))
        self._others = 0

    def number(self, name: str, line: int) -> int | None:
        """The photo that a row tells of; None, when there is none, or it has had its row."""
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
        """Say how many photos have no row, and how many rows no photo."""
        without = len(self.photos) - sum(self._seen)
        notes, name = self.file.problems.notes, self.file.path.name
        if without:
            notes.append(f"{without:,} photos have no {what} in {name}")
        if self._others:
            notes.append(f"{self._others:,} rows of {name} tell of photos that are not in the partition")


class Boxes:
    """The box of each photo, where one is known."""

    def __init__(self, count: int) -> None:
        self._corners = array("i", [0]) * (4 * count)
        self.empty = 0

    def put(self, number: int, corners: Sequence[int]) -> None:
        """Keep a box; one that encloses nothing is counted and left out."""
        try:
            Box(*corners)
        except UsageError:
            self.empty += 1
        else:
            self._corners[4 * number : 4 * number + 4] = array("i", corners)

    def of(self, number: int) -> Box | None:
        """A photo's box."""
        x1, y1, x2, y2 = self._corners[4 * number : 4 * number + 4]
        return Box(x1, y1, x2, y2) if x2 > x1 else None

    def note(self, problems: Problems, *, file: str) -> None:
        """Say how many boxes were left out."""
        if self.empty:
            problems.notes.append(f"{self.empty:,} boxes in {file} enclose nothing; those photos are used whole")


class Landmarks:
    """The landmarks of each photo, where they are known: `[x, y, visibility]` or `[x, y]` each.

    Pixels of the photo; visibility 0 is visible, 1 hidden, 2 cut off, as published.
    """

    def __init__(self, count: int, *, width: int) -> None:
        self.width = width
        self._numbers = Ragged(count, kind="h")

    def put(self, number: int, values: Sequence[int]) -> None:
        """Keep a photo's landmarks, one after the other."""
        self._numbers.put(number, values)

    def of(self, number: int) -> list[JSON]:
        """A photo's landmarks; none where nothing is known."""
        values = self._numbers.of(number)
        return [values[place : place + self.width] for place in range(0, len(values), self.width)]


def read_boxes(file: AnnotationFile, photos: Photos, *, codes: int = 0) -> tuple[Boxes, list[bytearray]]:
    """Read `name code... x_1 y_1 x_2 y_2`.

    Args:
        file: The file.
        photos: Those that are of interest.
        codes: How many numbers from 1 to 9 stand between the name and the box.

    Returns:
        The boxes; and the codes, a column for each, 0 where unknown.
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
        photos: Those that are of interest.
        first: The field, from 0, at which the landmarks begin: 2, or 3 where a variation stands before them.

    Returns:
        The landmarks; and the field before them for each photo, 0 where unknown.
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
    """Read numbers such as `072` or `-3`; None when one is none, or beyond what a photo's coordinates can be."""
    try:
        numbers = [int(text) for text in texts]
    except ValueError:
        return None
    if any("_" in text for text in texts):
        return None  # Python reads 1_0 as 10
    return numbers if all(-32768 <= number < 32768 for number in numbers) else None
