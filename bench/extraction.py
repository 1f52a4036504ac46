"""Benchmarks of embedding: our runtimes against PyTorch, and the indexing pipeline against the network alone."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path

import numpy as np
import onnx
import torch

from index_feeding import time_feeding
from index_stages import CORES, index_beside_network, rate_of
from lookalike.benchmarking.report import BenchmarkReport, Row
from lookalike.benchmarking.timing import TimedCall, time_in_turns
from lookalike.catalogue.opening import open_catalogue
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.embedding.model_loading import open_network, processors
from lookalike.embedding.network import ATTENTION, EMBEDDING, FORMAT, INPUT, Network
from lookalike.errors import MissingExtraError
from lookalike.images import open_image
from lookalike.models.content_hash import append_checksum
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.quantization import quantized
from lookalike.types import Float32
from original_network import SIZE, OriginalNetwork, make_network

RUNS = 40
PEER_BATCH = 8
RUNTIMES = ("onnx", "openvino")
CALIBRATION = 32
OPSET = 18


class UnitRows(torch.nn.Module):
    """The same network with unit vectors as output, as our models have."""

    def __init__(self, network: OriginalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embed photos."""
        deep, attention = self.network(photos)
        return torch.nn.functional.normalize(deep), attention


def write_onnx(network: OriginalNetwork, path: Path) -> None:
    """Write the network as a model of Lookalike, in float32."""
    torch.onnx.export(
        UnitRows(network).eval(),
        (torch.zeros(2, 3, SIZE, SIZE),),
        str(path),
        input_names=[INPUT],
        output_names=[EMBEDDING, ATTENTION],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    facts = {
        "format": FORMAT,
        "name": "resnet50",
        "fingerprint": "0" * 64,
        "preprocessing": Preprocessing(SIZE, SIZE, fit="crop", short_side=SIZE).to_json(),
    }
    onnx.helper.set_model_props(model, {f"lookalike.{name}": value for name, value in facts.items()})
    onnx.save(model, path)
    append_checksum(path)


def write_int8(path: Path, photos: Float32) -> Path:
    """Quantise the model to 8-bit integers, as `lookalike export --int8` does."""
    made = quantized(path, photos)
    model, float32 = onnx.load(made), onnx.load(path)
    facts = {each.key: each.value for each in float32.metadata_props}
    onnx.helper.set_model_props(model, {**facts, "lookalike.fingerprint": "1" * 64})
    onnx.save(model, made)
    append_checksum(made)
    return made


def drawn_photos(folder: Path, count: int) -> Float32:
    """Draw photos of the sample as input of the network: (count, 3, H, W) float32."""
    preprocessing = Preprocessing(SIZE, SIZE, fit="crop", short_side=SIZE)
    items = islice(open_catalogue(str(write_drawn(folder / "photos"))).items(), count)
    return np.stack([preprocessing(open_image(item.location, at_least=SIZE)) for item in items])


def beside_pytorch(folder: Path) -> list[Row]:
    """Compare runtimes on the original's network, with preprocessed batches of 8 photos."""
    network = make_network()
    path = folder / "resnet50.onnx"
    write_onnx(network, path)
    photos = drawn_photos(folder, PEER_BATCH + CALIBRATION)
    inputs, files = photos[:PEER_BATCH], {"float32": path, "int8": write_int8(path, photos[PEER_BATCH:])}
    torch.set_num_threads(processors())

    def eager(_: int) -> Float32:
        with torch.no_grad():
            deep: Float32 = torch.nn.functional.normalize(network(torch.from_numpy(inputs))[0]).numpy()
        return deep

    rows = []
    for precision, runtime in product(files, RUNTIMES):
        what = f"ResNet-50 at {SIZE}, batch of {PEER_BATCH}, {runtime}, {precision}"
        peer = "PyTorch eager, float32"
        try:
            ready = open_network(files[precision], runtime=runtime, device="cpu")
        except MissingExtraError as error:
            rows.append(Row(what, "3x", note=str(error)))
            continue
        ours, theirs = TimedCall(run(ready, inputs), RUNS), TimedCall(eager, RUNS)
        time_in_turns(ours, theirs)
        same = float(np.sum(ready.run(inputs).embedding * eager(0), axis=1).min())
        rates = [PEER_BATCH * 1000 / way.timing.median_ms for way in (ours, theirs)]
        note = f"{rates[0]:.0f} and {rates[1]:.0f} photos/s; cosine {same:.6f}"
        rows.append(Row(what, "3x", ours.timing, peer, theirs.timing, note=note))
    return rows


def run(network: Network, inputs: Float32) -> Callable[[int], object]:
    """Return a function that embeds one batch."""
    return lambda _: network.run(inputs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=2400, help="for the default model; ResNet-50 gets a sixth")
    parser.add_argument("--index-only", action="store_true", help="only the default model's index run, and its stages")
    parser.add_argument("--json", type=Path, help="file for all figures")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as temporary:
        place = Path(temporary)
        report = BenchmarkReport([])
        models: dict[str, tuple[str | Path, int]] = {"default model": ("default", asked.photos)}
        if not asked.index_only:
            report.rows.extend(beside_pytorch(place))
            models = {"ResNet-50 at 224": (place / "resnet50.onnx", asked.photos // 6), **models}
        tables, figures = [], {}
        for name, (model, photos) in models.items():
            rows, stages, micros = index_beside_network(place, model=model, name=name, photos=photos)
            report.rows.extend(rows)
            tables.append(stages.to_markdown(micros, name=name))
            figures[name] = stages.to_json(micros)
        network = open_network(device="cpu")
        turns = sorted((place / "default model").rglob("turn-*.csv"))
        feeding = time_feeding(place, turns, network.identity, network.dimension)
        rate = rate_of(CORES, feeding.decoding + feeding.kernel, feeding.feeding)
        tables.append(feeding.to_markdown(CORES, rate))
        figures["processes that decode"] = feeding.to_json(CORES, rate)
        print("\n\n".join([report.to_markdown(), *tables]))
        if asked.json:
            asked.json.write_text(json.dumps({**report.to_json(), "stages": figures}, indent=1), encoding="utf-8")
