"""Adapters of embedded databases: Qdrant Edge, LanceDB, Chroma, sqlite-vec. Each imports its own library only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines import ATTRIBUTE, Answer, K, Passing

BATCH = 1000
Rows = npt.NDArray[np.float32]


class QdrantEdge:
    """Qdrant Edge: https://qdrant.tech/documentation/edge/."""

    def __init__(self) -> None:
        import qdrant_edge

        self._library = qdrant_edge

    def build(self, folder: Path, rows: Rows, lots: npt.NDArray[np.int16]) -> None:
        """Upsert all points after the payload index, and optimise."""
        edge = self._library
        np.save(folder / "width.npy", rows.shape[1])
        shard = edge.EdgeShard.create(str(folder / "shard"), self._config(folder))
        shard.update(edge.UpdateOperation.create_field_index(ATTRIBUTE, edge.PayloadSchemaType.Integer))
        for start in range(0, len(rows), BATCH):
            points = [
                edge.Point(number, {"v": rows[number].tolist()}, {ATTRIBUTE: int(lots[number])})
                for number in range(start, min(start + BATCH, len(rows)))
            ]
            shard.update(edge.UpdateOperation.upsert_points(points))
        shard.optimize()
        shard.flush()
        shard.close()

    def open(self, folder: Path) -> None:
        """Load the shard."""
        self._shard = self._library.EdgeShard.load(str(folder / "shard"), self._config(folder))

    def _config(self, folder: Path) -> object:
        """Vectors of the shard, and one thread for searches."""
        edge = self._library
        vectors = {"v": edge.EdgeVectorParams(size=int(np.load(folder / "width.npy")), distance=edge.Distance.Dot)}
        return edge.EdgeConfig(vectors=vectors, max_search_threads=1)

    def prepared(self, query: Rows) -> list[float]:
        """Return the query as a list."""
        return query.tolist()

    def search(self, query: list[float], effort: int, passing: Passing) -> Answer:
        """Search; the effort is hnsw_ef."""
        edge = self._library
        chosen = None
        if passing is not None:
            within = edge.RangeFloat(gte=passing[0], lt=passing[1])
            chosen = edge.Filter(must=[edge.FieldCondition(ATTRIBUTE, range=within)])
        request = edge.SearchRequest(
            query=edge.Query.Nearest(query, using="v"),
            limit=K,
            filter=chosen,
            params=edge.SearchParams(hnsw_ef=effort),
            with_payload=True,
        )
        return [(point.id, point.payload[ATTRIBUTE]) for point in self._shard.search(request)]


class LanceDB:
    """LanceDB: https://docs.lancedb.com."""

    def __init__(self) -> None:
        import lancedb
        import lancedb.index
        import pyarrow

        self._library, self._arrow = lancedb, pyarrow

    def build(self, folder: Path, rows: Rows, lots: npt.NDArray[np.int16]) -> None:
        """Create a table, and its two indexes."""
        arrow, index = self._arrow, self._library.index
        vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(rows.ravel()), rows.shape[1])
        columns = {"id": arrow.array(np.arange(len(rows))), ATTRIBUTE: arrow.array(lots), "vector": vectors}
        table = self._library.connect(str(folder)).create_table("rows", arrow.table(columns))
        parts = max(1, round(len(rows) / 4096))
        table.create_index("vector", config=index.HnswSq(distance_type="dot", num_partitions=parts))
        table.create_index(ATTRIBUTE, config=index.BTree())
        table.optimize()

    def open(self, folder: Path) -> None:
        """Open the table."""
        self._table = self._library.connect(str(folder)).open_table("rows")

    def prepared(self, query: Rows) -> Rows:
        """Return the query itself."""
        return query

    def search(self, query: Rows, effort: int, passing: Passing) -> Answer:
        """Search; the effort is nprobes."""
        asked = self._table.search(query, vector_column_name="vector").distance_type("dot")
        if passing is not None:
            asked = asked.where(f"{ATTRIBUTE} >= {passing[0]} AND {ATTRIBUTE} < {passing[1]}", prefilter=True)
        found = asked.limit(K).nprobes(effort).refine_factor(3).select(["id", ATTRIBUTE, "_distance"]).to_arrow()
        return list(zip(found["id"].to_pylist(), found[ATTRIBUTE].to_pylist(), strict=True))


