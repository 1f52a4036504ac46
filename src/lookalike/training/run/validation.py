"""A measure on dev within a run: what is measured, told, drawn and kept as checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from safetensors import SafetensorError

from lookalike.errors import TrainingError
from lookalike.models.checkpoint import save_checkpoint
from lookalike.models.network import Network
from lookalike.training.data.training_data import Material
from lookalike.training.run.dev_measure import Measured, SkipItem, described_by, measure
from lookalike.training.run.run_folder import RunFolder
from lookalike.training.run.run_log import Notes
from lookalike.types import Float32


class Validation:
    """Measures a network as it is in a run, and keeps it.

    Args:
        material: With the dev photos.
        folder: Where checkpoints are kept.
        notes: Where figures are written down.
        report: Given a line after each measure.
        skip: Told of dev photos that cannot be read.
    """

    def __init__(
        self,
        material: Material,
        folder: RunFolder,
        notes: Notes,
        *,
        report: Callable[[str], None],
        skip: SkipItem,
    ) -> None:
        self.material, self.folder, self.notes, self.report, self.skip = material, folder, notes, report, skip

    def measure(self, network: Network, *, asked_to_stop: Callable[[], bool]) -> float:
        """Measure a network, and write it as the last checkpoint.

        Args:
            network: The weights that would be kept.
            asked_to_stop: Looked at between batches.

        Returns:
            The mean figure, in [0, 1]; 0 when there is nothing to measure.

        Raises:
            KeyboardInterrupt: It was asked to stop; nothing was written.
            TrainingError: The checkpoint cannot be written.
        """
        describe = described_by(network, self.material.preprocessing)

        def describe_or_stop(photos: Sequence[Image.Image]) -> Float32:
            if asked_to_stop():
                raise KeyboardInterrupt
            return describe(photos)

        with in_eval_mode(network):
            measured = measure(
                describe_or_stop,
                self.material.dev,
                changes=self.material.dev_changes(),
                at_least=self.material.preprocessing.wanted_size,
                skip=self.skip,
            )
        self.notes.measured(measured, label=self.material.label)
        self._tell(measured)
        self._save(network, self.folder.last)
        return measured.figures.get("mean", 0.0)

    def keep_as_best(self, network: Network) -> None:
        """Write a network as the best checkpoint."""
        self._save(network, self.folder.best)

    def _tell(self, measured: Measured) -> None:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in measured.figures.items())
        self.report(f"dev after step {self.notes.done.all_steps}: {figures or 'nothing to measure'}")

    def _save(self, network: Network, path: Path) -> None:
        name, classes = self.material.settings.name, self.material.heads
        try:
            save_checkpoint(path, network, preprocessing=self.material.preprocessing, name=name, classes=classes)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"{path}: cannot be written: {error}; make room and go on with --resume {self.folder.path}"
            ) from None


@contextmanager
def in_eval_mode(network: Network) -> Iterator[None]:
    """Lend a network in eval mode; layers that were in training mode are so again afterwards."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
