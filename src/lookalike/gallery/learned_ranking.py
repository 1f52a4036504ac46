"""Learned ranking: plain parameters, stored in a gallery, by which the first relevant matches are ordered."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lookalike.types import JSON

MOST_COUNTED: Final = 1000
"""Largest number of items and products whose popularity is stored."""

MOST_BYTES: Final = 64_000
"""Largest size of the parameters as JSON: those of a gallery on Milvus are a property of a collection."""

MOST_FEATURES: Final = 64


@dataclass(frozen=True, slots=True)
class LearnedRanking:
    """A linear function of features of a match, see `lookalike.retrieval.match_features`.

    Attributes:
        model: Model that the cosines were of, with its fingerprint.
        coefficients: Coefficient of each feature, in units of its spread.
        spreads: Standard deviation of each feature within an answer, above 0.
        popularity: Popularity by product, or by item without one; 0 for others.
        is_default: Whether searches use it that do not say.
        source: What it was learned from, and its gain.
        name: `learned@` and a fingerprint of the parameters.
    """

    model: str
    coefficients: Mapping[str, float]
    spreads: Mapping[str, float]
    popularity: Mapping[str, float] = field(default_factory=dict)
    is_default: bool = False
    source: Mapping[str, JSON] = field(default_factory=dict)
    name: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        numbers = (*self.coefficients.values(), *self.spreads.values(), *self.popularity.values())
        are_plain = all(isinstance(number, float) and math.isfinite(number) for number in numbers)
        if not are_plain or [*self.coefficients] != [*self.spreads] or min(self.spreads.values(), default=1.0) <= 0:
            raise ValueError("expected a finite coefficient, and a spread above 0, for each feature")
        if len(self.coefficients) > MOST_FEATURES or len(self.popularity) > MOST_COUNTED:
            raise ValueError(f"expected at most {MOST_FEATURES} features and {MOST_COUNTED:,} popularities")
        parameters = [self.model, dict(self.coefficients), dict(self.spreads), dict(self.popularity)]
        fingerprint = hashlib.sha256(json.dumps(parameters).encode()).hexdigest()[:8]
        object.__setattr__(self, "name", f"learned@{fingerprint}")

    @property
    def spaces(self) -> list[str]:
        """Spaces whose cosines it goes by."""
        return [name.removeprefix(SCORE) for name in self.coefficients if name.startswith(SCORE)]

    @property
    def attributes(self) -> list[str]:
        """Attributes that it goes by, with a value where it is named: `price`, `brand:Acme`."""
        return [name.removeprefix(ATTRIBUTE) for name in self.coefficients if name.startswith(ATTRIBUTE)]

    def within_bytes(self) -> LearnedRanking:
        """The ranking without the least telling popularities, as many as its text has more than `MOST_BYTES`."""
        ordered = sorted(self.popularity.items(), key=lambda one: -abs(one[1]))
        found = self
        while ordered and len(found.to_text().encode()) > MOST_BYTES:
            del ordered[len(ordered) * 3 // 4 :]
            found = replace(self, popularity=dict(ordered))
        return found

    def to_text(self) -> str:
        """JSON text, as it is stored."""
        return json.dumps(self.to_json(), ensure_ascii=False)

    def described(self) -> dict[str, JSON]:
        """As `lookalike gallery info` shows it, without the numbers."""
        return {"name": self.name, "default": self.is_default, "features": [*self.coefficients], **self.source}

    def to_json(self) -> dict[str, JSON]:
        """JSON form."""
        return {
            "model": self.model,
            "coefficients": dict(self.coefficients),
            "spreads": dict(self.spreads),
            "popularity": dict(self.popularity),
            "is_default": self.is_default,
            "source": dict(self.source),
        }

    @classmethod
    def from_text(cls, text: str) -> LearnedRanking:
        """Read what `to_text` made.

        Raises:
            ValueError: The text is something else.
        """
        kept: Any = json.loads(text)
        try:
            return cls(
                model=str(kept["model"]),
                coefficients=numbers_of(kept["coefficients"]),
                spreads=numbers_of(kept["spreads"]),
                popularity=numbers_of(kept["popularity"]),
                is_default=kept["is_default"] is True,
                source=dict(kept["source"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"expected the parameters of a learned ranking, got {error!r:.200}") from error


SCORE: Final = "score:"
"""Before the name of a space: the cosine there."""

LABEL: Final = "label:"
"""Before a label: whether query and match agree in it."""

ATTRIBUTE: Final = "attribute:"
"""Before an attribute, or an attribute with a value."""

POPULARITY: Final = "popularity"


def numbers_of(given: Mapping[str, Any]) -> dict[str, float]:
    """Numbers by name, as floats.

    Raises:
        TypeError: One is something else.
    """
    return {str(name): float(number) for name, number in given.items()}
