"""docs/: all commands, options, settings, metrics, variables, routes and fields are documented, and exist."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from starlette.testclient import TestClient

import lookalike
from lookalike.embedding.model_loading import RUNTIMES
from lookalike.evaluation.figures import Kind
from lookalike.gallery.milvus.address import KNOWN as MILVUS_SETTINGS
from lookalike.index import INDEXES, METRICS, auto, faiss_candidates, inverted_lists, ivf, kmeans
from lookalike.spaces import Space

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
FRONT = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}


def tool(name: str) -> ModuleType:
    """A program of tools/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unnamed(names: set[str], text: str) -> list[str]:
    """Names that a text has neither as code nor, as JSON and TOML have them, in quotes or before an equals sign."""
    return sorted(name for name in names if not re.search(rf'[`"?&, (]{re.escape(name)}[`"=,: )]', text))


def test_commands_and_settings_are_documented_as_they_are() -> None:
    for name, text in tool("reference").pages().items():
        assert TEXTS[name] == text, f"docs/{name} is not as the code is: run `make reference`"


@dataclass(frozen=True)
class Undescribed:
    """Settings of which one is forgotten.

    Attributes:
        seed: Seed of the draw.
    """

    seed: int = 0
    forgotten: int = 1


def test_a_setting_without_a_description_is_noticed() -> None:
    with pytest.raises(ValueError, match="does not describe forgotten"):
        list(tool("reference").section(Undescribed, "title", 2))


def fields_of(schema: Any) -> Iterator[str]:
    """The names of all properties and parameters in an OpenAPI document."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield from schema["properties"]
        for parameter in schema.get("parameters", []):
            yield parameter["name"]
        for inner in schema.values():
            yield from fields_of(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from fields_of(inner)


def test_every_route_and_field_is_documented(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    text = TEXTS["http-api.md"]
    fields = {name for name in fields_of(document["components"]) if name != "example"}
    fields |= set(fields_of(document["paths"]))
    assert {"k", "weights", "rank", "refined", "photo_base64"} < fields
    assert unnamed(fields, text) == []
    assert "/v1/{gallery}/search" in text
    for path, operations in document["paths"].items():
        if path.startswith("/v1/{gallery}/"):  # as the row without the name
            continue
        row = re.search(rf"^\|.*{re.escape(path)}`.*$", text, flags=re.MULTILINE)
        assert row is not None, path
        for method in operations:
            assert method.upper() in row.group(), f"{method.upper()} {path}"


def test_every_figure_for_prometheus_is_documented(client: TestClient) -> None:
    shown = client.get("/metrics").text
    names = {name for name in re.findall(r"^# TYPE (lookalike_\w+)", shown, flags=re.MULTILINE)}
    names = {name for name in names if not name.endswith("_created")}
    assert len(names) >= 10
    assert unnamed(names, TEXTS["http-api.md"]) == []


def test_every_metric_is_documented() -> None:
    table = TEXTS["evaluation.md"].partition("## Metrics")[2]
    assert [kind for kind in get_args(Kind) if not re.search(rf"^\|.*`{kind}(@\w+)?`", table, re.MULTILINE)] == []
    assert unnamed({*METRICS}, TEXTS["indexes.md"]) == []


def test_every_name_of_a_choice_is_documented() -> None:
    assert unnamed({*INDEXES, "auto"}, TEXTS["indexes.md"].partition("## How")[0]) == []
    assert [name for name in RUNTIMES if name not in TEXTS["commands.md"]] == []
    assert unnamed({*MILVUS_SETTINGS}, TEXTS["cluster.md"]) == []


def test_every_variable_is_documented() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    names = set(re.findall(r'"(LOOKALIKE_[A-Z_]+)"', code))
    assert len(names) >= 4
    assert unnamed(names, "\n".join(TEXTS.values())) == []


def test_figures_of_the_indexes_are_those_of_the_code() -> None:
    text = " ".join(TEXTS["indexes.md"].split())
    assert f"Fewer than {auto.SMALL:,} rows" in text
    assert f"passes less than {auto.FEW_ALLOWED:.1%}".replace("%", " %") in text
    assert f"More than {auto.LARGE_ANSWER:.1%}".replace("%", " %") in text
    assert f"default ones is below {auto.SERVED_ALIGNMENT}" in text
    assert f"with the power {inverted_lists.FILTERED} of the inverse fraction" in text
    assert kmeans.PROBES == 2 and "looks into the two nearest to the query" in text
    assert f"at most {kmeans.CLUSTERS} clusters" in text
    made = ivf.Ivf.grouping(139_709, [Space("deep", 512, "m"), Space("color", 30, "c")])
    assert f"**{made.probes} of {made.lists} lists**" in text and f"{made.probes} of {made.lists} for 139,709" in text
    assert f"**{faiss_candidates.candidate_count(10)} candidates for 10 results**" in text


def mentions(text: str) -> Iterator[str]:
    """Files and modules of this project that a text names."""
    yield from re.findall(r"(?<![\w/.-])((?:tests|bench|docs|src|tools|deploy|examples|lookalike)/[\w./-]*\w)", text)
    yield from re.findall(r"\b(lookalike(?:\.[A-Za-z_]\w*)+)\b", text)


def exists(name: str) -> bool:
    """Whether a file is there, or a module and what is named in it can be imported."""
    if "/" in name:
        return any((place / name).exists() for place in (ROOT, ROOT / "src"))
    found: Any = lookalike
    for at, part in enumerate(name.split(".")[1:], 1):
        if not hasattr(found, part):
            try:
                importlib.import_module(".".join(name.split(".")[: at + 1]))
            except ModuleNotFoundError:
                return False
        found = getattr(found, part)
    return True


# What looks like a file or a module of this project and is none.
NOT_OURS = {
    "lookalike.json": "the document that a reader saves",
    "lookalike.js": "the web component, in `component/`",
    "lookalike.d.ts": "its types, in `component/`",
    "lookalike/photos": "a folder of a store",
}


@pytest.mark.parametrize("page", [*FRONT, *TEXTS])
def test_what_a_page_names_exists(page: str) -> None:
    text = {**FRONT, **TEXTS}[page]
    assert [name for name in mentions(text) if name not in NOT_OURS and not exists(name)] == []


def test_a_name_that_is_gone_is_noticed() -> None:
    assert [*mentions("see `lookalike/gone.py`, `bench/gone.py` and lookalike.gone.Thing")] == [
        "lookalike/gone.py",
        "bench/gone.py",
        "lookalike.gone.Thing",
    ]
    assert not any(map(exists, mentions("see `lookalike/gone.py`, `bench/gone.py` and lookalike.gone.Thing")))
    assert exists("lookalike.evaluation.metrics.mean_of") and not exists("lookalike.evaluation.metrics.gone")


def heading_anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub and the site make them."""
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


