"""Batches of a run, with hard negatives mined between epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn

from accelerate import Accelerator

from lookalike.models.network import Network
from lookalike.training.data.hard_negatives import HardNegatives
from lookalike.training.data.training_data import TrainingData
from lookalike.training.data.unreadable import ReadablePhotos
from lookalike.training.run.dev_measure import SkipItem
from lookalike.training.run.loading import load_shards
from lookalike.training.run.mining import Miner
from lookalike.training.run.optimiser_step import ShardOfBatch


class Batches:
    """This process's shards of the batches of a run.

    Args:
        data: Training data.
        accelerator: Device and processes.
        skip: Called for each photo that is unreadable when hard negatives are mined.
        asked_to_stop: Whether a stop was requested, checked while they are mined.

    Attributes:
        readable: Training photos.
        miner: Miner of hard negatives; None if there is nothing to mine.
    """

    def __init__(
        self, data: TrainingData, *, accelerator: Accelerator, skip: SkipItem, asked_to_stop: Callable[[], bool]
    ) -> None:
        self.data, self.accelerator = data, accelerator
        self.readable = ReadablePhotos(data.photos)
        self.miner: Miner | None = None
        if data.settings.hard_negatives.every:
            self.miner = Miner(
                data.settings, data.photos, accelerator=accelerator, skip=skip, asked_to_stop=asked_to_stop
            )

    def of_stage(
        self,
        number: int,
        network: Network,
        *,
        start: int,
        steps: int,
        mined: Callable[[HardNegatives], None],
        stop: Callable[[], NoReturn],
    ) -> Iterator[ShardOfBatch]:
        """Yield the batches of a stage; the next hard negatives are mined when all batches before were trained on.

        Args:
            number: Stage of the run.
            network: Network in training.
            start: First step.
            steps: Steps of the stage.
            mined: Called after each mining.
            stop: Called when a mining was ended by the request to stop; raises what ends the run.
        """
        settings, miner = self.data.settings, self.miner
        while start < steps:
            end = steps
            if miner is not None:
                if start % miner.steps == 0:
                    found = miner.mine(network, stage=number, step=start)
                    if found is None:
                        stop()
                    mined(found)
                end = min(steps, (start // miner.steps + 1) * miner.steps)
            sampler = self.data.make_sampler(
                steps=end * settings.accumulation,
                start=start * settings.accumulation,
                seed=settings.seed * 1000 + number,
                neighbours=miner.neighbours if miner else None,
            )
            yield from load_shards(self.readable, sampler, workers=settings.workers, accelerator=self.accelerator)
            start = end
