"""Write requirements/*.txt: the installed releases with the hashes of their files; run by `make locks`.

    lock.py UV      the path of uv

PyTorch and its accelerator libraries are left out: their builds for CPUs and GPUs come from separate indexes and have
different files.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADER = "# Written by `make locks`. Installed by pip with --require-hashes --no-deps; PyTorch comes without hashes.\n"
UNHASHED = re.compile(r"(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==")

LOCKS: dict[str, tuple[str, ...]] = {
    "base": ("pyproject.toml", "requirements/build.in"),
    "dev": ("pyproject.toml", "requirements/build.in", "--extra", "dev"),
    "audit": ("requirements/audit.in",),
    "docs": ("requirements/docs.in",),
    "milvus": ("requirements/milvus.in",),
    "trackers": ("requirements/trackers.in",),
    "peers": ("requirements/peers.in",),
}
CONSTRAINED = ("base", "dev")


def lock(name: str, *, uv: str) -> str:
    """Return the locked requirements of an environment."""
    options = [
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--quiet",
    ]
    constraints = ["-c", "constraints.txt"] if name in CONSTRAINED else []
    command = [uv, "pip", "compile", *options, *constraints, *LOCKS[name]]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    releases = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    return HEADER + "".join(release for release in releases if not UNHASHED.match(release))


def main() -> int:
    """Write all files."""
    for name in LOCKS:
        (ROOT / "requirements" / f"{name}.txt").write_text(lock(name, uv=sys.argv[1]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
