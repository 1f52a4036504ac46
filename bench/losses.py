"""Losses, batches, input sizes and starts compared on the hard drawn benchmark: the tables of docs/losses.md.

    lookalike catalogue draw hard --to hard --products 324 --photos 6 --seed 1
    python bench/losses.py run --data hard --out losses        # in two terminals at once, on two cores
    python bench/losses.py table --out losses --page docs/losses.md --figure docs/images/losses.png

Every row trains for the same number of photos. Its learning rate is the best of three by the dev figure of one seed;
the other seeds train with that rate alone, and the test photos are measured once for each seed, after the choice.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import json
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch

from lookalike.catalogue import open_catalogue
from lookalike.evaluation.evaluate import Evaluation, evaluate
from lookalike.models.content_hash import KEY, append_checksum
from lookalike.models.default_model import SHIPPED_MODEL
from lookalike.training.outcome import NotFiniteError
from lookalike.training.train import train
from losses_table import show

BASE = Path(__file__).with_suffix(".toml")
RATES = (3e-4, 1e-3, 3e-3)
"""Rates of the backbone among which one is chosen; new layers learn `new` times as fast."""

STRIDE = 32
"""Pixels between two cells of the default model's last map, each way."""

PREPROCESSING = "lookalike.preprocessing"
"""Key of the metadata of a model with its input size."""

FOUND, TESTED = "run.json", "test.csv"
METRICS = ("hit_rate@1", "map@r")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        name: Name, and folder.
        group: Table that it belongs to.
        settings: Settings that replace those of `BASE`.
        new: Rate of the new layers and of the loss's own weights, in that of the backbone.
        rates: Rates to choose from; empty takes the one that was chosen for the row `SupCon`.
        seeds: Number of seeds.
        untrained: Whether the default model is tested as it is, in place of training one.
        size: Input height and width of the default model that is tested; empty keeps its own.
    """

    name: str
    group: str
    settings: tuple[str, ...] = ()
    new: float = 3.0
    rates: tuple[float, ...] = RATES
    seeds: int = 3
    untrained: bool = False
    size: tuple[int, ...] = ()


BASELINE = "SupCon"


def _loss(name: str, *, arguments: str = "", miner: str = "", mined: str = "", memory: int = 0) -> tuple[str, ...]:
    parts = [f'name = "{name}"', f"arguments = {{{arguments}}}"]
    parts += [f'miner = "{miner}"', f"miner_arguments = {{{mined}}}"] if miner else []
    parts += [f"memory = {memory}"] if memory else []
    return (f"loss = [{{ {', '.join(parts)} }}]",)


TRIPLETS, MARGIN = "TripletMarginLoss", "margin = 0.2"
CONTRASTIVE = "pos_margin = 1.0, neg_margin = 0.5, distance = 'CosineSimilarity'"
SOFT = "temperature = 0.1"

LOSSES = (
    Row(BASELINE, "losses"),
    Row("multi-similarity, its miner", "losses", _loss("MultiSimilarityLoss", miner="MultiSimilarityMiner")),
    Row("triplet, batch-hard", "losses", _loss(TRIPLETS, arguments=MARGIN, miner="BatchHardMiner")),
    Row("Proxy-Anchor", "losses", _loss("ProxyAnchorLoss", arguments="margin = 0.1, alpha = 32"), new=10.0),
    Row("ArcFace", "losses", _loss("ArcFaceLoss", arguments="margin = 28.6, scale = 30"), new=10.0),
    Row("contrastive", "losses", _loss("ContrastiveLoss", arguments=CONTRASTIVE)),
    Row(
        "triplet, semihard",
        "losses",
        _loss(TRIPLETS, arguments=MARGIN, miner="TripletMarginMiner", mined=f"{MARGIN}, type_of_triplets = 'semihard'"),
    ),
    Row("contrastive, memory of 512", "losses", _loss("ContrastiveLoss", arguments=CONTRASTIVE, memory=512)),
    Row("normalised softmax", "losses", _loss("NormalizedSoftmaxLoss", arguments="temperature = 0.05"), new=10.0),
    Row("NT-Xent", "losses", _loss("NTXentLoss", arguments=SOFT)),
    Row("SupCon, memory of 512", "losses", _loss("SupConLoss", arguments=SOFT, memory=512)),
)


def _other(name: str, *settings: str, rates: tuple[float, ...] = ()) -> Row:
    return Row(name, "others", settings, rates=rates)


OTHERS = (
    _other("input 128 x 96", "input.height=128", "input.width=96"),
    _other("input 64 x 48", "input.height=64", "input.width=48"),
    _other(
        "hard negatives",
        "epoch_photos=800",
        "stage.0.epochs=4",
        "hard_negatives={every = 1, group = 4, photos = 2, false_negative_above = 1.0}",
    ),
    _other("32 products of 2", "products=32", "photos=2"),
    _other("random weights", 'network.init=""', "stage.0.freeze=[]", rates=(1e-3, 3e-3)),
    _other("200 steps", "epoch_photos=12800"),
    _other("10 products of 6", "products=10", "photos=6", "epoch_photos=3000"),
    _other("embedding of 64", "network.embedding=64"),
)
"""Rows with the loss of the baseline."""

UNTRAINED = (
    Row("default model, not trained", "others", seeds=1, untrained=True),
    Row("default model at 96 x 72, not trained", "others", seeds=1, untrained=True, size=(96, 72)),
)
"""The default model at its own input size of 192 x 144, and at that of the other rows."""

ROWS = (*LOSSES[:5], *OTHERS[:3], *UNTRAINED, LOSSES[5], *OTHERS[3:5], *LOSSES[6:8], *OTHERS[5:], *LOSSES[8:])
"""All rows, the most important first."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train and test the rows that are not done; several may run at once")
    running.add_argument("--data", type=Path, required=True, help="folder of the drawn benchmark")
    showing = commands.add_parser("table", help="print the tables")
    for each in (running, showing):
        each.add_argument("--out", type=Path, required=True, help="folder of the runs")
    showing.add_argument("--page", type=Path, help="page whose tables are replaced, in place of printing them")
    showing.add_argument("--figure", type=Path, help="PNG to write")
    given = parser.parse_args()
    if given.command == "run":
        run_all(given.data / "catalogue.csv", given.out)
    else:
        rows = [(row.name, row.group) for row in ROWS]
        show(given.out, rows, baseline=BASELINE, page=given.page, figure=given.figure)


