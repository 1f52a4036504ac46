"""Metadata of a gallery in a folder: spaces, model, roots, weights, projections, index settings, photo folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.gallery import roots, stored_parameters
from lookalike.gallery.local import garments_table, metadata_table, model_paths, photo_owner, reads
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.metadata_table import (
    read_index_settings,
    read_model,
    read_spaces,
    write_index_settings,
    write_model,
)
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.index import IndexSettings
from lookalike.projection import Projection
from lookalike.spaces import Space


class LocalMetadata:
    """The part of a gallery's interface that reads and writes metadata.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def folder(self) -> Path:
        """Absolute path of the gallery's folder."""
        return self._database.folder

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Spaces, in the order of the concatenated vectors; empty before the first `add`."""
        return self._database.spaces()

    def __len__(self) -> int:
        with self._database.reader() as reader:
            return reader.known(metadata_table.count_items)

    @property
    def model(self) -> str | None:
        """Model that filled the gallery: `default` or a path; None if unknown."""
        with self._database.reader() as reader:
            stored = reader.known(read_model)
        return None if stored is None else model_paths.as_used(stored, self.folder)

    def remember_model(self, model: str) -> None:
        """Store the model that fills the gallery: `default` or a path."""
        if model != self.model:
            with self._database.writing() as connection:
                write_model(connection, model_paths.as_stored(model, self.folder))

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders and URLs that photos were indexed from."""
        with self._database.reader() as reader:
            return reader.known(roots.read)

    def remember_roots(self, more: Iterable[str]) -> None:
        """Add roots."""
        new = set(more)
        if not new <= set(self.roots):
            with self._database.writing() as connection:
                roots.write(connection, new.union(roots.read(connection)))

    @property
    def stored_weights(self) -> StoredWeights:
        """Learned default weights of the spaces, and the learned ranking."""
        with self._database.reader() as reader:
            return reader.known(stored_parameters.read)

    def store_weights(self, what: StoredWeights) -> None:
        """Replace the learned weights and the learned ranking."""
        with self._database.writing() as connection:
            stored_parameters.write(connection, what)

    @property
    def projections(self) -> Mapping[str, Projection]:
        """PCA projections by space; a space without one has the model's own vectors."""
        with self._database.viewing() as reader:
            return reader.known(stored_parameters.read_projections)

    def store_projections(self, projections: Mapping[str, Projection]) -> None:
        """Store the projections; only before the first `add`."""
        with self._database.writing() as connection:
            if read_spaces(connection):
                raise UsageError(f"{self.folder} has items already; projections are set before the first item is added")
            stored_parameters.write_projections(connection, projections)

    @property
    def index_settings(self) -> IndexSettings:
        """Index settings of the gallery; unset ones are left to the indexes."""
        with self._database.reader() as reader:
            return read_index_settings(reader.connection)

    def set_index(self, settings: Mapping[str, int]) -> None:
        """Replace the index settings; the next search or `optimise` builds a new segment and index.

        Args:
            settings: Values by field of `lookalike.index.IndexSettings`; an empty mapping leaves all to the indexes.

        Raises:
            UnknownNameError: There is no such setting.
            UsageError: A value is out of range.
        """
        checked = IndexSettings.checked(settings)
        with self._database.writing() as connection:
            write_index_settings(connection, checked)

    @property
    def photo_folder(self) -> Path:
        """Folder inside the gallery for photos that were uploaded; a link in its place is not followed."""
        return self.folder.resolve() / "photos"

    @property
    def skipped_list(self) -> Path:
        """File for the list of photos that an indexing run skipped."""
        return self.folder / "skipped.csv"

    @property
    def has_exclusive_writer(self) -> bool:
        """Whether `writing` keeps other writers out."""
        return True

    @property
    def garment_count(self) -> int:
        """Number of garments that items are embedded by."""
        with self._database.reader() as reader:
            return reader.known(garments_table.count)

    def stored_bytes(self) -> int:
        """Bytes of all files in the folder."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    def sources(self) -> Mapping[str, int]:
        """Number of items of each source."""
        with self._database.scanning() as reader:
            return reads.sources(reader.connection)

    def photo_owner(self) -> Sequence[str]:
        """Names of the folders whose photos are this gallery's own."""
        return photo_owner.claimed(self._database)
