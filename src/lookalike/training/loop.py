"""The training loop: stages, steps, what is written down, and how a run is taken up again."""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim import AdamW
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import ConfigError
from lookalike.models.checkpoint import save_checkpoint
from lookalike.models.initial import estimate_statistics, initialise
from lookalike.models.network import Network
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.augmentation import Augmentation
from lookalike.training.data import Split, TrainingPhotos, head_classes, read_splits
from lookalike.training.losses import metric_loss, total_loss
from lookalike.training.measure import described_by, measure
from lookalike.training.sampling import ProductSampler, products_by_share
from lookalike.training.settings import AugmentationSettings, StageSettings, TrainingSettings, load_settings

STATE = "state.pt"
BEST = "best.safetensors"
LAST = "last.safetensors"


def train(
    config: Path,
    *,
    overrides: Sequence[str] = (),
    resume: Path | None = None,
    out: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train as a TOML file says.

    Args:
        config: The file; see `lookalike.training.settings`.
        overrides: Settings that replace those of the file, as `key=value`.
        resume: A run folder to take up where its state was last saved.
        out: The run folder to make; None is `runs/NAME`.
        progress: Told after each step how many steps of how many are done.
        report: Given a line after each measure on dev.

    Returns:
        The best checkpoint.

    Raises:
        ConfigError: A setting is wrong, or the run folder is in use or not one of this configuration.
        CatalogueError: A catalogue cannot be read.
        ModelError: Starting weights cannot be read or do not fit.
    """
    settings = load_settings(config, overrides=tuple(overrides))
    folder = resume or out or Path("runs") / settings.name
    run = Run(settings, base=config.parent, folder=folder, resumed=resume is not None, progress=progress, report=report)
    run.all_stages()
    return folder / BEST


class Run:
    """One run and its folder: resolved settings, environment, log, TensorBoard, checkpoints, state.

    Args:
        settings: What to do.
        base: Folder that paths in the settings are relative to.
        folder: The run's.
        resumed: Whether to go on from the state in the folder.
        progress: As for `train`.
        report: As for `train`.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        *,
        base: Path,
        folder: Path,
        resumed: bool,
        progress: Callable[[int, int], None] = lambda done, total: None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.settings, self.base, self.folder = settings, base, folder
        _prepare_folder(settings, folder, resumed=resumed)
        self.accelerator = Accelerator(mixed_precision=settings.precision)
        torch.manual_seed(settings.seed)
        splits = [read_splits(data, folder=base) for data in settings.data]
        train_splits = [split["train"] for split in splits]
        self.dev: list[Split] = [split["dev"] for split in splits]
        self.classes = head_classes(train_splits)
        self.photos = TrainingPhotos(train_splits, classes=self.classes)
        self.head_weights = {head: weight for data in settings.data for head, weight in data.heads.items()}
        self.preprocessing = self._preprocessing(settings.input.height, settings.input.width)
        self.backgrounds = {part: self._backgrounds(part) for part in ("train", "dev")}
        heads = {head: len(names) for head, names in self.classes.items()}
        self.network = Network(settings.network, heads=heads, head_scale=settings.loss.head_scale)
        self.metric = metric_loss(settings.loss)
        self.done = {"stage": 0, "step": 0, "all_steps": 0}
        self.best = -1.0
        self.loaded_optimizer: dict[str, object] | None = None
        if resumed:
            self._load_state()
        elif settings.network.init:
            self._initialise()
        self.network.to(self.accelerator.device)
        self.progress, self.report = progress, report
        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def all_stages(self) -> None:
        """Run the stages that are not done, and measure after each."""
        for number in range(self.done["stage"], len(self.settings.stage)):
            self._stage(number, self.settings.stage[number])
            self.done.update(stage=number + 1, step=0)
            self._measure()
            self._save_state(None)
        self.writer.close()

    def _stage(self, number: int, stage: StageSettings) -> None:
        settings = self.settings
        size = (stage.height or settings.input.height, stage.width or settings.input.width)
        self.photos.show_as(
            Augmentation(settings.augmentation, size=size, backgrounds=self.backgrounds["train"]),
            self._preprocessing(*size),
        )
        steps = self._steps(stage)
        all_steps = sum(self._steps(each) for each in settings.stage)
        sampler = ProductSampler(
            self.photos.products,
            self.photos.origin,
            counts=products_by_share([data.share for data in settings.data], settings.products),
            photos=settings.photos,
            steps=steps,
            start=self.done["step"],
            seed=settings.seed * 1000 + number,
        )
        loader = DataLoader(self.photos, batch_sampler=sampler, num_workers=settings.workers)
        optimizer = AdamW(self._parameters(stage), weight_decay=settings.weight_decay)
        if self.loaded_optimizer is not None:
            optimizer.load_state_dict(self.loaded_optimizer)
            self.loaded_optimizer = None
        for step, (photos, places) in enumerate(loader, start=self.done["step"]):
            factor = rate_factor(step, steps, warmup=stage.warmup)
            parts = self._step(optimizer, stage, photos, places, factor)
            self.done.update(step=step + 1, all_steps=self.done["all_steps"] + 1)
            self._note(parts, factor)
            self.progress(self.done["all_steps"], all_steps)
            if settings.measure_every and (step + 1) % settings.measure_every == 0 and step + 1 < steps:
                self._measure()
            if (step + 1) % settings.save_every == 0:
                self._save_state(optimizer)

    def _steps(self, stage: StageSettings) -> int:
        batch = self.settings.products * self.settings.photos
        return max(1, round(stage.epochs * (self.settings.epoch_photos or len(self.photos)) / batch))

    def _step(
        self, optimizer: AdamW, stage: StageSettings, photos: Tensor, places: Tensor, factor: float
    ) -> dict[str, float]:
        """One step of the optimiser on a batch; returns the parts of its loss."""
        frozen = stage.backbone_rate == 0
        self.network.train()
        self.network.backbone.train(not frozen)
        for group in optimizer.param_groups:
            group["lr"] = factor * (stage.backbone_rate if group["backbone"] else stage.learning_rate)
        device = self.accelerator.device
        photos = photos.to(device, memory_format=torch.channels_last)
        index = places.numpy()
        with self.accelerator.autocast(), torch.set_grad_enabled(not frozen):
            maps = self.network.maps(photos)
        embeddings = self.network.embed_maps(maps.float())
        with_metric = [self.settings.data[origin].instance_loss for origin in self.photos.origin[index]]
        parts = total_loss(
            self.network,
            embeddings,
            settings=self.settings.loss,
            metric=self.metric,
            products=torch.from_numpy(self.photos.products[index]).to(device),
            with_metric=torch.tensor(with_metric, device=device),
            labels={head: torch.from_numpy(labels[index]).to(device) for head, labels in self.photos.labels.items()},
            head_weights=self.head_weights,
        )
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise ConfigError(f"the loss became {loss.item()} at step {self.done['all_steps']}; lower the rates")
        optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        optimizer.step()
        return {name: part.item() for name, part in parts.items()}

    def _parameters(self, stage: StageSettings) -> list[dict[str, object]]:
        """Groups for the optimiser: new layers, the backbone unless frozen; only matrices decay."""
        groups: list[dict[str, object]] = []
        for backbone in (False, True) if stage.backbone_rate else (False,):
            named = [
                (name, parameter)
                for name, parameter in self.network.named_parameters()
                if name.startswith("backbone.") == backbone
            ]
            for decays in (True, False):
                chosen = [parameter for _, parameter in named if (parameter.ndim > 1) == decays]
                decay = {} if decays else {"weight_decay": 0.0}
                groups.append({"params": chosen, "backbone": backbone, "lr": 0.0, **decay})
        return groups

    def _measure(self) -> None:
        """Measure on dev, write the last checkpoint, and keep it as the best when it is."""
        height, width = self.preprocessing.height, self.preprocessing.width
        figures = measure(
            described_by(self.network.eval(), self.preprocessing),
            self.dev,
            changes=dev_changes(size=(height, width), backgrounds=self.backgrounds["dev"]),
            at_least=height,
        )
        for name, value in figures.items():
            self.writer.add_scalar(f"dev/{name}", value, self.done["all_steps"])
        self._log({"dev": figures})
        told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        self.report(f"dev after step {self.done['all_steps']}: {told or 'nothing to measure'}")
        self._save_checkpoint(LAST)
        if figures["mean"] > self.best:
            self.best = figures["mean"]
            self._save_checkpoint(BEST)

    def _save_checkpoint(self, name: str) -> None:
        save_checkpoint(
            self.folder / name,
            self.network,
            preprocessing=self.preprocessing,
            name=self.settings.name,
            classes=self.classes,
        )

    def _note(self, parts: Mapping[str, float], factor: float) -> None:
        step = self.done["all_steps"]
        for name, value in parts.items():
            self.writer.add_scalar(f"loss/{name}", value, step)
        self.writer.add_scalar("rate factor", factor, step)
        if step % 20 == 0:
            self._log({"loss": dict(parts), "rate_factor": factor})

    def _log(self, entry: Mapping[str, object]) -> None:
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({**self.done, **entry}) + "\n")

    def _save_state(self, optimizer: AdamW | None) -> None:
        state = {
            "network": self.network.state_dict(),
            "optimizer": optimizer.state_dict() if optimizer else None,
            "done": self.done,
            "best": self.best,
        }
        torch.save(state, self.folder / f"{STATE}.part")
        (self.folder / f"{STATE}.part").replace(self.folder / STATE)

    def _load_state(self) -> None:
        path = self.folder / STATE
        if not path.is_file():
            raise ConfigError(f"{self.folder}: no saved state to resume from ({STATE} is missing)")
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.done, self.best, self.loaded_optimizer = state["done"], state["best"], state["optimizer"]

    def _initialise(self) -> None:
        """Load the starting weights, and give normalisation layers true statistics if the file has none."""
        settings = self.settings.network
        init = settings.init if settings.init == "timm" else str(self.base / settings.init)
        names = str(self.base / settings.init_names) if settings.init_names else ""
        if not initialise(self.network.backbone, settings.backbone, init=init, names=names):
            estimate_statistics(self.network.backbone, self._some_photos())

    def _some_photos(self) -> list[Tensor]:
        """About 500 changed training photos in batches, spread over the catalogues."""
        size = (self.preprocessing.height, self.preprocessing.width)
        self.photos.show_as(
            Augmentation(self.settings.augmentation, size=size, backgrounds=self.backgrounds["train"]),
            self.preprocessing,
        )
        places = np.linspace(0, len(self.photos) - 1, min(512, len(self.photos))).astype(int)
        tensors = [self.photos[int(place), int(place)][0] for place in places]
        return [torch.stack(tensors[start : start + 64]) for start in range(0, len(tensors), 64)]

    def _preprocessing(self, height: int, width: int) -> Preprocessing:
        """The input of the settings, at the size of a stage."""
        given = self.settings.input
        short_side = round(given.short_side * min(height, width) / min(given.height, given.width))
        return Preprocessing(height, width, fit=given.fit, short_side=short_side)

    def _backgrounds(self, part: str) -> list[str]:
        """Places of the background photos of a split; those of a catalogue without splits serve both."""
        given = self.settings.augmentation
        if not given.backgrounds:
            return []
        columns = given.background_columns
        items = open_catalogue(str(self.base / given.backgrounds), columns=columns).items()
        return [item.location for item in items if item.attributes.get("split", part) == part]


