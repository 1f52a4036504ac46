"""Peak memory of this process, by what Linux counts of its own address space.

`ru_maxrss` is of no use for it: a new process begins with the peak of the process that started it.
"""

from __future__ import annotations

import re
from pathlib import Path


def peak_memory() -> int:
    """Most bytes that this process held at once, since its start or `restart_peak`; 0 where there is no /proc."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text(encoding="ascii")) if status.exists() else None
    return 1024 * int(found[1]) if found else 0


def restart_peak() -> None:
    """Count the peak from what is held now."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5", encoding="ascii")
