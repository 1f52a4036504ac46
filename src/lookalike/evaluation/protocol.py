"""Evaluation protocols by name: `inshop`, `consumer2shop=val+test`, `product`, `grades=type,colour`, `words=type`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from lookalike.catalogue.benchmark import Benchmark, BenchmarkName, Sides, selects
from lookalike.errors import UnknownNameError, UsageError
from lookalike.evaluation.task import UNKNOWN, Task, grades_task, product_task, sides_task
from lookalike.types import Item

Name = Literal[BenchmarkName, "product", "grades", "classes", "words", "changed-words"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """An evaluation protocol.

    Attributes:
        name: Name of the protocol.
        words: Arguments after the equals sign: the fields of `grades`, `words` and `changed-words`, the heads of
            `classes`, or the variant of a benchmark.
    """

    name: Name
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}={','.join(self.words)}" if self.words else self.name

    @classmethod
    def parse(cls, text: str) -> Protocol:
        """Parse a protocol as given by the user.

        Raises:
            UnknownNameError: The protocol is unknown.
            UsageError: Arguments after the equals sign are missing, or not allowed.
        """
        name, equals, rest = text.partition("=")
        names = get_args(Name)
        if name not in names:
            raise UnknownNameError("protocol", name, names)
        words = tuple(word.strip() for word in rest.split(",") if word.strip())
        if name in ("grades", "changed-words") and not words:
            raise UsageError(f"the protocol {name!r} needs attributes, the leading one first: {name}=category,colour")
        if name in ("product", "attributes", "fashioniq", "fashion200k") and equals:
            raise UsageError(f"the protocol {name!r} takes no arguments, got {text!r}")
        if name in get_args(BenchmarkName) and len(words) > 1:
            raise UsageError(f"the protocol {name!r} takes one variant, got {text!r}")
        return cls(name, words)  # type: ignore[arg-type]  # one of the names, as seen above

    @classmethod
    def usual(cls, benchmark: Benchmark | None) -> Protocol:
        """Return the default protocol of a catalogue."""
        return cls(benchmark.name if benchmark else "product")

    def sides(self, benchmark: Benchmark | None) -> Sides | None:
        """Return the queries and gallery that a benchmark defines; None for the other protocols.

        Raises:
            UsageError: The catalogue is not the benchmark of this protocol.
            UnknownNameError: The benchmark has no such variant.
        """
        if self.name in ("product", "grades", "classes", "words", "changed-words"):
            return None
        if benchmark is None or benchmark.name != self.name:
            what = f"the benchmark {benchmark.name!r}" if benchmark else "no published benchmark"
            raise UsageError(
                f"the protocol {self.name!r} needs the published benchmark of that name, and this source is {what}"
            )
        if not benchmark.sides:
            return None
        wanted = self.words[0] if self.words else next(iter(benchmark.sides))
        if wanted not in benchmark.sides:
            raise UnknownNameError(f"variant of {self.name}", wanted, benchmark.sides)
        return benchmark.sides[wanted]

    @property
    def asks_in_words(self) -> bool:
        """Whether the queries have words."""
        return self.name in ("words", "changed-words", "fashioniq", "fashion200k")

    @property
    def classifies(self) -> bool:
        """Whether class scores are measured, and nothing is searched."""
        return self.name in ("attributes", "classes")

    def taking_part(self, items: Sequence[Item], benchmark: Benchmark | None) -> list[Item]:
        """Return the items on either side; the others need no vectors."""
        sides = self.sides(benchmark)
        if benchmark is not None and benchmark.name == self.name and benchmark.words is not None:
            return [item for item in items if item.attributes.get("split") == benchmark.words.split]
        if self.name == "attributes":
            return [item for item in items if item.attributes.get("split") == "test"]
        if sides is None:
            return list(items)
        return [item for item in items if selects(sides.queries, item) or selects(sides.gallery, item)]

    def task(
        self,
        items: Sequence[Item],
        *,
        benchmark: Benchmark | None = None,
        contents: Mapping[str, str] | None = None,
        apart: Sequence[str] = (),
        unknown: Collection[str] = UNKNOWN,
        category: str | None = None,
    ) -> Task:
        """Make the task of the protocol; see `lookalike.evaluation.task`.

        Raises:
            UsageError: The items do not suit the protocol.
            UnknownNameError: A name is not an attribute.
        """
        sides = self.sides(benchmark)
        if sides is not None:
            if apart:
                raise UsageError(f"the protocol {self.name!r} is fixed; leave `apart` out")
            return sides_task(
                items,
                sides,
                protocol=str(self),
                answers=benchmark.answers if benchmark else None,
                unknown=unknown,
                category=category,
            )
        if self.name == "grades":
            return grades_task(items, self.words, apart=apart, unknown=unknown, category=category)
        if self.name == "product":
            return product_task(items, contents=contents, apart=apart, unknown=unknown, category=category)
        raise UsageError(f"the protocol {self.name!r} measures class scores or words, and has no photos as queries")
