"""Write the OpenAPI document of the HTTP API, from which the TypeScript client is generated.

python tools/openapi.py clients/typescript/openapi.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from PIL import Image

import lookalike
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context


def document() -> str:
    """The document as JSON text, the same on every machine."""
    with tempfile.TemporaryDirectory() as folder:
        photos, gallery = Path(folder, "photos"), Path(folder, "one.gallery")
        photos.mkdir()
        Image.new("RGB", (64, 64), "navy").save(photos / "one.png")
        with lookalike.open(gallery) as opened:
            opened.index(photos)
        context = open_context(str(gallery), settings=Settings())
        try:
            described = create_app(context).openapi()
        finally:
            context.stop()
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