@pytest.mark.parametrize("page", [*FRONT, *TEXTS])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page if page in FRONT else DOCS / page
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in heading_anchors(linked.read_text(encoding="utf-8")), f"{page}: {target}"


def test_every_page_is_in_the_index_and_in_the_navigation() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    navigated = [page for part in site["nav"] for pages in part.values() for page in pages]
    assert sorted(navigated) == sorted(TEXTS)
    linked = set(re.findall(r"\]\(([\w-]+\.md)", TEXTS["index.md"]))
    assert sorted({*TEXTS} - linked) == ["index.md"]


def test_the_reference_shows_modules_that_are_there_and_describe_themselves() -> None:
    names = re.findall(r"^::: (\S+)", TEXTS["reference.md"], flags=re.MULTILINE)
    assert names[0] == "lookalike"
    for name in names:
        module = importlib.import_module(name)
        shown = getattr(module, "__all__", [one for one in vars(module) if not one.startswith("_")])
        own = [getattr(module, one) for one in shown]
        own = [one for one in own if getattr(one, "__module__", "").startswith("lookalike") and callable(one)]
        assert own, name
        assert [one for one in own if not one.__doc__] == []


def test_glossary_is_sorted() -> None:
    words = re.findall(r"^\| ([^|]+) \|", TEXTS["glossary.md"], flags=re.MULTILINE)[1:]
    assert len(words) > 40 and words == sorted(words, key=str.lower)


SITE = {
    "index.html": '<h1 id="top">x</h1><a href="other.html#part">a</a><img src="images/a.png"><link href="a.css">',
    "other.html": '<h2 id="part">y</h2><a href="index.html">b</a><a href="https://example.com/">c</a>',
    "a.css": "body { background: url(images/a.png) }",
    "images/a.png": "",
}


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("index.html", "", None),
        ("other.html", '<a href="gone.html">', "other.html: gone.html leads nowhere"),
        ("other.html", '<a href="index.html#gone">', "other.html: index.html#gone: that page has no such anchor"),
        ("other.html", '<a href="../secret">', "other.html: ../secret leads nowhere"),
        ("other.html", '<img src="gone.png">', "other.html: gone.png leads nowhere"),
        ("other.html", '<script src="https://example.com/a.js">', "other.html: loads https://example.com/a.js"),
        ("other.html", '<link href="//example.com/a.css">', "other.html: loads //example.com/a.css"),
        (
            "other.html",
            '<pre class="mermaid">',
            "other.html: has markup for which the theme fetches a library from another host",
        ),
        ("a.css", "@import 'https://example.com/b.css'; ", "a.css: loads https://example.com/b.css"),
        ("a.css", 'a { src: url("https://example.com/b.woff") }', "a.css: loads https://example.com/b.woff"),
    ],
)
def test_the_site_is_checked(name: str, text: str, fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for file, content in SITE.items():
        (tmp_path / file).write_text(content + text * (file == name), encoding="utf-8")
    assert tool("check_site").faults(tmp_path) == ([fault] if fault else [])