class Chroma:
    """Chroma: https://docs.trychroma.com."""

    def __init__(self) -> None:
        import chromadb

        self._library = chromadb

    def _client(self, folder: Path) -> object:
        settings = self._library.config.Settings(anonymized_telemetry=False)
        return self._library.PersistentClient(path=str(folder), settings=settings)

    def build(self, folder: Path, rows: Rows, lots: npt.NDArray[np.int16]) -> None:
        """Add all rows to a collection."""
        client = self._client(folder)
        collection = client.create_collection("rows", configuration={"hnsw": {"space": "ip"}}, embedding_function=None)
        for start in range(0, len(rows), BATCH):
            numbers = range(start, min(start + BATCH, len(rows)))
            collection.add(
                ids=[str(number) for number in numbers],
                embeddings=rows[numbers.start : numbers.stop],
                metadatas=[{ATTRIBUTE: int(lots[number])} for number in numbers],
            )

    def open(self, folder: Path) -> None:
        """Open the collection."""
        self._collection = self._client(folder).get_collection("rows", embedding_function=None)
        self._effort = 0

    def prepared(self, query: Rows) -> Rows:
        """Return a query of one row."""
        return query[None]

    def search(self, query: Rows, effort: int, passing: Passing) -> Answer:
        """Search; the effort is ef_search, which is a setting of the collection."""
        if effort != self._effort:
            self._collection.modify(configuration={"hnsw": {"ef_search": effort}})
            self._effort = effort
        where = None
        if passing is not None:
            where = {"$and": [{ATTRIBUTE: {"$gte": passing[0]}}, {ATTRIBUTE: {"$lt": passing[1]}}]}
        found = self._collection.query(query_embeddings=query, n_results=K, where=where, include=["metadatas"])
        return [(int(id_), told[ATTRIBUTE]) for id_, told in zip(found["ids"][0], found["metadatas"][0], strict=True)]


class SqliteVec:
    """sqlite-vec: https://alexgarcia.xyz/sqlite-vec/."""

    def __init__(self) -> None:
        import apsw
        import sqlite_vec

        self._sqlite, self._path = apsw, sqlite_vec.loadable_path()

    def _connect(self, folder: Path) -> Any:  # noqa: ANN401 - a connection of APSW
        connection = self._sqlite.Connection(str(folder / "rows.db"))
        connection.enable_load_extension(True)
        connection.load_extension(self._path)
        return connection

    def build(self, folder: Path, rows: Rows, lots: npt.NDArray[np.int16]) -> None:
        """Insert all rows in one transaction."""
        kind = f"id integer primary key, vector float[{rows.shape[1]}] distance_metric=cosine, {ATTRIBUTE} integer"
        with self._connect(folder) as connection:
            connection.execute(f"create virtual table rows using vec0({kind})")
            connection.executemany(
                f"insert into rows(id, vector, {ATTRIBUTE}) values (?, ?, ?)",
                ((number, rows[number].tobytes(), int(lots[number])) for number in range(len(rows))),
            )
        connection.close()

    def open(self, folder: Path) -> None:
        """Open the database."""
        self._connection = self._connect(folder)

    def prepared(self, query: Rows) -> bytes:
        """Return the query as bytes."""
        return query.tobytes()

    def search(self, query: bytes, effort: int, passing: Passing) -> Answer:
        """Search all rows; there is no effort to choose."""
        told = "" if passing is None else f" and {ATTRIBUTE} >= ? and {ATTRIBUTE} < ?"
        command = f"select id, {ATTRIBUTE} from rows where vector match ? and k = {K}{told} order by distance"
        return list(self._connection.execute(command, (query, *(passing or ()))))
