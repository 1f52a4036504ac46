"""The tables of docs/performance.md, from figures, and how they get between the marks of the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from performance_engines import LEAST, OURS, Told, at_recall, best_filtered, by_default, filtered_at_recall
from performance_goals import Figures, goals, reasons

MARK = "<!-- {name}: written by {by} -->"
END = "<!-- end -->"

PICTURES = {
    "search": "![Queries a second of one core, by recall, for each engine](images/performance-recall.png)",
    "filters": "![Time of a query with a filter, new and repeated](images/performance-filters.png)",
    "serving": "![Photos a second, and latencies at 80 % load](images/performance-serving.png)",
}
"""Pictures of blocks, which performance_pictures.py draws."""


def read_figures(folder: Path) -> dict[str, Any]:
    """Read the figures of all parts that were measured, by the names of their files."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def write_page(page: Path, figures: Figures) -> None:
    """Write the tables of a page between their marks.

    Raises:
        ValueError: The page has no such mark, or one twice.
    """
    text = page.read_text(encoding="utf-8")
    for name, lines in tables(figures).items():
        text = replaced(text, name, lines)
    page.write_text(text, encoding="utf-8")


def replaced(text: str, name: str, lines: Sequence[str], *, by: str = "make bench") -> str:
    """Return a page with other lines between a mark, which tells the command that writes them, and the end after it.

    Raises:
        ValueError: The page has no such mark, or one twice.
    """
    mark = MARK.format(name=name, by=by)
    pattern = re.compile(re.escape(mark) + r".*?" + re.escape(END), flags=re.DOTALL)
    body = "\n".join([mark, "", *lines, "", END])
    text, count = pattern.subn(lambda _: body, text)
    if count != 1:
        raise ValueError(f"expected once in the page, found {count} times: {mark}")
    return text


