"""Write requirements/*.txt: every release that is installed, with the hashes of its files.

    lock.py UV      the program uv, as `make locks` runs it

PyTorch, and the accelerator libraries that it brings along, are left out: they come in builds for processors and for
GPUs, from indexes of their own, whose files differ.
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
}
CONSTRAINED = ("base", "dev")


def lock(name: str, *, uv: str) -> str:
    """The locked requirements of one environment."""
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
    """Write all of them."""
    for name in LOCKS:
        (ROOT / "requirements" / f"{name}.txt").write_text(lock(name, uv=sys.argv[1]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
