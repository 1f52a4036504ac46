"""Finders: overlaps and duplicates, training on drawn garments, and the exported file."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import batched_nms, box_iou, clip_boxes_to_image, nms
from typer.testing import CliRunner

from lookalike.cli.commands import make_app
from lookalike.errors import CatalogueError, ConfigError, ModelError
from lookalike.finding.boxes import intersection_over_union, suppress_duplicates
from lookalike.finding.decoding import OTHER, SAME, centres_of, decode
from lookalike.finding.finder import Finder
from lookalike.kinds import GENERAL, KINDS, TYPES, kind_of, type_of
from lookalike.models.finder.checkpoint import load_finder
from lookalike.models.finder.input_shape import input_shape
from lookalike.training.finder.labelled_photos import LabelledPhoto, read_labelled
from lookalike.training.finder.loop import FinderRun, _optimizer, train_finder
from lookalike.training.finder.loss import Truth, assign, finder_loss
from lookalike.training.finder.scenes import Scenes
from lookalike.training.finder.settings import GarmentDataSettings, SceneSettings, load_finder_settings
from lookalike.training.run.run_folder import RunFolder
from lookalike.training.run.schedule import rate_factor
from lookalike.training.settings.presets import find_settings
from lookalike.training.train import train
from lookalike.types import Box

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

PHOTOS = 8
RUN = """
task = "finder"
name = "drawn"
batch = 2
pixels = 4096
measure_every = 3
save_every = 2
network = { backbone = "test_efficientnet", init = "", channels = 16, depth = 1 }

[[data]]
photos = "worn.csv"
boxes = "boxes.csv"

[[data]]
photos = "masked.csv"
masks = "mask"
classes = "classes.csv"

[[data]]
photos = "white.csv"
label = "kind"
shown = "white"

[[data]]
photos = "white.csv"
label = "kind"
shown = "single"

[[stage]]
steps = 2
learning_rate = 1e-3
pixels = 4096

[[stage]]
steps = 4
learning_rate = 1e-3
backbone_rate = 1e-4
freeze = ["conv_stem", "bn1", "blocks.0"]
pixels = 4096
"""


def write_table(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn people: a red top on grey trousers, with boxes and with masks; and tops on white."""
    root = tmp_path_factory.mktemp("garments")
    random = np.random.default_rng(0)
    worn: list[dict[str, object]] = []
    boxes: list[dict[str, object]] = []
    garments: list[dict[str, object]] = []
    white: list[dict[str, object]] = []
    for number in range(PHOTOS):
        x, y = int(random.integers(5, 20)), int(random.integers(5, 20))
        top, trousers = (x, y, x + 30, y + 25), (x + 4, y + 25, x + 26, y + 65)
        picture, mask = Image.new("RGB", (64, 96), "darkgreen"), Image.new("L", (64, 96))
        for box, color, value in ((top, "red", 54), (trousers, "grey", 31)):
            inside = (box[0], box[1], box[2] - 1, box[3] - 1)
            ImageDraw.Draw(picture).rectangle(inside, fill=color)
            ImageDraw.Draw(mask).rectangle(inside, fill=value)
        mask.putpixel((63, 95), 54)  # a speck, which belongs to nothing
        picture.save(root / f"{number}.png")
        mask.save(root / f"mask{number}.png")
        split = "dev" if number == 0 else "measure" if number == 1 else "train"
        worn.append({"file": f"{number}.png", "mask": f"mask{number}.png", "split": split, "width": 64, "height": 96})
        for kind, box in (("top", top), ("jeans", trousers)):
            sides = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
            garments.append(
                {
                    "id": f"{number} {kind}",
                    "image": f"{number}.png",
                    "kind": kind,
                    "split": split,
                    "box": str(Box(*box)),
                }
            )
            boxes.append({"file": f"{number}.png", "kind": kind, "split": split, **sides})
        shown = Image.new("RGB", (60, 80), "white")
        ImageDraw.Draw(shown).rectangle((15, 20, 44, 59), fill="navy")
        shown.save(root / f"white{number}.png")
        white.append({"file": f"white{number}.png", "kind": "Tshirts" if number % 2 else "Socks", "split": split})
    write_table(root / "worn.csv", worn)
    write_table(root / "masked.csv", worn)
    write_table(root / "boxes.csv", boxes)
    write_table(root / "garments.csv", garments)
    write_table(root / "white.csv", white)
    write_table(root / "classes.csv", [{"class_id": 0, "name": "null"}, *MASKED])
    (root / "run.toml").write_text(RUN, encoding="utf-8")
    return root


