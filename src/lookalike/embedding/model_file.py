"""Which model describes photos for a gallery, and how it is to run; nothing is loaded before it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import ModelError

if TYPE_CHECKING:
    from lookalike.embedding.protocol import Embedder


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model, and how it is to run.

    Attributes:
        given: `default`, an `.onnx` file, or a `.safetensors` checkpoint; None is the one that the gallery remembers.
        runtime: `auto`, `onnx`, `openvino` or `torch`.
        device: `auto`, `cpu` or `cuda`.
    """

    given: str | None
    runtime: str = "auto"
    device: str = "auto"

    def address(self, remembered: str | None) -> str:
        """What a gallery that remembers one model should remember from now on, wherever it will be asked from."""
        if self.given is None:
            return remembered or "default"
        return self.given if self.given == "default" else str(Path(self.given).absolute())

    def load(self, remembered: str | None, *, gallery: str) -> Embedder:
        """Make an embedder of it.

        Args:
            remembered: The model that the gallery remembers, if it does.
            gallery: Its address, for the error.

        Raises:
            ModelError: It cannot be loaded.
        """
        from lookalike.embedding.deep import open_network
        from lookalike.embedding.photo import PhotoEmbedder

        model = self.given or remembered or "default"
        if self.given is None and model != "default" and not Path(model).is_file():
            raise ModelError(
                f"{gallery} was filled by the model {model}, and there is no such file any more; "
                "say with --model where it is now"
            )
        return PhotoEmbedder(open_network(model, runtime=self.runtime, device=self.device))
