"""Training loop of the finder.

Photos and augmentation of a step depend only on the seed and the step, so a resumed run repeats the uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.optim import AdamW

from lookalike.catalogue.protocol import Skip
from lookalike.errors import PhotoError, TrainingError
from lookalike.finding.decoding import centres_of
from lookalike.kinds import KINDS
from lookalike.models.finder.checkpoint import save_finder
from lookalike.models.finder.input_shape import input_shape
from lookalike.models.finder.network import FinderNetwork
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.pretrained import load_pretrained
from lookalike.models.weight_readers import estimate_statistics, match_first_block
from lookalike.training.data.data_record import record_or_compare
from lookalike.training.finder.dev_garments import figure_names, measure_dev
from lookalike.training.finder.labelled_photos import UNKNOWN, LabelledPhoto, read_labelled, rows_of
from lookalike.training.finder.loss import Truth, finder_loss
from lookalike.training.finder.scenes import Scene, Scenes
from lookalike.training.finder.settings import FinderSettings, FinderStageSettings, load_finder_settings
from lookalike.training.losses.learner import part_of
from lookalike.training.outcome import Stopped, Trained
from lookalike.training.run.criterion import Criterion
from lookalike.training.run.deterministic import deterministic_sums
from lookalike.training.run.interruption import Interruption
from lookalike.training.run.run_folder import RunFolder, run_folder
from lookalike.training.run.run_lengths import changed_lengths
from lookalike.training.run.schedule import rate_factor

STATISTICS_PHOTOS = 128
UNREADABLE = 20
"""Largest number of unreadable training photos; one more stops the run."""


def train_finder(
    config: Path,
    *,
    overrides: Sequence[str] = (),
    base: Path | None = None,
    resume: Path | None = None,
    out: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train a finder from a settings file.

    Args:
        config: Settings file; see `lookalike.training.finder.settings`.
        overrides: Settings that replace those of the file, as `key=value`.
        base: Folder that paths in the settings are relative to; None is the folder of the file.
        resume: Run folder to resume from its last saved state.
        out: Run folder to create; None is `runs/NAME`.
        progress: Called after each step with the number of steps done and in all.
        report: Called with a line after each dev measure and for each unreadable photo.

    Raises:
        ConfigError: A setting is wrong, or the run folder is in use or was made with other settings.
        CatalogueError: A table cannot be read.
        ModelError: The pretrained weights cannot be read or do not fit.
        TrainingError: The loss is not finite, too many photos are unreadable, or the disk is full.
        Stopped: The run was interrupted by Ctrl-C or SIGTERM; its state is saved.
    """
    settings = load_finder_settings(config, overrides=tuple(overrides))
    with run_folder(settings, settings.name, resume=resume, out=out) as folder:
        interruption = Interruption()
        run = FinderRun(settings, base=config.parent if base is None else base, folder=folder, report=report)
        with interruption, deterministic_sums("cpu"):
            run.all_stages(progress, interruption)
        return Trained(folder.best, list(run.skipped.values()), run.best if run.best >= 0 else None)


