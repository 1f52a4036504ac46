"""The training loop: stages, optimiser steps, dev measures, and resuming.

The batch, the augmentation and the dropout of a step depend on the seed and the step alone, so a run that is killed
and resumed takes the same course as one that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from lookalike.models.network import Network
from lookalike.models.weight_readers import match_first_block
from lookalike.training.data.hard_negatives import HardNegatives
from lookalike.training.data.training_data import TrainingData
from lookalike.training.data.unreadable import UnreadablePhotos
from lookalike.training.losses.learner import BACKBONE
from lookalike.training.outcome import Stopped, Trained
from lookalike.training.run.batches import Batches
from lookalike.training.run.beginning import begin_data, make_learner, start_lines
from lookalike.training.run.deterministic import deterministic_sums
from lookalike.training.run.interruption import Interruption
from lookalike.training.run.mining import told
from lookalike.training.run.optimiser_step import OptimiserStepper, ShardOfBatch
from lookalike.training.run.processes import any_process, share_statistics, start_processes
from lookalike.training.run.run_folder import RunFolder
from lookalike.training.run.run_lengths import change_lengths
from lookalike.training.run.run_log import RunLog, RunPosition
from lookalike.training.run.schedule import PlateauTracker, rate_factor
from lookalike.training.run.trackers import Trackers, check_installed
from lookalike.training.run.validation import Validation
from lookalike.training.settings.run_settings import StageSettings, TrainingSettings, load_settings
from lookalike.types import Item


def train(
    config: Path,
    *,
    overrides: Sequence[str] = (),
    base: Path | None = None,
    resume: Path | None = None,
    out: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train a model with the settings of a TOML file.

    Args:
        config: Settings file; see `lookalike.training.settings.run_settings`.
        overrides: Settings that replace those of the file, as `key=value`.
        base: Folder that paths in the settings are relative to; None is the file's.
        resume: Run folder to resume from its last saved state.
        out: Run folder to create; None is `runs/NAME`.
        progress: Called after each step with the number of steps done and in all.
        report: Called with a line after each dev measure and for each unreadable photo.

    Raises:
        ConfigError: A setting is wrong, or the run folder is in use or was made with other settings.
        CatalogueError: A catalogue cannot be read.
        ModelError: The pretrained weights cannot be read or do not fit.
        TrainingError: The loss is not finite, too many photos are unreadable, or the disk is full.
        Stopped: The run was interrupted by Ctrl-C or SIGTERM; its state is saved.
    """
    settings = load_settings(config, overrides=tuple(overrides))
    check_installed(settings.trackers)
    accelerator = start_processes(settings.device, settings.precision)
    folder = RunFolder(resume or out or Path("runs") / settings.name)
    if accelerator.is_main_process:
        if resume:
            folder.resume(settings)
        else:
            folder.begin(settings)
    accelerator.wait_for_everyone()
    try:
        interruption = Interruption()
        run = Run(
            settings,
            base=config.parent if base is None else base,
            folder=folder,
            accelerator=accelerator,
            interruption=interruption,
            report=report,
        )
        try:
            with interruption, deterministic_sums(accelerator.device.type):
                run.all_stages(progress)
        finally:
            run.close()
        return Trained(folder.best, run.unreadable.rows(), run.plateau.best if run.training_data.is_measured else None)
    finally:
        folder.release()


