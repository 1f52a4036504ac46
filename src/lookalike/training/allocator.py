"""Memory allocator of a training process."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Parameters of mallopt: when freed memory returns to the system, and the number of blocks that are mapped alone."""


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the next step.

    By default, glibc returns large blocks to the system when they are freed, and the system clears each page again when
    it is next used: for the activations of a step on the CPU that takes as long as a third of the arithmetic.

    It changes the whole process, for good, and is not safe while other threads allocate: call it at the start of a
    process that only trains.

    Returns:
        Whether the C library has these parameters; only glibc does.

    Source: the manual page mallopt(3), on threads and on `M_TRIM_THRESHOLD`.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, -1))