def dev_changes(*, size: tuple[int, int], backgrounds: Sequence[str]) -> dict[str, Augmentation]:
    """How dev photos are changed for the measure: crop, light and compression; and, given any, on new backgrounds."""
    changes = {"changed": Augmentation(AugmentationSettings(smallest_crop=0.6, spoil=0.3), size=size, backgrounds=())}
    if backgrounds:
        changes["pasted"] = Augmentation(AugmentationSettings(paste=1.0), size=size, backgrounds=backgrounds)
    return changes


def rate_factor(step: int, steps: int, *, warmup: float) -> float:
    """What the learning rates are multiplied by: a linear rise, then a cosine from 1 down to 0.01.

    Args:
        step: From 0.
        steps: In the stage.
        warmup: Part of the steps that the rise takes, in [0, 1).
    """
    rise = round(warmup * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _prepare_folder(settings: TrainingSettings, folder: Path, *, resumed: bool) -> None:
    """Make the run folder with its settings and environment, or check that a resumed run has the same settings."""
    resolved = json.dumps(asdict(settings), indent=1, sort_keys=True, default=dict)
    path = folder / "settings.json"
    if resumed:
        if not path.is_file():
            raise ConfigError(f"{folder}: not a run folder (settings.json is missing)")
        if path.read_text(encoding="utf-8") != resolved:
            raise ConfigError(f"{folder}: was made with other settings; resume with the same file and --set")
        return
    if path.exists():
        raise ConfigError(f"{folder}: holds a run already; take it up with --resume {folder}, or choose another name")
    folder.mkdir(parents=True, exist_ok=True)
    packages = ("torch", "timm", "pytorch-metric-learning", "accelerate", "numpy", "pillow", "lookalike")
    environment = {"python": sys.version, "machine": platform.platform()} | {name: version(name) for name in packages}
    (folder / "environment.json").write_text(json.dumps(environment, indent=1), encoding="utf-8")
    path.write_text(resolved, encoding="utf-8")
