"""Validation during a run: the dev measure, its log, and the checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from safetensors import SafetensorError

from lookalike.errors import TrainingError
from lookalike.models.checkpoint import save_checkpoint
from lookalike.models.network import Network
from lookalike.training.data.training_data import TrainingData
from lookalike.training.run.dev_measure import Described, DevMeasure, SkipItem, describe_with, measure
from lookalike.training.run.run_folder import RunFolder
from lookalike.training.run.run_log import RunLog


class Validation:
    """Measures a network on dev and saves its checkpoints.

    Args:
        training_data: Training data with the dev splits.
        folder: Run folder for the checkpoints.
        run_log: Log of the run, which records the figures.
        report: Called with a line after each measure.
        skip: Called for each unreadable dev photo.
    """

    def __init__(
        self,
        training_data: TrainingData,
        folder: RunFolder,
        run_log: RunLog,
        *,
        report: Callable[[str], None],
        skip: SkipItem,
    ) -> None:
        self.training_data, self.folder, self.run_log, self.report, self.skip = (
            training_data,
            folder,
            run_log,
            report,
            skip,
        )

    def measure(self, network: Network, *, asked_to_stop: Callable[[], bool]) -> float:
        """Measure a network, and save it as the last checkpoint.

        Args:
            network: Network to measure.
            asked_to_stop: Checked between batches.

        Returns:
            Value of the criterion, in [0, 1]; 0 if there is nothing to measure.

        Raises:
            KeyboardInterrupt: A stop was requested; nothing was written.
            TrainingError: The checkpoint cannot be written, or no photo of a dev split can be read.
        """
        data = self.training_data
        heads = list(dict.fromkeys(head for dev in data.dev for head in (*dev.heads, *dev.tags)))
        describe = describe_with(network, data.preprocessing, heads=heads)

        def describe_or_stop(photos: Sequence[Image.Image]) -> Described:
            if asked_to_stop():
                raise KeyboardInterrupt
            return describe(photos)

        with in_eval_mode(network):
            measured = measure(
                describe_or_stop,
                data.dev,
                changes=data.dev_changes(),
                at_least=data.preprocessing.wanted_size,
                skip=self.skip,
            )
        value = None if data.criterion is None else data.criterion.value(measured.figures)
        self.run_log.measured(measured, criterion=value, label=data.label)
        self._tell(measured, value)
        self._save(network, self.folder.last)
        return value or 0.0

    def keep_as_best(self, network: Network) -> None:
        """Save a network as the best checkpoint."""
        self._save(network, self.folder.best)

    def _tell(self, measured: DevMeasure, value: float | None) -> None:
        """Report the most important figures of each catalogue, and the criterion; the log has all figures."""
        data = self.training_data
        chosen = {} if data.criterion is None else data.criterion.weights
        told = dict.fromkeys(name for dev in data.dev for name in dev.leading()) | dict.fromkeys(chosen)
        figures = ", ".join(f"{name} {measured.figures[name]:.3f}" for name in told if name in measured.figures)
        criterion = "" if value is None or len(chosen) == 1 else f", criterion {value:.3f}"
        self.report(f"dev after step {self.run_log.position.all_steps}: {figures or 'nothing to measure'}{criterion}")

    def _save(self, network: Network, path: Path) -> None:
        data = self.training_data
        try:
            save_checkpoint(
                path,
                network,
                preprocessing=data.preprocessing,
                name=data.settings.name,
                classes=data.heads,
                trained_on=data.seen,
            )
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"{path}: cannot be written: {error}; make room and go on with --resume {self.folder.path}"
            ) from None


@contextmanager
def in_eval_mode(network: Network) -> Iterator[None]:
    """Put a network in eval mode; restore the training mode of its layers at the end."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
