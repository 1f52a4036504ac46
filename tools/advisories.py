"""Check the pins of constraints.txt for published advisories, with pip-audit; run by `make audit`.

Exit codes: 0 for none; 1 for advisories, or pins unknown to the database; 2 if the database cannot be reached, so that
nothing was checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOUND, UNREACHABLE = 1, 2
SHOWN = 20


def main() -> int:
    """Print the advisories, and return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = [
            "--no-deps",
            "--disable-pip",
            "--progress-spinner",
            "off",
            "--format",
            "json",
            "--output",
            str(report),
        ]
        command = [sys.executable, "-m", "pip_audit", *options, "-r", str(ROOT / "constraints.txt")]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if not report.exists():
            why = (done.stderr.strip().splitlines() or ["pip-audit gave no reason"])[-1]
            sys.stderr.write(f"the database of advisories cannot be reached, so nothing was checked: {why[:300]}\n")
            return UNREACHABLE
        pins = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
    unknown = [pin["name"] for pin in pins if "skip_reason" in pin]
    if len(unknown) == len(pins):
        sys.stderr.write("the database of advisories knows none of the pins, so nothing was checked\n")
        return UNREACHABLE
    for pin in pins:
        for advisory in pin.get("vulns", []):
            fixed = ", ".join(advisory["fix_versions"]) or "no release"
            sys.stdout.write(f"{pin['name']} {pin['version']}: {advisory['id']}, fixed in {fixed}\n")
    found = sum(len(pin.get("vulns", [])) for pin in pins)
    sys.stdout.write(f"{len(pins) - len(unknown)} pins, {found} advisories\n")
    if unknown:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        sys.stderr.write(f"not checked, because the database does not know them: {', '.join(unknown[:SHOWN])}{more}\n")
    return FOUND if found or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
