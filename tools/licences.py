"""Check the licences of the base install and its dependencies; run by `make licences` in such an environment.

Prints the licence of each distribution, and fails for one that is neither allowed nor a known exception.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement

ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-CMU", "PSF-2.0", "Zlib"),
    *("Apache 2.0", "3-Clause BSD License", "MIT License"),
    *("Apache Software License", "BSD License", "ISC License (ISCL)", "Python Software Foundation License"),
}
"""Permissive licences: SPDX names, and the names that older distributions use."""

EXCEPTIONS = {
    "pi-heif": "LGPL-3.0 of libheif and libde265: shared libraries of their own in its wheel, unchanged, replaceable",
    "tqdm": "MPL-2.0, file by file: unchanged, brought along by tokenizers for downloads, which Lookalike never makes",
}
"""Distributions under other licences, with the reason why they may be used."""


def brought_along(name: str) -> dict[str, Distribution]:
    """Return a distribution and its direct and indirect dependencies that are installed."""
    found: dict[str, Distribution] = {}
    wanted = [name]
    while wanted:
        one = distribution(wanted.pop())
        key = re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower()
        if key not in found:
            found[key] = one
            requirements = map(Requirement, one.requires or ())
            wanted += [each.name for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})]
    return found


def licence_of(one: Distribution) -> str:
    """Return the licence of a distribution: its SPDX expression, or else its classifiers, or its licence field."""
    if expression := one.metadata.get("License-Expression"):
        return str(expression)
    classifiers = one.metadata.get_all("Classifier") or []
    named = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: ")]
    own = str(one.metadata.get("License") or "").partition("\n")[0]
    return " AND ".join(named) or own or "none"


def is_allowed(expression: str) -> bool:
    """Return whether all parts of an expression are allowed; of alternatives, one suffices."""
    parts = [re.split(r"\s+OR\s+", part) for part in re.split(r"\s+AND\s+", expression)]
    return all(any(one in ALLOWED or one.strip("() ") in ALLOWED for one in part) for part in parts)


def main() -> int:
    """Print a line for each distribution, and return the exit code."""
    wrong = 0
    for name, one in sorted(brought_along("lookalike").items()):
        licence = licence_of(one)
        fine = is_allowed(licence) or name in EXCEPTIONS
        wrong += not fine
        note = "" if is_allowed(licence) else f"  {EXCEPTIONS.get(name, 'NOT ALLOWED')}"
        sys.stdout.write(f"{name:20} {one.version:12} {licence}{note}\n")
    if wrong:
        sys.stderr.write(f"{wrong} licences are not allowed in the base install; see tools/licences.py\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
