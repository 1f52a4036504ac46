"""What is measured on dev: for each catalogue, a protocol of `lookalike evaluate`, and its class heads.

It is decided, and refused, before the first step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lookalike.errors import ConfigError, PhotoError, UsageError
from lookalike.evaluation.heads import head_metrics, tag_metrics
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.task import Task
from lookalike.images import read_bytes
from lookalike.training.data.dataset import Split, unknown_of
from lookalike.training.settings.run_settings import DataSettings

CHANGED = "hit_rate@1[{}]"
"""Name of the figure of changed photos, such as `hit_rate@1[pasted]`."""

LIGHTER = "changed"
"""Augmentation of dev photos that there always is."""


@dataclass(frozen=True, slots=True)
class DevSplit:
    """A dev split, and what is measured on it.

    Attributes:
        place: Number of its catalogue, from 0; figures begin with it.
        split: Its items, and the settings of the catalogue.
        protocol: Protocol of its searches; None measures none.
        metrics: Names of that protocol's metrics, the most important first.
        heads: Classes of the class heads that are measured.
        tags: Tags of the multi-label heads that are measured.
    """

    place: int
    split: Split
    protocol: Protocol | None
    metrics: tuple[str, ...]
    heads: Mapping[str, Sequence[str]]
    tags: Mapping[str, Sequence[str]]

    @property
    def measures_changes(self) -> bool:
        """Whether changed photos query their originals: beside searches, and where there are no labels at all."""
        return self.protocol is not None or not (self.heads or self.tags)

    def figures(self, changes: Iterable[str]) -> list[str]:
        """Return the names of the figures.

        Args:
            changes: Names of the augmentations of dev photos.
        """
        names = [*self.metrics]
        if self.measures_changes:
            names += [CHANGED.format(change) for change in changes]
        names += [name for head, classes in self.heads.items() for name in head_metrics(head, len(classes))]
        names += [name for head, tags in self.tags.items() for name in tag_metrics(head, len(tags))]
        return [f"{self.place}/{name}" for name in names]

    def leading(self) -> list[str]:
        """Return the names of the figures that count by default.

        They are the first of the searches, or those of the heads, or without labels that of changed photos.
        """
        if self.metrics:
            return [f"{self.place}/{self.metrics[0]}"]
        if self.measures_changes:
            return [f"{self.place}/{CHANGED.format(LIGHTER)}"]
        heads = [head_metrics(head, len(classes))[0] for head, classes in self.heads.items()]
        return [f"{self.place}/{name}" for name in (*heads, *(tag_metrics(tag, 0)[0] for tag in self.tags))]


def measured_splits(
    splits: Sequence[Split], *, classes: Mapping[str, Sequence[str]], tags: Mapping[str, Sequence[str]]
) -> list[DevSplit]:
    """Decide what is measured on the dev splits; those with fewer than two photos are left out.

    Args:
        splits: Dev split of each catalogue.
        classes: Classes of each class head.
        tags: Tags of each multi-label head.

    Raises:
        ConfigError: The photos of a dev split do not suit its `grades`.
    """
    found = []
    for place, split in enumerate(splits):
        if len(split.items) < 2:
            continue
        protocol = protocol_of(split.settings)
        metrics: tuple[str, ...] = ()
        if protocol is not None:
            try:
                task = protocol.task(split.items, apart=split.settings.apart, unknown=unknown_of(split.settings))
                if task.protocol == "product":
                    check_photos_differ(split, protocol, task)
            except UsageError as error:
                raise ConfigError(f"the dev measure of [[data]] {place}, {split.settings.source}: {error}") from None
            metrics = tuple(str(metric) for metric in task.metrics)
        heads = {name: classes[name] for name in split.settings.heads if {*classes[name]} & {*split.field(name)}}
        tagged = {name: tags[name] for name in split.settings.tags if any(split.tags(name))}
        found.append(DevSplit(place, split, protocol, metrics, heads, tagged))
    return found


def check_photos_differ(split: Split, protocol: Protocol, task: Task) -> None:
    """Check that some product has photos of different bytes: copies never query each other.

    Photos are read until there are two such photos, which the first product mostly has.

    Args:
        split: Dev split.
        protocol: The protocol `product`.
        task: Its task, made without the contents of photos.

    Raises:
        UsageError: All photos of each product are copies of one.
    """
    contents: dict[str, str] = {}
    first: dict[int, str] = {}
    for place in task.queries.tolist():
        item, product = split.items[place], int(task.labels[0][place])
        try:
            content = hashlib.sha256(read_bytes(item, keep=False)).hexdigest()
        except PhotoError:
            continue  # the measure leaves it out
        if first.setdefault(product, content) != content:
            return
        contents[item.id] = content
    protocol.task(split.items, contents=contents, apart=split.settings.apart, unknown=unknown_of(split.settings))


def protocol_of(data: DataSettings) -> Protocol | None:
    """Return the protocol of a catalogue's dev measure: `product` for `grades = ["product"]`; None without grades."""
    if not data.grades:
        return None
    return Protocol("product") if data.grades == ("product",) else Protocol("grades", data.grades)
