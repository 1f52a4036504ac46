"""Manifests of segments: the version that a folder of segment files was made at, and the files' sizes and checksums."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from lookalike.gallery.local.version import Version
from lookalike.index import checksummed
from lookalike.storage.durable import flush
from lookalike.storage.files import check_regular

FORMAT: Final = 5


def write_manifest(folder: Path, version: Version) -> None:
    """Write the manifest of a folder whose other files are complete."""
    files = {}
    for path in sorted(folder.iterdir()):
        files[path.name] = {"bytes": path.stat().st_size, "checksum": checksum(path)}
    manifest = {"format": FORMAT, "origin": asdict(version), "files": files}
    path = folder / "stamp.json"
    path.write_text(json.dumps({"stamp": manifest, "seal": manifest_checksum(manifest)}), encoding="utf-8")
    flush(path)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a folder.

    Raises:
        OSError: The manifest cannot be read, or the folder holds something that is not a regular file.
        ValueError: The manifest is damaged, or of another format.
    """
    for path in folder.iterdir():
        check_regular(path.stat(), path)  # opening a pipe would block
    kept = json.loads((folder / "stamp.json").read_text(encoding="utf-8"))
    manifest: dict[str, Any] = kept["stamp"]
    if kept["seal"] != manifest_checksum(manifest) or manifest["format"] != FORMAT:
        raise ValueError("its manifest is damaged, or of another format")
    return manifest


def checksum(path: Path) -> int:
    """CRC-32 of a whole file."""
    with path.open("rb") as file:
        return checksummed.checksum(file, 0, path.stat().st_size)


def manifest_checksum(manifest: dict[str, Any]) -> int:
    """CRC-32 of a manifest in its canonical JSON form."""
    return zlib.crc32(json.dumps(manifest, sort_keys=True).encode())
