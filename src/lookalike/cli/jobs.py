"""`lookalike jobs`: photos that a server fetches in the background."""

from __future__ import annotations

from typing import Annotated

import typer

from lookalike.cli.console import say, write, write_facts, write_json, write_table
from lookalike.cli.options import Gallery, Json
from lookalike.errors import UnknownNameError

NUMBERS = ("total", "waiting", "added", "updated", "unchanged", "failed", "cancelled", "superseded")


def jobs(
    gallery: Gallery,
    job: Annotated[str | None, typer.Argument(metavar="[ID]", help="Job; without it the jobs are listed.")] = None,
    folder: Annotated[
        str, typer.Option("--jobs", metavar="DIR", help="Folder of the queues, if the server has the setting `jobs`.")
    ] = "",
    offset: Annotated[int, typer.Option("--offset", metavar="N", min=0, help="Skip the first N.")] = 0,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Show at most N.")] = 50,
    json: Json = False,
) -> None:
    """List the jobs of photos that a server fetches in the background, or the failures of one."""
    from lookalike.gallery.opening import open_gallery
    from lookalike.jobs.opening import open_jobs

    with open_gallery(gallery) as opened:
        queue = open_jobs(opened, folder)
    if queue is None:
        if job is not None:
            raise UnknownNameError("job", job, [])
        write_json({"total": 0, "jobs": []}) if json else say("no jobs")
        return
    try:
        if job is not None:
            found, failures = queue.job(job), queue.failures(job, offset=offset, limit=limit)
            if json:
                write_json(found.to_json(failures))
                return
            write_facts(found.to_json())
            for failure in failures:
                write(f"line {failure.line}, {failure.item}: {failure.message} ({failure.url})")
            return
        total, page = queue.jobs(offset=offset, limit=limit)
    finally:
        queue.close()
    listed = [each.to_json() for each in page]
    if json:
        write_json({"total": total, "jobs": listed})
        return
    if listed:
        columns = {name: [str(each[name] or "") for each in listed] for name in ("id", "state", "created")}
        columns |= {name: [f"{each[name]:,}" if each[name] else "" for each in listed] for name in NUMBERS}
        write_table(columns, right=NUMBERS)
    if len(listed) < total:
        say(f"{len(listed):,} of {total:,} jobs; see --offset and --limit")
