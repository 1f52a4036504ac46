"""Memory-mapped inverted lists: opening reads none of them, and processes share their memory.

FAISS can map lists that store one row after the other, but not those of `IndexIVFPQFastScan`, which stores codes in
blocks of 32 rows, and would read them all. Its search only needs their addresses, so they are written here in the
memory layout of `OnDiskInvertedLists`: for each list the codes, padded to a whole block, and then as many row numbers.
Centroids and codebooks follow as FAISS writes them:

    codes and row numbers of each list    the bulk, which is mapped
    an array as .npy                      place of each list
    an array as .npy                      the index without its lists
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
import numpy.typing as npt

from lookalike.errors import IndexFileError
from lookalike.index.faiss_candidates import FaissIndex, name_of

ALIGNMENT: Final = 64
"""Alignment of lists in bytes, which is the width of a processor's vector loads."""

PLACE: Final = np.dtype([("size", "<u8"), ("capacity", "<u8"), ("offset", "<u8")])
"""FAISS's `OnDiskOneList`."""


def write_mapped(index: FaissIndex, path: Path) -> int:
    """Write an index.

    Returns:
        Bytes of the bulk at the beginning of the file.
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
    """Serialise an index without its lists: (B,) uint8. The index must not be searched meanwhile."""
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
    """Read a file of `write_mapped`, and map its bulk.

    Args:
        path: Index file whose footer has been checked.
        bulk: Bytes of the bulk.
        count: N, expected number of rows.
        width: Expected number of columns.

    Raises:
        IndexFileError: The index has another shape, or the file is damaged.
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
            lists.prefetch_nthread = 0  # starting threads that read ahead takes longer than a search
            lists.do_mmap()
    except (OSError, EOFError, ValueError, RuntimeError) as error:
        raise IndexFileError(path, str(error).splitlines()[-1]) from None
    index.replace_invlists(lists, True)
    lists.this.disown()
    if (index.ntotal, index.d) != (count, width):
        raise IndexFileError(path, f"it holds {index.ntotal} x {index.d} numbers, and {count} x {width} were expected")
    return index


def check_places(places: npt.NDArray[Any], index: FaissIndex, *, bulk: int, count: int) -> None:
    """Check that all lists lie within the bulk, since FAISS would read beyond it.

    Args:
        places: (lists,) of `PLACE`, place of each list.
        index: Index without its lists.
        bulk: Bytes of the bulk.
        count: N, expected number of rows in all lists.

    Raises:
        ValueError: The places are invalid.
    """
    known = isinstance(index, faiss.IndexIVFPQFastScan) and places.dtype == PLACE
    if not known or places.shape != (index.nlist,):
        raise ValueError("it has no valid table of its lists")
    width = index.code_size + np.dtype(np.int64).itemsize
    size, capacity, offset = places["size"], places["capacity"], places["offset"]
    # Only divisions and differences of checked values, so that nothing exceeds 64 bits.
    if (capacity > bulk // width).any() or (offset > bulk - capacity * width).any():
        raise ValueError("a list reaches out of the file")
    if (size > capacity).any() or (capacity % index.bbs).any() or int(size.sum()) != count:
        raise ValueError(f"its lists do not hold {count} rows")
