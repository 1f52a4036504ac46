"""Type inference for columns of text tables: a column is numeric, or boolean, if all of its cells are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Final

from lookalike.types import JSON

WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]{0,14})")
DECIMAL: Final = re.compile(r"-?((0|[1-9][0-9]{0,14})(\.[0-9]+)?|\.[0-9]+)([eE][+-][0-9]{1,2})?")
"""Numbers as programs write them, including Oracle's `.5`. Codes with leading zeros, with 16 digits, and such as
`12E5` are excluded: conversion to a number would lose information."""

GAPS: Final = " \u00a0\u2009\u202f'\u2019"
"""Thousands separators that go with either decimal point: `1 299,00` in French, `1'299.00` in Swiss notation."""


def _grouped(separator: str, point: str) -> re.Pattern[str]:
    """Make a pattern of numbers with the same separator or gap between all thousands."""
    return re.compile(
        rf"-?(0|[1-9][0-9]{{0,14}}|[1-9][0-9]{{0,2}}([{separator}{GAPS}])[0-9]{{3}}(\2[0-9]{{3}}){{0,3}})({point}[0-9]+)?"
    )


COMMA: Final = _grouped(r"\.", ",")
"""Numbers with a decimal comma: `19,99`, `1.299,00` and `1 299,00`."""

GROUPED: Final = _grouped(",", r"\.")
"""Numbers with a thousands separator and a decimal point: `1,299.00` and `1'299.00`."""

TWO_WAYS: Final = re.compile(r"-?[1-9][0-9]{0,2}([.,])[0-9]{3}")
"""Prices such as `1.299 €`, which are 1299 or 1.299."""

MISSING: Final = frozenset(
    {
        *("null", "<null>", "(null)", "nan", "-nan", "n/a", "na", "<na>", "none", "nil", "-", "--"),
        *("#n/a", "#na", "#n/a n/a", "#null!", "#value!", "#div/0!", "#ref!", "#num!", "#name?"),
    }
)
"""Missing values as programs and spreadsheets write them, in any case. They count as missing in numeric columns only,
since a brand may be called `NA`."""

BOOLEANS: Final = {"true": True, "false": False}
"""Truth values, in any case. Other words for them, such as `yes` and `no`, stay text."""

DATABASE_NULL: Final = r"\N"
"""Missing value of MySQL and PostgreSQL, in every column."""

CURRENCIES: Final = re.compile(
    "AED|ARS|AUD|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|MYR|NOK|NZD|PHP|PLN|RON|"
    "RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR"
)
"""ISO 4217 codes that product feeds write beside a price: `19.99 EUR`."""

SIGNS: Final = re.compile(r"[€£¥₹₽₩₺₴₫₪฿₦]|(US|CA|AU|R)?\$|zł|Kč|kr|Ft")
"""Signs of currencies, with or without a space: `$19.99` and `19,99 €`."""

BEFORE: Final = re.compile(
    rf"(?:(?P<code>{CURRENCIES.pattern})[ \u00a0]|(?P<sign>{SIGNS.pattern})[ \u00a0\u202f]?)(?P<number>.+)"
)
AFTER: Final = re.compile(
    rf"(?P<number>.+?)(?:[ \u00a0](?P<code>{CURRENCIES.pattern})|[ \u00a0\u202f]?(?P<sign>{SIGNS.pattern}))"
)

CODE_WORDS: Final = frozenset({"ean", "gtin", "upc", "isbn", "barcode", "sku", "mpn", "zip", "postcode", "phone"})
"""Words in the name of a column that mark it as a column of codes, which stay text."""

GTIN_LENGTHS: Final = (12, 13, 14)
FEWEST_GTINS: Final = 4  # one number in ten has a right check digit by chance
MOSTLY: Final = 0.9
"""Fraction of numeric cells from which a text column gets a note on why it is not numeric."""

Convert = Callable[[str], JSON]


class ColumnType:
    """Type of a column, inferred cell by cell.

    Args:
        name: Name of the column.
        decimal_comma: Whether a comma may be a decimal point; false when it is the delimiter.
    """

    def __init__(self, name: str, *, decimal_comma: bool) -> None:
        self.name, self._decimal_comma = name, decimal_comma
        self._numbers = self._booleans = 0
        self._missing: Counter[str] = Counter()
        self._wrong: Counter[tuple[int, str]] = Counter()
        self._units: set[str] = set()
        self._two_ways: dict[str, tuple[int, str]] = {}
        self._settled = bool(CODE_WORDS.intersection(words_of(name)))
        self._fits = {notation: True for notation in (WHOLE, DECIMAL, COMMA, GROUPED)}
        self._comma = self._both = False
        self._gtins = True

    def see(self, cell: str, line: int) -> None:
        """Add a cell that is not blank."""
        if self._settled:
            return
        if cell.casefold() in MISSING:
            self._missing[cell] += 1
            return
        if cell.casefold() in BOOLEANS:
            self._booleans += 1
            return
        number, unit = without_currency(cell)
        fits = {notation: notation.fullmatch(number) is not None for notation in self._fits}
        if not any(fits.values()):
            self._wrong[line, cell] += 1
            self._settled = len(self._wrong) > 10 and len(self._wrong) > (1 - MOSTLY) * self._numbers
            return
        self._numbers += 1
        self._units.add(unit)
        if unit and (found := TWO_WAYS.fullmatch(number)):
            self._two_ways.setdefault(found[1], (line, cell))
        for notation, one in fits.items():
            self._fits[notation] &= one
        self._comma |= "," in number
        self._both |= "." in number and any(gap in number for gap in f",{GAPS}")
        self._gtins &= len(number) in GTIN_LENGTHS and has_check_digit(number)

    def converter(self) -> Convert | None:
        """Function from cells to numbers or truth values; None for a column of text."""
        if self._booleans:
            return None if self._settled or self._wrong or self._numbers else boolean
        notation = None if self._settled or self._wrong else self._notation()
        if notation is None:
            return None
        number = int if self._fits[WHOLE] else float
        without = dict.fromkeys(GAPS, "")
        swap = str.maketrans({**without, ".": "", ",": "."} if notation is COMMA else {**without, ",": ""})

        def convert(cell: str) -> JSON:
            if cell.casefold() in MISSING:
                return None
            return number(without_currency(cell)[0].translate(swap))

        return convert

    def note(self) -> str | None:
        """Remark for the user on the type of this column, in one line."""
        if self.converter() is not None:
            remarks = []
            if self._missing:
                cells = ", ".join(f"{count:,} {cell!r}" for cell, count in sorted(self._missing.items()))
                remarks.append(f"taken as missing: {cells}")
            if unit := next(iter(self._units), ""):
                remarks.append(f"kept as numbers without {unit}")
            return f"column {self.name!r}: {'; '.join(remarks)}" if remarks else None
        wrong = len(self._wrong)
        if self._settled or self._booleans or not self._numbers or wrong > (1 - MOSTLY) * (wrong + self._numbers):
            return None
        if wrong:
            line, cell = next(iter(self._wrong))
            return f"column {self.name!r} is text: {cell[:40]!r} in line {line:,} is not a number"
        if len(self._units) > 1:
            units = ", ".join(sorted(unit or "no currency" for unit in self._units))
            return f"column {self.name!r} is text: its prices are in {units}"
        point = "." if self._fits[DECIMAL] else "," if self._fits[COMMA] else ""
        if point in self._two_ways:
            line, cell = self._two_ways[point]
            plain = re.sub("[.,]", "", without_currency(cell)[0])
            return f"column {self.name!r} is text: {cell!r} in line {line:,} can be read in two ways; write {plain}"
        if self._comma and self._fits[COMMA] and not self._decimal_comma:
            return f"column {self.name!r} is text: its commas may be decimal points; save the table with ;"
        return None if self._gtins else f"column {self.name!r} is text: its numbers are not all written in one way"

    def _notation(self) -> re.Pattern[str] | None:
        """Notation of all numbers of the column; None when there is no common one, or a price can be read in two."""
        if not self._numbers or len(self._units) != 1:
            return None
        if self._fits[WHOLE] and self._gtins and self._numbers >= FEWEST_GTINS:
            return None
        if self._fits[DECIMAL]:
            return None if "." in self._two_ways else DECIMAL
        if self._comma and self._decimal_comma and self._fits[COMMA]:
            return None if "," in self._two_ways else COMMA
        return GROUPED if self._both and self._fits[GROUPED] else None


def boolean(cell: str) -> JSON:
    """Truth value of a cell; None for a missing one."""
    return BOOLEANS.get(cell.casefold())


def without_currency(cell: str) -> tuple[str, str]:
    """Split a price into the number and its currency code or sign, which is empty if there is none."""
    if cell[-1].isdigit() and cell[0] in "-.0123456789":
        return cell, ""
    price = AFTER.fullmatch(cell) or BEFORE.fullmatch(cell)
    return (price["number"], price["code"] or price["sign"]) if price else (cell, "")


def has_check_digit(digits: str) -> bool:
    """Whether the last digit is the check digit of a GTIN, the number below a product's bar code.

    Source: GS1 General Specifications, 7.9: weights 3 and 1 from the right.
    """
    if not digits.isdecimal():
        return False
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return weighted % 10 == 0


def words_of(name: str) -> list[str]:
    """Words of a column's name in lower case; the same for `Variant SKU`, `variantSku` and `variant_sku`."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
