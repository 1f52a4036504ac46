"""The note beside the write lock: one clear line whatever it contains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookalike.errors import GalleryLockedError
from lookalike.storage.write_lock import WriteLock, describe_this_process

ODD_NOTES = {
    "nothing": "",
    "a number": "7",
    "a list": '["pid", 1]',
    "text": '"{pid}"',
    "half of it": '{"pid": 12}',
    "more": json.dumps({**describe_this_process(), "more": 1}),
    "cut short": '{"pid": 12, "ho',
    "deep": "[" * 100_000,
    "not text": "\udcff",
}


@pytest.mark.parametrize("case", ODD_NOTES)
def test_an_odd_note_is_passed_over(tmp_path: Path, case: str) -> None:
    holder, other = WriteLock(tmp_path / "write.lock"), WriteLock(tmp_path / "write.lock")
    with holder.held():
        (tmp_path / "write.json").write_bytes(ODD_NOTES[case].encode("utf-8", "surrogateescape"))
        with (
            pytest.raises(GalleryLockedError, match="is being written to by another process; wait") as caught,
            other.held(0),
        ):
            pass
        assert caught.value.holder == {}


def test_braces_in_the_note_mean_nothing(tmp_path: Path) -> None:
    holder, other = WriteLock(tmp_path / "write.lock"), WriteLock(tmp_path / "write.lock")
    with holder.held():
        note = {**describe_this_process(), "command": "{host.__class__}"}
        (tmp_path / "write.json").write_text(json.dumps(note))
        with pytest.raises(GalleryLockedError, match=r"\({host.__class__}\) since"), other.held(0):
            pass


def test_a_note_that_cannot_be_deleted_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock, other = WriteLock(tmp_path / "write.lock"), WriteLock(tmp_path / "write.lock")
    with lock.held():
        (tmp_path / "write.json").unlink()
        (tmp_path / "write.json").mkdir()
    with other.held(0):
        pass
