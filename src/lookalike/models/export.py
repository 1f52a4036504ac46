"""Export of checkpoints to ONNX, checked against PyTorch on photos."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import LookalikeError, UnknownNameError, UsageError
from lookalike.images import open_image
from lookalike.kinds import KINDS
from lookalike.models.checkpoint import FORMAT, Checkpoint, load_checkpoint
from lookalike.models.fp16 import to_fp16
from lookalike.models.kind_evidence import KindEvidence, takes_kinds
from lookalike.models.network import Network
from lookalike.models.onnx_file import hidden_beside, write_metadata
from lookalike.models.photo_choices import TRAINED_ON, choices_text
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.quantization import (
    QuantizationLoss,
    measure_loss,
    quantized,
    sample_photos,
    unknown_kinds,
)
from lookalike.storage.durable import flush
from lookalike.types import Float32, Item

OPSET = 18
LEAST_COSINE = 0.9999
MOST_APART = 0.02
"""Largest difference in a class probability."""

PHOTOS = 64


def export_onnx(
    checkpoint: Path,
    file: Path,
    *,
    fp16: bool = False,
    int8: bool = False,
    calibrate: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    labels: Sequence[str] = (),
) -> tuple[float, float | None, QuantizationLoss | None]:
    """Write a checkpoint as an ONNX file with its preprocessing in the metadata.

    Args:
        checkpoint: Checkpoint of a training run.
        file: File to write atomically; its folder is created if missing.
        fp16: Store weights in 16 bits: half the size, the same speed. Embeddings and fingerprint change slightly.
        int8: Quantise to 8-bit integers: smaller and faster. Embeddings and fingerprint change more.
        calibrate: Catalogue of photos for the check, of which None is the drawn sample, and for `int8`.
        columns: Columns of its table by the standard names.
        encoding: Encoding of its table, if that is not UTF-8.
        labels: Class heads whose probabilities the file gives beside the embedding.

    Returns:
        Smallest cosine between the embeddings of the file and of PyTorch over the photos, of `int8` those that did not
        calibrate it, and the largest difference between their class probabilities; None without `labels`. The loss by
        `int8`; None without it.

    Raises:
        UsageError: There are no photos, both `fp16` and `int8` are set, or `int8` without photos to calibrate with.
        UnknownNameError: The checkpoint has no such head.
        LookalikeError: The outputs differ from PyTorch's by more than `LEAST_COSINE` and `MOST_APART` allow, except for
            `int8`.
    """
    if fp16 and int8:
        raise UsageError("half and int8 exclude each other: leave one of them out")
    if int8 and calibrate is None:
        raise UsageError(
            "int8 is calibrated with your photos: name a catalogue or folder of them with --calibrate; "
            "--calibrate drawn takes drawn ones, which costs more of the nearest neighbours"
        )
    loaded = load_checkpoint(checkpoint)
    heads = chosen_heads(loaded, labels)
    kinds = KINDS if takes_kinds(loaded.network.settings, loaded.classes) else ()
    sample, source = None, calibrate or "drawn"
    items = open_catalogue(source, columns=columns, encoding=encoding).items()
    if int8:
        sample = sample_photos(items, loaded.preprocessing, source=source)
        held_out = sample.held_out()
        photos = np.stack(held_out[:PHOTOS])
    else:
        photos = _photos(items, loaded.preprocessing, source=source)
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    with hidden_beside(file) as folder:
        made = folder / "model.onnx"
        _write(loaded, made, photos, heads=list(heads), kinds=len(kinds))
        fingerprint = loaded.fingerprint
        loss = None
        if sample is not None:
            original, made = made, quantized(made, sample.calibration, kinds=len(kinds))
            loss = measure_loss(original, made, sample, held_out)
        elif fp16:
            made = to_fp16(made)
        if fp16 or int8:
            fingerprint = hashlib.sha256(made.read_bytes()).hexdigest()
        _describe(made, loaded, fingerprint, heads, kinds)
        ours = outputs_of(made, photos)
        least = least_cosine(loaded.network, ours["embedding"], photos)
        apart = labels_apart(loaded.network, ours["labels"], photos, heads=list(heads)) if heads else None
        if not (int8 or least >= LEAST_COSINE):  # also for nan
            raise LookalikeError(
                f"{file}: not written: its embeddings differ from PyTorch's (least cosine {least:.6f} over "
                f"{len(photos)} photos, expected at least {LEAST_COSINE})"
            )
        if not int8 and apart is not None and apart > MOST_APART:
            raise LookalikeError(
                f"{file}: not written: a class probability differs from PyTorch's by {apart:.4f}, "
                f"expected at most {MOST_APART}"
            )
        flush(made)
        made.replace(file)
    return least, apart, loss


def chosen_heads(checkpoint: Checkpoint, labels: Sequence[str]) -> dict[str, list[str]]:
    """Class names of the heads that a file will have.

    Raises:
        UnknownNameError: The checkpoint has no such head.
    """
    for head in labels:
        if head not in checkpoint.classes:
            raise UnknownNameError("class head of the checkpoint", head, sorted(checkpoint.classes))
    return {head: list(checkpoint.classes[head]) for head in labels}


def outputs_of(file: Path, inputs: NDArray[Any], *, input_name: str = "photos") -> dict[str, Float32]:
    """Run an ONNX file on B preprocessed photos, of which no kinds are known, or tokenised texts.

    Returns:
        Its outputs by name.
    """
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    return dict(
        zip(names, session.run(names, {input_name: inputs, **unknown_kinds(session, len(inputs))}), strict=True)
    )


def least_cosine(network: nn.Module, ours: Float32, photos: Float32) -> float:
    """Return the smallest cosine between the embeddings of PyTorch and of an ONNX file.

    Args:
        network: Network in eval mode.
        ours: (B, D) float32, the file's embeddings of the photos.
        photos: (B, 3, H, W) float32, preprocessed.
    """
    with torch.no_grad():
        theirs = network(torch.from_numpy(photos)).numpy()
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(axis=1) / lengths).min())


def labels_apart(network: Network, ours: Float32, photos: Float32, *, heads: Sequence[str]) -> float:
    """Return the largest difference between the class probabilities of PyTorch and of an ONNX file.

    Args:
        network: Network in eval mode.
        ours: (B, C) float32, the file's probabilities for the photos.
        photos: (B, 3, H, W) float32, preprocessed.
        heads: Names of the heads, in the order of the columns.
    """
    with torch.no_grad():
        pooled = network.pooled(network.maps(torch.from_numpy(photos)))
        theirs = network.probabilities(heads, network.read_rows(pooled, network.metric_rows(pooled))).numpy()
    return float(np.abs(ours - theirs).max())


class _Exported(nn.Module):
    """A network with the inputs and outputs of its ONNX file.

    Args:
        network: The network.
        heads: Heads whose probabilities are an output.
        evidence: What known kinds add to heads; None takes no kinds.
    """

    def __init__(self, network: Network, heads: Sequence[str], evidence: KindEvidence | None) -> None:
        super().__init__()
        self.network, self.heads, self.evidence = network, list(heads), evidence

    @property
    def names(self) -> list[str]:
        """Names of the outputs."""
        attention = ["attention"] if self.network.settings.attention else []
        maps = ["map"] if self.network.shape.kind == "maps" else []
        return ["embedding", *attention, *(["labels"] if self.heads else []), *maps]

    def forward(self, photos: Tensor, kinds: Tensor | None = None) -> tuple[Tensor, ...]:
        """Compute the outputs, in the order of `names`.

        Args:
            photos: (B, 3, H, W) float32, normalised.
            kinds: (B, K) float32, log-likelihoods of kinds that are known beside the photos.

        Returns:
            Embeddings (B, D), attention (B, h, w) if it is set, probabilities (B, classes) if there are heads, and the
            last feature map (B, C, h, w) if the backbone gives maps.
        """
        maps = self.network.maps(photos)
        pooled = self.network.pooled(maps)
        known = None if self.evidence is None or kinds is None else self.evidence(kinds)
        embedding = self.network.embed_pooled(pooled, known)
        outputs = [embedding]
        if self.network.settings.attention:
            outputs.append(maps.mean(dim=1))
        if self.heads:
            outputs.append(self.network.probabilities(self.heads, self.network.read_rows(pooled, embedding)))
        if self.network.shape.kind == "maps":
            outputs.append(maps)  # as it is: a projection of its cells would take 5 % of a small network's time
        return tuple(outputs)


def _photos(items: Iterable[Item], preprocessing: Preprocessing, *, source: str) -> Float32:
    chosen = list(islice(items, PHOTOS))
    if not chosen:
        raise UsageError(f"{source}: no photos to check the export with")
    opened = (open_image(item, at_least=preprocessing.wanted_size, box=item.box) for item in chosen)
    return np.stack([preprocessing(photo) for photo in opened])


def _write(loaded: Checkpoint, file: Path, photos: Float32, *, heads: Sequence[str], kinds: int) -> None:
    inputs = {"photos": torch.from_numpy(photos[:2])}
    if kinds:
        inputs["kinds"] = torch.zeros(len(photos[:2]), kinds)
    exported = _Exported(loaded.network, heads, KindEvidence(loaded.classes) if kinds else None).eval()
    write_graph(exported, inputs, file, output_names=exported.names)


def write_graph(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    file: Path,
    *,
    output_names: Sequence[str],
    longest: int | None = None,
) -> None:
    """Write a module as an ONNX file without metadata.

    Args:
        module: Module in eval mode.
        inputs: Examples of its inputs by their names in the file, of at least 2 rows each; other numbers of rows are
            possible afterwards.
        file: File to write.
        output_names: Names of the outputs in the file.
        longest: Largest length of a row of the inputs, if lengths vary.
    """
    variable = {0: torch.export.Dim(f"{next(iter(inputs))}_in_batch")}
    if longest is not None:
        variable[1] = torch.export.Dim("length", min=2, max=longest)
    program = torch.onnx.export(
        module,
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=list(output_names),
        dynamic_shapes=(variable,) * len(inputs),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    outputs = program.model.graph.outputs
    for value in (value for node in program.model.graph for value in node.outputs):
        if value.name in output_names and value not in outputs:  # torch names results after their operators
            value.name = f"{value.name}_inner"
    program.save(str(file), external_data=False)
    forget_origins(file)


def forget_origins(file: Path) -> None:
    """Remove the source locations of the nodes: they name folders of this machine and differ between runs."""
    model = onnx.load(str(file))
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, str(file))


def _describe(
    file: Path, loaded: Checkpoint, fingerprint: str, heads: Mapping[str, Sequence[str]], kinds: Sequence[str]
) -> None:
    about = {
        "lookalike.format": FORMAT,
        "lookalike.name": loaded.name,
        "lookalike.fingerprint": fingerprint,
        "lookalike.preprocessing": loaded.preprocessing.to_json(),
        "lookalike.unit": json.dumps(loaded.network.settings.normalise),
        TRAINED_ON: choices_text(loaded.trained_on),
    }
    if heads:
        about["lookalike.labels"] = json.dumps(dict(heads), ensure_ascii=False)
    if kinds:
        about["lookalike.kinds"] = json.dumps(list(kinds))
    write_metadata(file, about)
