"""The report on use: counts against counting by hand, its page, and what it takes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.cli import main
from lookalike.errors import LookalikeError, UsageError
from lookalike.moments import moment
from lookalike.usage.events_file import DAY_S, Done, EventsFile, Retention, events_path, now
from lookalike.usage.proportions import difference, sign_test, wilson
from lookalike.usage.records import Event, SearchRecord
from lookalike.usage.report import report_of, start_of, usage_report, worst_of
from lookalike.usage.sketches import FEWEST, Sketch, drift

MODEL = "tiny@01234567+color@039f29e7"


def search(number: int, *, at: float | None = None, **changes: object) -> SearchRecord:
    """A search by an item with two matches."""
    record = SearchRecord(
        query_id=f"q{number}",
        at=now() if at is None else at,
        kind="item",
        is_plain=True,
        item="a",
        words=None,
        model=MODEL,
        weights={"deep": 1.0, "color": 0.1},
        garment=None,
        offset=0,
        ids=["b", "c"],
        scores=np.array([[0.9, 0.8], [0.5, 0.7]], dtype=np.float32),
        spaces=["deep", "color"],
        best=0.9,
        relevance=0.8,
        is_good=True,
    )
    return replace(record, **changes)  # type: ignore[arg-type]


@pytest.fixture
def gallery(tmp_path: Path, tiny_model: Path) -> Iterator[Path]:
    """A gallery of three photos with a file of events."""
    (tmp_path / "photos").mkdir()
    for name, color in {"a": "red", "b": "navy", "c": "white"}.items():
        Image.new("RGB", (40, 50), color).save(tmp_path / "photos" / f"{name}.png")
    (tmp_path / "table.csv").write_text("id,image\n" + "".join(f"{name},photos/{name}.png\n" for name in "abc"))
    with lookalike.open(tmp_path / "shop.gallery", model=str(tiny_model)) as shop:
        shop.index(tmp_path / "table.csv")
        path = events_path(shop.gallery)
    searches = [
        search(1),
        search(2),
        search(3, kind="photo", item=None, is_good=False, relevance=0.2, best=0.3),
        search(4, kind="words", item=None, words="<b>red & gold</b>", ids=[], scores=np.zeros((0, 2)), best=None),
        search(5, weights={"deep": 1.0, "color": 1.0}, is_good=None, relevance=None, ids=["c", "gone"]),
        search(6, at=now() - 8 * DAY_S),
    ]
    events = [("q1", "click", "b"), ("q1", "view", "c"), ("q1", "cart", "b"), ("q2", "view", "b"), ("q6", "buy", "b")]
    with closing(EventsFile(path, is_writable=True)) as file, file.transaction():
        file.add_searches(searches)
        file.add_events([Event(*event) for event in events], at=now())
    yield tmp_path / "shop.gallery"


def test_everything_is_counted(gallery: Path) -> None:
    report = usage_report(gallery)
    assert report.kinds == {"item": 3, "photo": 1, "words": 1}
    assert (report.chosen.count, report.chosen.total) == (1, 5)
    assert (report.without_good_match.count, report.without_good_match.total) == (1, 4)
    assert report.events == {"view": 2, "click": 1, "cart": 1}
    assert [(share.count, share.total) for share in report.ranks] == [(1, 4), (0, 4)]
    assert [(arm.weights["color"], arm.chosen.count, arm.chosen.total) for arm in report.arms] == [
        (0.1, 1, 4),
        (1.0, 0, 1),
    ]
    assert report.arms[1].gap == difference(0, 1, 1, 4)
    assert [done.search.query_id for done in report.unchosen] == ["q4", "q3", "q2", "q5"]  # worst first
    assert math.isnan(report.drift)
    assert usage_report(gallery, since="2w").chosen.total == 6
    assert usage_report(gallery, since=moment(now() - 2 * DAY_S)[:10]).chosen.total == 5


def test_of_equal_answers_without_a_choice_one_is_listed() -> None:
    done = [Done(search(number, ids=ids), []) for number, ids in enumerate([["b", "c"], ["b", "c"], ["c", "b"]])]
    done.append(Done(search(3, kind="words", item=None, words="red", ids=["b", "c"]), []))
    assert [each.search.query_id for each in worst_of(done)] == ["q0", "q2", "q3"]


def test_the_command_prints_what_python_returns(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "usage", "-g", str(gallery), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    expected = usage_report(gallery).to_json()
    assert {**printed, "since": "", "until": ""} == json.loads(json.dumps({**expected, "since": "", "until": ""}))
    assert main(["report", "usage", "-g", str(gallery)]) == 0
    text = capsys.readouterr().out
    assert "something was chosen: 20.0% of 5, 95 % interval 3.6% to 62.4%" in text
    assert "nothing chosen by words <b>red & gold</b>, relevance 0.80: nothing was found" in text


def test_the_page_shows_photos_and_runs_nothing(gallery: Path, tmp_path: Path) -> None:
    page = tmp_path / "usage.html"
    assert main(["report", "usage", "-g", str(gallery), "--html", str(page)]) == 0
    text = page.read_text()
    assert "&lt;b&gt;red &amp; gold&lt;/b&gt;" in text and "<b>" not in text and "<script" not in text
    assert text.count("data:image/jpeg;base64,") == 7  # b, c; the item a with b, c; a with c
    assert '<span class="none">removed</span>gone' in text
    assert "default-src 'none'" in text
    assert main(["report", "usage", "-g", str(gallery), "--html", str(tmp_path / "no" / "usage.html")]) == 2


def test_a_photo_that_may_not_be_read_is_not_shown(gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "photos" / "b.png").unlink()
    (tmp_path / "photos" / "b.png").symlink_to("/etc/hostname")
    page = tmp_path / "usage.html"
    assert main(["report", "usage", "-g", str(gallery), "--html", str(page)]) == 0
    assert page.read_text().count("data:image/jpeg;base64,") == 5


@pytest.mark.parametrize("since", ["", "7", "0d", "d", "7y", "2026-13-01", "-7d", "1e3d", "99999999d"])
def test_a_time_that_is_none_is_refused(gallery: Path, since: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "usage", "-g", str(gallery), "--since", since]) == 2
    assert "such as 12h, 7d or 4w" in capsys.readouterr().err


def test_without_events_the_message_says_how_to_collect_some(
    tmp_path: Path, gallery: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in gallery.glob("events.sqlite*"):
        file.unlink()
    for command in (["report", "usage"], ["learn"]):
        assert main([*command, "-g", str(gallery)]) == 2
        assert "events = true" in capsys.readouterr().err
    (gallery / "events.sqlite").write_bytes(b"no database at all" * 300)
    assert main(["learn", "-g", str(gallery)]) == 1
    assert "is damaged" in capsys.readouterr().err


def test_learning_from_too_few_events_changes_nothing(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "-g", str(gallery)]) == 0
    said = capsys.readouterr()
    assert "are too few" in said.err and "not kept" in said.out
    with lookalike.open(gallery) as shop:
        assert shop.gallery.stored_weights.weights is None


def test_intervals_are_those_of_the_literature() -> None:
    low, high = wilson(81, 263)  # Newcombe 1998, Two-sided confidence intervals for the single proportion, method 3
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    gap, (low, high) = difference(56, 70, 48, 80)  # Newcombe 1998, table II, method 10, contrast (a)
    assert (gap, round(low, 4), round(high, 4)) == (pytest.approx(0.2), 0.0524, 0.3339)
    assert wilson(0, 0) == (0.0, 1.0) and sign_test(0, 0) == 1.0
    assert sign_test(9, 1) == pytest.approx(2 * (10 + 1) / 2**10)


def test_the_start_is_an_age_or_a_day() -> None:
    assert start_of("90m", 10_000.0) == 10_000.0 - 5_400
    assert start_of("99999w", 10_000.0) == 0
    assert start_of("1970-01-02", 1e9) == DAY_S
    with pytest.raises(UsageError):
        start_of("yesterday", 1e9)


def test_an_empty_time_is_reported() -> None:
    report = report_of([], since=0.0, until=1.0)
    assert report.chosen.value == 0.0 and report.ranks == [] and report.arms == []
    json.dumps(report.to_json(), allow_nan=False)


def test_drift_is_the_distance_of_the_samples() -> None:
    random = np.random.default_rng(0)

    def sketch(mean: float, spread: float, count: int = 4000) -> Sketch:
        return Sketch.of(random.normal(mean, spread, size=(count, 3)).astype(np.float32))

    assert drift(sketch(0, 1), sketch(0, 1)) == pytest.approx(0, abs=0.01)
    assert drift(sketch(0, 1), sketch(0.5, 1)) == pytest.approx(3 * 0.25, abs=0.1)
    assert drift(sketch(0, 1), sketch(0, 2)) == pytest.approx(3, abs=0.2)
    few = [drift(sketch(0, 1, 40), sketch(0, 1, 40)) for _ in range(50)]
    assert np.mean(few) < 0.15  # 2 x 3 / 40 = 0.15 are chance alone
    assert math.isnan(drift(sketch(0, 1, FEWEST - 1), sketch(0, 1))) and math.isnan(drift(None, sketch(0, 1)))


def test_sketches_of_an_hour_add_up_and_are_deleted(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(70, 4)).astype(np.float32)
    with closing(EventsFile(tmp_path / "events.sqlite", is_writable=True)) as file:
        for part, hour in ((rows[:40], 100), (rows[40:50], 100), (rows[50:], 101)):
            with file.transaction():
                file.add_sketches({(hour, "m"): Sketch.of(part)})
        together = file.sketch("m", first=100, last=101)
        assert together is not None and together.count == 70
        assert together.mean == pytest.approx(rows.mean(axis=0)) and together.variance == pytest.approx(
            rows.var(axis=0, ddof=1), rel=1e-4
        )
        assert file.sketch("m", first=102, last=110) is None and file.sketch("other", first=0, last=200) is None
        file.prune(Retention(1.0, 10**9), now=DAY_S + 101 * 3600)
        kept = file.sketch("m", first=0, last=200)
        assert kept is not None and kept.count == 20


def test_a_file_of_another_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    EventsFile(path, is_writable=True).close()
    with closing(EventsFile(path, is_writable=True)) as file:
        file._connection.execute("PRAGMA user_version = 7")
    with pytest.raises(LookalikeError, match="expected 2, got 7"):
        EventsFile(path, is_writable=True)
