"""A switch to another model that is killed, or refused by the disk: the old vectors or the new ones, all of them."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from random import Random

import pytest
from disk_faults import KILL, KILLED, Broken, broken, disk_watch
from sent_photos import picture, put, writer_of

import lookalike
from fault_tries import Tries
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.tuning.remodelling.remodel import remodel, remodelling_state

__all__ = ["broken", "disk_watch"]


def known(gallery: Path) -> dict[str, object]:
    """All items with their vectors, and the models that made them."""
    with LocalGallery(gallery) as opened:
        assert opened.verify(photos=True).problems == ()
        items = {item.id: (item, opened.vectors(item.id)["deep"].tobytes()) for item in opened.list(limit=None)[1]}
        return {**items, "": [space.model_id for space in opened.spaces]}


@pytest.fixture
def pattern(broken: Broken, tiny_model: Path, other_model: Path, tmp_path: Path) -> Path:
    """A gallery with staged vectors, at the place where it is copied to."""
    gallery = broken.folder / "shop.gallery"
    (tmp_path / "photos").mkdir()
    for number in range(6):
        (tmp_path / "photos" / f"{number}.png").write_bytes(picture(number))
    with lookalike.open(gallery, model=tiny_model) as shop:
        shop.index(tmp_path / "photos")
    with writer_of(gallery, tiny_model) as writer:
        put(writer, "sent", 50)
    remodel(gallery, other_model)
    shutil.copytree(gallery, tmp_path / "pattern")
    return tmp_path / "pattern"


def test_a_switch_is_one_commit(pattern: Path, broken: Broken, tries: Tries, luck: Random) -> None:
    gallery = broken.folder / "shop.gallery"
    command = ("gallery", "remodel", "-g", gallery, "--switch")
    before = known(gallery)
    whole = broken.command(*command)
    assert whole.code == 0, whole.said
    after = known(gallery)
    assert (before[""], after[""]) == (["tiny@01234567", *after[""][1:]], ["other@fedcba98", *before[""][1:]])  # type: ignore[index]
    for _ in range(tries("killed switches", short=4, long=300)):
        shutil.rmtree(gallery)
        shutil.copytree(pattern, gallery)
        number = luck.choice([KILL, KILL, errno.ENOSPC, errno.EIO])
        outcome = broken.command(*command, number=number, after=luck.randrange(whole.operations))
        assert outcome.code in ((KILLED, 0) if number == KILL else (0, 1)), outcome
        left = known(gallery)
        assert left in (before, after), outcome
        was_told = not (gallery / "remodel").is_dir()
        again = broken.command(*command)
        assert again.code == (2 if was_told else 0), (outcome, again.said)
        assert left == after or not was_told
        assert known(gallery) == after
        state = remodelling_state(gallery)
        assert (state.staged, state.kept_ids) == (None, ("tiny@01234567",))
        assert not list(gallery.glob(".remodel*"))
