"""Fixtures of several test folders: a model small enough to load and run in a millisecond."""

from __future__ import annotations

import atexit
import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.cli.running import show_notes
from lookalike.remote.cache import shared_cache
from tiny_finder import write_tiny_finder
from tiny_model import write_tiny_model

pytest_plugins = ["milvus_server", "fault_tries", "alone", "inherited_signals", "skipped_parts"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Leave modules and tests, which stay to the end, out of garbage collections: they are millions of objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # extensions complain of objects that are left at the end
        gc.enable()


@pytest.fixture(scope="session")
def tiny_finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a finder that goes by colours."""
    return write_tiny_finder(tmp_path_factory.mktemp("model") / "finder.onnx")


@pytest.fixture(autouse=True)
def loggers_of_its_own() -> None:
    """Give each test the loggers of a new process: commands and servers that run in the tests' process set them up."""
    show_notes.cache_clear()
    for name in ("lookalike", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


@pytest.fixture(autouse=True)
def cache_of_its_own() -> None:
    """Open the cache of remote photos in each test as its environment says; an earlier one may have had another."""
    shared_cache.cache_clear()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with the space `deep` of 16 dimensions."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def labelled_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model `tiny_model` with heads: the same embeddings, and labels."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "labelled.onnx", labels=True)


@pytest.fixture(scope="session")
def mapped_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model `tiny_model` with its last feature map: the same embeddings, and regions to explain matches by."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "mapped.onnx", mapped=True)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that describes photos otherwise than `tiny_model`."""
    path = tmp_path_factory.mktemp("model") / "other.onnx"
    return write_tiny_model(path, name="other", fingerprint="fedcba9876543210", seed=1)


@pytest.fixture(scope="session")
def attentive_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that gives its attention too, so that there is a space `color-original`."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "attentive.onnx", attention=True)
