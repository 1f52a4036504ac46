"""Training loop of text encoders, whose vectors come to lie with those of the photos that they fit.

The texts of a step depend only on the seed and the step, so a resumed run repeats the uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch.optim import AdamW

from lookalike.errors import MismatchError, TrainingError
from lookalike.models.text.checkpoint import save_text_encoder
from lookalike.models.text.network import TextNetwork
from lookalike.models.text.tokenizer import make_tokenizer
from lookalike.text.lexicon import lexicon
from lookalike.training.data.data_record import record_or_compare
from lookalike.training.outcome import Stopped, Trained
from lookalike.training.run.criterion import Criterion
from lookalike.training.run.deterministic import deterministic_sums
from lookalike.training.run.interruption import Interruption
from lookalike.training.run.run_folder import RunFolder, run_folder
from lookalike.training.run.run_lengths import changed_lengths
from lookalike.training.run.schedule import rate_factor
from lookalike.training.text.batches import TextBatches
from lookalike.training.text.dev_words import figure_names, measure_words
from lookalike.training.text.labelled_texts import TitledPhotos, facts_of, joined, read_gallery, rows_of
from lookalike.training.text.learnt_words import learnt_words, numbered
from lookalike.training.text.settings import TextSettings, load_text_settings

WARMUP = 0.05
"""Fraction of the steps in which the learning rate rises."""


def train_text_encoder(
    config: Path,
    *,
    overrides: Sequence[str] = (),
    base: Path | None = None,
    resume: Path | None = None,
    out: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train a text encoder from a settings file.

    Args:
        config: Settings file; see `lookalike.training.text.settings`.
        overrides: Settings that replace those of the file, as `key=value`.
        base: Folder that paths in the settings are relative to; None is the folder of the file.
        resume: Run folder to resume from its last saved state.
        out: Run folder to create; None is `runs/NAME`.
        progress: Called after each step with the number of steps done and in all.
        report: Called with a line after each dev measure.

    Raises:
        ConfigError: A setting is wrong, or the run folder is in use or was made with other settings.
        GalleryNotFoundError: There is no such gallery.
        CatalogueError: A gallery has no training photos.
        MismatchError: The galleries are of several photo models.
        TrainingError: The loss is not finite, or the disk is full.
        Stopped: The run was interrupted by Ctrl-C or SIGTERM; its state is saved.
    """
    settings = load_text_settings(config, overrides=tuple(overrides))
    with run_folder(settings, settings.name, resume=resume, out=out) as folder:
        interruption = Interruption()
        run = TextRun(settings, base=config.parent if base is None else base, folder=folder, report=report)
        with interruption, deterministic_sums("cpu"):
            run.all_steps(progress, interruption)
        return Trained(folder.best, [], run.best if run.best >= 0 else None)


