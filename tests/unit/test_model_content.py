"""Damaged model files: every runtime refuses them."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from lookalike.embedding.model_loading import open_network
from lookalike.errors import ModelError
from lookalike.finding.finder import Finder
from lookalike.models import content_hash
from lookalike.models.default_model import SHIPPED_MODEL
from lookalike.text.encoder import TextEncoder
from tiny_text_encoder import write_tiny_text_encoder

FLIPS = 60


def flipped(path: Path, target: Path, at: int, bit: int) -> Path:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_flipped_bit_anywhere_is_refused(tiny_model: Path, tmp_path: Path, runtime: str, luck: Random) -> None:
    pytest.importorskip(runtime if runtime == "openvino" else "onnxruntime")
    open_network(tiny_model, runtime=runtime)
    size = tiny_model.stat().st_size
    for _ in range(FLIPS):
        damaged = flipped(tiny_model, tmp_path / "damaged.onnx", luck.randrange(size), luck.randrange(8))
        with pytest.raises(ModelError, match=re.escape(str(damaged))):
            open_network(damaged, runtime=runtime)


def test_a_file_without_its_checksum_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(tiny_model.read_bytes()[: -len(content_hash.PREFIX) - content_hash.DIGITS])
    with pytest.raises(ModelError, match="checksum is missing"):
        open_network(cut)
    content_hash.append_checksum(cut)
    assert cut.read_bytes() == tiny_model.read_bytes()
    open_network(cut)


def test_weights_changed_by_another_program_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny_model)
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0]) * 2
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "weights"))
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(ModelError, match="does not fit its checksum"):
        open_network(tmp_path / "changed.onnx")


def with_a_failing_operator(path: Path, target: Path, output: str) -> Path:
    """Copy an ONNX file, and let an output take rows that there are not, which shows only when it is computed."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    (node,) = [node for node in model.graph.node if output in node.output]
    node.output[:] = ["inner" if name == output else name for name in node.output]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([10**6]), "nowhere"))
    model.graph.node.append(onnx.helper.make_node("Gather", ["inner", "nowhere"], [output], axis=0))
    onnx.save(model, target)
    content_hash.append_checksum(target)
    return target


def test_an_operator_that_fails_is_an_error_of_its_file(tiny_model: Path, tiny_finder: Path, tmp_path: Path) -> None:
    photo = Image.new("RGB", (64, 64), "red")
    network = open_network(with_a_failing_operator(tiny_model, tmp_path / "photos.onnx", "embedding"))
    with pytest.raises(ModelError, match=r"photos\.onnx: the model cannot be run: .*[Gg]ather"):
        network.run(np.zeros((1, 3, 32, 32), dtype=np.float32))
    finder = Finder(with_a_failing_operator(tiny_finder, tmp_path / "finder.onnx", "scores"))
    with pytest.raises(ModelError, match=r"finder\.onnx: the model cannot be run: .*[Gg]ather"):
        finder.find(photo)
    vectors = {"red": np.ones(16, dtype=np.float32)}
    texts = write_tiny_text_encoder(tmp_path / "tiny.text.onnx", vectors, photo_model="tiny@01234567")
    encoder = TextEncoder(with_a_failing_operator(texts, tmp_path / "words.onnx", "embedding"))
    with pytest.raises(ModelError, match=r"words\.onnx: the model cannot be run: .*[Gg]ather"):
        encoder.encode(["red"])


def test_a_finder_of_other_shapes_is_refused(tiny_finder: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny_finder)
    (kinds,) = [pair for pair in model.metadata_props if pair.key == "lookalike.kinds"]
    kinds.value = "top,skirt"
    onnx.save(model, tmp_path / "fewer.onnx")
    content_hash.append_checksum(tmp_path / "fewer.onnx")
    with pytest.raises(ModelError, match=r"gives `scores` \(1, A, 2\) and `sides` \(1, A, 4\), this one has"):
        Finder(tmp_path / "fewer.onnx")


def test_the_shipped_model_has_a_checksum() -> None:
    assert content_hash.has_checksum(content_hash.read_checked(SHIPPED_MODEL))


def test_a_model_that_gives_nan_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    import numpy as np

    from lookalike.embedding.embedder import as_kept
    from lookalike.embedding.network import Identity
    from lookalike.models.preprocessing import Preprocessing

    unit = Identity("m", "0" * 64, Preprocessing(32, 32))
    for identity in (unit, replace(unit, unit=False)):
        for number in (np.nan, np.inf):
            with pytest.raises(
                ModelError, match=r"m@00000000 gives (numbers that are not finite|embeddings of length)"
            ):
                as_kept(np.array([[1.0, 0.0], [number, 0.0]], dtype=np.float32), identity)


def test_a_flipped_bit_of_a_checkpoint_is_refused(tmp_path: Path, luck: Random) -> None:
    pytest.importorskip("timm")
    from lookalike.models.checkpoint import load_checkpoint, save_checkpoint
    from lookalike.models.network import Network, NetworkSettings
    from lookalike.models.preprocessing import Preprocessing

    path = tmp_path / "sound.safetensors"
    network = Network(NetworkSettings(backbone="mobilenetv2_050", embedding=8), heads={"kind": 2})
    save_checkpoint(path, network, preprocessing=Preprocessing(32, 32), name="n", classes={"kind": ["a", "b"]})
    load_checkpoint(path)
    size = path.stat().st_size
    header = int.from_bytes(path.read_bytes()[:8], "little")
    places = [luck.randrange(8 + header) for _ in range(8)] + [luck.randrange(8 + header, size) for _ in range(8)]
    for at in places:
        with pytest.raises(ModelError, match=r"damaged\.safetensors"):
            load_checkpoint(flipped(path, tmp_path / "damaged.safetensors", at, luck.randrange(8)))
