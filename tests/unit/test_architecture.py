"""Rules of the code base: layers of imports, heavy libraries, sizes, names and docstrings."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import lookalike

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "lookalike"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Each room imports only from itself and from those named before it; the same order is in CONTRIBUTING.md.
ROOMS = [
    *(
        "telemetry",
        "errors",
        "extras",
        "deadline",
        "storage",
        "config",
        "moments",
        "counts",
        "types",
        "answers",
        "spaces",
        "kinds",
    ),
    *("remote", "images", "projection"),
    *("catalogue", "models", "index", "embedding", "text", "finding", "gallery", "jobs", "ingest", "render"),
    *("retrieval", "evaluation", "training", "tuning", "usage", "benchmarking"),
    *("server", "cli"),
]

# Who may import the heavy libraries; a name that ends in a slash is a folder.
ALLOWED = {
    "torch": ("models/", "training/", "embedding/runtimes/torch.py"),
    "torchvision": ("models/", "training/", "embedding/runtimes/torch.py"),
    "timm": ("models/", "training/"),
    "open_clip": ("models/",),
    "pytorch_metric_learning": ("training/",),
    "faiss": ("index/",),
    "sqlite3": ("gallery/", "jobs/", "usage/", "storage/sqlite_errors.py"),
    "typer": ("cli/",),
    **dict.fromkeys(("fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client"), ("server/",)),
}


def name_of(path: Path) -> str:
    """A module's path as people say it, such as `gallery/local/gallery.py`."""
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    """The first folder, or the module itself when it lies in none."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def room_of_import(name: str) -> str:
    """The room that an imported name of ours lies in; `lookalike` itself is the front door."""
    parts = name.split(".")
    return parts[1] if parts[1:] and parts[1] in ROOMS else "__init__"


def rooms_before(path: Path) -> set[str]:
    """The rooms that a module may import from; the front door is after all of them but the doors."""
    order = [*ROOMS[:-2], "__init__", *ROOMS[-2:], "__main__"]
    return set(order[: order.index(room_of(path)) + 1])


def may_unpickle(call: ast.Call) -> bool:
    """Whether a call could run code that lies in a file."""
    settings = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    function = ast.unparse(call.func)
    return (
        function in {"pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load"}
        or (function == "torch.load" and settings.get("weights_only") != "True")
        or (function in {"np.load", "numpy.load"} and settings.get("allow_pickle", "False") != "False")
    )


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} imports relatively"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def test_each_room_imports_only_from_those_before_it() -> None:
    wrong = [
        f"{name_of(path)}:{line} imports {name}"
        for path in MODULES
        for line, name in imports_of(path)
        if name.startswith("lookalike") and room_of_import(name) not in rooms_before(path)
    ]
    assert not wrong


def imported_modules(path: Path, names: Mapping[str, Path]) -> set[str]:
    """Our modules that a module imports, also where only a type checker does; `names` are those of all modules."""
    for_module = (name if name in names else name.rpartition(".")[0] for _, name in imports_of(path))
    return {name for name in for_module if name in names and names[name] != path}


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in MODULES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph = {name: imported_modules(path, names) for name, path in names.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' <- '.join(error.args[1])}")


def test_the_programs_beside_the_package_import_what_is_there() -> None:
    """Mypy checks the package alone, and no test runs the programs that measure."""
    programs = [*(ROOT / "bench").glob("*.py"), *(ROOT / "tools").glob("*.py"), *(ROOT / "examples").glob("*.py")]
    assert len(programs) > 20
    ours = ((path, *name.rpartition(".")) for path in programs for _, name in imports_of(path))
    missing = [
        f"{path.name}: {module}.{name}"
        for path, module, _, name in ours
        if module.partition(".")[0] == "lookalike" and name not in defined_in(module)
    ]
    assert missing == []


def defined_in(module: str) -> set[str]:
    """Names at the top of one of our modules, its modules among them; all public ones for `lookalike` itself."""
    place = PACKAGE.parent.joinpath(*module.split("."))
    if place == PACKAGE:
        return {*lookalike.__all__} | {path.stem for path in place.iterdir()}
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if not file.is_file():
        return set()
    names = {path.stem for path in place.iterdir()} if place.is_dir() else set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom() | ast.Import():
                names |= {alias.asname or alias.name for alias in node.names}
            case ast.FunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
    return names


def test_heavy_libraries_stay_in_their_rooms() -> None:
    wrong = [
        f"{name_of(path)}:{line} imports {name}"
        for path in MODULES
        for line, name in imports_of(path)
        for library, places in ALLOWED.items()
        if name.split(".")[0] == library and not name_of(path).startswith(places)
    ]
    assert not wrong


def test_no_pickle_is_ever_loaded() -> None:
    wrong = [
        f"{name_of(path)}:{node.lineno}: {ast.unparse(node)}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and may_unpickle(node)
    ]
    assert not wrong


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = [
        "torch",
        "torchvision",
        "timm",
        "faiss",
        "onnxruntime",
        "openvino",
        "scipy",
        "sqlglot",
        "pyarrow",
        "sklearn",
    ]
    code = f"import sys, lookalike; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_sorted_and_there() -> None:
    assert list(lookalike.__all__) == sorted(lookalike.__all__)
    assert [name for name in lookalike.__all__ if not hasattr(lookalike, name)] == []


def test_modules_are_named_after_what_they_hold() -> None:
    drawers = {"utils", "util", "common", "helpers", "helper", "base", "misc", "core"}
    assert [
        name_of(path) for path in MODULES if drawers.intersection(path.relative_to(PACKAGE).with_suffix("").parts)
    ] == []


def test_modules_hold_one_subject() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > 350} == {}


def pins() -> dict[str, str]:
    """The pinned version of each distribution that constraints.txt names."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    entries = (line.split(";")[0].strip() for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, _, version in (entry.partition("==") for entry in entries)}


