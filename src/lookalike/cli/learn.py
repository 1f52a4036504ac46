"""`lookalike learn`: learn the weights of a gallery's spaces, and a ranking, from its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say, write, write_json
from lookalike.cli.options import Gallery, Json
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lookalike.usage.interleaving import Contest
    from lookalike.usage.learning import Learned
    from lookalike.usage.ranking_learning import RankingFound


def learn(
    gallery: Gallery,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Use the learned ranking for all searches that do not say, if it is better."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing; only tell what was found.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Delete the learned ranking, and do nothing else.")] = False,
    json: Json = False,
) -> None:
    """Learn weights and a ranking from what visitors chose. They are stored only if they are surely better."""
    from lookalike.usage.learning import forget_ranking
    from lookalike.usage.learning import learn as learn_from_use

    if reset:
        if apply or dry_run:
            raise UsageError("--reset does nothing else; leave --apply and --dry-run out")
        forget_ranking(gallery)
        say("deleted; the most similar match is the first again")
        return
    found = learn_from_use(gallery, apply=apply, dry_run=dry_run)
    if json:
        write_json(found.to_json())
    else:
        present(found, gallery=gallery, dry_run=dry_run)
        if found.ranking is not None:
            present_ranking(found, found.ranking, gallery=gallery, apply=apply, dry_run=dry_run)


def present(found: Learned, *, gallery: str, dry_run: bool) -> None:
    """Print which weights were found, and whether they are kept."""
    write(
        f"{found.wanted:,} wanted matches of {found.learned_on + found.judged_by:,} answers: learned on the older "
        f"{found.learned_on:,}, judged by the newer {found.judged_by:,}"
    )
    if found.examination:
        looked = ", ".join(f"{value:.2f}" for value in found.examination[:10])
        write(f"matches are looked at, by position, relative to the first: {looked}")
        write(f"until now  gain of a wanted match {found.value_before:.4f}: {in_words(found.before)}")
        write(f"learned    gain of a wanted match {found.value_after:.4f}: {in_words(found.after)}")
        write(difference(found.gain, found.gain_interval))
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


def present_ranking(found: Learned, ranked: RankingFound, *, gallery: str, apply: bool, dry_run: bool) -> None:
    """Print which ranking was found, and whether it is kept."""
    if ranked.ranking is not None:
        coefficients = sorted(ranked.ranking.coefficients.items(), key=lambda one: -abs(one[1]))
        write(f"ranking    {', '.join(f'{name} {value:+.2f}' for name, value in coefficients)}")
        write(f"until now  gain of a wanted match {ranked.value_before:.4f}")
        write(f"learned    gain of a wanted match {ranked.value_after:.4f}")
        write(difference(ranked.gain, ranked.gain_interval))
    if ranked.left_out:
        write(f"left out, since they tell nothing or are gone: {', '.join(ranked.left_out)}")
    if found.ranking_contest is not None:
        present_contest(found.ranking_contest)
    if ranked.reason is not None:
        say(ranked.reason)
    write(ranking_outcome(found, gallery=gallery, apply=apply, dry_run=dry_run))


def ranking_outcome(found: Learned, *, gallery: str, apply: bool, dry_run: bool) -> str:
    """What becomes of the ranking, in one line."""
    if found.ranking_kept == "default":
        return f"ranking kept, by {found.ranking_by}: searches in {gallery} use it from now on"
    if found.ranking_kept is not None:
        lost = "; not for all, since one lost when it was interleaved" if apply else ""
        return f"ranking kept, by {found.ranking_by}, for searches with --ranking learned{lost}"
    if found.ranking_deleted is not None:
        fate = "would be deleted without --dry-run" if dry_run else "deleted"
        return f"ranking {found.ranking_deleted} {fate}: it was learned with the weights from before"
    if found.ranking_by is None:
        return "ranking not kept: it is not surely better than the present order"
    if dry_run:
        return f"ranking not kept, since this is a dry run: it is better, by {found.ranking_by}"
    winner = (
        "the order of the similarity" if found.ranking_by == "interleaving" and found.ranking_lost else "another one"
    )
    return f"ranking not changed: {winner} is better, by {found.ranking_by}; --apply takes it"


def difference(gain: float, interval: tuple[float, float]) -> str:
    """Difference of two gains with its interval, in one line."""
    low, high = interval
    return f"difference {gain:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}"


def present_contest(contest: Contest) -> None:
    """Print the result of interleaved searches."""
    share, (low, high) = contest.share
    write(
        f"interleaved with {rival_of(contest)}: it won {contest.losses:,} of "
        f"{contest.wins + contest.losses:,} decided searches ({share:.1%}, 95 % interval {low:.1%} to {high:.1%}, "
        f"sign test p = {contest.p_value:.2g}); {contest.ties:,} were not decided"
    )


def rival_of(contest: Contest) -> str:
    """What was compared with the usual order: a ranking, or weights."""
    if contest.ranking == contest.rival_ranking:
        return in_words(contest.rival)
    return contest.rival_ranking or "the order of the similarity"


def in_words(weights: Mapping[str, float]) -> str:
    """Format spaces and weights in one line."""
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
