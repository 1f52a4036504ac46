"""Tables of the file of events, and how a search becomes a row of one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from lookalike.usage.records import Interleaved, MatchFeatures, SearchRecord

TABLES: Final = """
CREATE TABLE searches (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at REAL NOT NULL, kind TEXT NOT NULL,
    is_plain INTEGER NOT NULL, item TEXT, words TEXT, model TEXT NOT NULL, weights TEXT NOT NULL, garment TEXT,
    first INTEGER NOT NULL, ids TEXT NOT NULL, scores BLOB NOT NULL, spaces TEXT NOT NULL, best REAL, relevance REAL,
    is_good INTEGER, rival TEXT, teams TEXT, ranking TEXT, rival_ranking TEXT, feature_names TEXT, features BLOB,
    keys TEXT
);
CREATE INDEX searches_by_time ON searches (at);
CREATE TABLE events (
    search INTEGER NOT NULL REFERENCES searches ON DELETE CASCADE, type TEXT NOT NULL, item TEXT NOT NULL,
    rank INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (search, type, item)
) WITHOUT ROWID;
CREATE TABLE sketches (
    hour INTEGER NOT NULL, model TEXT NOT NULL, count INTEGER NOT NULL, sums BLOB NOT NULL, squares BLOB NOT NULL,
    PRIMARY KEY (hour, model)
) WITHOUT ROWID;
"""
COLUMNS: Final = (
    "id, at, kind, is_plain, item, words, model, weights, garment, first, ids, scores, spaces, best, relevance, "
    "is_good, rival, teams, ranking, rival_ranking, feature_names, features, keys"
)


def row_of(record: SearchRecord) -> tuple[object, ...]:
    """Columns of a search, as `COLUMNS` has them."""
    mixed, features = record.interleaved, record.features
    return (
        record.query_id,
        record.at,
        record.kind,
        record.is_plain,
        record.item,
        record.words,
        record.model,
        json.dumps(dict(record.weights)),
        record.garment,
        record.offset + 1,
        json.dumps([*record.ids], ensure_ascii=False),
        np.ascontiguousarray(record.scores, dtype="<f4").tobytes(),
        json.dumps([*record.spaces]),
        record.best,
        record.relevance,
        record.is_good,
        None if mixed is None else json.dumps(dict(mixed.rival)),
        None if mixed is None else mixed.teams,
        record.ranking,
        None if mixed is None else mixed.rival_ranking,
        None if features is None else json.dumps([*features.names], ensure_ascii=False),
        None if features is None else np.ascontiguousarray(features.values, dtype="<f4").tobytes(),
        None if features is None else json.dumps([*features.keys], ensure_ascii=False),
    )


def record_of_row(row: Sequence[Any]) -> SearchRecord:
    """Search of the columns of a row."""
    query_id, at, kind, is_plain, item, words, model, weights, garment, first, *rest = row
    ids, scores, spaces, best, relevance, is_good, rival, teams, ranking, rival_ranking, *given = rest
    names, known = json.loads(spaces), json.loads(ids)
    return SearchRecord(
        query_id=query_id,
        at=at,
        kind=kind,
        is_plain=bool(is_plain),
        item=item,
        words=words,
        model=model,
        weights=json.loads(weights),
        garment=garment,
        offset=first - 1,
        ids=known,
        scores=np.frombuffer(scores, dtype="<f4").reshape(len(known), len(names)),
        spaces=names,
        best=best,
        relevance=relevance,
        is_good=None if is_good is None else bool(is_good),
        interleaved=None if rival is None else Interleaved(json.loads(rival), teams, rival_ranking),
        ranking=ranking,
        features=features_of_row(*given, count=len(known)),
    )


def features_of_row(names: str | None, values: bytes | None, keys: str | None, *, count: int) -> MatchFeatures | None:
    """Features of the columns of a row, of so many matches; None if none were remembered."""
    if names is None or values is None or keys is None:
        return None
    named = json.loads(names)
    return MatchFeatures(named, np.frombuffer(values, dtype="<f4").reshape(count, len(named)), json.loads(keys))