def test_constraints_pin_exact_versions_and_name_no_host() -> None:
    pinned = pins()
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pinned.values()), pinned
    assert not [name for name in pinned if name == "lookalike" or name.startswith(("nvidia-", "cuda-"))]
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|^-|@", text, flags=re.MULTILINE)


def test_constraints_pin_everything_that_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    pinned = pins()
    for requirement in map(Requirement, asked):
        name = canonicalize_name(requirement.name)
        if name != "lookalike":
            assert name in pinned, f"{name} has no pin"
            assert requirement.specifier.contains(pinned[name]), f"{requirement} does not allow {pinned[name]}"


def locked(name: str) -> dict[str, tuple[str, list[str]]]:
    """The version and hashes of each distribution that a file of requirements/ locks."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    found = {}
    for release in re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)[1:]:
        first, *hashes = [line.strip(" \\") for line in release.splitlines()]
        requirement = Requirement(first)
        version = str(requirement.specifier).removeprefix("==")
        found[canonicalize_name(requirement.name)] = version, [line.removeprefix("--hash=") for line in hashes]
    return found


def test_what_is_installed_is_locked_by_hashes_of_the_same_releases() -> None:
    pinned, dev = pins(), locked("dev")
    unlocked = {name for name in pinned if name not in dev}
    assert unlocked == {"torch", "torchvision"}, "make locks writes them"
    assert {name: dev[name][0] for name in pinned if name in dev} == {n: v for n, v in pinned.items() if n in dev}
    for name in ("base", "dev", "audit", "docs", "milvus"):
        for release, (version, hashes) in locked(name).items():
            assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), release
            assert not release.startswith(("nvidia-", "cuda-", "torch", "triton")), release
            assert name != "base" or dev[release][0] == version
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        assert not re.search(r"://|^-|@", text, flags=re.MULTILINE)


def test_the_base_install_is_locked_whole() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = locked("base")
    assert {canonicalize_name(Requirement(one).name) for one in project["dependencies"]} <= set(base)
    assert {"hatchling", "editables"} <= set(base)


# The first releases without a published advisory, and the advisories that earlier ones have.
CLEAN = {
    "aiohttp": "3.14.1",  # PYSEC-2026-237
    "fastapi": "0.133",  # the first that allows Starlette 1
    "filelock": "3.20.3",  # CVE-2025-68146, CVE-2026-22701
    "onnx": "1.21",  # CVE-2026-27489, CVE-2026-28500
    "pillow": "12.3",  # PYSEC-2026-3451
    "pyarrow": "23.0.1",  # CVE-2026-25087
    "python-multipart": "0.0.31",  # CVE-2026-42561, GHSA-v9pg-7xvm-68hf
    "ray": "2.55",  # CVE-2025-62593, CVE-2026-41486
    "starlette": "1.3.1",  # CVE-2026-54283
    "torch": "2.11",  # CVE-2026-24747, PYSEC-2026-139
}


def test_no_release_with_a_published_advisory_is_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    floors = {
        canonicalize_name(one.name): clause.version
        for one in map(Requirement, asked)
        for clause in one.specifier
        if clause.operator == ">="
    }
    assert {name: floors[name] for name, clean in CLEAN.items() if Version(floors[name]) < Version(clean)} == {}


def test_readme_begins_with_the_two_commands() -> None:
    first_block = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[1]
    commands = [line.split("#")[0].strip() for line in first_block.splitlines()[1:]]
    assert [command for command in commands if command.startswith("make ")] == ["make demo", "make test"]


def unfilled(text: str) -> list[str]:
    """Placeholders that real output or a figure should have replaced."""
    return re.findall(
        r"^[ \t]*[A-Z][A-Z0-9_]{2,}[ \t]*$|\b[A-Z]+_(?:OUTPUT|FACTS|TOML)\b|\bTO MEASURE\b", text, re.MULTILINE
    )


def test_no_page_holds_an_unfilled_placeholder() -> None:
    assert unfilled("```toml\nSHOP_TOML\n```\n  FIGURES \n| .5 | TO MEASURE |\n") == [
        "SHOP_TOML",
        "  FIGURES ",
        "TO MEASURE",
    ]
    assert (
        unfilled("Use `SOURCE`.\n```\n$ lookalike index SOURCE --gallery G\nOMP_NUM_THREADS=1 python x.py\n```\n") == []
    )
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(PACKAGE.rglob("*.md"))]
    assert len(pages) > 5
    found = {page.relative_to(ROOT).as_posix(): unfilled(page.read_text(encoding="utf-8")) for page in pages}
    assert {page: words for page, words in found.items() if words} == {}


def test_make_help_names_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\.PHONY: (\S+)", text, flags=re.MULTILINE)
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[1] for line in shown.splitlines()] == targets
    assert {"demo", "test"} <= set(targets)
