"""Conversion of items, attributes and vectors to rows of the database and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from enum import IntFlag
from typing import Any, Final

import numpy as np

from lookalike.errors import MismatchError, UsageError, short_reason
from lookalike.gallery.local import metadata_table
from lookalike.gallery.local.row_checksums import ITEM_SOUND, NAME_SUM, crc_of, damaged, numbered
from lookalike.index.row_format import RowFormat
from lookalike.spaces import Space, check_rows, concatenate, slices
from lookalike.types import JSON, Box, FileStamp, Float32, Garment, Item

UNIT_TOLERANCE: Final = 1e-5
"""Tolerance within which a vector's length counts as 1; models round differently."""

ITEM_COLUMNS: Final = f"{ITEM_SOUND}, id, product, photo, root, box, attributes"
"""SQL columns of an item, the first whether its checksum is right."""

FILE_STAMP_COLUMNS: Final = "size, modified_ns, sha256"
"""SQL columns of a file stamp."""


class Kinds(IntFlag):
    """Kinds of an attribute's values; filters compare only values of one kind."""

    NONE = 0
    TEXT = 1
    NUMBER = 2
    BOOLEAN = 4
    NESTED = 8

    def words(self) -> list[str]:
        """Names of the kinds, in lower case."""
        return [kind.name.lower() for kind in self if kind.name]


KIND_OF_TYPE: Final[Mapping[type, int]] = {
    str: int(Kinds.TEXT),
    int: int(Kinds.NUMBER),
    float: int(Kinds.NUMBER),
    bool: int(Kinds.BOOLEAN),
    type(None): int(Kinds.NONE),
    list: int(Kinds.NESTED),
    dict: int(Kinds.NESTED),
}

DEEPEST: Final = 100
"""Largest nesting depth of attributes; SQLite fails on JSON of depth 1,000, and then no filter works."""

CONTAINERS: Final = (list, tuple, dict)

TOO_LONG: Final = "an integer of more than 64 bits would be rounded; write it as text, in quotes"