def run_all(catalogue: Path, out: Path) -> None:
    """Train and test all rows that no other process has in work."""
    left = list(ROWS)
    while left:
        for row in list(left):
            folder = out / row.name
            rates = row.rates or chosen_rate(out / BASELINE)
            if not rates and not row.untrained:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            with held(folder / "lock") as mine:
                if mine:
                    run_row(row, rates, catalogue=catalogue, folder=folder)
                    left.remove(row)
                elif (folder / "done").exists():
                    left.remove(row)
        time.sleep(5)


def chosen_rate(folder: Path) -> tuple[float, ...]:
    """Return the rate that was chosen for a row; empty before."""
    file = folder / "rate.json"
    return (json.loads(file.read_text())["rate"],) if file.exists() else ()


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock that the system releases when the process ends; yields whether it was free."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def run_row(row: Row, rates: Sequence[float], *, catalogue: Path, folder: Path) -> None:
    """Choose the rate of a row on dev, train its other seeds, and test all of its seeds.

    Raises:
        ValueError: Another run gave the same values: the settings of one of the two change nothing.
    """
    if row.untrained:
        place = folder / "as-it-is"
        place.mkdir(exist_ok=True)
        model = place / "model.onnx"
        write_default(model, size=row.size)
        test_one(place, catalogue=catalogue, model=model)
        refuse_equal(place / TESTED)
        model.unlink()
        (folder / "done").touch()
        return
    tried = {rate: run_one(row, rate, 0, catalogue=catalogue, folder=folder) for rate in rates}
    rate = max(tried, key=lambda rate: tried[rate])
    (folder / "rate.json").write_text(json.dumps({"rate": rate, "dev": {str(one): tried[one] for one in tried}}))
    for seed in range(row.seeds):
        run_one(row, rate, seed, catalogue=catalogue, folder=folder)
        place = folder / name_of(rate, seed)
        test_one(place, catalogue=catalogue, model=place / "best.safetensors")
        refuse_equal(place / TESTED)
    for large in (*folder.glob("*/state.pt"), *folder.glob("*/*.safetensors")):
        large.unlink()
    (folder / "done").touch()


def name_of(rate: float, seed: int) -> str:
    """Name of the folder of a run."""
    return f"{rate:g}-{seed}"


