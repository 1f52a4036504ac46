"""Tables of several evaluations: means, deviations and intervals over seeds, three formats, published figures."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import lookalike
from lookalike.catalogue.benchmark import Benchmark, Pair, Sides
from lookalike.cli import main
from lookalike.errors import ConfigError, MismatchError, UnknownNameError, UsageError
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.table.content import heading
from lookalike.evaluation.table.formats import in_latex
from lookalike.evaluation.table.published import read_published
from lookalike.evaluation.whole_benchmark import is_whole
from lookalike.types import Item

Capture = pytest.CaptureFixture[str]
METRICS = ("hit_rate@1", "hit_rate@10", "hit_rate@20", "hit_rate@30", "map")


def report(
    folder: Path, values: list[float], *, model: str, protocol: str = "inshop", queries: str = "ab", **more: Any
) -> Path:
    """A report folder with these figures."""
    folder.mkdir()
    metrics = {
        name: {"value": value, "interval": [value - 0.02, value + 0.02]}
        for name, value in zip(METRICS, values, strict=True)
    }
    summary = {"protocol": protocol, "model": model, "queries": len(queries), "gallery": 9, "metrics": metrics}
    (folder / "report.json").write_text(json.dumps(summary | more), encoding="utf-8")
    rows = [",".join(["query", *METRICS]), *(",".join([query, *map(str, values)]) for query in queries)]
    (folder / "queries.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.fixture
def reports(tmp_path: Path) -> dict[str, list[Path]]:
    """Three seeds of one method, and one report of another."""
    seeds = [
        report(tmp_path / f"s{seed}", [0.9 + 0.01 * seed, 0.95, 0.96, 0.97, 0.5 + 0.02 * seed], model=f"ours@{seed}")
        for seed in range(3)
    ]
    return {"ours_v2 | 50%": seeds, "CLIP": [report(tmp_path / "clip", [0.5, 0.6, 0.7, 0.8, 0.3], model="clip@1")]}


def test_seeds_have_mean_deviation_and_students_interval(reports: dict[str, list[Path]]) -> None:
    table = lookalike.tabulate_evaluations(reports)
    assert table.metrics == list(METRICS) and (table.queries, table.gallery) == (2, 9)
    ours, clip = table.rows
    values = [0.5, 0.52, 0.54]
    cell = ours.cells["map"]
    assert cell.mean == pytest.approx(np.mean(values))
    assert cell.deviation == pytest.approx(((0.02**2 + 0 + 0.02**2) / 2) ** 0.5)
    expected = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert cell.interval == pytest.approx(expected)
    assert list(ours.models) == ["ours@0", "ours@1", "ours@2"]
    assert clip.cells["map"].deviation is None
    assert clip.cells["map"].interval == pytest.approx((0.28, 0.32)), "that of the report, over queries"


def test_markdown_is_that_of_papers(reports: dict[str, list[Path]]) -> None:
    lines = lookalike.tabulate_evaluations(reports, published="default").to_markdown().splitlines()
    assert lines[2] == "| method | seeds | R@1 | R@10 | R@20 | R@30 | mAP |"
    assert lines[4].startswith(r"| ours\_v2 \| 50% | 3 | 91.0 ± 1.0 (88.5 to 93.5) | 95.0 ± 0.0 (95.0 to 95.0) |")
    assert lines[5] == (
        "| CLIP | 1 | 50.0 (48.0 to 52.0) | 60.0 (58.0 to 62.0) | 70.0 (68.0 to 72.0) | 80.0 (78.0 to 82.0) "
        "| 30.0 (28.0 to 32.0) |"
    )
    assert "| Proxy-Anchor (Inception-BN, 512) [7] | | 91.9 | 98.1 | 98.7 | 99.0 | - |" in lines
    theirs = "Published figures, of 14,218 queries and a gallery of 12,612 and not of these 2 and 9, "
    assert any(line.startswith(theirs) for line in lines)
    source = next(line for line in lines if line.startswith("7. "))
    assert "Proxy Anchor Loss for Deep Metric Learning (2020); README" in source and "https://" in source


def test_published_figures_are_told_from_those_of_a_part(tmp_path: Path) -> None:
    """Also where the data set's authors publish no number of queries."""
    files = {"inshop": "default", "consumer2shop": "default"}
    for protocol, file in files.items():
        folder = report(tmp_path / protocol, [0.5] * 5, model="m@1", protocol=protocol)
        table = lookalike.tabulate_evaluations({"m": folder}, published=file)
        assert table.to_json()["whole"] is False
        theirs = "14,218 queries and a gallery of 12,612" if protocol == "inshop" else "the whole benchmark"
        cropped = "with photos cropped as in the papers, which not all of these are known to be"
        words = f"of {theirs} and not of these 2 and 9, {cropped}"
        assert f"Published figures, {words}:" in table.to_markdown()
        assert f"% Published figures, {words}:" in table.to_latex()
        rows = [row for row in csv.DictReader(io.StringIO(table.to_csv())) if row["paper"]]
        assert rows and all(row["note"].endswith(words) for row in rows)
        summary = json.loads((folder / "report.json").read_text())
        comparable = {"whole": True, "usual_boxes": True, "search": {}}
        (folder / "report.json").write_text(json.dumps(summary | comparable))
        whole = lookalike.tabulate_evaluations({"m": folder}, published=file)
        assert "Published figures:" in whole.to_markdown() and "% Published figures:" in whole.to_latex()
        assert "not of these" not in whole.to_csv() and "papers, which" not in whole.to_csv()
        for other, said in (
            ({"search": {"index": "auto", "k": 10}}, "by exact rankings and not by searches as served"),
            ({"usual_boxes": False, "boxes": 0.2}, cropped),
        ):
            (folder / "report.json").write_text(json.dumps(summary | comparable | other))
            told = lookalike.tabulate_evaluations({"m": folder}, published=file)
            assert f"Published figures, {said}:" in told.to_markdown()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"search": {"index": "auto", "k": 10, "rerank": 100}}, "search none, and .* index auto, k 10, rerank 100;"),
        ({"weights": {"deep": 1.0, "color": 0.1}}, "weights deep 1.0, and .* deep 1.0, color 0.1;"),
        ({"boxes": 0.2}, "boxes True, and .* with 0.2;"),
        ({"finder": "finder@1", "boxes": "found"}, "boxes True, and .* with found;"),
        ({"photos": "img_highres"}, "photos img, and .* with img_highres;"),
    ],
)
def test_seeds_measured_in_other_ways_are_no_row(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    known = {"search": {}, "weights": {"deep": 1.0}, "boxes": True, "finder": None, "photos": "img"}
    one = report(tmp_path / "one", [0.5] * 5, model="m@1", **known)
    two = report(tmp_path / "two", [0.5] * 5, model="m@2", **known | other)
    with pytest.raises(MismatchError, match=f"m: .*one is measured with {words} measure all seeds of a method in one"):
        lookalike.tabulate_evaluations({"m": [one, two]})
    assert len(lookalike.tabulate_evaluations({"m": one, "n": two}).rows) == 2, "as two methods"
    as_much = report(tmp_path / "scaled", [0.5] * 5, model="m@3", **known | {"weights": {"deep": 2.0, "color": 0.0}})
    assert len(lookalike.tabulate_evaluations({"m": [one, as_much]}).rows) == 1, "the same ranking"


def test_intervals_stay_within_the_range_of_metrics(tmp_path: Path) -> None:
    seeds = [report(tmp_path / str(seed), [0.95 + 0.05 * seed] * 5, model=f"m@{seed}") for seed in range(2)]
    table = lookalike.tabulate_evaluations({"m": seeds}, figures=["map"])
    assert stats.t.interval(0.95, 1, loc=0.975, scale=0.025)[1] == pytest.approx(1.2927, abs=1e-4)
    assert table.rows[0].cells["map"].interval == pytest.approx((0.6573, 1.0), abs=1e-4)
    assert "97.5 ± 3.5 (65.7 to 100.0)" in table.to_markdown()


def test_intervals_of_one_table_are_over_one_thing(tmp_path: Path) -> None:
    one = report(tmp_path / "one", [0.5] * 5, model="m@1", resample="product")
    two = report(tmp_path / "two", [0.5] * 5, model="m@2", resample="query")
    assert "over products (bootstrap) for one report" in lookalike.tabulate_evaluations({"m": one}).to_markdown()
    assert "over queries (bootstrap) for one report" in lookalike.tabulate_evaluations({"m": [one, two]}).to_latex()
    with pytest.raises(MismatchError, match=r"have intervals of another --resample; measure both with the same"):
        lookalike.tabulate_evaluations({"m": one, "n": two})


def test_a_benchmark_is_whole_with_its_published_totals() -> None:
    def items(**counts: int) -> list[Item]:
        return [
            Item(f"{split}{at}", f"{split}{at}.jpg", product=f"{split}{at // 2}", attributes={"split": split})
            for split, count in counts.items()
            for at in range(count)
        ]

    sides = {"test": Sides({"split": ("test",)}, {"split": ("test",)}, leave_one_out=True)}
    published = {"photos": 10, "train photos": 6, "test photos": 4, "test products": 2}
    cub = Benchmark("cub", sides=sides, published=published)
    protocol = Protocol.parse("cub")
    assert is_whole(items(train=6, test=4), cub, protocol) is True
    assert is_whole(items(test=4), cub, protocol) is True, "the split that is measured"
    assert is_whole(items(train=6, test=3), cub, protocol) is False
    assert is_whole(items(train=6, test=4), cub, Protocol.parse("product")) is None
    assert is_whole(items(train=6, test=4), None, protocol) is None
    pair = Pair("test0", "test1", "test0", "test")
    totals = {"photos": 4, "products": 2, "pairs": 1, "attributes": 303}
    shop = Benchmark("consumer2shop", sides=sides, published=totals, pairs=(pair,))
    assert is_whole(items(test=4), shop, Protocol.parse("consumer2shop")) is True
    assert is_whole(items(test=4), replace(shop, pairs=()), Protocol.parse("consumer2shop")) is False


def test_latex_has_booktabs_and_escapes(reports: dict[str, list[Path]]) -> None:
    text = lookalike.tabulate_evaluations(reports, figures=["map"], published=None).to_latex()
    assert r"\begin{tabular}{lrl}" in text and text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"ours\_v2 \textbar{} 50\% & 3 & 52.0 $\pm$ 2.0 (47.0 to 57.0) \\" in text
    assert in_latex(r"a\b {50%} of $A_1$ & #2 ~^<>|") == (
        r"a\textbackslash{}b \{50\%\} of \$A\_1\$ \& \#2 "
        r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"
    )


def test_csv_has_fractions_that_are_read_back(reports: dict[str, list[Path]]) -> None:
    text = lookalike.tabulate_evaluations(reports, published="default").to_csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["method"] == "ours_v2 | 50%" and rows[0]["seeds"] == "3"
    assert float(rows[0]["hit_rate@1"]) == pytest.approx(0.91)
    assert float(rows[0]["hit_rate@1 deviation"]) == pytest.approx(0.01)
    assert float(rows[1]["map low"]) == pytest.approx(0.28) and rows[1]["map deviation"] == ""
    anchor = next(row for row in rows if row["method"].startswith("Proxy-Anchor"))
    assert (anchor["hit_rate@1"], anchor["map"], anchor["year"]) == ("0.919", "", "2020")


def test_the_command_prints_what_python_makes(reports: dict[str, list[Path]], capsys: Capture) -> None:
    given = [f"--table={name}={folder}" for name, folders in reports.items() for folder in folders]
    table = lookalike.tabulate_evaluations(reports, figures=["hit_rate@1", "map"])
    wanted = {"markdown": table.to_markdown(), "latex": table.to_latex(), "csv": table.to_csv()}
    for format, text in wanted.items():
        assert main(["evaluate", *given, "--figures", "hit_rate@1,map", "--format", format]) == 0
        assert capsys.readouterr().out == text
    assert main(["evaluate", *given, "--figures", "hit_rate@1,map", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(table.to_json()))
    assert main(["evaluate", "--table", str(reports["CLIP"][0])]) == 0
    assert "| clip | 1 |" in capsys.readouterr().out, "named by its model"


def test_what_cannot_be_compared_is_refused(reports: dict[str, list[Path]], tmp_path: Path) -> None:
    one = reports["CLIP"][0]
    values = [0.1] * 5
    for other in (
        report(tmp_path / "protocol", values, model="a@1", protocol="product"),
        report(tmp_path / "queries", values, model="a@1", queries="abc"),
    ):
        with pytest.raises(MismatchError, match="the evaluations have different"):
            lookalike.tabulate_evaluations({"a": one, "b": other})
    with pytest.raises(UsageError, match="two of its reports are of the same model, clip@1, and not of two seeds"):
        lookalike.tabulate_evaluations({"a": [one, one]})
    with pytest.raises(UnknownNameError, match="unknown metric of the reports 'hit_rate@2'"):
        lookalike.tabulate_evaluations({"a": one}, figures=["hit_rate@2"])
    with pytest.raises(UsageError, match="a table is made of 1 to 1,000 report folders"):
        lookalike.tabulate_evaluations({})
    with pytest.raises(UsageError, match="not a report of"):
        lookalike.tabulate_evaluations({"a": tmp_path / "nowhere"})


@pytest.mark.parametrize(
    ("protocol", "metric", "shown"),
    [
        ("inshop", "hit_rate@1", "R@1"),
        ("consumer2shop=val+test", "hit_rate@20", "top-20"),
        ("product", "map@r", "MAP@R"),
        ("product", "map@10", "mAP@10"),
        ("grades=type", "precision@1[type]", "P@1[type]"),
        ("words=type", "ndcg@10[plain]", "NDCG@10[plain]"),
        ("attributes", "top-3 accuracy", "top-3 accuracy"),
    ],
)
def test_columns_have_the_names_of_papers(protocol: str, metric: str, shown: str) -> None:
    assert heading(metric, protocol=protocol) == shown


def test_every_published_figure_has_a_source() -> None:
    for protocol, known in (("inshop", 53.0), ("consumer2shop", 26.0), ("sop", 79.2), ("cub", 69.1)):
        results = read_published("default", protocol=protocol)
        assert known in {one.figures["hit_rate@1"] for one in results}
        for one in results:
            rising = [one.figures[name] for name in sorted(one.figures, key=lambda name: int(name.partition("@")[2]))]
            assert rising == sorted(rising), f"{one.method}: a larger k finds no less"
            assert one.source and one.url.startswith("https://") and 2015 < one.year < 2027
        assert len({one.method for one in results}) == len(results)


ENTRY: dict[str, Any] = {
    "protocol": '"inshop"',
    "method": '"Mine"',
    "paper": '"A paper"',
    "year": "2024",
    "source": '"table 1"',
    "url": '"https://example.org"',
    "figures": '{ "hit_rate@1" = 50.5 }',
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"year": '"2024"'}, "year"),
        ({"url": '"javascript:alert(1)"'}, "starts with https://"),
        ({"figures": '{ "hit_rate@1" = 150 }'}, "100"),
        ({"figures": '{ "hitrate@1" = 50 }'}, "unknown metric 'hitrate@1'"),
        ({"figures": "{}"}, "it has no figures"),
        ({"protocol": '"in-shop"'}, "unknown protocol 'in-shop'"),
        ({"method": '"two\\nlines"'}, "a method of one line"),
        ({"methd": '"x"'}, "methd"),
        ({"source": None}, "source"),
    ],
)
def test_a_file_of_a_user_is_read_or_refused_in_one_line(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"

    def write(entry: dict[str, Any]) -> None:
        lines = [f"{key} = {value}" for key, value in entry.items() if value is not None]
        file.write_text("\n".join(["[[result]]", *lines]), encoding="utf-8")

    write(ENTRY)
    assert [one.figures for one in read_published(file, protocol="inshop")] == [{"hit_rate@1": 50.5}]
    assert read_published(file, protocol="sop") == []
    write(ENTRY | change)
    with pytest.raises((ConfigError, UnknownNameError), match=words.replace("(", r"\(")) as caught:
        read_published(file, protocol="inshop")
    assert "\n" not in str(caught.value)


def test_what_is_no_file_of_figures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.toml").write_bytes(b"\xff\xfe no TOML")
    for name in ("text.toml", "none.toml"):
        with pytest.raises(ConfigError, match="not a file of published results"):
            read_published(tmp_path / name, protocol="inshop")
