"""DeepFashion's annotation files: a line with the number of rows, most often one with column names, then the rows.

Columns are padded with runs of spaces, and lines may end in spaces; names may contain spaces. Malformed lines are
collected, so that a user sees all mistakes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.errors import AnnotationError, AnnotationErrors, CatalogueError

MOST_PROBLEMS = 20
LONGEST_LINE = 2**20
"""Bytes; the longest line of the published files has about 3,100."""
SHOWN = 80


@dataclass(slots=True)
class Problems:
    """Problems of a data set; reading stops after `MOST_PROBLEMS`.

    Attributes:
        source: Path of the data set.
        found: Problems in the order of reading.
        notes: Harmless differences from the published data.
    """

    source: str
    found: list[CatalogueError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, problem: CatalogueError) -> None:
        """Add a problem.

        Raises:
            AnnotationErrors: There are `MOST_PROBLEMS`.
        """
        self.found.append(problem)
        if len(self.found) == MOST_PROBLEMS:
            raise AnnotationErrors(self.source, self.found, complete=False)

    def line(self, path: Path, line: int, text: str, *, expected: str) -> None:
        """Add a malformed line; long lines are shortened."""
        shown = text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
        self.add(AnnotationError(path, line, shown, expected))

    def raise_any(self) -> None:
        """Raise the problems, if there are any.

        Raises:
            CatalogueError: There is one problem.
            AnnotationErrors: There are several.
        """
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise AnnotationErrors(self.source, self.found, complete=True)


@dataclass(frozen=True, slots=True)
class DataSetFiles:
    """Files of a data set, in the folders of any release or mirror.

    Attributes:
        root: An absolute path.
        folders: Folders below the root to search in, in order; `.` is the root itself.
    """

    root: Path
    folders: Sequence[str]

    def find(self, *names: str) -> Path | None:
        """Path of the first file of these names; None when there is none."""
        candidates = (self.root / folder / name for name in names for folder in self.folders)
        return next((path for path in candidates if path.is_file()), None)

    def need(self, *names: str, problems: Problems) -> Path | None:
        """Find a required file; a missing one is a problem."""
        path = self.find(*names)
        if path is None:
            problems.add(CatalogueError(f"{self.root}: {' or '.join(names)} is missing; {self.looked_in}"))
        return path

    def want(self, *names: str, what: str, problems: Problems) -> Path | None:
        """Find an optional file; a missing one is a note."""
        path = self.find(*names)
        if path is None:
            problems.notes.append(f"no {what}: {' or '.join(names)} is missing; {self.looked_in}")
        return path

    @property
    def looked_in(self) -> str:
        """Searched folders, as text of a message."""
        folders = ["the folder itself" if folder == "." else f"{folder}/" for folder in self.folders]
        return f"looked in {', '.join(folders)}"


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """Annotation file: count line, column names, rows.

    Attributes:
        path: Path of the file.
        problems: Collects problems of the file.
        columns: Column names of the second line; empty where there is no such line.
        is_row: Tells a row from a line of column names, to keep the first row when that line is missing.
        counted: Whether the first line is the number of rows.
        lenient: Whether to replace bytes that are not UTF-8, which names in other scripts have in the release.
    """

    path: Path
    problems: Problems
    columns: str = ""
    is_row: Callable[[str], bool] = lambda text: "/" in text.split(maxsplit=1)[0]
    counted: bool = True
    lenient: bool = False

    def rows(self) -> Iterator[tuple[int, str]]:
        """Yield line number, from 1, and stripped text of each row; check the count at the end."""
        lines = self._lines()
        announced, count_text = None, ""
        if self.counted:
            count_text = next(lines, (1, ""))[1]
            announced = counted_number(count_text)
            if announced is None:
                self.problems.line(self.path, 1, count_text, expected="the number of rows")
        count = 0
        if self.columns:
            line, text = next(lines, (2, ""))
            if not text or self.is_row(text):
                self.problems.line(self.path, line, text, expected=f"the names of the columns, {self.columns}")
                count += bool(text)
        for line, text in lines:
            count += 1
            yield line, text
        if announced is not None and count != announced:
            expected = f"{count}, the number of rows that follow"
            self.problems.line(self.path, 1, count_text, expected=expected)

    def fields(self, count: int, *, at_least: bool = False) -> Iterator[tuple[int, list[str]]]:
        """Yield line number and fields of each row; rows with another number of fields are problems."""
        expected = f"{'at least ' if at_least else ''}{count} fields" + (f" ({self.columns})" if self.columns else "")
        for line, text in self.rows():
            parts = text.split()
            if len(parts) == count or (at_least and len(parts) > count):
                yield line, parts
            else:
                self.problems.line(self.path, line, text, expected=expected)

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Yield lines that are not blank."""
        with reading_errors(self.path), self.path.open("rb") as file:
            number = 0
            while data := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(data) > LONGEST_LINE:
                    start = data[:SHOWN].decode(errors="replace")
                    self.problems.line(self.path, number, start, expected=f"a line of at most {LONGEST_LINE:,} bytes")
                    self.problems.raise_any()
                if number == 1:
                    data = data.removeprefix(b"\xef\xbb\xbf")
                try:
                    text = data.decode(errors="replace" if self.lenient else "strict").strip()
                except UnicodeDecodeError:
                    self.problems.line(self.path, number, data.decode(errors="replace"), expected="UTF-8 text")
                    text = data.decode(errors="replace").strip()
                if text:
                    yield number, text


def counted_number(text: str) -> int | None:
    """Parse a count of at most twelve digits; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of reading a file into a CatalogueError.

    Raises:
        CatalogueError: The file cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from None


def is_photo_name(name: str) -> bool:
    """Whether a photo's name is a plain path below `img/`."""
    parts = name.split("/")
    return (
        len(parts) >= 2
        and parts[0] == "img"
        and not any(part in ("", ".", "..") for part in parts)
        and name.isprintable()
        and "\\" not in name
        and "://" not in name
    )


PHOTO_FOLDERS = ("img", "img_highres")
PHOTO_NAME = "the path of a photo below img/"


def find_photos(root: Path, problems: Problems, *, wanted: str | None = None) -> tuple[Path, str]:
    """Find the folder of the photos `img/...`.

    Args:
        root: Folder of the benchmark.
        problems: Takes a missing folder.
        wanted: Name of the folder; None takes `img` before `img_highres`.

    Returns:
        Parent folder, and name of the folder: `img`, or `img_highres` where only that is unpacked.
    """
    for name in (wanted,) if wanted else PHOTO_FOLDERS:
        for parent in (root / "Img", root):
            if (parent / name).is_dir():
                return parent, name
    problems.add(
        CatalogueError(
            f"{root}: the photos are missing; looked for a folder {wanted or 'img (or img_highres)'} in Img/ and the "
            f"folder itself; unpack {wanted or 'img'}.zip there"
        )
    )
    return root, wanted or "img"