class TextRun:
    """State of a run.

    Args:
        settings: Settings of the run.
        base: Folder that paths in the settings are relative to.
        folder: Run folder; a saved state in it is loaded.
        report: As for `train_text_encoder`.
    """

    def __init__(self, settings: TextSettings, *, base: Path, folder: RunFolder, report: Callable[[str], None]) -> None:
        self.settings, self.folder, self.report = settings, folder, report
        self.done, self.best = 0, -1.0
        self.photo_model, train, self.dev = read_all(settings, base=base)
        named = figure_names(self.dev)
        self.criterion = Criterion.of_run(settings.select, known=named, usual=named)
        state = folder.read_state()
        rows = [*rows_of(train, part="train"), *rows_of(self.dev, part="dev")]
        record_or_compare(folder.path, rows, resumed=state is not None, chosen_by=settings.data)
        known = lexicon()
        facts, true_of = facts_of(train, known)
        meanings = learnt_words(train.titles, facts, known, settings.words)
        self.words = list(meanings)
        self.tokenizer = make_tokenizer(self.words)
        self.batches = TextBatches(
            train, facts, true_of, lexicon=known, learnt=frozenset(self.words), settings=settings
        )
        self.vectors = torch.from_numpy(train.vectors)
        torch.manual_seed(settings.seed)
        self.network = TextNetwork(
            settings.network, meanings=torch.tensor(numbered(meanings)), dimension=self.vectors.shape[1]
        )
        self.average = ModelEmaV3(self.network, decay=settings.ema, use_warmup=True)
        self.optimizer = _optimizer(self.network, settings)
        if state is not None:
            self._load_state(state)
        else:
            report(
                f"{len(train.items):,} photos of {self.photo_model}, {len(self.words):,} words, "
                f"{settings.steps:,} steps in {folder.path}"
            )

    def all_steps(self, progress: Callable[[int, int], None], interruption: Interruption) -> None:
        """Run the remaining steps, with dev measures and saved states.

        Args:
            progress: As for `train_text_encoder`.
            interruption: Checked after each step.
        """
        settings = self.settings
        while self.done < settings.steps:
            factor = rate_factor(self.done, settings.steps, warmup=WARMUP)
            for group in self.optimizer.param_groups:
                group["lr"] = factor * settings.learning_rate
            loss = self._step()
            self.average.update(self.network, self.done)
            self.done += 1
            self.folder.log({"all_steps": self.done, "loss": loss, "factor": factor})
            progress(self.done, settings.steps)
            ended = self.done == settings.steps
            if ended or (settings.measure_every and self.done % settings.measure_every == 0):
                self._measure()
            if ended or self.done % settings.save_every == 0 or interruption.asked:
                self._save()
            if interruption.asked and not ended:
                raise Stopped(self.folder.path, self.done)

    def _step(self) -> float:
        """Take one step; returns the loss, the cross-entropy of the photos that texts fit."""
        batch = self.batches.make(self.done)
        tokens = torch.tensor([each.ids for each in self.tokenizer.encode_batch(list(batch.texts))])
        torch.manual_seed(self.settings.seed * 1_000_003 + self.done)  # of the dropout
        self.network.train()
        cosines = self.network(tokens) @ self.vectors[torch.from_numpy(batch.photos)].T
        likely = (cosines / self.settings.temperature).log_softmax(dim=1)
        loss = -(torch.from_numpy(batch.fits) * likely).sum(dim=1).mean()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(f"the loss is not finite after step {self.done}: lower the learning rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return value

    def _measure(self) -> None:
        network = self.average.module
        assert isinstance(network, TextNetwork)
        figures = measure_words(network.eval(), self.tokenizer, self.dev)
        figure = None if self.criterion is None else self.criterion.value(figures)
        self.folder.log({"all_steps": self.done, "dev": figures, "criterion": figure})
        shown = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        self.report(f"dev after step {self.done:,}: {shown or 'nothing to measure'}")
        self._save_checkpoint(self.folder.last)
        if figure is None or figure >= self.best:
            self.best = self.best if figure is None else figure
            self._save_checkpoint(self.folder.best)

    def _save_checkpoint(self, path: Path) -> None:
        settings = self.settings
        save_text_encoder(
            path,
            self.average.module.state_dict(),
            settings=settings.network,
            name=settings.name,
            photo_model=self.photo_model,
            words=self.words,
        )

    def _save(self) -> None:
        self.folder.save_state(
            {
                "done": self.done,
                "steps": self.settings.steps,
                "best": self.best,
                "network": self.network.state_dict(),
                "average": self.average.module.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "log": self.folder.log_length(),
            }
        )

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self.done, self.best = state["done"], state["best"]
        self.network.load_state_dict(state["network"])
        self.average.module.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.folder.cut_log(state["log"])
        changes = changed_lengths(
            [state["steps"]], [self.settings.steps], taken=[self.done], setting="steps", folder=self.folder.path
        )
        self.folder.change_lengths(self.settings, changes, done=self.done, report=self.report)


def _optimizer(network: TextNetwork, settings: TextSettings) -> AdamW:
    """Optimiser; weight decay applies to matrices only."""
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in network.parameters() if weight.ndim > 1]},
        {"params": [weight for weight in network.parameters() if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=0.0, weight_decay=settings.weight_decay)


def read_all(settings: TextSettings, *, base: Path) -> tuple[str, TitledPhotos, TitledPhotos]:
    """Read all galleries: the model id of their photo model, the training photos and the dev photos.

    Raises:
        MismatchError: They are of several photo models.
    """
    read = [read_gallery(data, folder=base) for data in settings.data]
    models = sorted({model for model, _ in read})
    if len(models) > 1:
        raise MismatchError(f"a text encoder belongs to one photo model, and the galleries are of {', '.join(models)}")
    return models[0], joined([parts["train"] for _, parts in read]), joined([parts["dev"] for _, parts in read])
