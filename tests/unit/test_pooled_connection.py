"""Test what a connection keeps of a database: read once a transaction, and again when something was committed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.gallery.local.file_identity import Files
from lookalike.gallery.local.pooled_connection import PooledConnection


def rows(connection: sqlite3.Connection) -> int:
    """How many rows there are."""
    found: int = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database in WAL mode with one empty table."""
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (n)")
    return tmp_path / "t.db"


def opened(path: Path) -> PooledConnection:
    """A connection to it."""
    connection = sqlite3.connect(path, isolation_level=None)
    return PooledConnection(connection, Files((0, 0, 0, 0), (None, None)), immutable=False)


def test_a_transaction_looks_for_commits_once(path: Path) -> None:
    """However much is asked for in a transaction, one statement finds out whether it is still known."""
    reader = opened(path)
    with closing(reader.connection):
        reader.begin()
        assert reader.known(rows) == 0
        statements: list[str] = []
        reader.connection.set_trace_callback(statements.append)
        assert reader.known(rows) == 0
        assert statements == []
        reader.connection.execute("ROLLBACK")


def test_what_was_committed_is_read_by_the_next_transaction(path: Path) -> None:
    """A transaction sees one version throughout; the next, and what is read outside of one, sees later commits."""
    reader, writer = opened(path), opened(path)
    with closing(reader.connection), closing(writer.connection):
        for expected in range(3):
            reader.begin()
            assert reader.known(rows) == expected
            writer.connection.execute("INSERT INTO t VALUES (1)")
            assert reader.known(rows) == expected
            reader.connection.execute("ROLLBACK")
            assert reader.known(rows) == expected + 1
