"""Pickling of errors between processes, with all attributes."""

from __future__ import annotations

import importlib
import inspect
import multiprocessing
import pickle
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike.errors import (
    AnnotationError,
    AnnotationErrors,
    FilterError,
    GalleryLockedError,
    IndexFileError,
    LookalikeError,
    MissingExtraError,
    PhotoError,
    UnknownNameError,
)
from lookalike.images import read_bytes

SAMPLES: dict[str, Any] = {
    "code": "busy",
    "known": ("one", "two"),
    "path": Path("a/b.txt"),
    "folder": Path("a"),
    "line": 3,
    "steps": 7,
    "position": 2,
    "place": 2,
    "complete": True,
    "holder": {"pid": 1},
    "problems": (AnnotationError(Path("x"), 1, "text", "a number"), LookalikeError("plain")),
}


def all_errors() -> Iterator[type[BaseException]]:
    """Every class of error that a module of the package defines."""
    for module in pkgutil.walk_packages(lookalike.__path__, "lookalike."):
        if module.name.endswith("__main__"):
            continue
        found = importlib.import_module(module.name)
        for kind in vars(found).values():
            if inspect.isclass(kind) and issubclass(kind, BaseException) and kind.__module__ == module.name:
                yield kind


def made(kind: type[BaseException]) -> BaseException:
    """An error of a kind, with something for each argument that it wants."""
    own = [each for each in kind.__mro__ if each.__module__.startswith("lookalike") and "__init__" in vars(each)]
    if not own:
        return kind("what happened")
    wanted = inspect.signature(kind).parameters.values()
    needed = [each for each in wanted if each.default is each.empty]
    arguments = {each.name: SAMPLES.get(each.name, f"the {each.name}") for each in needed}
    return kind(**arguments)


def test_every_error_is_the_same_after_its_travel() -> None:
    kinds = set(all_errors())
    assert {PhotoError, FilterError, AnnotationErrors, UnknownNameError} < kinds
    assert any(kind.__module__.startswith("lookalike.server") for kind in kinds)
    for kind in kinds:
        error = made(kind)
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            back = pickle.loads(pickle.dumps(error, protocol))
            assert type(back) is kind
            assert (str(back), back.args) == (str(error), error.args)
            assert repr(vars(back)) == repr(vars(error))


def test_notes_that_were_added_travel_too() -> None:
    error = PhotoError("a.jpg", "cut short")
    error.add_note("on the second machine")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["on the second machine"]


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (PhotoError("a.jpg", "cut short"), {"source": "a.jpg", "reason": "cut short"}),
        (FilterError("x <", 3, "a value"), {"expression": "x <", "position": 3, "expected": "a value"}),
        (GalleryLockedError("in use", holder={"pid": 7}), {"holder": {"pid": 7}}),
        (IndexFileError(Path("i"), "old"), {"path": Path("i"), "reason": "old"}),
        (MissingExtraError("reading", "stores"), {"extra": "stores"}),
    ],
)
def test_facts_are_attributes_on_the_other_side(error: LookalikeError, facts: dict[str, Any]) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert {name: getattr(back, name) for name in facts} == facts


def raise_made(module: str, name: str) -> None:
    """Raise an error in this process, which is another one than the test's."""
    raise made(getattr(importlib.import_module(module), name))


def test_every_error_comes_out_of_a_pool() -> None:
    """Of a process that is spawned, as on all systems but Linux; what cannot be unpickled there hangs the caller."""
    kinds = sorted({kind for kind in all_errors() if issubclass(kind, Exception)}, key=lambda kind: kind.__name__)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        raised = [pool.apply_async(raise_made, [kind.__module__, kind.__name__]) for kind in kinds]
        for kind, one in zip(kinds, raised, strict=True):
            with pytest.raises(kind) as caught:
                one.get(timeout=120)
            assert type(caught.value) is kind
            assert str(caught.value) == str(made(kind))


def test_a_pool_hands_an_error_on_and_does_not_hang() -> None:
    """What cannot be unpickled ends the thread of a pool that reads results, and its caller waits for ever."""
    with multiprocessing.get_context("spawn").Pool(1) as pool, pytest.raises(PhotoError) as caught:
        pool.apply_async(read_bytes, ["/nowhere/at/all.jpg"]).get(timeout=120)
    assert (caught.value.source, caught.value.reason) == ("/nowhere/at/all.jpg", "no such file")