DECODER: Final = json.JSONDecoder()
"""Decodes JSON that `ENCODER` has written; `json.loads`, which looks for white space around it, takes twice as long."""

ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class AttributeNames:
    """Attribute names of a gallery, each with a number and the kinds of its values.

    Args:
        rows: Number, name and kinds of each attribute.
    """

    def __init__(self, rows: Iterable[tuple[int, str, int]]) -> None:
        self._numbers: dict[str, int] = {}
        self._kinds: dict[str, int] = {}  # plain integers, for speed: read for every value that is added
        self._changed: set[str] = set()
        for number, name, kinds in rows:
            self._numbers[name] = number
            self._kinds[name] = kinds
        self._names = {str(number): name for name, number in self._numbers.items()}

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> AttributeNames:
        """Read the attribute names of a database.

        Raises:
            GalleryDamagedError: A checksum or the number of names is wrong.
        """
        statement = f"SELECT number, name, kinds, checksum IS {NAME_SUM} FROM attribute_names ORDER BY number"
        found = connection.execute(statement).fetchall()
        for number, _, _, sound in found:
            if not sound:
                raise damaged(f"the name of attribute {number}")
        if len(found) != metadata_table.meta_number(connection, "names"):
            raise damaged("the table of attribute names")
        return cls(row[:3] for row in found)

    def save(self, connection: sqlite3.Connection) -> None:
        """Write names and kinds that `encode` has added."""
        connection.executemany(
            f"""INSERT INTO attribute_names VALUES (?1, ?2, ?3, {crc_of(*numbered(3))})
                ON CONFLICT (number) DO UPDATE SET kinds = excluded.kinds, checksum = excluded.checksum""",
            [(self._numbers[name], name, self._kinds[name]) for name in sorted(self._changed)],
        )
        if self._changed:
            metadata_table.put(connection, "names", len(self._numbers))
        self._changed.clear()

    @property
    def kinds(self) -> Mapping[str, Kinds]:
        """Kinds of values ever stored, by name."""
        return {name: Kinds(kinds) for name, kinds in self._kinds.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._numbers

    def number(self, name: str) -> int:
        """Number of an attribute in the database."""
        return self._numbers[name]

    def name(self, number: str) -> str:
        """Name of an attribute by its number."""
        return self._names[number]

    def encode(self, item: Item) -> str:
        """Encode an item's attributes as JSON with numbers as keys; new names are numbered.

        Raises:
            UsageError: A value cannot be stored as JSON.
        """
        numbered = {}
        for name, value in item.attributes.items():
            kind = KIND_OF_TYPE.get(type(value))
            if kind is None:
                kind = next((kind for base, kind in KIND_OF_TYPE.items() if isinstance(value, base)), 0)
            known = self._kinds.get(name)
            if known is None:
                self._numbers[name] = number = max(self._numbers.values(), default=0) + 1
                self._names[str(number)] = name
                self._kinds[name] = known = 0
                self._changed.add(name)
            if kind & ~known:
                self._kinds[name] = known | kind
                self._changed.add(name)
            numbered[self._numbers[name]] = value
        return json_text(numbered, item.id)

    def decode(self, text: str) -> dict[str, JSON]:
        """Decode the JSON of `encode` to attributes by name.

        Raises:
            GalleryDamagedError: A number has no name.
        """
        try:
            return {self._names[number]: value for number, value in DECODER.raw_decode(text)[0].items()}
        except KeyError:
            raise damaged("the table of attribute names") from None


def json_text(attributes: Mapping[Any, JSON], item_id: str) -> str:
    """Encode attributes of an item as JSON.

    Raises:
        UsageError: A value has no JSON form, is nested too deep, or is an integer of more than 64 bits.
    """
    if any(map(is_too_long, attributes.values())):
        raise UsageError(f"the attributes of {item_id!r} cannot be stored: {TOO_LONG}")
    try:
        text = ENCODER.encode(attributes)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the attributes of {item_id!r} cannot be stored: {short_reason(error)}") from None
    if text.count("[") + text.count("{") > DEEPEST and depth(attributes) > DEEPEST:
        raise UsageError(f"the attributes of {item_id!r} cannot be stored: they are nested more than {DEEPEST} deep")
    return text


def is_too_long(value: object) -> bool:
    """Whether a value is or contains an integer of more than 64 bits, which SQLite and other programs would round."""
    if isinstance(value, int):
        return not -(2**63) <= value < 2**63
    if not isinstance(value, CONTAINERS):
        return False
    layer: list[object] = [value]
    for _ in range(DEEPEST + 1):
        inner = (part.values() if isinstance(part, dict) else part for part in layer if isinstance(part, CONTAINERS))
        layer = [each for parts in inner for each in parts]
        if any(isinstance(each, int) and is_too_long(each) for each in layer):
            return True
    return False


def depth(value: object) -> int:
    """Nesting depth of lists and dictionaries in a value; 0 for a scalar."""
    deepest, layer = 0, [value]
    while layer := [part for part in layer if isinstance(part, list | tuple | dict)]:
        deepest += 1
        layer = [inner for part in layer for inner in (part.values() if isinstance(part, dict) else part)]
    return deepest


def item_row(item: Item, names: AttributeNames) -> tuple[str | None, ...]:
    """Values of an item for `ITEM_COLUMNS` without the first."""
    return item.id, item.product, item.photo, item.root, parts_text(item), names.encode(item)


def parts_text(item: Item) -> str | None:
    """Encode the box of an item, or its garments, as JSON; None for a whole photo."""
    box = None if item.box is None else item.box.to_list()
    if item.finder is None:
        return None if box is None else json.dumps(box)
    garments = [[*garment.box.to_list(), garment.kind, garment.score] for garment in item.garments]
    return ENCODER.encode({"box": box, "finder": item.finder, "garments": garments})


def read_parts(text: str | None) -> tuple[Box | None, tuple[Garment, ...], str | None]:
    """Decode `parts_text`: box, garments and finder."""
    if text is None:
        return None, (), None
    told: Any = json.loads(text)
    finder, garments = None, []
    if isinstance(told, dict):
        told, finder, garments = told["box"], told["finder"], told["garments"]
    return (
        None if told is None else Box(*told),
        tuple(Garment(Box(*corners), kind, score) for *corners, kind, score in garments),
        finder,
    )


def read_item(row: Sequence[Any], names: AttributeNames) -> Item:
    """Build an item from `ITEM_COLUMNS`.

    Raises:
        GalleryDamagedError: Its checksum is wrong.
    """
    sound, item_id, product, photo, root, parts, attributes = row
    if not sound:
        raise damaged(f"the item {item_id!r}")
    box, garments, finder = read_parts(parts)
    return Item(
        id=item_id,
        photo=photo,
        root=root,
        product=product,
        box=box,
        attributes=names.decode(attributes),
        garments=garments,
        finder=finder,
    )


def file_stamp_row(file_stamp: FileStamp | None) -> tuple[int | str | None, ...]:
    """Values of a file stamp for `FILE_STAMP_COLUMNS`."""
    return (None, None, None) if file_stamp is None else (file_stamp.size, file_stamp.modified_ns, file_stamp.sha256)


def read_file_stamp(row: Sequence[Any]) -> FileStamp | None:
    """Build a file stamp from `FILE_STAMP_COLUMNS`; None without one."""
    size, modified_ns, sha256 = row
    return None if sha256 is None else FileStamp(size=size, modified_ns=modified_ns, sha256=sha256)


def vector_rows(
    vectors: Mapping[str, Float32], spaces: Sequence[Space], *, count: int
) -> list[tuple[bytes, bytes | None]]:
    """Encode vectors for the database.

    Args:
        vectors: For every space, (B, D) float32.
        spaces: Spaces of the gallery.
        count: B, number of rows.

    Returns:
        For each row its concatenated unit vector in the format of the gallery, see `RowFormat`, and its raw vector in
        float32 where that is not of unit length, else None.

    Raises:
        MismatchError: A space is missing or unknown, or a shape is wrong.
        UsageError: A number is not finite.
    """
    for space in spaces:
        check_rows(vectors, space)
        if len(vectors[space.name]) != count:
            raise MismatchError(f"{count} items came with {len(vectors[space.name])} vectors of {space.name!r}")
    unknown = set(vectors) - {space.name for space in spaces}
    if unknown:
        raise MismatchError(
            f"vectors of unknown spaces {sorted(unknown)}; the gallery has {[space.name for space in spaces]}"
        )
    raw = concatenate(vectors, spaces)
    unit = raw.copy()
    strange = np.zeros(count, dtype=np.bool_)
    for name, place in slices(spaces).items():
        part = unit[:, place]
        squares = np.vecdot(part, part)
        off = np.flatnonzero(~(np.abs(squares - 1.0) <= 2 * UNIT_TOLERANCE))  # negated, so that NaN is off too
        if len(off):
            part[off] = as_unit_rows(part[off], name=name)
            strange[off] |= (part[off] != raw[off, place]).any(axis=1)
    stored = RowFormat.of(spaces).stored(unit)
    return [
        (row.tobytes(), raw_row.tobytes() if odd else None)
        for row, raw_row, odd in zip(stored, raw, strange.tolist(), strict=True)
    ]


def as_unit_rows(rows: Float32, *, name: str) -> Float32:
    """Scale rows, (B, D) float32, to length 1 if any is off by more than the tolerance; rows of zeros stay.

    Raises:
        UsageError: A number is not finite.
    """
    if all(abs(square - 1.0) <= 2 * UNIT_TOLERANCE for square in np.vecdot(rows, rows).tolist()):
        return rows
    precise = rows.astype(np.float64)  # in float64 no square of a float32 overflows or underflows
    lengths = np.linalg.norm(precise, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise UsageError(f"the vectors of {name!r} hold numbers that are not finite")
    unit = np.divide(precise, lengths, out=np.zeros_like(precise), where=lengths > 0)
    rounded: Float32 = unit.astype(np.float32)
    return rounded


def read_unit_vectors(blobs: Sequence[bytes], row_format: RowFormat) -> Float32:
    """Decode unit vectors of the database: (B, sum of D) float32."""
    return row_format.unit(row_format.read(blobs))


def read_raw_vectors(blobs: Sequence[tuple[bytes, bytes | None]], row_format: RowFormat) -> Float32:
    """Decode raw vectors of the database, from unit and raw vectors as `vector_rows` gives them."""
    rows = read_unit_vectors([unit for unit, _ in blobs], row_format)
    strange = [place for place, (_, raw) in enumerate(blobs) if raw is not None]
    if strange:
        rows = rows.copy()
        rows[strange] = np.frombuffer(b"".join(raw for _, raw in blobs if raw is not None), "<f4").reshape(
            -1, row_format.width
        )
    return rows
