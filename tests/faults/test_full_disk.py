"""Writing over HTTP while the disk is full, fails or is read-only, from any operation on files on."""

from __future__ import annotations

import errno
from pathlib import Path
from random import Random

import pytest
from disk_faults import Broken, broken, disk_watch
from sent_photos import files_in, writer_of
from test_kills import FIRST, Requests, expected, is_well, latin, picture, served, written

from fault_tries import Tries

__all__ = ["broken", "disk_watch"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_write_on_a_bad_disk_changes_nothing_and_later_ones_work(
    broken: Broken, tiny_model: Path, tries: Tries, luck: Random, number: int
) -> None:
    for _ in range(tries("full-disk", short=2, long=150)):
        gallery, requests = served(broken.folder, tiny_model), Requests(luck, FIRST)
        requests.add()
        put = {"method": "PUT", "path": "/v1/items/later", "photo": latin(picture(7))}
        outcome = broken.requests(
            gallery, tiny_model, [*requests.asked, put], number=number, after=luck.randrange(30), healed=1
        )
        assert outcome.code == 0, outcome
        (status, body), (later, _) = outcome.answers
        assert later == 201, outcome
        failed = status in (503, 507) or any(line["status"] == "failed" for line in (body or {}).get("lines", ()))
        assert failed or status in (200, 201, 204), outcome
        steps = requests.states[0]
        # a commit that the disk did not answer for, or the lines of a bulk request before it, may be there
        possible = steps if failed and (number == errno.EIO or len(steps) > 2) else [steps[0] if failed else steps[-1]]
        with writer_of(gallery, tiny_model) as writer:
            found = written(gallery)
            assert found in [expected({**state, "later": (7, {})}) for state in possible], outcome
            assert len(files_in(gallery / "photos")) == len(writer.gallery)
        is_well(gallery)