class Run:
    """One training run: its network, its position and its state.

    Args:
        settings: Settings of the run.
        base: Folder that paths in the settings are relative to.
        folder: Run folder; a saved state in it is resumed.
        accelerator: Device, precision and processes.
        interruption: Stop request, checked after each step.
        report: See `train`.
        is_recorded: Whether the data are recorded, so that the run can be resumed.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        *,
        base: Path,
        folder: RunFolder,
        accelerator: Accelerator,
        interruption: Interruption,
        report: Callable[[str], None] = lambda line: None,
        is_recorded: bool = True,
    ) -> None:
        self.settings, self.folder, self.accelerator, self.report = settings, folder, accelerator, report
        self.interruption = interruption
        torch.manual_seed(settings.seed)
        self.training_data = TrainingData(settings, base=base)
        self.source = Batches(
            self.training_data, accelerator=accelerator, skip=self._skip, asked_to_stop=lambda: interruption.asked
        )
        self.unreadable = UnreadablePhotos(settings.unreadable)
        state = folder.read_state()
        begin_data(
            folder.path,
            self.training_data,
            resumed=state is not None,
            is_recorded=is_recorded,
            accelerator=accelerator,
            report=report,
        )
        self.position, self.plateau = RunPosition(), PlateauTracker()
        self.repeated: list[dict[str, Any]] = []  # entries of the log after the saved state
        self.stepper: OptimiserStepper | None = None
        self.saved_optimizer: dict[str, Any] | None = None
        self.network = self.training_data.make_network()
        self.learner = make_learner(self.training_data, self.network, accelerator=accelerator)
        self.steps = [
            self.training_data.steps(stage) if self.learner.train_stage(stage) else 0 for stage in settings.stage
        ]
        if state is None:
            for note in self.training_data.initialise(self.network, self.source.readable):
                self.report(note)
        else:
            match_first_block(self.network.backbone, _part_of(state["learner"], BACKBONE))
        shared = share_statistics(self.network, accelerator)
        self.learner.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = ModelEmaV3(self.network, decay=settings.ema, use_warmup=True) if settings.ema else None
        if state is not None:
            self._resume(state)
        self.validation: Validation | None = None
        if accelerator.is_main_process:
            trackers = Trackers(folder, settings, repeated=self.repeated, report=report)
            run_log = RunLog(folder, self.position, trackers, tensorboard="tensorboard" in settings.trackers)
            self.validation = Validation(self.training_data, folder, run_log, report=report, skip=self._skip)
            for line in start_lines(
                folder.path,
                self.training_data,
                steps=sum(self.steps),
                done=self.position.all_steps,
                shared_statistics=shared,
                accelerator=accelerator,
            ):
                report(line)

    @property
    def kept(self) -> Network:
        """The network that is measured and saved: with the moving average of the weights, if there is one."""
        network = self.average.module if self.average else self.network
        assert isinstance(network, Network)
        return network

    def all_stages(self, progress: Callable[[int, int], None]) -> None:
        """Run the remaining steps, measure after each stage, and keep the best checkpoint.

        Args:
            progress: See `train`.
        """
        stages = self.settings.stage
        if self.position.all_steps == 0:
            self._save_state()
        while self.position.stage < len(stages):
            self._stage(self.position.stage, stages[self.position.stage], progress)
            self.position.end_stage()
            self._measure()
        if self.position.measure_due:  # the run was stopped during the last measure
            self._measure()
        self._save_state()

    def close(self) -> None:
        """Close the log."""
        if self.validation:
            self.validation.run_log.close()

    def _stage(self, number: int, stage: StageSettings, progress: Callable[[int, int], None]) -> None:
        settings, position = self.settings, self.position
        steps, before, total = self.steps[number], sum(self.steps[:number]), sum(self.steps)
        if not steps:
            if self.validation:
                self.report(f"stage {number} trains nothing: all weights are frozen, and the losses have none; 0 steps")
            return
        self.stepper = None  # that of the stage before was kept, since a resumed run may make its stage longer
        self.accelerator.free_memory()
        self.stepper = self.stepper_of(stage)
        if self.saved_optimizer is not None and position.step:
            self.stepper.optimizer.load_state_dict(self.saved_optimizer)
        self.saved_optimizer = None
        if position.measure_due:  # the run was stopped during the measure
            self._measure()
        if position.step == 0:
            self.plateau.start_stage()
        batches = self.batches(number, steps)
        progress(before + position.step, total)
        while position.step < steps and not 0 < settings.early_stop <= self.plateau.waited:
            self._step(self.stepper, batches, stage, steps)
            progress(before + position.step, total)
            if settings.measure_every and position.step % settings.measure_every == 0 and position.step < steps:
                self._measure()
            elif position.all_steps % settings.save_every == 0:
                self._save_state()
            if any_process(self.interruption.asked, self.accelerator):
                self._stop()

    def _step(
        self, stepper: OptimiserStepper, batches: Iterator[ShardOfBatch], stage: StageSettings, steps: int
    ) -> None:
        """Take one optimiser step, and log it."""
        position, schedule = self.position, self.settings.schedule
        factor = rate_factor(position.step, steps, warmup=stage.warmup, schedule=schedule, drop=self.plateau.drop)
        step = stepper.step(batches, number=position.all_steps, factor=factor)
        position.step, position.all_steps = position.step + 1, position.all_steps + 1
        if self.average:
            self.average.update(self.network, step=position.all_steps)
        if self.validation:
            self.validation.run_log.step(step)

    def stepper_of(self, stage: StageSettings) -> OptimiserStepper:
        """Make the optimiser of a stage, and show photos as large as it wants them."""
        self.training_data.show_for(stage)
        return OptimiserStepper(
            self.learner,
            stage,
            settings=self.settings,
            accelerator=self.accelerator,
            may_leave_out=not self.training_data.is_complete,
            on_unreadable=lambda place, reason: self._skip(self.training_data.photos.items[place], reason),
        )

    def batches(self, number: int, steps: int) -> Iterator[ShardOfBatch]:
        """Yield this process's shards of the batches of a stage, from the next step on."""
        start = self.position.step
        return self.source.of_stage(number, self.network, start=start, steps=steps, mined=self._mined, stop=self._stop)

    def _mined(self, found: HardNegatives) -> None:
        if self.validation:
            self.validation.run_log.mined(found)
            self.report(told(found, step=self.position.all_steps))

    def _stop(self) -> NoReturn:
        """Save the state, and end the run."""
        self._save_state()
        raise Stopped(self.folder.path, self.position.all_steps)

    def _measure(self) -> None:
        """Measure on dev in the first process, broadcast the figure, and keep the best checkpoint."""
        self.position.measure_due = True
        self._save_state()  # no step is lost if the run is stopped during the measure
        found: list[float | None] = [None]
        if self.validation:
            try:
                found = [self.validation.measure(self.kept, asked_to_stop=lambda: self.interruption.asked)]
            except KeyboardInterrupt:
                found = [None]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(found)
        if found[0] is None:
            raise Stopped(self.folder.path, self.position.all_steps)
        self.position.measure_due = False
        better = self.plateau.note(found[0], patience=self.settings.patience, factor=self.settings.plateau_factor)
        if self.validation and (better or not self.training_data.is_measured):
            self.validation.keep_as_best(self.kept)

    def _save_state(self) -> None:
        """Save the state that a resumed run starts from; called by every process at the same step."""
        if self.accelerator.num_processes > 1:
            for skipped in gather_object([self.unreadable.skipped]):
                self.unreadable.skipped.update(skipped)
        if not self.accelerator.is_main_process:
            return
        if self.unreadable.skipped:
            self.folder.write_skipped(self.unreadable.rows())
        scaler = self.accelerator.scaler
        self.folder.save_state(
            {
                "learner": self.learner.state_dict(),
                "average": self.average.module.state_dict() if self.average else None,
                "optimizer": self.stepper.optimizer.state_dict() if self.stepper else self.saved_optimizer,
                "scaler": scaler.state_dict() if scaler else None,
                "done": asdict(self.position),
                "steps": self.steps,
                "gains": asdict(self.plateau),
                "miner": self.source.miner.state_dict() if self.source.miner else None,
                "skipped": self.unreadable.skipped,
                "log": self.folder.log_length(),
            }
        )

    def _resume(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state."""
        self.learner.load_state_dict(state["learner"])
        if self.average:
            self.average.module.load_state_dict(state["average"])
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.saved_optimizer = state["optimizer"]
        self.position, self.plateau = RunPosition(**state["done"]), PlateauTracker(**state["gains"])
        if self.source.miner:
            self.source.miner.load_state_dict(state["miner"])
        self.unreadable.skipped.update(state["skipped"])
        changes = change_lengths(
            state["steps"],
            self.steps,
            position=self.position,
            plateau=self.plateau,
            early_stop=self.settings.early_stop,
            folder=self.folder.path,
        )
        if self.accelerator.is_main_process:
            self.repeated = self.folder.cut_log(state["log"])
            self.folder.change_lengths(self.settings, changes, done=self.position.all_steps, report=self.report)

    def _skip(self, item: Item, reason: str) -> None:
        if self.unreadable.note(item.photo, reason):
            self.report(f"cannot be read, and is left out: {reason}")


def _part_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
