"""`lookalike learn`: learn the weights of a gallery's spaces from its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say, write, write_json
from lookalike.cli.options import Gallery, Json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lookalike.usage.interleaving import Contest
    from lookalike.usage.learning import Learned


def learn(
    gallery: Gallery,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing; only tell what was found.")] = False,
    json: Json = False,
) -> None:
    """Learn the weights of the spaces from what visitors chose. They are stored only if they are surely better."""
    from lookalike.usage.learning import learn as learn_weights

    found = learn_weights(gallery, dry_run=dry_run)
    if json:
        write_json(found.to_json())
    else:
        present(found, gallery=gallery, dry_run=dry_run)


def present(found: Learned, *, gallery: str, dry_run: bool) -> None:
    """Print what was found, and whether it is kept."""
    write(
        f"{found.wanted:,} wanted matches of {found.learned_on + found.judged_by:,} answers: learned on the older "
        f"{found.learned_on:,}, judged by the newer {found.judged_by:,}"
    )
    if found.examination:
        looked = ", ".join(f"{value:.2f}" for value in found.examination[:10])
        write(f"matches are looked at, by position, relative to the first: {looked}")
        write(f"until now  gain of a wanted match {found.value_before:.4f}: {in_words(found.before)}")
        write(f"learned    gain of a wanted match {found.value_after:.4f}: {in_words(found.after)}")
        low, high = found.gain_interval
        write(f"difference {found.gain:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}")
    if found.contest is not None:
        present_contest(found.contest)
    if found.reason is not None:
        say(found.reason)
    if found.kept:
        write(f"kept, by {found.by}: searches in {gallery} use {in_words(found.after)} from now on")
    elif found.by is not None and dry_run:
        write(f"not kept, since this is a dry run: {in_words(found.after)} is better, by {found.by}")
    else:
        write("not kept: searches use the weights from before")


def present_contest(contest: Contest) -> None:
    """Print the result of interleaved searches."""
    share, (low, high) = contest.share
    write(
        f"interleaved with {in_words(contest.rival)}: it won {contest.losses:,} of "
        f"{contest.wins + contest.losses:,} decided searches ({share:.1%}, 95 % interval {low:.1%} to {high:.1%}, "
        f"sign test p = {contest.p_value:.2g}); {contest.ties:,} were not decided"
    )


def in_words(weights: Mapping[str, float]) -> str:
    """Format spaces and weights in one line."""
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
