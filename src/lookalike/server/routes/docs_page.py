"""`GET /docs`: the OpenAPI document as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

NAMED: Final = "/v1/{gallery}/"

STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; border-top: 1px solid #8888; padding-top: 1rem; }
h2 code { font-size: 1.1rem; }
pre { overflow-x: auto; padding: .75rem; background: #8881; border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #8884; }
"""
POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Serve the page."""
    return HTMLResponse(page_of(request.app.openapi()), headers={"Content-Security-Policy": POLICY})


def page_of(document: Mapping[str, Any]) -> str:
    """Render an OpenAPI document as HTML."""
    info = document["info"]
    head = f"<title>{escape(info['title'])} API</title><style>{STYLE}</style>"
    body = "\n".join(
        [
            f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1>",
            *(f"<p>{escape(text)}</p>" for text in info["description"].split("\n\n")),
            '<p>OpenAPI document, for generating clients: <a href="openapi.json">openapi.json</a></p>',
            *(
                part
                for path, operations in document["paths"].items()
                if not path.startswith(NAMED)  # the same again with the name of a gallery
                for method, operation in operations.items()
                for part in operation_parts(method, path, operation)
            ),
            "<h2>Schemas</h2>",
            *(
                f"<h3 id='{escape(name)}'>{escape(name)}</h3>{code(schema)}"
                for name, schema in sorted(document["components"]["schemas"].items())
            ),
        ]
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{head}</head>'
        f"<body><main>{body}</main></body></html>"
    )


def operation_parts(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    """Render one operation: description, parameters, bodies, responses."""
    yield f"<h2 id='{escape(operation['operationId'])}'><code>{method.upper()} {escape(path)}</code></h2>"
    yield f"<p><strong>{escape(operation['summary'])}.</strong> {escape(operation.get('description', ''))}</p>"
    if "security" in operation:
        yield "<p>Needs the token: <code>Authorization: Bearer TOKEN</code></p>"
    if parameters := operation.get("parameters"):
        rows = [
            f"<tr><td><code>{escape(each['name'])}</code></td><td>{each['in']}</td>"
            f"<td>{escape(each.get('description', '') or each['schema'].get('description', ''))}</td></tr>"
            for each in parameters
        ]
        yield f"<table><tr><th>parameter</th><th>in</th><th></th></tr>{''.join(rows)}</table>"
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<h3>Body: {escape(kind)}</h3>{code(body['schema'])}"
    rows = [
        f"<tr><td>{status}</td><td>{escape(response['description'])} {', '.join(codes_of(response))}</td></tr>"
        for status, response in operation["responses"].items()
    ]
    yield f"<h3>Responses</h3><table>{''.join(rows)}</table>"


def codes_of(response: Mapping[str, Any]) -> list[str]:
    """Error codes of a response."""
    examples = response.get("content", {}).get("application/json", {}).get("examples", {})
    return [f"<code>{escape(code)}</code>" for code in examples]


def code(value: object) -> str:
    """Render JSON as preformatted text."""
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"
