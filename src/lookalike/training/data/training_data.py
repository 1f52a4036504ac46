"""Training data of a run: photos and labels, their augmentation, and the network and losses that fit them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import CatalogueError, ConfigError
from lookalike.evaluation.heads import label_of
from lookalike.evaluation.named_models import has_name, model_files
from lookalike.models.network import Network
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.pretrained import load_pretrained
from lookalike.models.weight_readers import estimate_statistics
from lookalike.training.data.augmentation import Augmentation
from lookalike.training.data.batch import UNKNOWN, View
from lookalike.training.data.data_record import DataRow
from lookalike.training.data.dataset import TrainingPhotos, label_classes, read_splits, tag_classes, unknown_of
from lookalike.training.data.earlier_training import earlier_training
from lookalike.training.data.sampling import check_batch, make_sampler, steps_in_epoch
from lookalike.training.data.teacher_rows import make_teacher_rows, read_teacher_rows
from lookalike.training.data.unreadable import LoadedView
from lookalike.training.losses.objective import Objective
from lookalike.training.run.criterion import Criterion
from lookalike.training.run.dev_splits import LIGHTER, measured_splits
from lookalike.training.settings.photo_settings import AugmentationSettings
from lookalike.training.settings.run_settings import StageSettings, TrainingSettings
from lookalike.types import Int64, Item

STATISTICS_PHOTOS = 512


class TrainingData:
    """Catalogues of a run with numbered labels.

    Args:
        settings: Settings of the run.
        base: Folder that paths in the settings are relative to.

    Raises:
        CatalogueError: A catalogue cannot be read, or has no training photos.
        ConfigError: The settings do not fit the catalogues.
        UnknownNameError: `select` names no metric that is measured.

    Attributes:
        dev: Dev splits, with what is measured on them.
        criterion: What the best checkpoint is chosen by; None if nothing is measured.
        photos: Training photos of all catalogues.
        preprocessing: Preprocessing of the finished network.
        seen: What of the photos of each catalogue is trained on, and of those that the start and the teacher have seen.
    """

    def __init__(self, settings: TrainingSettings, *, base: Path) -> None:
        self.settings, self.base = settings, base
        splits = [read_splits(data, folder=base) for data in settings.data]
        train = [split["train"] for split in splits]
        heads = {head for data in settings.data for head in data.heads}
        labels = {loss.labels for loss in settings.loss} - {"product"}
        self.classes = label_classes(train, sorted(heads | labels))
        self.tags = tag_classes(train)
        self.heads = {name: values for name, values in self.classes.items() if name in heads} | self.tags
        self.photos = TrainingPhotos(train, classes=self.classes, tags=self.tags)
        self.preprocessing = settings.input.at(settings.input.height, settings.input.width)
        self.backgrounds = {part: self._backgrounds(part) for part in ("train", "dev")}
        classes = {name: values for name, values in self.classes.items() if name in heads}
        self.seen = [*(split.seen for split in train), *earlier_training(settings, folder=base)]
        self.dev = measured_splits([split["dev"] for split in splits], classes=classes, tags=self.tags)
        self.check_measured()
        check_batch(settings, self.photos)
        self.criterion = self._criterion()

    @property
    def is_measured(self) -> bool:
        """Whether there is something to measure on dev."""
        return bool(self.dev)

    def check_measured(self) -> None:
        """Check that there is something to measure for the settings that depend on it.

        Raises:
            ConfigError: The settings depend on dev measures, and there is nothing to measure.
        """
        given = self.settings
        if not self.is_measured and (given.schedule == "plateau" or given.early_stop):
            raise ConfigError(
                'schedule = "plateau" and early_stop need something to measure: a [[data]] that has at least two dev '
                "photos"
            )

    @property
    def chosen_by(self) -> tuple[object, ...]:
        """The settings that choose the items and labels of `rows`."""
        given, changed = self.settings, self.settings.augmentation
        labels = [loss.labels for loss in given.loss]
        return given.data, given.sampler.balance, labels, changed.backgrounds, changed.background_columns

    @property
    def is_complete(self) -> bool:
        """Whether every batch contributes to every head and loss."""
        known = all(bool((numbers != UNKNOWN).all()) for numbers in self.photos.labels.values())
        in_metric = all(data.instance_loss for data in self.settings.data)
        if self.photos.targets is not None and np.isnan(self.photos.targets).any():
            return False
        return known and in_metric and not self.tags and self.settings.sampler.name != "triplets"

    @property
    def label(self) -> str:
        """Leading grade of the first catalogue that has any; the caption of the hits-and-misses grid."""
        grades = (dev.split.settings.grades for dev in self.dev)
        return next((of_split[0] for of_split in grades if of_split), "id")

    def _criterion(self) -> Criterion | None:
        known = [name for dev in self.dev for name in dev.figures(self.dev_changes())]
        searched = [name for dev in self.dev if dev.metrics for name in dev.leading()]
        usual = searched or [name for dev in self.dev for name in dev.leading()]
        return Criterion.of_run(self.settings.select, known=known, usual=usual)

    def read_teacher(self, file: Path, *, content: str, resumed: bool, report: Callable[[str], None]) -> None:
        """Take the teacher's embeddings of the training photos as their targets; they are made if the file has none.

        Args:
            file: File of the embeddings, in the run folder.
            content: Checksum of the training photos, by which other runs of a sweep find the embeddings.
            resumed: Whether the run is resumed, whose teacher must be the same.
            report: Called with lines while photos are embedded, and after it.

        Raises:
            ModelError: The teacher is missing or damaged, or cannot be fetched.
            ConfigError: A run is resumed, and the teacher is another one now.
            TrainingError: No photo can be read.
        """
        model = self.settings.teacher.model
        taught = np.array([data.teacher for data in self.settings.data])[self.photos.origin]
        items = [self.photos.items[place] for place in np.flatnonzero(taught)]
        if len(items) < len(taught):
            content += f" {hashlib.sha256(taught.tobytes()).hexdigest()}"
        with model_files([model if has_name(model) else str(self.base / model)]) as [teacher]:
            made = make_teacher_rows(teacher, items, file=file, content=content, resumed=resumed, report=report)
        if made:
            report(f"the teacher {model} embedded {made:,} training photos")
        rows = read_teacher_rows(file)
        targets = np.full((len(taught), rows.shape[1]), np.nan, dtype=np.float32)
        targets[taught] = rows
        self.photos.targets = targets

    def rows(self) -> list[DataRow]:
        """Return what the run reads of each item, in order, for the record of its data."""
        settings = self.settings
        names = {"product", settings.sampler.balance} | {loss.labels for loss in settings.loss}
        rows = []
        train = [("train", place, split) for place, split in enumerate(self.photos.splits)]
        for part, place, split in (*train, *(("dev", dev.place, dev.split) for dev in self.dev)):
            data = split.settings
            used = sorted({*names, *data.heads, *data.grades, *data.apart, data.positives} - {""})
            for item in split.items:
                labels: dict[str, object] = {name: label_of(item, name, unknown=unknown_of(data)) for name in used}
                labels |= {f"tags {name}": item.attributes.get(name) for name in data.tags}
                box = str(item.box) if item.box else ""
                rows.append(DataRow(str(place), part, item.id, labels, box=box, photo=item.location))
        return [
            *rows,
            *(
                DataRow(f"backgrounds of {part}", part, item.id, {}, photo=item.location)
                for part, items in self.backgrounds.items()
                for item in items
            ),
        ]

    def make_network(self) -> Network:
        """Make the network with random weights.

        Raises:
            ConfigError: The settings contradict each other or the labels.
        """
        network = Network(self.settings.network, heads={head: len(values) for head, values in self.heads.items()})
        for part in network.relevance_parts:
            labels = [self.photos.labels[label] for label in part.settings.labels]
            part.fit(torch.from_numpy(np.stack(labels, axis=1)))
        return network

    def make_objective(self, network: Network) -> Objective:
        """Make the losses with their own parameters."""
        counts = {
            head: torch.from_numpy(np.bincount(numbers[numbers != UNKNOWN], minlength=len(self.classes[head])))
            for head, numbers in self.photos.labels.items()
        }
        return Objective(
            self.settings,
            classes=self.classes,
            products=self.photos.metric_products,
            embedding=network.metric_dimension,
            class_counts=counts,
            teacher=0 if self.photos.targets is None else self.photos.targets.shape[1],
        )

    def initialise(self, network: Network, readable: Dataset[LoadedView]) -> tuple[str, ...]:
        """Load the pretrained weights; estimate the statistics of normalisation layers if the file has none.

        Args:
            network: Network to initialise in place.
            readable: Training photos.

        Returns:
            Notes for the user, a line each.

        Raises:
            ModelError: The weights cannot be fetched or read, or do not fit.
        """
        loaded = load_pretrained(network, folder=self.base, classes=self.heads)
        if not loaded.true_statistics:
            estimate_statistics(network.backbone, self._some_photos(readable))
        return loaded.notes

    def _some_photos(self, readable: Dataset[LoadedView]) -> list[Tensor]:
        """Return augmented training photos in batches, spread over the catalogues."""
        self._show(self.preprocessing)
        count = min(STATISTICS_PHOTOS, len(self.photos))
        places = np.linspace(0, len(self.photos) - 1, count).astype(int)
        tensors = [readable[View(int(place), int(place))][0] for place in places]
        return [torch.stack(tensors[start : start + 64]) for start in range(0, len(tensors), 64)]

    def show_for(self, stage: StageSettings) -> None:
        """Set the input size of training photos to that of a stage."""
        given = self.settings.input
        self._show(given.at(stage.height or given.height, stage.width or given.width))

    def _show(self, preprocessing: Preprocessing) -> None:
        size = (preprocessing.height, preprocessing.width)
        backgrounds = [item.location for item in self.backgrounds["train"]]
        self.photos.show_as(Augmentation(self.settings.augmentation, size=size, backgrounds=backgrounds), preprocessing)

    def make_sampler(
        self, *, steps: int, start: int, seed: int, neighbours: Int64 | None = None
    ) -> Sampler[list[View]]:
        """Make the batch sampler of a stage; see `lookalike.training.data.sampling.make_sampler`."""
        return make_sampler(self.settings, self.photos, steps=steps, start=start, seed=seed, neighbours=neighbours)

    def steps(self, stage: StageSettings) -> int:
        """Return the number of optimiser steps of a stage."""
        batches = stage.epochs * steps_in_epoch(self.settings, self.photos)
        return max(1, round(batches / self.settings.accumulation))

    def dev_changes(self) -> Mapping[str, Augmentation]:
        """Return the augmentations of dev photos by name."""
        size = (self.preprocessing.height, self.preprocessing.width)
        return dev_changes(size=size, backgrounds=[item.location for item in self.backgrounds["dev"]])

    def _backgrounds(self, part: str) -> list[Item]:
        """Return the background photos of a split; a catalogue without splits serves both."""
        given = self.settings.augmentation
        if not given.backgrounds:
            if given.paste:
                raise ConfigError("[augmentation] paste needs `backgrounds`, a catalogue of photos to paste on")
            return []
        columns = given.background_columns
        items = open_catalogue(str(self.base / given.backgrounds), columns=columns).items()
        found = [item for item in items if item.attributes.get("split", part) == part]
        if not found and given.paste and part == "train":
            raise CatalogueError(f"{given.backgrounds}: has no photos of the split 'train' to paste on")
        return found


def dev_changes(*, size: tuple[int, int], backgrounds: Sequence[str]) -> dict[str, Augmentation]:
    """Return the augmentations of dev photos: `changed` (crop, light, compression) and `pasted` (on backgrounds)."""
    changes = {LIGHTER: Augmentation(AugmentationSettings(smallest_crop=0.6, spoil=0.3), size=size, backgrounds=())}
    if backgrounds:
        changes["pasted"] = Augmentation(AugmentationSettings(paste=1.0), size=size, backgrounds=backgrounds)
    return changes