def run_one(row: Row, rate: float, seed: int, *, catalogue: Path, folder: Path) -> float:
    """Train a run, if it is not done, and return its dev figure; a run whose loss is not finite has 0."""
    place = folder / name_of(rate, seed)
    if (place / FOUND).exists():
        return float(json.loads((place / FOUND).read_text())["dev"])
    shutil.rmtree(place, ignore_errors=True)
    began, cpu = time.time(), time.process_time()
    settings = (
        f"data.0.source={json.dumps(str(catalogue.resolve()))}",
        f"seed={seed}",
        f"stage.0.backbone_rate={rate}",
        f"stage.0.learning_rate={rate * row.new}",
        *row.settings,
    )
    try:
        figure = train(str(BASE), overrides=settings, out=place).figure or 0.0
    except NotFiniteError as error:
        figure = 0.0
        print(row.name, error)
    found = {"dev": figure, "seconds": time.time() - began, "cpu_seconds": time.process_time() - cpu}
    place.mkdir(parents=True, exist_ok=True)
    (place / FOUND).write_text(json.dumps(found))
    print(f"{time.strftime('%H:%M:%S')} {row.name}, rate {rate:g}, seed {seed}: {found}", flush=True)
    return figure


def write_default(path: Path, *, size: tuple[int, ...]) -> None:
    """Write the default model, for another input height and width if they are given."""
    model = onnx.load(str(SHIPPED_MODEL))
    if size:
        for own, pixels in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], size, strict=True):
            own.dim_value = pixels
        del model.graph.value_info[:]  # shapes between the layers
        cells = [-(-pixels // STRIDE) for pixels in size]
        outputs = {output.name: output for output in model.graph.output}
        for own, count in zip(outputs["map"].type.tensor_type.shape.dim[2:], cells, strict=True):
            own.dim_value = count
        (pooled,) = (node.input[1] for node in model.graph.node if node.op_type == "Reshape" and "map" in node.input)
        (shape,) = (tensor for tensor in model.graph.initializer if tensor.name == pooled)
        batch, channels, _ = onnx.numpy_helper.to_array(shape)
        shape.CopyFrom(onnx.numpy_helper.from_array(np.array([batch, channels, math.prod(cells)]), pooled))
        for entry in model.metadata_props:
            if entry.key == PREPROCESSING:
                entry.value = json.dumps(json.loads(entry.value) | dict(zip(("height", "width"), size, strict=True)))
    kept = [entry for entry in model.metadata_props if entry.key != KEY.decode()]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, str(path))
    append_checksum(path)


def test_one(place: Path, *, catalogue: Path, model: Path) -> None:
    """Measure a model on the test photos, unless that is done, and write what each query gave."""
    if (place / TESTED).exists() or not model.exists():
        return
    threads = torch.get_num_threads()
    found = evaluate(catalogue, model=str(model), protocol="product", where="split = 'test'", weights={"deep": 1})
    torch.set_num_threads(threads)  # an embedder takes all processors, and the next run trains in this process
    write_tested(found, place / TESTED, catalogue=catalogue)


def refuse_equal(tested: Path) -> None:
    """Refuse the test values of a run if those of another run are the same, to the last digit.

    Raises:
        ValueError: They are.
    """
    if tested.exists():
        own = tested.read_bytes()
        for other in sorted(tested.parents[2].glob(f"*/*/{TESTED}")):
            if other != tested and other.read_bytes() == own:
                raise ValueError(f"{tested} has the values of {other}: the settings of one of the two change nothing")


def write_tested(found: Evaluation, path: Path, *, catalogue: Path) -> None:
    """Write the values of each query, and whether its first answer is of its product's family."""
    items = {item.id: item for item in open_catalogue(str(catalogue)).items()}
    values, answers = found.metric_values, found.retrieval
    assert answers is not None
    columns = [values.metrics.index(name) for name in METRICS]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "product", "family", "detail", "covered", *METRICS, "right_family"])
        for place, query in enumerate(values.queries):
            item, first = items[query], answers.task.items[int(answers.answers[place, 0])]
            known = [item.attributes[name] for name in ("family", "detail", "covered")]
            right = first.attributes["family"] == item.attributes["family"]
            writer.writerow([query, item.product, *known, *values.values[place, columns].tolist(), int(right)])


if __name__ == "__main__":
    main()
