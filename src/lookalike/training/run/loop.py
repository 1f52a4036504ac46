"""The training loop: stages, steps, measures, and how a run is taken up again.

A step's batch, its changes to photos and what is dropped out follow from the seed and the step alone, so a run that
was killed and taken up again goes the way that it would have gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor
from torch.utils.data import DataLoader

from lookalike.errors import ConfigError, TrainingError
from lookalike.models.network import Network
from lookalike.models.weight_readers import match_first_block
from lookalike.training.data.training_data import Material
from lookalike.training.data.unreadable import ReadablePhotos, Unreadable
from lookalike.training.losses.learner import BACKBONE, Learner
from lookalike.training.outcome import Stopped, Trained
from lookalike.training.run.interruption import Interruption, leave_interruption_to_the_run
from lookalike.training.run.optimiser_step import ShardOfBatch, Stepper
from lookalike.training.run.processes import Shards, any_process, share_statistics, start_processes
from lookalike.training.run.run_folder import RunFolder
from lookalike.training.run.run_log import Done, Notes
from lookalike.training.run.schedule import Gains, rate_factor
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
    """Train as a TOML file says.

    Args:
        config: The file; see `lookalike.training.settings.run_settings`.
        overrides: Settings that replace those of the file, as `key=value`.
        base: Folder that paths in the settings are relative to; None is the file's.
        resume: A run folder to take up where its state was last saved.
        out: The run folder to make; None is `runs/NAME`.
        progress: Told after each step how many steps of how many are done.
        report: Given a line after each measure on dev, and for each photo that cannot be read.

    Raises:
        ConfigError: A setting is wrong, or the run folder is in use or not one of this configuration.
        CatalogueError: A catalogue cannot be read.
        ModelError: Starting weights cannot be read or do not fit.
        TrainingError: The loss is no number any more, too many photos cannot be read, or the disk is full.
        Stopped: Ctrl-C or SIGTERM came; the state is saved.
    """
    settings = load_settings(config, overrides=tuple(overrides))
    accelerator = start_processes(settings.device, settings.precision)
    folder = RunFolder(resume or out or Path("runs") / settings.name)
    if accelerator.is_main_process:
        if resume:
            folder.take_up(settings)
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
        with interruption:
            run.all_stages(progress)
        return Trained(folder.best, run.unreadable.rows())
    finally:
        folder.release()


class Run:
    """One run: its network, how far it is, and how it goes on.

    Args:
        settings: What to do.
        base: Folder that paths in the settings are relative to.
        folder: The run's; a state in it is taken up.
        accelerator: The device, the precision and the processes.
        interruption: Asked after each step whether to stop.
        report: As for `train`.
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
    ) -> None:
        self.settings, self.folder, self.accelerator, self.report = settings, folder, accelerator, report
        self.interruption = interruption
        torch.manual_seed(settings.seed)
        self.material = Material(settings, base=base)
        self.readable = ReadablePhotos(self.material.photos)
        self.unreadable = Unreadable(settings.unreadable)
        self.done, self.gains = Done(), Gains()
        self.stepper: Stepper | None = None
        self.saved_optimizer: dict[str, Any] | None = None
        self.network = self.material.make_network()
        self.learner = Learner(
            self.network,
            self.material.make_objective(self.network),
            batch_of=self.material.photos.batch,
            autocast=accelerator.autocast,
        )
        state = folder.read_state()
        if state is None:
            for note in self.material.initialise(self.network, self.readable):
                self.report(note)
        else:
            match_first_block(self.network.backbone, _part_of(state["learner"], BACKBONE))
        shared = share_statistics(self.network, accelerator)
        self.learner.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = ModelEmaV3(self.network, decay=settings.ema, use_warmup=True) if settings.ema else None
        if state is not None:
            self._take_up(state)
        self.validation: Validation | None = None
        if accelerator.is_main_process:
            self.validation = Validation(
                self.material, folder, Notes(folder, self.done), report=report, skip=self._skip
            )
            self._say_what_to_expect(shared_statistics=shared)

    @property
    def kept(self) -> Network:
        """The weights that are measured and kept: their moving average, if there is one."""
        network = self.average.module if self.average else self.network
        assert isinstance(network, Network)
        return network

    def all_stages(self, progress: Callable[[int, int], None]) -> None:
        """Run what is not done yet, measure after each stage, and leave the best checkpoint.

        Args:
            progress: As for `train`.
        """
        stages = self.settings.stage
        if self.done.all_steps == 0:
            self._save_state()
        while self.done.stage < len(stages):
            self._stage(self.done.stage, stages[self.done.stage], progress)
            self.done.stage, self.done.step = self.done.stage + 1, 0
            self._measure()
        if self.done.measure_due:  # it was stopped within the last measure
            self._measure()
        self._save_state()
        if self.validation:
            self.validation.notes.close()

    def _stage(self, number: int, stage: StageSettings, progress: Callable[[int, int], None]) -> None:
        settings, done = self.settings, self.done
        self.material.show_for(stage)
        all_steps = [self.material.steps(each) for each in settings.stage]
        steps = all_steps[number]
        self.stepper = Stepper(
            self.learner,
            stage,
            settings=settings,
            accelerator=self.accelerator,
            may_leave_out=not self.material.is_complete,
            note_replaced=lambda place, reason: self._skip(self.material.photos.items[place], reason),
        )
        if self.saved_optimizer is not None:
            self.stepper.optimizer.load_state_dict(self.saved_optimizer)
            self.saved_optimizer = None
        if done.measure_due:  # it was stopped within the measure
            self._measure()
        if done.step == 0:
            self.gains.start_stage()
        batches = self._batches(number, steps)
        progress(sum(all_steps[:number]) + done.step, sum(all_steps))
        while done.step < steps and not 0 < settings.early_stop <= self.gains.waited:
            self._step(self.stepper, batches, stage, steps)
            progress(sum(all_steps[:number]) + done.step, sum(all_steps))
            if settings.measure_every and done.step % settings.measure_every == 0 and done.step < steps:
                self._measure()
            elif done.all_steps % settings.save_every == 0:
                self._save_state()
            if any_process(self.interruption.asked, self.accelerator):
                self._save_state()
                raise Stopped(self.folder.path, done.all_steps)
        self.stepper = None  # the next stage makes its own
        self.accelerator.free_memory()

    def _step(self, stepper: Stepper, batches: Iterator[ShardOfBatch], stage: StageSettings, steps: int) -> None:
        """Take one step, and write it down."""
        done, schedule = self.done, self.settings.schedule
        factor = rate_factor(done.step, steps, warmup=stage.warmup, schedule=schedule, drop=self.gains.drop)
        stepped = stepper.step(batches, number=done.all_steps, factor=factor)
        done.step, done.all_steps = done.step + 1, done.all_steps + 1
        if self.average:
            self.average.update(self.network, step=done.all_steps)
        if self.validation:
            self.validation.notes.step(stepped)

    def _batches(self, number: int, steps: int) -> Iterator[ShardOfBatch]:
        """This process's part of the batches of a stage, from the step that is next."""
        accumulation = self.settings.accumulation
        sampler = self.material.make_sampler(
            steps=steps * accumulation,
            start=self.done.step * accumulation,
            seed=self.settings.seed * 1000 + number,
        )
        processes, process = self.accelerator.num_processes, self.accelerator.process_index
        loader: DataLoader[Any] = DataLoader(
            self.readable,
            batch_sampler=Shards(sampler, process=process, processes=processes),
            num_workers=self.settings.workers,
            worker_init_fn=leave_interruption_to_the_run,
            pin_memory=self.accelerator.device.type == "cuda",
        )
        try:
            yield from loader
        except TrainingError as error:  # torch puts a traceback before what a process that prepares photos says
            raise TrainingError(str(error).rpartition(f"{TrainingError.__name__}: ")[2].strip()) from None

    def _measure(self) -> None:
        """Measure on dev in the first process, and let all of them know; the best is kept."""
        self.done.measure_due = True
        self._save_state()  # so that no step is lost when the run is stopped within the measure
        found: list[float | None] = [None]
        if self.validation:
            try:
                found = [self.validation.measure(self.kept, asked_to_stop=lambda: self.interruption.asked)]
            except KeyboardInterrupt:
                found = [None]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(found)
        if found[0] is None:
            raise Stopped(self.folder.path, self.done.all_steps)
        self.done.measure_due = False
        better = self.gains.note(found[0], patience=self.settings.patience, factor=self.settings.plateau_factor)
        if self.validation and (better or not self.material.is_measured):
            self.validation.keep_as_best(self.kept)

    def _save_state(self) -> None:
        """Save all that the run goes on from; every process comes here at the same step."""
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
                "optimizer": self.stepper.optimizer.state_dict() if self.stepper else None,
                "scaler": scaler.state_dict() if scaler else None,
                "done": asdict(self.done),
                "gains": asdict(self.gains),
                "skipped": self.unreadable.skipped,
                "material": self.material.fingerprint(),
                "log": self.folder.log_length(),
            }
        )

    def _take_up(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state.

        Raises:
            ConfigError: The training photos are others now.
        """
        if state["material"] != self.material.fingerprint():
            raise ConfigError(f"{self.folder.path}: the training photos are not those that the run began with")
        self.learner.load_state_dict(state["learner"])
        if self.average:
            self.average.module.load_state_dict(state["average"])
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.saved_optimizer = state["optimizer"]
        self.done, self.gains = Done(**state["done"]), Gains(**state["gains"])
        self.unreadable.skipped.update(state["skipped"])
        if self.accelerator.is_main_process:
            self.folder.cut_log(state["log"])

    def _skip(self, item: Item, reason: str) -> None:
        if self.unreadable.note(item.photo, reason):
            self.report(f"cannot be read, and is left out: {reason}")

    def _say_what_to_expect(self, *, shared_statistics: bool) -> None:
        """Say what may surprise."""
        if not self.material.is_measured:
            self.report("no dev photos with `grades`, so nothing is measured: the last checkpoint counts as the best")
        if not shared_statistics:
            self.report("BatchNorm layers see each process's part of a batch only: PyTorch shares them on GPUs alone")
        steps = f"{sum(map(self.material.steps, self.settings.stage)):,} steps"
        done = f" ({self.done.all_steps:,} done)" if self.done.all_steps else ""
        count = self.accelerator.num_processes
        self.report(
            f"{len(self.material.photos):,} photos, {steps}{done} in {self.folder.path}; {count} "
            f"process{'es' if count > 1 else ''} on {self.accelerator.device.type}, precision {self.settings.precision}"
        )


def _part_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
