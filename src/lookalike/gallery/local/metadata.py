"""What a gallery in a folder remembers of itself: its spaces and model, weights, projections, and its own photos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.gallery import roots, stored_parameters
from lookalike.gallery.local import metadata_table, photo_owner, reads
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
    """The part of a gallery's interface that needs its database alone.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._database.folder

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The spaces, in the order of the concatenated rows; empty before the first `add`."""
        return self._database.spaces()

    def __len__(self) -> int:
        with self._database.reader() as reader:
            return reader.known(metadata_table.count_items)

    @property
    def model(self) -> str | None:
        """Where the model is that filled the gallery: `default` or a path; None where it is unknown."""
        with self._database.reader() as reader:
            return reader.known(read_model)

    def remember_model(self, model: str) -> None:
        """Remember where the model is that fills the gallery."""
        if model != self.model:
            with self._database.writing() as connection:
                write_model(connection, model)

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders and addresses that photos were indexed from."""
        with self._database.reader() as reader:
            return reader.known(roots.read)

    def remember_roots(self, more: Iterable[str]) -> None:
        """Keep more roots."""
        new = set(more)
        if not new <= set(self.roots):
            with self._database.writing() as connection:
                roots.write(connection, new.union(roots.read(connection)))

    @property
    def stored_weights(self) -> StoredWeights:
        """The usual weights of its spaces, as far as they were learned for it."""
        with self._database.reader() as reader:
            return reader.known(stored_parameters.read)

    def store_weights(self, what: StoredWeights) -> None:
        """Keep the weights that were learned for it, in place of those before."""
        with self._database.writing() as connection:
            stored_parameters.write(connection, what)

    @property
    def projections(self) -> Mapping[str, Projection]:
        """By which the rows of some of its spaces are made from what a model makes."""
        with self._database.viewing() as reader:
            return reader.known(stored_parameters.read_projections)

    def store_projections(self, projections: Mapping[str, Projection]) -> None:
        """Decide the projections; only before the first `add`."""
        with self._database.writing() as connection:
            if read_spaces(connection):
                raise UsageError(f"{self.folder} has rows already; projections are decided before the first")
            stored_parameters.write_projections(connection, projections)

    @property
    def index_settings(self) -> IndexSettings:
        """What its indexes are made with, and how far searches look, as far as that was decided for it."""
        with self._database.reader() as reader:
            return read_index_settings(reader.connection)

    def set_index(self, settings: Mapping[str, int]) -> None:
        """Decide what its indexes are made with, in place of all that was decided before.

        The next search, or `optimise`, derives rows and index again.

        Args:
            settings: By the names of `lookalike.index.IndexSettings`; empty leaves everything to the indexes.

        Raises:
            UnknownNameError: There is no such setting.
            UsageError: One is out of its range.
        """
        checked = IndexSettings.checked(settings)
        with self._database.writing() as connection:
            write_index_settings(connection, checked)

    @property
    def photo_folder(self) -> Path:
        """Folder inside the gallery for photos that were sent for it; a link in its place is not followed."""
        return self.folder.resolve() / "photos"

    @property
    def skipped_list(self) -> Path:
        """File for the list of photos that an index run skipped."""
        return self.folder / "skipped.csv"

    @property
    def has_exclusive_writer(self) -> bool:
        """Whether `writing` keeps other writers out."""
        return True

    def stored_bytes(self) -> int:
        """Bytes of all files in the folder."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    def sources(self) -> Mapping[str, int]:
        """Number of items of each source."""
        with self._database.asking() as connection:
            return reads.sources(connection)

    def photo_owner(self) -> Sequence[str]:
        """Names of the folders whose photos are this gallery's own."""
        return photo_owner.claimed(self._database)
