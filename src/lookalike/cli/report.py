"""`lookalike report`: what visitors did with the answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say, write, write_json, write_table
from lookalike.cli.learn import in_words, present_contest
from lookalike.cli.options import Gallery, Json

if TYPE_CHECKING:
    from lookalike.usage.report import Share, UsageReport

app = typer.Typer(help="Reports on the use of a gallery.", no_args_is_help=True)

RANKS_SHOWN = 10
UNCHOSEN_SHOWN = 5


@app.callback()
def reports() -> None:
    """Keep `usage` a command of its own: Typer would merge a single one into `report`."""


@app.command("usage")
def usage(
    gallery: Gallery,
    since: Annotated[
        str, typer.Option("--since", metavar="AGE", help="Age of the oldest search, such as 12h, 7d or 4w, or its day.")
    ] = "7d",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Page with figures, and searches without a choice.")
    ] = None,
    json: Json = False,
) -> None:
    """Tell what was searched and chosen, at which ranks, and where nothing was."""
    import lookalike
    from lookalike.usage.report import usage_report

    with lookalike.open(gallery) as shop:
        report = usage_report(shop, since=since)
        if html is not None:
            from lookalike.usage.report_page import write_page

            write_page(html, report, shop)
            say(f"wrote {html}")
    if json:
        write_json(report.to_json())
    else:
        present(report)


def present(report: UsageReport) -> None:
    """Print the figures."""
    kinds = ", ".join(f"{count:,} by {kind}" for kind, count in report.kinds.items())
    write(f"{report.chosen.total:,} searches{': ' + kinds if kinds else ''}")
    write(f"something was chosen: {in_percent(report.chosen)}")
    if report.without_good_match.total:
        write(f"no good match: {in_percent(report.without_good_match)}")
    write(f"events: {', '.join(f'{count:,} {name}' for name, count in report.events.items()) or 'none'}")
    if report.drift == report.drift:
        write(f"drift of the query photos of the last day: {report.drift:.4f}")
    shown = report.ranks[:RANKS_SHOWN]
    if shown:
        write_table(
            {
                "rank": [str(rank) for rank, _ in enumerate(shown, start=1)],
                "shown": [f"{share.total:,}" for share in shown],
                "chosen": [f"{share.value:.1%}" for share in shown],
                "95 % interval": ["{:.1%} to {:.1%}".format(*share.interval) for share in shown],
            },
            right=("rank", "shown", "chosen", "95 % interval"),
        )
    for arm in report.arms if len(report.arms) > 1 else ():
        ranking = f", {arm.ranking}" if arm.ranking else ""
        line = f"{arm.model}, {in_words(arm.weights)}{ranking}: chosen {in_percent(arm.chosen)}"
        if arm.gap is not None:
            gap, (low, high) = arm.gap
            line += f"; {gap:+.1%}, 95 % interval {low:+.1%} to {high:+.1%}"
        write(line)
    for contest in report.contests:
        present_contest(contest)
    for done in report.unchosen[:UNCHOSEN_SHOWN]:
        search = done.search
        what = f" {known}" if (known := search.item or search.words or search.garment) else ""
        relevance = "" if search.relevance is None else f", relevance {search.relevance:.2f}"
        write(f"nothing chosen by {search.kind}{what}{relevance}: {', '.join(search.ids[:3]) or 'nothing was found'}")


def in_percent(share: Share) -> str:
    """Share with its interval."""
    low, high = share.interval
    return f"{share.value:.1%} of {share.total:,}, 95 % interval {low:.1%} to {high:.1%}"