class FinderRun:
    """State of a finder run.

    Args:
        settings: Settings of the run.
        base: Folder that paths in the settings are relative to.
        folder: Run folder; a saved state in it is loaded.
        report: As for `train_finder`.
    """

    def __init__(
        self, settings: FinderSettings, *, base: Path, folder: RunFolder, report: Callable[[str], None]
    ) -> None:
        self.settings, self.folder, self.report = settings, folder, report
        self.done, self.best, self.skipped = 0, -1.0, dict[str, Skip]()
        parts = [read_labelled(data, folder=base) for data in settings.data]
        self.train = [part["train"] for part in parts]
        self.dev = {data.photos: part["dev"] for data, part in zip(settings.data, parts, strict=True)}
        known = figure_names(self.dev)
        usual = [name for name in known if name.endswith("AP50 mean")]
        self.criterion = Criterion.of_run(settings.select, known=known, usual=usual)
        shown = [photo for photos in self.train for photo in photos]
        self.scenes = Scenes(
            settings.scene,
            worn=[photo for photo in shown if photo.shown == "worn"],
            white=[photo for photo in shown if photo.shown == "white"],
        )
        torch.manual_seed(settings.seed)
        state = folder.read_state()
        rows = rows_of(settings, parts, folder=base)
        record_or_compare(folder.path, rows, resumed=state is not None, chosen_by=settings.data)
        self.network = self._made_network(base, state)
        for stage in settings.stage:
            for name in stage.freeze:
                part_of(self.network.backbone, name)
        self.average = ModelEmaV3(self.network, decay=settings.ema, use_warmup=True)
        self.saved_optimizer: Mapping[str, Any] | None = None
        if state is not None:
            self._load_state(state)

    @property
    def total(self) -> int:
        """Number of steps of all stages."""
        return sum(stage.steps for stage in self.settings.stage)

    def all_stages(self, progress: Callable[[int, int], None], interruption: Interruption) -> None:
        """Run the remaining steps, with dev measures and saved states.

        Args:
            progress: As for `train_finder`.
            interruption: Checked after each step.
        """
        begun = 0
        for stage in self.settings.stage:
            if self.done < begun + stage.steps or not self.done:
                self._stage(stage, begun, progress, interruption)
            begun += stage.steps

    def _stage(
        self, stage: FinderStageSettings, begun: int, progress: Callable[[int, int], None], interruption: Interruption
    ) -> None:
        settings = self.settings
        optimizer = _optimizer(self.network, stage, settings)
        if self.saved_optimizer is not None and self.done > begun:
            optimizer.load_state_dict(dict(self.saved_optimizer))
        self.saved_optimizer = None
        while self.done < begun + stage.steps:
            factor = rate_factor(self.done - begun, stage.steps, warmup=stage.warmup)
            for group in optimizer.param_groups:
                group["lr"] = factor * (stage.backbone_rate if group["backbone"] else stage.learning_rate)
            parts, norm = self._step(stage, optimizer)
            self.average.update(self.network, self.done)
            self.done += 1
            self.folder.log({"all_steps": self.done, "loss": parts, "gradient_norm": norm, "factor": factor})
            progress(self.done, self.total)
            ended = self.done == begun + stage.steps
            if ended or (settings.measure_every and self.done % settings.measure_every == 0):
                self._measure()
            if ended or self.done % settings.save_every == 0 or interruption.asked:
                self._save(optimizer)
            if interruption.asked:
                raise Stopped(self.folder.path, self.done)

    def _step(self, stage: FinderStageSettings, optimizer: AdamW) -> tuple[dict[str, float], float]:
        """Take one step; returns the loss terms and the gradient norm."""
        random = np.random.default_rng((self.settings.seed, self.done))
        shapes = self.settings.scene.shapes
        size = input_shape(1000, round(1000 * shapes[int(random.integers(len(shapes)))]), pixels=stage.pixels)
        scenes = [self._scene(size, random) for _ in range(self.settings.batch)]
        photos = torch.stack([prepared(scene.picture) for scene in scenes])
        self._train_mode(stage)
        logits, distances = self.network(photos.to(memory_format=torch.channels_last))
        losses = finder_loss(
            logits, distances, [truth_of(scene) for scene in scenes], centres=torch.from_numpy(centres_of(*size))
        )
        parts = {name: float(part.detach()) for name, part in losses.items()}
        if not all(map(math.isfinite, parts.values())):
            raise TrainingError(f"the loss is not finite after step {self.done}: {parts}; lower the learning rates")
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm))
        optimizer.step()
        return parts, norm

    def _scene(self, size: tuple[int, int], random: np.random.Generator) -> Scene:
        """Training picture of a random photo; unreadable photos are reported and replaced.

        Raises:
            TrainingError: Too many photos are unreadable.
        """
        shares = np.array([data.share for data in self.settings.data])
        while True:
            photos = self.train[int(random.choice(len(shares), p=shares / shares.sum()))]
            photo = photos[int(random.integers(len(photos)))]
            try:
                return self.scenes.scene(photo, size=size, random=random)
            except PhotoError as error:
                self._skip(photo, str(error))

    def _skip(self, photo: LabelledPhoto, reason: str) -> None:
        if photo.photo not in self.skipped:
            self.skipped[photo.photo] = Skip(photo.photo, reason)
            self.report(f"left out: {reason}")
            self.folder.write_skipped(self.skipped.values())
        if len(self.skipped) > UNREADABLE:
            raise TrainingError(f"{len(self.skipped)} photos cannot be read; {self.folder.path}/skipped.csv lists them")

    def _train_mode(self, stage: FinderStageSettings) -> None:
        """Train mode, except for frozen modules, whose normalisation keeps its statistics."""
        self.network.train()
        backbone = self.network.backbone
        for part in (backbone,) if not stage.backbone_rate else (part_of(backbone, name) for name in stage.freeze):
            part.eval()

    def _measure(self) -> None:
        network = self.average.module
        assert isinstance(network, FinderNetwork)
        figures = measure_dev(network.eval(), self.dev, pixels=self.settings.pixels)
        figure = None if self.criterion is None else self.criterion.value(figures)
        self.folder.log({"all_steps": self.done, "dev": figures, "criterion": figure})
        short = ", ".join(
            f"{name} {value:.3f}" for name, value in figures.items() if name.endswith(("mean", "any kind"))
        )
        self.report(f"step {self.done:,} of {self.total:,}: {short}")
        self._save_checkpoint(self.folder.last)
        if figure is None or figure > self.best:
            self.best = self.best if figure is None else figure
            self._save_checkpoint(self.folder.best)

    def _save_checkpoint(self, path: Path) -> None:
        settings = self.settings
        state = self.average.module.state_dict()
        save_finder(path, state, settings=settings.network, name=settings.name, kinds=KINDS, pixels=settings.pixels)

    def _save(self, optimizer: AdamW) -> None:
        self.folder.save_state(
            {
                "done": self.done,
                "steps": [stage.steps for stage in self.settings.stage],
                "best": self.best,
                "network": self.network.state_dict(),
                "average": self.average.module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "skipped": {photo: skip.reason for photo, skip in self.skipped.items()},
                "log": self.folder.log_length(),
            }
        )

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self.done, self.best = state["done"], state["best"]
        self.network.load_state_dict(state["network"])
        self.average.module.load_state_dict(state["average"])
        self.saved_optimizer = state["optimizer"]
        self.skipped.update({photo: Skip(photo, reason) for photo, reason in state["skipped"].items()})
        self.folder.cut_log(state["log"])
        before = state["steps"]
        changes = changed_lengths(
            before,
            [stage.steps for stage in self.settings.stage],
            taken=[min(max(0, self.done - sum(before[:stage])), steps) for stage, steps in enumerate(before)],
            setting="stage.{}.steps",
            folder=self.folder.path,
        )
        self.folder.change_lengths(self.settings, changes, done=self.done, report=self.report)

    def _made_network(self, base: Path, state: Mapping[str, Any] | None) -> FinderNetwork:
        """Network with pretrained weights, or with the structure of a saved state."""
        settings = self.settings.network
        whole = Network(NetworkSettings(settings.backbone, settings.init, settings.init_names, embedding=0), heads={})
        if state is None:
            start = load_pretrained(whole, folder=base, classes={})
            if not start.true_statistics:
                estimate_statistics(whole.backbone, self._statistics_batches())
        else:
            names = {key.removeprefix("backbone."): tensor for key, tensor in state["network"].items()}
            match_first_block(whole.backbone, names)
        network = FinderNetwork(whole.backbone, channels=settings.channels, depth=settings.depth, kinds=len(KINDS))
        return network.to(memory_format=torch.channels_last)

    def _statistics_batches(self) -> list[Tensor]:
        """Batches of training pictures for the statistics of the normalisation layers."""
        random = np.random.default_rng((self.settings.seed, 1 << 32))
        size = input_shape(2, 3, pixels=self.settings.stage[0].pixels)
        batches = STATISTICS_PHOTOS // self.settings.batch
        return [
            torch.stack([prepared(self._scene(size, random).picture) for _ in range(self.settings.batch)])
            for _ in range(max(1, batches))
        ]


