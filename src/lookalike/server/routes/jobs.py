"""`/v1/jobs`: photos that are fetched in the background."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.errors import UnknownNameError
from lookalike.jobs.queue import JobQueue
from lookalike.server.auth import Writer
from lookalike.server.context import Context
from lookalike.server.job_schemas import Job, JobDetails, Jobs
from lookalike.server.openapi import QUERY_ERRORS, errors

router = APIRouter(tags=["writing"], dependencies=[Writer])

JobPath = Annotated[str, Path(description="Id of a job.", max_length=64, examples=["5f1c9a02b7e4d318"])]
Offset = Annotated[int, Query(ge=0, le=2**53)]
Limit = Annotated[int, Query(ge=0, le=1000)]


@router.get(
    "/v1/jobs",
    operation_id="list_jobs",
    summary="List jobs, the latest first",
    response_model=Jobs,
    responses=errors("unauthorized", "invalid", *QUERY_ERRORS),
)
async def list_jobs(request: Request, context: Context, offset: Offset = 0, limit: Limit = 50) -> JSONResponse:
    """Count the jobs of photos to fetch, and return a page of them. Finished ones are kept for seven days."""
    queue = context.item_writes.queue
    if queue is None:
        return JSONResponse({"total": 0, "jobs": []})
    total, jobs = await context.reads.run(lambda: queue.jobs(offset=offset, limit=limit), request=request)
    return JSONResponse({"total": total, "jobs": [job.to_json() for job in jobs]})


@router.get(
    "/v1/jobs/{id}",
    operation_id="get_job",
    summary="Get a job with its failures",
    response_model=JobDetails,
    responses=errors("unauthorized", "unknown_job", "invalid", *QUERY_ERRORS),
)
async def get_job(
    request: Request, context: Context, id: JobPath, offset: Offset = 0, limit: Limit = 100
) -> JSONResponse:
    """Return the number of photos by state, and a page of those that failed, with the reasons."""
    queue = queue_of(context.item_writes.queue, id)

    def read() -> dict[str, Any]:
        return queue.job(id).to_json(queue.failures(id, offset=offset, limit=limit))

    return JSONResponse(await context.reads.run(read, request=request))


@router.delete(
    "/v1/jobs/{id}",
    operation_id="cancel_job",
    summary="Cancel a job",
    response_model=Job,
    responses=errors("unauthorized", "unknown_job", "invalid", "storage_full", *QUERY_ERRORS),
)
async def cancel_job(request: Request, context: Context, id: JobPath) -> JSONResponse:
    """Drop the photos of a job that still wait. What was written stays, and a finished job stays as it is."""
    queue = queue_of(context.item_writes.queue, id)
    job = await context.writes.run(lambda: queue.cancel(id), request=request)
    return JSONResponse(job.to_json())


def queue_of(queue: JobQueue | None, job_id: str) -> JobQueue:
    """The queue that may have a job.

    Raises:
        UnknownNameError: There is no queue.
    """
    if queue is None:
        raise UnknownNameError("job", job_id, [])
    return queue
