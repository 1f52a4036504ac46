"""Content of a table of several models over several data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from lookalike.evaluation.table.content import Cell
from lookalike.evaluation.vectors import UNKNOWN_DATA
from lookalike.types import JSON


@dataclass(frozen=True, slots=True)
class DataSet:
    """Data set of a column.

    Attributes:
        label: Its name, with the protocol where it is measured by several.
        name: Its name: of the published benchmark, or of the file or folder.
        protocol: Protocol of the evaluations.
        queries: Number of queries.
        gallery: Number of items in the gallery.
    """

    label: str
    name: str
    protocol: str
    queries: int
    gallery: int


@dataclass(frozen=True, slots=True)
class DomainRow:
    """One method.

    Attributes:
        method: Its name.
        models: Model id of each seed.
        trained_on: Names of the data sets that it was trained on, `unknown` for some; None if none is known.
        cells: Its figures by metric, by the label of the data set.
    """

    method: str
    models: Sequence[str]
    trained_on: Sequence[str] | None
    cells: Mapping[str, Mapping[str, Cell]]

    def is_in_domain(self, data: DataSet) -> bool | None:
        """Whether it was trained on data of this name; None if that is unknown."""
        if self.trained_on is None:
            return None
        return data.name in self.trained_on or (None if UNKNOWN_DATA in self.trained_on else False)


@dataclass(frozen=True, slots=True)
class CrossDomainContent:
    """Evaluations of several models over several data sets.

    Attributes:
        data: Data sets of the columns.
        metrics: Metrics of each.
        rows: Methods, in the order that was given.
        resample: What the intervals of single reports are over: `query` or `product`.
    """

    data: Sequence[DataSet]
    metrics: Sequence[str]
    rows: Sequence[DomainRow]
    resample: str

    def to_json(self) -> dict[str, JSON]:
        """Return the JSON of `lookalike evaluate --table --cross-domain --json`."""
        rows: list[JSON] = []
        for row in self.rows:
            figures: dict[str, JSON] = {}
            for one in self.data:
                if one.label in row.cells:
                    cells: dict[str, JSON] = {
                        name: {"mean": cell.mean, "deviation": cell.deviation, "interval": list(cell.interval)}
                        for name, cell in row.cells[one.label].items()
                    }
                    figures[one.label] = {"in_domain": row.is_in_domain(one), "figures": cells}
            rows.append(
                {
                    "method": row.method,
                    "models": list(row.models),
                    "trained_on": None if row.trained_on is None else list(row.trained_on),
                    "data": figures,
                }
            )
        data: list[JSON] = [asdict(one) for one in self.data]
        return {"data": data, "metrics": list(self.metrics), "resample": self.resample, "rows": rows}
