"""Reader of files with a thousand labels in each row; only positive labels are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lookalike.catalogue.deepfashion.annotation_file import AnnotationFile
from lookalike.catalogue.deepfashion.ragged import Ragged
from lookalike.types import JSON


class Positives:
    """Positive labels of N rows.

    Args:
        names: Names of the labels.
        count: N, number of rows.
    """

    def __init__(self, names: Sequence[str], *, count: int) -> None:
        self.names = tuple(names)
        self._labels = Ragged(count, kind="H")

    def put(self, row: int, labels: Sequence[int]) -> None:
        """Keep a row's positive labels, as numbers from 0."""
        self._labels.put(row, labels)

    def __contains__(self, row: int) -> bool:
        return row in self._labels

    def of(self, row: int) -> list[JSON]:
        """Names of a row's positive labels, in the published order."""
        return [self.names[label] for label in self._labels.of(row)]


def read_positives(
    file: AnnotationFile,
    positives: Positives,
    *,
    row_of: Callable[[str, int], int | None],
    keyed: bool = True,
) -> None:
    """Read a file of labels: 1 is positive, -1 negative, 0 unknown.

    Args:
        file: File with a key and one label for each name in a row.
        positives: Receives the labels.
        row_of: Maps key and line to a row number; None ignores the row.
        keyed: Whether rows begin with a key; else the key is empty.
    """
    count = len(positives.names)
    for line, text in file.rows():
        key, labels = (*text.split(maxsplit=1), "")[:2] if keyed else ("", text)
        found = positive_labels(labels, count)
        if found is None:
            expected = f"{count} labels, each 1, -1 or 0" + (", after the name" if keyed else "")
            file.problems.line(file.path, line, text, expected=f"{expected}, not {len(labels.split())} words")
            continue
        row = row_of(key, line)
        if row is not None:
            positives.put(row, found)


def positive_labels(text: str, count: int) -> list[int] | None:
    """Numbers, from 0, of the positive labels of a row; None when it does not have `count` labels."""
    labels = text.split()
    positive = labels.count("1")
    others = labels.count("-1")
    if positive + others < count:
        others += labels.count("0")
    if len(labels) != count or positive + others != count:
        return None
    found: list[int] = []
    place = -1
    for _ in range(positive):
        place = labels.index("1", place + 1)
        found.append(place)
    return found


def unrepeated(file: AnnotationFile, rows: Mapping[str, int]) -> Callable[[str, int], int | None]:
    """Return a function from a key and its line to the row number; a repeated key is a problem."""
    seen: set[str] = set()

    def row_of(key: str, line: int) -> int | None:
        if key in seen:
            file.problems.line(file.path, line, key, expected="a name that has not come before")
            return None
        seen.add(key)
        return rows.get(key)

    return row_of
