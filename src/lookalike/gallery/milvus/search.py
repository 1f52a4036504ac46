"""Search of the collection: Milvus finds candidates, and scores are computed from the vectors as in other galleries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, Final

import numpy as np

from lookalike import index as indexes
from lookalike.gallery.exact_scan import scan, scan_by_metric
from lookalike.gallery.milvus.connection import Connection
from lookalike.gallery.milvus.reads import ALL, MANY_AT_ONCE, MilvusReader, Row
from lookalike.gallery.milvus.records import added_rows_of, unit_rows_of
from lookalike.gallery.milvus.schema import FLOAT_INDEXES, IndexPlan, present
from lookalike.gallery.records import as_unit_rows
from lookalike.gallery.request import ResolvedRequest
from lookalike.index.exact_scores import best, empty_answer
from lookalike.spaces import Space, scaled_query, slices, width
from lookalike.types import Float32, Int64, Neighbours

SPARE: Final = 16
"""Candidates beyond k for exact index types, to cover scores that differ by rounding only."""

ANSWER_BYTES: Final = 32 << 20
"""Bytes of candidates in one response."""


class Searcher:
    """Searches with the index of the collection.

    Args:
        connection: Connection to the server.
        reader: Reader of the same gallery.
    """

    def __init__(self, connection: Connection, reader: MilvusReader) -> None:
        self._connection = connection
        self._reader = reader
        self._plan: tuple[tuple[str, str], IndexPlan] | None = None

    def plan(self, index_id: str) -> IndexPlan:
        """Index of the collection, read from the server once.

        Args:
            index_id: From the metadata; it changes when another index is built.
        """
        collection = self._connection.collection
        if self._plan is None or self._plan[0] != (collection, index_id):
            with self._connection.client(doing="reading the index") as client:
                self._plan = (collection, index_id), present(client, collection)
        return self._plan[1]

    def nearest(
        self, queries: Mapping[str, Float32], request: ResolvedRequest, *, where: str | None, index_id: str
    ) -> Neighbours:
        """Find the rows with the highest scores; see `Gallery.search`.

        Args:
            queries: (Q, D) float32 for each space with a weight above 0.
            request: Resolved request. Index names other than `exact` and `auto` mean the one index of the collection;
                `probes` is the number of lists to look into, in each segment.
            where: Expression of Milvus; None passes all rows.
            index_id: As for `plan`.
        """
        spaces, k, index = request.spaces, request.k, request.index
        units = {name: as_unit_rows(rows, name=name) for name, rows in queries.items()}
        query = scaled_query(units, request.weights, spaces)
        plan = self.plan(index_id)
        if index == "auto":
            everything = indexes.choose(count=MANY_AT_ONCE, allowed=None, weights=request.weights, spaces=spaces, k=1)
            index = "exact" if everything == "exact" else plan.kind
        count = k + SPARE if plan.kind in FLOAT_INDEXES else 60 + 5 * k
        if count > MANY_AT_ONCE or (index == "exact" and not plan.lists and plan.kind != "FLAT"):
            return self._scanned(queries, request, where=where)
        parameters = self._parameters(plan, count=count, probes=request.probes, exhaustive=index == "exact")
        found: list[list[Row]] = []
        step = max(1, ANSWER_BYTES // (4 * width(spaces) * count))
        for at in range(0, len(query), step):
            found += self._candidates(query[at : at + step], where, count, parameters)
        if min(map(len, found)) < min(k, self._passing(found, where, count)):
            return self._scanned(queries, request, where=where)
        exhaustive = plan.kind == "FLAT" or (plan.kind == "IVF_FLAT" and index == "exact")
        name = "exact" if exhaustive else plan.kind.lower()
        return scored(query, units, found, spaces=spaces, k=k, index=name)

    def _parameters(self, plan: IndexPlan, *, count: int, probes: int | None, exhaustive: bool) -> dict[str, int]:
        address = self._connection.address
        if plan.lists:
            usual = address.number("nprobe") or max(16, plan.lists // 16)
            return {"nprobe": min(plan.lists, plan.lists if exhaustive else probes or usual)}
        if plan.kind == "HNSW":
            return {"ef": max(count, address.number("ef") or 0, min(2 * count, 32_768))}
        return {}

    def _candidates(
        self, query: Float32, where: str | None, count: int, parameters: Mapping[str, int]
    ) -> list[list[Row]]:
        with self._connection.client(doing="searching") as client:
            hits: Any = client.search(
                self._connection.collection,
                data=list(query),
                anns_field="vector",
                filter=where or "",
                limit=count,
                output_fields=["_row", "vector"],
                search_params={"metric_type": "IP", "params": dict(parameters)},
                consistency_level=self._reader.level(),
            )
        return [[hit["entity"] for hit in one] for one in hits]

    def _passing(self, found: Sequence[Sequence[Row]], where: str | None, count: int) -> int:
        """Number of rows that a filter passes; read only if fewer candidates came than requested, else `count`."""
        return count if min(map(len, found)) >= count else self._reader.count(where or ALL)

    def by_metric(self, queries: Mapping[str, Float32], request: ResolvedRequest, *, where: str | None) -> Neighbours:
        """Scan the raw vectors of all rows that pass, by the metrics of a request; see `Gallery.search`."""
        with self._gathered(where, spaces=request.spaces, raw=True) as (numbers, rows):
            positions, scores, by_space = scan_by_metric([rows], queries, request)
            return Neighbours(numbers_at(numbers, positions), scores, by_space, "exact")

    def _scanned(self, queries: Mapping[str, Float32], request: ResolvedRequest, *, where: str | None) -> Neighbours:
        """Scan all rows that pass, in this process."""
        with self._gathered(where, spaces=request.spaces, raw=False) as (numbers, rows):
            positions, scores, by_space = scan(rows, queries, request)
            return Neighbours(numbers_at(numbers, positions), scores, by_space, "exact")

    @contextmanager
    def _gathered(self, where: str | None, *, spaces: Sequence[Space], raw: bool) -> Iterator[tuple[Int64, Float32]]:
        """Fetch all rows that pass into a temporary file: row numbers, (N,) int64, and vectors, (N, sum of D) float32.

        Args:
            where: Expression of Milvus; None passes all rows.
            spaces: Spaces of the gallery.
            raw: Fetch raw vectors instead of unit vectors.
        """
        columns = width(spaces)
        read, fields = (added_rows_of, ["_row", "vector", "_raw"]) if raw else (unit_rows_of, ["_row", "vector"])
        numbers: list[int] = []
        with TemporaryFile() as file:
            for batch in self._reader.ordered(where or ALL, fields):
                file.write(read(batch, columns=columns).tobytes())
                numbers += [row["_row"] for row in batch]
            file.flush()
            rows: Float32 = np.empty((0, columns), dtype=np.float32)
            if numbers:
                rows = np.memmap(file, dtype=np.float32, mode="r", shape=(len(numbers), columns))
            yield np.array(numbers, dtype=np.int64), rows


def numbers_at(numbers: Int64, positions: Int64) -> Int64:
    """Row numbers at positions; -1 where the position is -1."""
    found = np.full(positions.shape, -1, dtype=np.int64)
    found[positions >= 0] = numbers[positions[positions >= 0]]
    return found


def scored(
    query: Float32,
    units: Mapping[str, Float32],
    found: Sequence[Sequence[Row]],
    *,
    spaces: Sequence[Space],
    k: int,
    index: str,
) -> Neighbours:
    """Score candidates exactly, and keep the k best.

    Args:
        query: (Q, sum of D) float32, scaled by the weights.
        units: Unit queries by space, (Q, D) float32.
        found: Candidates of each query, with `_row` and `vector`.
        spaces: Spaces of the gallery.
        k: Number of rows to keep.
        index: Name of the index that found the candidates.
    """
    k = min(k, max(map(len, found)))
    if not k:
        return nothing_found(units, len(query))
    numbers, scores = empty_answer(len(query), k)
    by_space = {name: np.full((len(query), k), np.nan, dtype=np.float32) for name in units}
    for at, candidates in enumerate(found):
        rows = unit_rows_of(candidates, columns=width(spaces))
        positions, values = best(rows, query[at], np.arange(len(rows)), k=k)
        kept = len(positions)
        numbers[at, :kept] = [candidates[place]["_row"] for place in positions]
        scores[at, :kept] = values
        for name, place in slices(spaces).items():
            if name in units:
                by_space[name][at, :kept] = np.vecdot(rows[positions][:, place], units[name][at])
    return Neighbours(numbers, scores, by_space, index)


def nothing_found(queries: Mapping[str, Float32], count: int) -> Neighbours:
    """Answer to `count` queries when no row passes."""
    numbers, scores = empty_answer(count, 0)
    return Neighbours(numbers, scores, dict.fromkeys(queries, scores), "exact")