MASKED: list[dict[str, object]] = [{"class_id": 31, "name": "pants"}, {"class_id": 54, "name": "top"}]


@pytest.fixture(scope="module")
def checkpoint(data: Path) -> Path:
    return train(data / "run.toml", out=data / "run").checkpoint


def slow_overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union, by counting the pixels of boxes at whole numbers."""
    first, second = ({(x, y) for x in range(int(c[0]), int(c[2])) for y in range(int(c[1]), int(c[3]))} for c in (a, b))
    return len(first & second) / max(1, len(first | second))


def test_overlap_is_the_share_of_pixels() -> None:
    random = np.random.default_rng(3)
    corners = random.integers(0, 12, (20, 2))
    boxes = np.concatenate([corners, corners + random.integers(1, 9, (20, 2))], axis=1).astype(np.float32)
    slow = [[slow_overlap(a, b) for b in boxes[10:].tolist()] for a in boxes[:10].tolist()]
    np.testing.assert_allclose(intersection_over_union(boxes[:10], boxes[10:]), slow, atol=1e-6)


def test_duplicates_are_removed_and_other_kinds_stay_unless_they_are_the_same_box() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 7], [0, 0, 10, 10]], dtype=np.float32)
    scores = np.array([0.6, 0.9, 0.5, 0.4], dtype=np.float32)
    kept = suppress_duplicates(boxes, scores, np.array([0, 0, 1, 1]), same=0.6, other=0.8)
    assert kept.tolist() == [1, 2]  # 0 is a duplicate of 1; 2 is of another kind and covers .78 of it; 3 is on 1


@pytest.mark.parametrize("seed", range(5))
def test_duplicates_are_those_of_torchvision(seed: int) -> None:
    random = np.random.default_rng(seed)
    low = random.uniform(0, 80, (200, 2))
    boxes = np.concatenate([low, low + random.uniform(5, 60, low.shape)], axis=1).astype(np.float32)
    scores = random.permutation(200).astype(np.float32) / 200
    kinds = random.integers(0, 3, 200)
    tensors = torch.from_numpy(boxes), torch.from_numpy(scores)
    of_all = nms(*tensors, 0.6).tolist()
    of_each = batched_nms(*tensors, torch.from_numpy(kinds), 0.6).tolist()
    assert suppress_duplicates(boxes, scores, kinds, same=0.6, other=0.6).tolist() == of_all
    assert suppress_duplicates(boxes, scores, kinds, same=0.6, other=1.0).tolist() == of_each
    assert len(of_all) < len(of_each) < 200


@pytest.mark.parametrize("seed", range(3))
def test_decoding_gives_what_torchvision_makes_of_the_outputs(seed: int) -> None:
    """Locations by torchvision's anchors, candidates by its score limit, boxes by its clipping and suppression."""
    random = np.random.default_rng(seed)
    height, width = 64, 96
    grids = [(height // stride, width // stride) for stride in (8, 16, 32)]
    made = AnchorGenerator(sizes=((8,), (16,), (32,)), aspect_ratios=((1.0,),) * 3)
    images = ImageList(torch.zeros(1, 3, height, width), [(height, width)])
    corners = made(images, [torch.zeros(1, 1, *grid) for grid in grids])[0]
    # Its anchors lie about the upper left corner of their cells.
    sides = (corners[:, 2:] - corners[:, :2]) / 2
    centres = (corners[:, :2] + corners[:, 2:]) / 2 + sides
    scores = random.uniform(0, 0.3, (len(centres), 4)).astype(np.float32)
    distances = random.uniform(2, 30, (len(centres), 4)).astype(np.float32)
    places, kinds = torch.nonzero(torch.from_numpy(scores) >= 0.25, as_tuple=True)
    reach = torch.from_numpy(distances)[places]
    boxes = torch.cat([centres[places] - reach[:, :2], centres[places] + reach[:, 2:]], dim=1)
    boxes = clip_boxes_to_image(boxes, (height, width))
    chosen = torch.from_numpy(scores)[places, kinds]
    overlap, kept = box_iou(boxes, boxes), []
    for place in chosen.argsort(descending=True).tolist():
        if all(overlap[place, better] <= (SAME if kinds[place] == kinds[better] else OTHER) for better in kept):
            kept.append(place)
    found = decode(scores, distances, size=(height, width), least=0.25)
    assert found.kinds.tolist() == kinds[kept].tolist()
    np.testing.assert_allclose(found.scores, chosen[kept])
    np.testing.assert_allclose(found.boxes * np.array([width, height] * 2), boxes[kept], atol=1e-4)
    assert len(kept) > 20


def test_decoding_gives_the_box_that_a_place_speaks_of() -> None:
    centres = centres_of(64, 32)
    assert len(centres) == 32 + 8 + 2
    place = int(np.flatnonzero((centres == [12, 20]).all(axis=1))[0])
    scores, sides = np.zeros((len(centres), 2), dtype=np.float32), np.ones((len(centres), 4), dtype=np.float32)
    scores[place, 1], sides[place] = 0.8, [4, 10, 8, 12]
    found = decode(scores, sides, size=(64, 32))
    assert found.kinds.tolist() == [1]
    np.testing.assert_allclose(found.boxes, [[8 / 32, 10 / 64, 20 / 32, 32 / 64]], atol=1e-6)


@pytest.mark.parametrize(
    ("size", "shape"), [((400, 600), (384, 256)), ((512, 512), (320, 320)), ((9000, 10), (192, 544))]
)
def test_inputs_keep_the_photos_shape_and_the_number_of_pixels(size: tuple[int, int], shape: tuple[int, int]) -> None:
    assert input_shape(*size, pixels=98304) == shape


def test_every_word_means_one_kind_and_at_most_one_type() -> None:
    words = [word for types in TYPES.values() for name, several in types.items() for word in (name, *several)]
    general = [word for kind, several in GENERAL.items() for word in (kind, *several)]
    assert len(words) == len(set(words))
    assert len(general) == len(set(general))
    assert set(words) & set(general) <= set(KINDS)  # trousers are a kind, and one of its types
    assert tuple(TYPES) == KINDS
    assert (kind_of("Jeans"), kind_of("suit"), kind_of("hat")) == ("trousers", None, "hat")
    assert (type_of("Longsleeve"), type_of("Tshirts"), type_of("pants")) == ("long-sleeve", "t-shirt", None)


def test_the_best_places_inside_answer_for_a_garment() -> None:
    centres = torch.from_numpy(centres_of(64, 64))
    truth = Truth(
        torch.tensor([[0.0, 0, 32, 32]]), torch.tensor([1]), torch.ones(1), torch.zeros(0, 4), torch.ones(3).bool()
    )
    found = torch.cat([centres - 4, centres + 4], dim=1)
    right = int(((centres == 12).all(dim=1)).nonzero()[0, 0])
    found[right] = truth.boxes[0]
    garment, target = assign(torch.full((len(centres), 3), 0.1), found, truth, centres=centres)
    assert target[right] == pytest.approx(1.0) and target.argmax() == right
    chosen = garment >= 0
    assert 1 <= int(chosen.sum()) <= 10
    assert bool((centres[chosen] < 32).all())
    assert bool((target[~chosen] == 0).all())


def test_kinds_that_a_source_does_not_tell_of_are_not_held_against_the_network() -> None:
    centres = torch.from_numpy(centres_of(64, 64))
    nothing = (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    logits, distances = torch.zeros(1, len(centres), 2), torch.ones(1, len(centres), 4)
    losses = [
        float(finder_loss(logits, distances, [Truth(*nothing, unknown, known)], centres=centres)["kinds"])
        for unknown, known in (
            (torch.zeros(0, 4), torch.tensor([True, True])),
            (torch.zeros(0, 4), torch.tensor([True, False])),
            (torch.tensor([[0.0, 0, 64, 64]]), torch.tensor([True, True])),
        )
    ]
    whole = 2 * len(centres) * float(np.log(2))
    assert losses == pytest.approx([whole, whole / 2, 0.0])


def test_tables_are_read_as_they_say(data: Path) -> None:
    boxes = read_labelled(GarmentDataSettings("worn.csv", boxes="boxes.csv"), folder=data)
    masks = read_labelled(GarmentDataSettings("masked.csv", masks="mask", classes="classes.csv"), folder=data)
    assert (len(boxes["train"]), len(boxes["dev"])) == (PHOTOS - 2, 1)  # that for measuring is never read
    for one, other in zip(boxes["train"], masks["train"], strict=True):
        assert one.kinds.tolist() == [KINDS.index("top"), KINDS.index("trousers")]
        assert sorted(other.kinds.tolist()) == one.kinds.tolist()
        np.testing.assert_allclose(other.boxes[other.kinds.argsort()], one.boxes, atol=1e-6)
    white = read_labelled(GarmentDataSettings("white.csv", label="kind", shown="white"), folder=data)
    assert [photo.kinds.tolist() for photo in white["train"]] == [[0]] * 3  # socks are not sought


def test_a_table_without_the_column_is_refused(data: Path) -> None:
    with pytest.raises(CatalogueError, match="has no column 'use'"):
        read_labelled(GarmentDataSettings("worn.csv", boxes="boxes.csv", split="use"), folder=data)


def test_boxes_follow_their_garments_through_every_change(data: Path) -> None:
    settings = SceneSettings(light=0.0, spoil=0.0, add=0.0)
    parts = [
        read_labelled(each, folder=data)["train"]
        for each in (
            GarmentDataSettings("worn.csv", boxes="boxes.csv"),
            GarmentDataSettings("white.csv", label="kind", shown="white"),
        )
    ]
    scenes = Scenes(settings, worn=parts[0], white=parts[1])
    seen = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        photo: LabelledPhoto = parts[seed % 2][seed % 3]
        scene = scenes.scene(photo, size=(96, 64) if seed % 4 else (64, 96), random=random)
        pixels = np.asarray(scene.picture).astype(int)
        for box, kind in zip(scene.boxes.round().astype(int), scene.kinds, strict=True):
            if kind != KINDS.index("top"):
                continue
            part = pixels[box[1] + 2 : box[3] - 2, box[0] + 2 : box[2] - 2]
            # A top is red on people and navy on white, and a navy one may lie on a part of a red one.
            red, navy = (abs(part - color).max(axis=2) < 60 for color in ((255, 0, 0), (0, 0, 128)))
            assert part.size == 0 or (red | navy).mean() > 0.85
            seen += part.size > 0
    assert seen > 40


def test_a_run_that_was_stopped_goes_the_way_it_would_have_gone(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"

    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise Enough

    with pytest.raises(Enough):
        train(data / "run.toml", out=out, progress=stop)
    train(data / "run.toml", resume=out)
    logs = [(folder / "log.jsonl").read_text().splitlines() for folder in (data / "run", out)]
    assert [json.loads(line) for line in logs[0]] == [json.loads(line) for line in logs[1]]
    whole, again = ((folder / "last.safetensors").read_bytes() for folder in (data / "run", out))
    assert whole == again
    copied = shutil.copytree(data, tmp_path / "copied")
    train(copied / "run.toml", resume=out)
    header, first, *rest = (copied / "boxes.csv").read_text(encoding="utf-8").splitlines()
    (copied / "boxes.csv").write_text("\n".join([header, *rest]), encoding="utf-8")
    with pytest.raises(ConfigError, match="the data changed since the run began: 1 item with another box"):
        train(copied / "run.toml", resume=out)
    assert first


def test_a_run_may_be_made_longer(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(data / "run", tmp_path / "run"))
    with pytest.raises(ConfigError, match=r"stage\.1\.steps makes 3 steps, and 4 are taken"):
        train(data / "run.toml", resume=out, overrides=["stage.1.steps=3"])
    with pytest.raises(ConfigError, match=r"stage\.0\.steps makes 3 steps of the 2 of a stage that has ended"):
        train(data / "run.toml", resume=out, overrides=["stage.0.steps=3"])
    state = RunFolder(out).read_state()
    assert state is not None and state["done"] == 6
    moments = [each["exp_avg"] for each in state["optimizer"]["state"].values()]
    assert any(float(moment.abs().max()) > 0 for moment in moments)  # what the optimiser goes on with
    train(data / "run.toml", resume=out, overrides=["stage.1.steps=7"])
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    factors = [entry["factor"] for entry in lines if "factor" in entry]
    assert factors[6:] == [rate_factor(step, 7, warmup=0.05) for step in (4, 5, 6)]
    [changed] = [entry["lengths"] for entry in lines if "lengths" in entry]
    assert changed[0].startswith("stage.1.steps: 7 steps in place of 4")


def test_a_resumed_run_knows_the_photos_that_were_left_out(data: Path, tmp_path: Path) -> None:
    settings, folder = load_finder_settings(data / "run.toml"), RunFolder(tmp_path / "run")
    folder.begin(settings)
    run = FinderRun(settings, base=data, folder=folder, report=lambda line: None)
    run._skip(run.train[0][0], "cut off")
    run._save(_optimizer(run.network, settings.stage[0], settings))
    again = FinderRun(settings, base=data, folder=folder, report=lambda line: None)
    assert again.skipped == run.skipped != {}
    folder.release()


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    file = checkpoint.with_name("finder.onnx")
    done = CliRunner().invoke(make_app(), ["export", str(checkpoint), "--onnx", str(file), "--half"])
    assert done.exit_code == 0 and "largest difference" in done.output
    return file


def test_an_exported_file_is_measured_by_a_command(data: Path, exported: Path) -> None:
    arguments = ["evaluate", str(data / "garments.csv"), "--protocol", "garments", "--model", str(exported), "--json"]
    done = CliRunner().invoke(make_app(), [*arguments, "--where", "split = 'dev'"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["garments"] == {"top": 1, "trousers": 1} and facts["photos"] == 1


def test_what_is_no_finder_is_refused(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx"):
        Finder(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_finder(data / "0.png")
    broken = tmp_path / "broken.safetensors"
    content = bytearray(checkpoint.read_bytes())
    content[-5] ^= 255
    broken.write_bytes(content)
    with pytest.raises(ModelError, match="does not fit its checksum"):
        load_finder(broken)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.0.masks=mask", "expected `boxes`, or `masks` and `classes`"),
        ("data.2.label=", "expected `label`"),
        ('data.0.kinds=["tpo"]', "unknown kind 'tpo'"),
        ("batch=0", "batch: expected a whole number from 1 to 100,000, got 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(data: Path, override: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_finder_settings(data / "run.toml", overrides=(override,))


def test_the_preset_completes_a_short_run(data: Path, tmp_path: Path) -> None:
    file, _ = find_settings("finder-mobile")
    given = [
        *("data.0.photos=worn.csv", "data.0.boxes=boxes.csv", "data.0.split=split"),
        *("data.1.photos=masked.csv", "data.1.classes=classes.csv"),
        *(f"data.{number}.{key}" for number in (2, 3, 4) for key in ("photos=white.csv", "label=kind", "where={}")),
        *(f"stage.{number}.{key}" for number in (0, 1, 2) for key in ("steps=1", "pixels=4096")),
        *("network.backbone=test_efficientnet", "network.init=", "batch=2", "pixels=4096"),
    ]
    settings = load_finder_settings(file, overrides=tuple(given))
    assert all("measure" not in (*each.train, *each.dev) for each in settings.data)
    trained = train_finder(file, base=data, overrides=given, out=tmp_path / "run")
    checkpoint = load_finder(trained.checkpoint)
    assert (checkpoint.kinds, checkpoint.pixels, trained.skipped) == (list(KINDS), 4096, [])
