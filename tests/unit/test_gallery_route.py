"""Routes that take the request and the gallery alone, and what their forms leave in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends
from fastapi.routing import iter_route_contexts
from PIL import Image
from starlette.requests import Request

import lookalike
from lookalike.server.app import create_app
from lookalike.server.context import Context, GalleryRoute, context_of
from lookalike.server.form_parser import Form
from lookalike.server.query_strings import KNOWN_QUERY, check_query
from lookalike.server.routes.search import kept_options, read_form
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context


async def owner_only() -> None:
    """Another dependency."""


async def plain(request: Request, context: Context) -> None:
    """An endpoint as it should be."""


async def turned(context: Context, request: Request) -> None:
    """An endpoint that takes both in the other order."""


async def with_query(request: Request, context: Context, k: int = 5) -> None:
    """An endpoint with a query parameter."""


async def guarded(request: Request, context: Context, owner: Annotated[None, Depends(owner_only)]) -> None:
    """An endpoint with another dependency."""


def router() -> APIRouter:
    return APIRouter(route_class=GalleryRoute)


def test_the_two_known_dependencies_are_taken() -> None:
    inner, outer = router(), APIRouter()
    inner.get("/plain")(plain)
    outer.include_router(inner, dependencies=[KNOWN_QUERY])


@pytest.mark.parametrize("endpoint", [turned, with_query, guarded])
def test_other_parameters_of_an_endpoint_are_refused(endpoint: object) -> None:
    with pytest.raises(TypeError, match=r"/other can take \(request, context\) alone"):
        router().get("/other")(endpoint)


def test_other_dependencies_of_a_route_are_refused() -> None:
    with pytest.raises(TypeError, match="owner_only"):
        router().get("/other", dependencies=[Depends(owner_only)])(plain)


def test_the_application_gives_these_routes_no_other_dependency(tmp_path: Path, tiny_model: Path) -> None:
    """FastAPI adds those of `include_router` after the route was made."""
    Image.new("RGB", (32, 32), "teal").save(tmp_path / "a.png")
    with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
        shop.index(tmp_path, exclude=["g/**"])
    context = open_context(str(tmp_path / "g"), settings=Settings(), model=str(tiny_model))
    try:
        every = iter_route_contexts(create_app(context).routes)
        routes = [each for each in every if isinstance(each.original_route, GalleryRoute)]
    finally:
        context.stop()
    assert [route.path for route in routes] == ["/v1/search"]
    assert [each.call for each in routes[0].dependant.dependencies] == [check_query, context_of]


@pytest.mark.parametrize(
    ("fields", "is_kept"),
    [
        ({"k": "7"}, True),
        ({"k": "7", "remember": "false"}, True),
        ({"k": "7", "text": "red dress"}, False),
        ({"k": "7", "where": "size = 'XXL'"}, False),
        ({"k": "7", "box": "1,2,30,40"}, False),
    ],
)
def test_only_options_without_what_a_visitor_looks_for_are_kept(fields: dict[str, str], *, is_kept: bool) -> None:
    kept_options.cache_clear()
    form = Form({"id": ["a"], **{name: [text] for name, text in fields.items()}}, {})
    assert read_form(form) == read_form(form)
    assert kept_options.cache_info().currsize == int(is_kept)
    assert kept_options.cache_info().hits == int(is_kept)
