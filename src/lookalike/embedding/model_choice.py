"""Choice of models, runtime and device for a gallery; models are loaded when first needed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import ModelError

if TYPE_CHECKING:
    from lookalike.embedding.calibration import Calibration
    from lookalike.embedding.protocol import Embedder
    from lookalike.spaces import Space


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Models with their runtime and device.

    Attributes:
        given: `default`, the path of an `.onnx` file or a `.safetensors` checkpoint, or several of these; None is the
            stored model of the gallery.
        runtime: `auto`, `onnx`, `openvino` or `torch`.
        device: `auto`, `cpu` or `cuda`.
        threads: Threads of each network; None is one for each processor that this process may use.
    """

    given: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
    runtime: str = "auto"
    device: str = "auto"
    threads: int | None = None

    def address(self, remembered: str | None) -> str:
        """Models as a gallery stores them, with absolute paths.

        Args:
            remembered: Models that the gallery stores now.
        """
        if not self.given:
            return remembered or "default"
        return remembered_as([whole_path(model) for model in self._given()])

    def load(self, remembered: str | None, *, gallery: str, many: bool = False) -> Embedder:
        """Load the models into an embedder.

        Args:
            remembered: Models that the gallery stores; None when there are none.
            gallery: Address of the gallery for messages.
            many: Whether many batches are embedded and none is waited for by itself; see `parallel_threads`.

        Raises:
            ModelError: A model cannot be loaded.
            UsageError: A model is given twice.
        """
        from lookalike.embedding.embedder import PhotoEmbedder
        from lookalike.embedding.model_loading import open_network, parallel_threads

        models = self.named(remembered)
        for model in models:
            if not self.given and model != "default" and not Path(model).is_file():
                raise ModelError(
                    f"{gallery} was filled by the model {model}, and there is no such file any more; "
                    "give its present path with --model"
                )
        threads = parallel_threads(models, self.runtime) if many and self.threads is None else self.threads
        return PhotoEmbedder(
            *(open_network(model, runtime=self.runtime, device=self.device, threads=threads) for model in models)
        )

    def calibration(self, remembered: str | None, spaces: Sequence[Space]) -> Calibration | None:
        """Calibration of the model, read from its ONNX file without loading it.

        None without one, and if the cosines of the gallery's space `deep` are not those of this model alone.

        Args:
            remembered: Models that the gallery stores.
            spaces: Spaces of the gallery.
        """
        from lookalike.embedding.model_loading import CHECKPOINTS, find_model
        from lookalike.embedding.network import Identity
        from lookalike.models.onnx_file import read_metadata

        models = self.named(remembered)
        if len(models) > 1 or models[0].endswith(CHECKPOINTS):
            return None
        try:
            identity = Identity.from_metadata(read_metadata(find_model(models[0])), file=models[0])
        except ModelError:  # items can be searched without a model
            return None
        is_deep = any((space.name, space.model_id) == ("deep", identity.model_id) for space in spaces)
        return identity.calibration if is_deep else None

    def named(self, remembered: str | None) -> list[str]:
        """Models, each `default` or a path: the given ones, or else those that a gallery stores."""
        return self._given() or models_of(remembered)

    def _given(self) -> list[str]:
        given = [self.given] if isinstance(self.given, str | os.PathLike) else self.given or ()
        return [os.fspath(model) for model in given]


def remembered_as(models: Sequence[str]) -> str:
    """Encode models for a gallery: one as it is, several as a JSON list."""
    return models[0] if len(models) == 1 else json.dumps(list(models), ensure_ascii=False)


def models_of(remembered: str | None) -> list[str]:
    """Decode the models that a gallery stores; `default` without any."""
    if remembered is not None and remembered.startswith("["):
        return [str(model) for model in json.loads(remembered)]
    return [remembered or "default"]


def whole_path(model: str) -> str:
    """Absolute path of a model; `default` stays."""
    return model if model == "default" else str(Path(model).absolute())