def tables(figures: Figures) -> dict[str, list[str]]:
    """Return the lines of each block of the page; of parts without figures, a line that says so."""
    found = list(goals(figures))
    lines = table(("what", "goal", "measured", ""), [one.cells() for one in found])
    if why := reasons(found):
        lines += ["", "Why goals are missed:", "", *why]
    made = {"goals": lines}
    blocks: Mapping[str, tuple[str, Callable[[Told], list[str]]]] = {
        "search": ("peers", search_table),
        "filters": ("peers", filter_table),
        "building": ("peers", building_table),
        "engines": ("peers", engine_table),
        "serving": ("serving", serving_table),
        "one shot": ("one-shot", report_table),
        "indexing": ("indexing", indexing_table),
        "original": ("original", report_table),
        "training": ("training", training_table),
        "growth": ("growth", growth_table),
    }
    for name, (part, of) in blocks.items():
        told = figures.get(part)
        picture = [PICTURES[name], ""] if name in PICTURES else []
        made[name] = ["Not measured yet."] if told is None else [*picture, *of(told), "", circumstances(told)]
    return made


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [list(headings), ["---"] * len(headings), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def circumstances(told: Told) -> str:
    """Return date, machine and versions in one line."""
    parts = [f"measured {told['date']}"] if "date" in told else []
    parts += [f"{name} {value}" for name, value in {**told["machine"], **told["versions"]}.items() if value != ""]
    return ", ".join(parts)


def search_table(peers: Told) -> list[str]:
    """Table of searches at equal recall, the fastest first, and of ours by default."""
    found = {name: one for name in peers["engines"] if (one := at_recall(peers, name))}
    mine = found[OURS]["processor_ms"] if OURS in found else float("nan")
    listed = sorted([*found.items(), (OURS, by_default(peers))], key=lambda pair: pair[1]["processor_ms"])
    rows = []
    for name, one in listed:
        effort = peers["engines"][name]["effort"]
        setting = f"{effort} {one['effort']}" if one["effort"] else "default" if name == OURS else "exact"
        rows.append(
            [
                bold(name),
                setting,
                f"{one['recall']:.4f}",
                f"{one['p50_ms']:.3f} ({one['p99_ms']:.2f})",
                f"{one['processor_ms']:.3f}",
                f"{1000 / one['processor_ms']:,.0f}",
                f"{one['processor_ms'] / mine:.2f}",
            ]
        )
    rows += [
        [name, failure(told) or f"no setting reached {LEAST}", "", "", "", "", ""]
        for name, told in peers["engines"].items()
        if name not in found
    ]
    headings = ("engine", "setting", "recall@10", "p50 (p99), ms", "processor, ms", "queries/s of a core", "times ours")
    return table(headings, rows)


def bold(name: str) -> str:
    """Return the name of an engine; ours stands out."""
    return f"**{name}**" if name == OURS else name


def failure(told: Told) -> str:
    """Return why an engine failed, for the cell of a table; empty if it did not."""
    if "failed" not in told:
        return ""
    reason = " ".join(told["failed"].replace("|", "/").split())
    return f"failed: {reason:.160}"


def filter_table(peers: Told) -> list[str]:
    """Table of filters at equal recall, or at the best recall of an engine that did not reach it."""
    rows = []
    for share in sorted({one["share"] for told in peers["engines"].values() for one in told.get("filtered", [])}):
        mine = filtered_at_recall(peers, OURS, share)
        able = {
            name: one
            for name in peers["engines"]
            if (one := filtered_at_recall(peers, name, share) or best_filtered(peers, name, share))
        }
        for name, one in sorted(able.items(), key=lambda pair: pair[1]["again"]["processor_ms"]):
            recall = one["again"]["recall"]
            ratios = ["", ""]
            if mine is not None and recall >= LEAST:
                times = [one[when]["processor_ms"] / mine[when]["processor_ms"] for when in ("first", "again")]
                ratios = [f"{each:.2f}" for each in times]
            rows.append(
                [
                    f"{100 * share:g} %",
                    bold(name),
                    f"{recall:.4f}",
                    *(f"{one[when]['p50_ms']:.3f} / {one[when]['processor_ms']:.3f}" for when in ("first", "again")),
                    *ratios,
                ]
            )
    times = ("new: p50 / processor, ms", "repeated: p50 / processor, ms", "new: times ours", "repeated: times ours")
    headings = ("passes", "engine", "recall@10", *times)
    return table(headings, rows)


def building_table(peers: Told) -> list[str]:
    """Table of building, size, opening and memory."""
    raw = peers["rows"] * 542 * 4
    rows = []
    for name, told in peers["engines"].items():
        if "built" not in told:
            continue
        built, opened = told["built"], sorted(told.get("opened", []), key=lambda one: one["answer_ms"])
        memory, before = told.get("memory"), told.get("memory_before")
        rows.append(
            [
                bold(name),
                f"{built['wall_s']:.1f} ({built['processor_s']:.1f})",
                f"{built['bytes'] / 1e6:,.0f} ({built['bytes'] / raw:.2f})",
                f"{opened[len(opened) // 2]['answer_ms']:,.0f}" if opened else "",
                f"{(memory['anonymous'] - before['anonymous']) / 1e6:,.0f}" if memory and before else "",
                f"{memory['mapped'] / 1e6:,.0f}" if memory else "",
            ]
        )
    headings = (
        *("engine", "building, s (of processors)", "on disk, MB (times raw vectors)"),
        *("open to first answer, ms", "memory of its own, MB", "mapped files in memory, MB"),
    )
    return table(headings, rows)


def engine_table(peers: Told) -> list[str]:
    """Table of versions and set-ups."""
    rows = [[name, told.get("version", ""), told["how"], failure(told)] for name, told in peers["engines"].items()]
    return table(("engine", "version", "set-up", ""), rows)


def serving_table(serving: Told) -> list[str]:
    """Table of serving, with a column for each number of processes."""
    found = serving["rows"]
    cells: list[tuple[str, Callable[[Told], str]]] = [
        ("the embedder alone, photos/s", lambda one: f"{one['alone_per_s']:.0f}"),
        ("full load, searches/s", lambda one: f"{one['full_per_s']:.0f}"),
        ("full load / embedder alone", lambda one: f"{one['ratio']:.2f}"),
        ("processor of a search, server and client, ms", lambda one: "{server_ms:.1f}, {client_ms:.1f}".format(**one)),
        ("80 % load, evenly spaced: p50, p99, ms", lambda one: latencies(one["even"])),
        ("80 % load, random arrivals: p50, p99, ms", lambda one: latencies(one["random"])),
        ("overload: searches/s, refused", lambda one: "{searches_per_s:.0f}, {refused:,}".format(**one["overload"])),
        ("with the finder of garments, searches/s", lambda one: f"{one['finder_per_s']:.0f}"),
        ("errors and broken connections", lambda one: f"{one['failed']}"),
    ]
    headings = ["", *(f"{one['processes']} process{'es' * (one['processes'] > 1)}" for one in found)]
    return table(headings, [[what, *map(of, found)] for what, of in cells])


def latencies(load: Told) -> str:
    """Return the median, the 99th percentile and their ratio."""
    return f"{load['p50_ms']:.1f}, {load['p99_ms']:.1f} ({load['p99_ms'] / load['p50_ms']:.1f} times)"


def report_table(report: Told) -> list[str]:
    """Table of a report of comparisons."""
    rows = [
        [
            one["what"],
            durations(one["ours_ms"], one["ours_p99_ms"]),
            one["peer"] or "",
            durations(one["peer_ms"], one["peer_p99_ms"]),
            "" if one["ratio"] is None else f"{one['ratio']:.3g}x",
            " / ".join(f"{recall:.4f}" for recall in (one["recall"], one["peer_recall"]) if recall is not None),
            one["goal"],
            one["note"],
        ]
        for one in report["rows"]
    ]
    headings = ("what", "ours, ms (p99)", "peer", "peer, ms (p99)", "ratio", "recall@10 / peer's", "goal", "note")
    return table(headings, rows)


def durations(median: float | None, p99: float | None) -> str:
    """Return a median and, of several calls, the 99th percentile, in milliseconds."""
    told = [f"{each:,.0f}" if each >= 100 else f"{each:.3g}" for each in (median, p99) if each is not None]
    return f"{told[0]} ({told[1]})" if len(set(told)) > 1 else "".join(told[:1])


def indexing_table(indexing: Told) -> list[str]:
    """Table of runtimes and of indexing beside the bare network, and tables of the stages of a photo."""
    lines = report_table(indexing)
    for name, stages in indexing["stages"].items():
        if "microseconds" in stages:
            whole = stages["microseconds"]["whole"]
            rows = [
                [what, f"{micros:,.0f}", f"{micros / whole:.2f}"] for what, micros in stages["microseconds"].items()
            ]
            told = stages["of linear"].items()
            rows += [[f"{stages['cores']} cores, {what}, computed", "", f"{part:.2f} of linear"] for what, part in told]
            headings = (f"{name}: processor time of a photo", "microseconds", "share")
        else:
            rows = [[what, f"{value:,.2f}" if value < 1 else f"{value:,.0f}"] for what, value in stages.items()]
            headings = (f"{name}: processor time of a photo, microseconds, and what 16 cores reach, computed", "")
        lines += ["", *table(headings, rows)]
    return lines


def training_table(training: Told) -> list[str]:
    """Table of training steps."""
    rows = [
        [what, f"{one['ours_ms']:.0f}", f"{one['plain_ms']:.0f}", f"{one['ratio_of_sums']:.3f}"]
        for what, one in training["rows"].items()
    ]
    headings = (f"{training['steps']} steps, {training['backbone']}", "ours, ms", "plain loop, ms", "ratio of sums")
    return table(headings, rows)


def growth_table(growth: Told) -> list[str]:
    """Table of what the goals of growth are about; docs/scale.md has the whole table."""
    points = growth["rows"]
    cells: list[tuple[str, Callable[[Told], str]]] = [
        ("one query, p50 (p99), ms", lambda one: searched(one["searched"])),
        ("recall@10", lambda one: f"{one['searched']['recall']:.4f}" if one["searched"] else ""),
        (
            "one query while rows are added, p50 (p99), ms",
            lambda one: searched(one["added"] and one["added"]["searched"]),
        ),
        ("on disk, MB", lambda one: f"{(one['built']['database'] + one['built']['derived']) / 1e6:,.0f}"),
    ]
    headings = ["", *(f"{one['rows']:,} rows" for one in points)]
    return table(headings, [[what, *map(of, points)] for what, of in cells])


def searched(found: Told | None) -> str:
    """Return the median and the 99th percentile."""
    return f"{found['p50_ms']:.2f} ({found['p99_ms']:.2f})" if found else ""
