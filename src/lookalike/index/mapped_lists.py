"""The lists of an index in a file that is mapped into memory: opening reads none of them, and processes share them.

The library can map lists of rows that stand one by one, but not those of `IndexIVFPQFastScan`, whose codes stand in
blocks of 32 rows; it would read them all. To its search they are bytes at an address, though, so they are written here
as its `OnDiskInvertedLists` has them in memory: for each list the codes, up to a whole block, and then the numbers of
the rows, up to as many. What is left, centroids and codebooks, follows as the library writes it:

    codes and numbers of each list    the bulk, which is mapped
    an array as .npy                  where each list stands
    an array as .npy                  the index without its lists
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
import numpy.typing as npt

from lookalike.errors import IndexFileError
from lookalike.index.rescoring import FaissIndex, name_of

ALIGNMENT: Final = 64
"""Bytes; a processor reads codes by so many at once."""

PLACE: Final = np.dtype([("size", "<u8"), ("capacity", "<u8"), ("offset", "<u8")])
"""FAISS's `OnDiskOneList`."""


def write_mapped(index: FaissIndex, path: Path) -> int:
    """Write an index.

    Returns:
        How many bytes at the beginning are the bulk.
    """
    lists = faiss.downcast_InvertedLists(index.invlists)
    places = np.zeros(index.nlist, dtype=PLACE)
    with path.open("wb") as file:
        for number, place in enumerate(places):
            size = lists.list_size(number)
            blocks = -(-size // lists.n_per_block)
            file.write(bytes(-file.tell() % ALIGNMENT))
            place["size"], place["capacity"], place["offset"] = size, blocks * lists.n_per_block, file.tell()
            if size:
                rows = np.zeros(blocks * lists.n_per_block, dtype=np.int64)
                rows[:size] = faiss.rev_swig_ptr(lists.get_ids(number), size)
                file.write(faiss.rev_swig_ptr(lists.get_codes(number), blocks * lists.block_size))
                file.write(rows.tobytes())
        bulk = file.tell()
        np.save(file, places)
        np.save(file, without_lists(index))
    return bulk


def without_lists(index: FaissIndex) -> np.ndarray:
    """All of an index but its lists, as the library writes it: (B,) uint8. It must not be searched meanwhile."""
    lists, owned = index.invlists, index.own_invlists
    none = faiss.ArrayInvertedLists(index.nlist, index.code_size)
    index.own_invlists = False  # so that they are not deleted
    index.replace_invlists(none, False)
    try:
        written: np.ndarray = faiss.serialize_index(index)
    finally:
        index.replace_invlists(lists, owned)
    return written


def read_mapped(path: Path, *, bulk: int, count: int, width: int) -> FaissIndex:
    """Read what `write_mapped` wrote, and map the bulk.

    Args:
        path: The file, whose end is known to be undamaged.
        bulk: What `write_mapped` returned.
        count: N, how many rows there should be.
        width: How many numbers each of them.

    Raises:
        IndexFileError: It is of another shape than it should be.
    """
    try:
        with path.open("rb") as file:
            file.seek(bulk)
            places, rest = np.load(file), np.load(file)
        index = faiss.deserialize_index(rest)
        check_places(places, index, bulk=bulk, count=count)
        with name_of(path) as name:
            lists = faiss.OnDiskInvertedLists(index.nlist, index.code_size, name)
            faiss.memcpy(lists.lists.data(), faiss.swig_ptr(places.view(np.uint8)), places.nbytes)
            lists.totsize, lists.read_only = bulk, True
            lists.prefetch_nthread = 0  # threads that read ahead take longer to start than the search
            lists.do_mmap()
    except (OSError, EOFError, ValueError, RuntimeError) as error:
        raise IndexFileError(path, str(error).splitlines()[-1]) from None
    index.replace_invlists(lists, True)
    lists.this.disown()
    if (index.ntotal, index.d) != (count, width):
        raise IndexFileError(path, f"it holds {index.ntotal} x {index.d} numbers, and {count} x {width} were expected")
    return index


def check_places(places: npt.NDArray[Any], index: FaissIndex, *, bulk: int, count: int) -> None:
    """Check that no list reaches out of the bulk, for the library would read whatever stands there.

    Args:
        places: (lists,) of `PLACE`: where each list stands.
        index: The index without its lists.
        bulk: How many bytes all lists have.
        count: N, how many rows there should be in all of them.

    Raises:
        ValueError: They are no such places.
    """
    known = isinstance(index, faiss.IndexIVFPQFastScan) and places.dtype == PLACE
    if not known or places.shape != (index.nlist,):
        raise ValueError("it does not say where each list stands")
    width = index.code_size + np.dtype(np.int64).itemsize
    size, capacity, offset = places["size"], places["capacity"], places["offset"]
    # Division and differences of what has been checked: no sum or product here can be beyond 64 bits.
    if (capacity > bulk // width).any() or (offset > bulk - capacity * width).any():
        raise ValueError("a list reaches out of the file")
    if (size > capacity).any() or (capacity % index.bbs).any() or int(size.sum()) != count:
        raise ValueError(f"its lists do not hold {count} rows")
