"""`lookalike doctor`: check the installation, the model and a gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.console import write_facts, write_json
from lookalike.cli.options import Device, Json, Model, Runtime
from lookalike.errors import LookalikeError, UnknownNameError, UsageError
from lookalike.types import JSON

BASE = ("numpy", "pillow", "onnxruntime", "faiss-cpu", "scipy", "sqlglot", "pyarrow", "fsspec", "typer", "rich")
OPTIONAL = ("openvino", "torch", "timm", "pytorch-metric-learning", "onnxruntime-gpu")
FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "asimd", "asimddp", "bf16")


def doctor(
    gallery: Annotated[
        str | None, typer.Option("--gallery", "-g", metavar="G", help="Gallery to check as well.")
    ] = None,
    model: Model = None,
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Check the installation, the model and a gallery; exit code 1 if there are problems."""
    import platform

    used = model or (gallery and _remembered(gallery)) or "default"
    problems: list[JSON] = []
    facts: dict[str, JSON] = {
        "lookalike": _version("lookalike"),
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "processor": _processor(),
        "packages": {name: _version(name) for name in BASE},
        "optional": {name: _version(name) or "not installed" for name in OPTIONAL},
        "model": _model(used, runtime, device, problems, is_given=model is not None),
    }
    if gallery is not None:
        facts["gallery"] = _gallery(gallery, model=model, runtime=runtime, device=device, problems=problems)
    facts["problems"] = problems
    if json:
        write_json(facts)
    else:
        write_facts(facts)
    return 1 if problems else 0


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> dict[str, JSON]:
    from lookalike.embedding.model_loading import processors

    return {"cores": processors(), "features": list[JSON](_processor_features())}


def _processor_features() -> list[str]:
    """Relevant instruction sets of this processor, if the system lists them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return []
    flags = next((line for line in text.splitlines() if line.lower().startswith(("flags", "features"))), "")
    present = set(flags.partition(":")[2].split())
    return [feature for feature in FEATURES if feature in present]


def _model(model: str, runtime: str, device: str, problems: list[JSON], *, is_given: bool) -> dict[str, JSON]:
    """Load and run the model, and describe it; a given one that is no model is the caller's mistake."""
    from time import perf_counter

    from PIL import Image

    from lookalike.embedding.embedder import PhotoEmbedder
    from lookalike.embedding.model_loading import choose_runtime, find_model, open_network

    try:
        path = find_model(model)
        chosen = choose_runtime(path, runtime)
        started = perf_counter()
        network = open_network(model, runtime=runtime, device=device)
        loaded = perf_counter()
        embedder = PhotoEmbedder(network)
        preprocessing = network.identity.preprocessing
        grey = Image.new("RGB", (preprocessing.width, preprocessing.height), "grey")
        embedder.embed([grey])
        warm = perf_counter()
        embedder.embed([grey])
        ran = perf_counter()
    except LookalikeError as error:
        if isinstance(error, UnknownNameError) or (is_given and isinstance(error, UsageError)):
            raise
        problems.append(str(error))
        return {}
    return {
        "file": str(path),
        "is": embedder.fingerprint,
        "input": f"{preprocessing.width} x {preprocessing.height}, {preprocessing.fit}",
        "spaces": [f"{space.name} {space.dimension}" for space in embedder.spaces],
        "runtime": chosen,
        "device": network.device,
        "load_ms": round((loaded - started) * 1000, 1),
        "one_photo_ms": round((ran - warm) * 1000, 1),
    }


def _remembered(address: str) -> str | None:
    """Model recorded in a gallery."""
    from lookalike.gallery.opening import open_gallery

    with open_gallery(address) as gallery:
        return gallery.model


def _gallery(address: str, *, model: str | None, runtime: str, device: str, problems: list[JSON]) -> dict[str, JSON]:
    """Check a gallery, and that the model filled it."""
    import lookalike
    from lookalike.gallery.opening import open_gallery
    from lookalike.retrieval.learned_order import misfit

    with open_gallery(address) as gallery:
        problems += gallery.verify().problems
        facts = gallery.info()
        ranking = gallery.stored_weights.ranking
        if ranking is not None and ranking.is_default and (problem := misfit(ranking, gallery)) is not None:
            problems.append(f"searches do not use the learned ranking: {problem}")
    try:
        lookalike.open(address, model=model, runtime=runtime, device=device).check_model()
    except LookalikeError as error:
        if str(error) not in problems:
            problems.append(str(error))
    return facts
