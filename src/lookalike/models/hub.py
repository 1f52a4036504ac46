"""Models of the Hugging Face hub: their small files and safetensors, fetched into its cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lookalike.errors import ModelError, UsageError
from lookalike.models.other_libraries import one_line, quiet

TOKENIZER_FILES: Final = ("tokenizer.json", "tokenizer_config.json")
MODEL_FILES: Final = (
    "open_clip_config.json",
    "config.json",
    "preprocessor_config.json",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    *TOKENIZER_FILES,
)
"""Files of a model; pickled weights are not fetched."""


def hub_folder(name: str, files: Sequence[str] = MODEL_FILES) -> Path:
    """Fetch files of a repository of the hub that are not in its cache yet.

    Args:
        name: Name of the repository, such as `facebook/dinov2-small`.
        files: Names of the files; those that it lacks are left out.

    Returns:
        Folder with the files.

    Raises:
        UsageError: It is not the name of a repository.
        ModelError: They cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    if name.count("/") != 1:
        raise UsageError(f"a model of the hub is named by its owner too, such as facebook/dinov2-small; got {name!r}")
    with fetching(f"hf-hub:{name}", "its files"):
        try:
            return Path(snapshot_download(name, allow_patterns=list(files)))
        except HFValidationError as error:
            raise UsageError(f"hf-hub:{name}: {one_line(error)}") from None


@contextmanager
def fetching(where: str, what: str) -> Iterator[None]:
    """Context in which a failed download is one error of one line, without the log of the attempts.

    Args:
        where: Model for messages.
        what: What is fetched.

    Raises:
        ModelError: The download failed.
    """
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with quiet():
            yield
    except (OSError, RuntimeError, HfHubHTTPError) as error:
        raise ModelError(f"{where}: {what} cannot be fetched: {one_line(error)}") from None
