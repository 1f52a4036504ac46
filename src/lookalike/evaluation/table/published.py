"""Published figures with their sources: those that come with the package, and files of users."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from lookalike.config import Range, build
from lookalike.errors import ConfigError, short_reason
from lookalike.evaluation.figures import Metric
from lookalike.evaluation.protocol import Protocol
from lookalike.storage.files import read_file

SHIPPED: Final = "default"
"""Name of the file that comes with the package."""

SHIPPED_FILE: Final = Path(__file__).with_name("published.toml")

LARGEST_FILE: Final = 1 << 20
"""Largest size of a file, in bytes."""


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """Published result of a method by a protocol.

    Attributes:
        protocol: Protocol, such as `inshop`.
        method: Name of the method, with its network.
        paper: Title of the paper or project.
        year: Year of publication.
        source: Where the figures were read, such as the table or figure of the paper.
        url: Address of that source.
        figures: Figures in percent, as they are printed, by metric.
        note: What differs from the protocol; empty for nothing that is known.
    """

    protocol: str
    method: str
    paper: str
    year: Annotated[int, Range(least=1950, most=2100)]
    source: str
    url: str
    figures: Mapping[str, Annotated[float, Range(least=0, most=100)]]
    note: str = ""

    def __post_init__(self) -> None:
        Protocol.parse(self.protocol)
        for metric in self.figures:
            Metric.parse(metric)
        for name in ("method", "paper", "source", "url", "note"):
            text = getattr(self, name)
            if not text.isprintable() or not (text or name == "note"):
                raise ConfigError(f"{self.protocol}: expected a {name} of one line, got {text!r:.100}")
        if not self.url.startswith("https://"):
            raise ConfigError(f"{self.method}: expected a url that starts with https://, got {self.url!r:.100}")
        if not self.figures:
            raise ConfigError(f"{self.method}: it has no figures")


@dataclass(frozen=True, slots=True)
class PublishedResults:
    """Content of a file of published results.

    Attributes:
        result: The results, in the order of the table.
    """

    result: tuple[PublishedResult, ...] = field(default=())


def read_published(file: str | Path, *, protocol: str) -> list[PublishedResult]:
    """Read the published results of a protocol.

    Args:
        file: A TOML file of `[[result]]` tables, or `default` for that of the package.
        protocol: The protocol.

    Raises:
        ConfigError: The file cannot be read, or a result is incomplete or out of range.
        UnknownNameError: A key, protocol or metric is unknown.
    """
    path = SHIPPED_FILE if str(file) == SHIPPED else Path(file)
    try:
        values: Mapping[str, object] = tomllib.loads(read_file(path, most=LARGEST_FILE).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a file of published results: {short_reason(error)}") from None
    results = build(PublishedResults, values, where=str(path)).result
    return [one for one in results if one.protocol == protocol]
