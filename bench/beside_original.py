"""Run `lookalike bench`, and write its figures to a file.

python bench/beside_original.py --json original.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from lookalike.benchmarking.searching import ROWS, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="photos in the gallery")
    parser.add_argument("--json", type=Path, required=True, help="file for all figures")
    options = parser.parse_args()
    report = run(rows=options.rows, say=lambda text: print(text, file=sys.stderr, flush=True))
    print(report.to_markdown())
    options.json.write_text(json.dumps(report.to_json(), indent=1), encoding="utf-8")
