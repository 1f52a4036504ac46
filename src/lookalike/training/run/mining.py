"""Mining of hard negatives between epochs: the bank of embeddings, in one process or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, distributed
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from lookalike.errors import PhotoError, TrainingError
from lookalike.images import open_image
from lookalike.models.network import Network
from lookalike.training.data.dataset import TrainingPhotos
from lookalike.training.data.hard_negatives import BankPhotos, HardNegatives
from lookalike.training.data.sampling import group_photos, steps_in_epoch
from lookalike.training.run.dev_measure import BATCH, SkipItem
from lookalike.training.run.interruption import leave_interruption_to_the_run
from lookalike.training.run.processes import any_process
from lookalike.training.run.validation import in_eval_mode
from lookalike.training.settings.run_settings import TrainingSettings
from lookalike.types import Float32, Int64


class PlainPhotos(Dataset[tuple[Tensor, int, str]]):
    """Some training photos without augmentation, at the present input size.

    Args:
        photos: All training photos.
        places: Places of those to load.
    """

    def __init__(self, photos: TrainingPhotos, places: Int64) -> None:
        self.photos, self.places = photos, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> tuple[Tensor, int, str]:
        """Return a photo (3, H, W) float32, its place, and why it is unreadable; a black one is shown in that case."""
        preprocessing, place = self.photos.preprocessing, int(self.places[number])
        assert preprocessing is not None
        item = self.photos.items[place]
        try:
            photo = open_image(item, at_least=preprocessing.wanted_size, box=item.box)
        except PhotoError as error:
            return torch.zeros(3, preprocessing.height, preprocessing.width), place, str(error) or "unreadable"
        return torch.from_numpy(preprocessing(photo)), place, ""


class Miner:
    """Mines the hard negatives of a run; every process has the same.

    Args:
        settings: Settings of the run.
        photos: Training photos.
        accelerator: Device and processes.
        skip: Called for each unreadable photo.
        asked_to_stop: Checked between batches.

    Attributes:
        steps: Steps between two minings.
        neighbours: Hard negatives, see `HardNegatives`; None before the first mining.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        photos: TrainingPhotos,
        *,
        accelerator: Accelerator,
        skip: SkipItem,
        asked_to_stop: Callable[[], bool],
    ) -> None:
        self.settings, self.photos, self.accelerator = settings, photos, accelerator
        self.skip, self.asked_to_stop = skip, asked_to_stop
        self.bank_photos = BankPhotos.of(photos, group_photos(settings, photos))
        epoch = steps_in_epoch(settings, photos) / settings.accumulation
        self.steps = max(1, round(settings.hard_negatives.every * epoch))
        self.neighbours: Int64 | None = None

    def mine(self, network: Network, *, stage: int, step: int) -> HardNegatives | None:
        """Embed photos with the network as it is now, and find the hard negatives.

        Args:
            network: Network in training; it is in eval mode meanwhile.
            stage: Stage of the run.
            step: Completed steps of the stage; with the stage and the seed of the run it chooses the photos.

        Returns:
            What was found; None in every process if a stop was requested in one.

        Raises:
            TrainingError: No photo can be read.
        """
        given, accelerator = self.settings.hard_negatives, self.accelerator
        seed = (self.settings.seed, stage, step)
        places = self.bank_photos.drawn(of_each=given.photos, most=given.bank, seed=seed)
        if accelerator.num_processes > 1:
            for buffer in network.buffers():  # BatchNorm statistics, as DistributedDataParallel does at the next step
                distributed.broadcast(buffer, 0)
        own = np.array_split(places, accelerator.num_processes)[accelerator.process_index]
        with in_eval_mode(network):
            rows = self._embed(network, own)
        if any_process(rows is None, accelerator):
            return None
        found: list[HardNegatives | None] = [None]
        parts: list[Any] = [rows] if accelerator.num_processes == 1 else gather_object([rows])
        if accelerator.is_main_process:
            found = [self.bank_photos.mine(places, np.concatenate(parts), settings=given)]
        if accelerator.num_processes > 1:
            broadcast_object_list(found)
        mined = found[0]
        assert mined is not None
        if not mined.compared:
            raise TrainingError(f"none of {len(places):,} training photos can be read for hard negatives")
        self.neighbours = mined.neighbours
        return mined

    @torch.no_grad()
    def _embed(self, network: Network, places: Int64) -> Float32 | None:
        """Embed photos: unit vectors, (N, D) float32, nan for those that are unreadable; None if asked to stop."""
        device = self.accelerator.device
        loader: DataLoader[Any] = DataLoader(
            PlainPhotos(self.photos, places),
            batch_size=BATCH,
            num_workers=self.settings.workers,
            worker_init_fn=leave_interruption_to_the_run,
            pin_memory=device.type == "cuda",
        )
        parts: list[Float32] = [np.zeros((0, network.metric_dimension), dtype=np.float32)]
        for photos, batch, reasons in loader:
            if self.asked_to_stop():
                return None
            maps = network.maps(photos.to(device, memory_format=torch.channels_last, non_blocking=True))
            rows = functional.normalize(network.metric_rows(network.pooled(maps)), dim=1).float().cpu().numpy()
            for row, (place, reason) in enumerate(zip(batch.tolist(), reasons, strict=True)):
                if reason:
                    self.skip(self.photos.items[place], reason)
                    rows[row] = np.nan
            parts.append(rows)
        return np.concatenate(parts)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run needs."""
        return {} if self.neighbours is None else {"neighbours": torch.from_numpy(self.neighbours)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` gave."""
        if "neighbours" in state:
            self.neighbours = state["neighbours"].numpy()


def told(mined: HardNegatives, *, step: int) -> str:
    """Return a line about a mining after a step of the run."""
    dropped = f"; {mined.false_negatives:,} pairs are too similar" if mined.false_negatives else ""
    return (
        f"hard negatives after step {step:,}: {mined.groups:,} of {mined.compared:,} {mined.what} have some, "
        f"mean similarity {mined.similarity:.3f}, all pairs {mined.overall:.3f}{dropped}"
    )