def prepared(picture: Any) -> Tensor:  # noqa: ANN401
    """Normalised network input (3, H, W) of a picture."""
    return torch.from_numpy(Preprocessing(picture.height, picture.width)(picture))


def truth_of(scene: Scene) -> Truth:
    """Labels of a scene as tensors."""
    told = scene.kinds != UNKNOWN
    return Truth(
        boxes=torch.from_numpy(scene.boxes[told]),
        kinds=torch.from_numpy(scene.kinds[told]),
        exact=torch.from_numpy(scene.exact[told]),
        unknown=torch.from_numpy(scene.boxes[~told]),
        known=torch.from_numpy(scene.known),
    )


def _optimizer(network: FinderNetwork, stage: FinderStageSettings, settings: FinderSettings) -> AdamW:
    """Optimiser of a stage; weight decay applies to matrices and convolutions only."""
    frozen = tuple(f"backbone.{part}." for part in stage.freeze) if stage.backbone_rate else ("backbone.",)
    groups: list[dict[str, Any]] = []
    for name, weight in network.named_parameters():
        weight.requires_grad_(not name.startswith(frozen) if frozen else True)
    for backbone in (False, True):
        for decays in (False, True):
            chosen = [
                weight
                for name, weight in network.named_parameters()
                if weight.requires_grad and name.startswith("backbone.") == backbone and (weight.ndim > 1) == decays
            ]
            groups.append(
                {"params": chosen, "backbone": backbone, "weight_decay": settings.weight_decay if decays else 0.0}
            )
    return AdamW(groups, lr=0.0)
