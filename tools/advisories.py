"""Ask for published advisories about every pin of constraints.txt: `make audit` runs it where pip-audit is installed.

It exits with 0 when there are none, 1 when there are or some pins are unknown to the data base, and 2 when the data
base cannot be reached, which says nothing about the pins.
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
    """Print the advisories that there are."""
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
            sys.stderr.write(f"the data base of advisories cannot be reached, so nothing was checked: {why[:300]}\n")
            return UNREACHABLE
        pins = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
    unknown = [pin["name"] for pin in pins if "skip_reason" in pin]
    if len(unknown) == len(pins):
        sys.stderr.write("the data base that answers knows none of the pins, so nothing was checked\n")
        return UNREACHABLE
    for pin in pins:
        for advisory in pin.get("vulns", []):
            fixed = ", ".join(advisory["fix_versions"]) or "no release"
            sys.stdout.write(f"{pin['name']} {pin['version']}: {advisory['id']}, fixed in {fixed}\n")
    found = sum(len(pin.get("vulns", [])) for pin in pins)
    sys.stdout.write(f"{len(pins) - len(unknown)} pins, {found} advisories\n")
    if unknown:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        sys.stderr.write(f"not checked, for the data base does not know them: {', '.join(unknown[:SHOWN])}{more}\n")
    return FOUND if found or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
