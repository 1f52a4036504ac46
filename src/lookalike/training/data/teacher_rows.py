"""Embeddings of the training photos by a teacher: computed once, before the first step, and kept in the run folder.

Runs of a sweep with the same teacher and photos compute them once for all.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lookalike.embedding.batch_embedding import embed_photos
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.embedding.photo_tasks import Embedded, PhotoTask
from lookalike.errors import ConfigError, TrainingError, storage_error
from lookalike.storage.files import write_whole
from lookalike.training.data.shared import put_beside, shared_beside
from lookalike.types import Float32, Item

REPORT_S = 60.0


def make_teacher_rows(
    model: str,
    items: Sequence[Item],
    *,
    file: Path,
    content: str,
    resumed: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> int:
    """Write the teacher's embeddings of training photos, unless the file has those of the same teacher and photos.

    Args:
        model: The teacher: `default`, an ONNX file or a checkpoint.
        items: N training photos, with distinct positions; each is embedded as indexing does it, without augmentation.
        file: File to write, in the run folder.
        content: Checksum of the training photos.
        resumed: Whether the run is resumed: the file must be of the same teacher then.
        report: Called with a line before the first photo, and every minute.

    Returns:
        Number of photos that were embedded.

    Raises:
        ModelError: The teacher is missing or damaged.
        ConfigError: A run is resumed, and the file is of another teacher.
        TrainingError: No photo can be read.
        LookalikeError: The disk is full.
    """
    embedder = PhotoEmbedder(open_network(model))
    made_of = f"{embedder.fingerprint} {content}"
    if file.is_file() and _made_of(file) == made_of:
        return 0
    if resumed and file.is_file():
        raise ConfigError(
            f"the teacher {model} is {embedder.fingerprint} now, and {file} is of another one; bring that one back, or "
            "begin a new run"
        )
    shared = shared_beside(file.parent)
    others = None if shared is None else shared / f"teacher-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.npz"
    try:
        if others is not None and others.is_file():
            put_beside(others, file)
            return 0
        rows = _embedded(embedder, items, model=model, report=report)
        kept = io.BytesIO()
        np.savez(kept, rows=rows, made_of=np.array(made_of))
        write_whole(file, kept.getvalue())
        if others is not None:
            put_beside(file, others)
    except OSError as error:
        raise storage_error(file, error) from error
    return int((~np.isnan(rows[:, 0])).sum())


def _embedded(embedder: PhotoEmbedder, items: Sequence[Item], *, model: str, report: Callable[[str], None]) -> Float32:
    """Embed photos: (N, T) float32; nan where one cannot be read."""
    space = embedder.spaces[0]
    rows = np.full((len(items), space.dimension), np.nan, dtype=np.float32)
    numbered = [Item(str(place), item.photo, root=item.root, box=item.box) for place, item in enumerate(items)]
    report(f"the teacher embeds {len(items):,} training photos")
    told = time.monotonic()
    seconds = {"decode": 0.0, "wait": 0.0, "embed": 0.0}
    done = 0
    for outcome in embed_photos(map(PhotoTask, numbered), seconds, embedder=embedder):
        if isinstance(outcome, Embedded):
            rows[[int(item.id) for item in outcome.items]] = outcome.vectors[space.name]
        done += len(outcome.items) if isinstance(outcome, Embedded) else 1
        if time.monotonic() - told > REPORT_S:
            told = time.monotonic()
            report(f"the teacher has embedded {done:,} of {len(items):,}")
    if np.isnan(rows).all():
        raise TrainingError(f"the teacher {model} can read none of the {len(items):,} training photos")
    return rows


def read_teacher_rows(file: Path) -> Float32:
    """Read what `make_teacher_rows` wrote: (N, T) float32 unit vectors; nan where a photo cannot be read."""
    with np.load(file, allow_pickle=False) as kept:
        rows: Float32 = kept["rows"]
    return rows


def _made_of(file: Path) -> str:
    with np.load(file, allow_pickle=False) as kept:
        return str(kept["made_of"])
