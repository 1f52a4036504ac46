"""Pydantic models of jobs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from lookalike.server.schemas import ErrorFacts


class JobFailure(BaseModel):
    """A photo of a job that could not be fetched or written."""

    line: int = Field(ge=1, description="Line of the bulk request.")
    id: str
    photo_url: str = Field(description="Address without its query.")
    tries: int
    error: ErrorFacts


class Job(BaseModel):
    """The photos of a request that are fetched in the background: number of them by state."""

    id: str = Field(examples=["5f1c9a02b7e4d318"])
    state: Literal["running", "finished", "cancelled"]
    created: str = Field(description="Time in UTC.", examples=["2026-11-29T13:05:00Z"])
    finished: str | None
    total: int
    waiting: int
    added: int
    updated: int
    unchanged: int
    failed: int
    cancelled: int
    superseded: int = Field(description="Photos that a later write of the same item has overtaken.")
    retrying: int = Field(description="Waiting photos that were tried before.")


class JobDetails(Job):
    """A job with a page of its failures."""

    failures: list[JobFailure]


class Jobs(BaseModel):
    """Jobs, the latest first."""

    total: int = Field(description="Number of all jobs that are kept.")
    jobs: list[Job]
