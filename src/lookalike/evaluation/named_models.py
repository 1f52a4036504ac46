"""Models of other libraries by their names, as files for the time of an evaluation or of a teacher's work."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lookalike.models.default_model import SHIPPED
from lookalike.models.export_others import LIBRARIES, export_encoder, is_other


def has_name(model: str) -> bool:
    """Return whether a model is named, as `default` or as `timm:NAME` and others, and no file or folder."""
    return model == SHIPPED or model.partition(":")[0] in LIBRARIES


@contextmanager
def model_files(models: Sequence[str]) -> Iterator[list[str]]:
    """Context in which every model is a file: `timm:NAME` and others are exported into a temporary folder.

    Args:
        models: `default`, files, or what `export_encoder` takes, except for ONNX files of others, which need their
            preprocessing.

    Raises:
        LookalikeError: A model cannot be exported.
    """
    with tempfile.TemporaryDirectory(prefix="lookalike-") as folder:
        files = []
        for number, model in enumerate(models):
            if model != SHIPPED and is_other(model) and not model.endswith(".onnx"):
                model = str(export_encoder(model, Path(folder) / f"{number}.onnx").file)
            files.append(model)
        yield files
