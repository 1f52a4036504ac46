"""Files around the code: commit subjects, hooks, the hosted workflow, and the tools for the page."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def fault(message: str) -> str | None:
    """What tools/commit_subject.py says of a message."""
    spec = importlib.util.spec_from_file_location("commit_subject", ROOT / "tools" / "commit_subject.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: str | None = module.fault(message)
    return found


@pytest.mark.parametrize(
    "message",
    [
        "Add a reader of feeds",
        "Speed up the scan of a filter\n\nIt read every row twice.\n# remarks of git\n",
        "Process photos in order",
        "Need no lock to read",
        "Focus the first field",
        "A" * 71 + "b",
        "Merge branch 'search'",
        'Revert "Adds a reader."',
    ],
)
def test_good_commit_messages_pass(message: str) -> None:
    assert fault(message) is None


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "empty"),
        ("\n\nbody", "empty"),
        ("Add " + "x" * 69, "73 characters"),
        ("Add a reader.", "full stop"),
        ("add a reader", "capital"),
        ("Added a reader", "got 'Added'"),
        ("Adds a reader", "got 'Adds'"),
        ("Adding a reader", "got 'Adding'"),
        ("The reader of feeds", "got 'The'"),
        ("Add a reader\nof feeds", "after the subject"),
    ],
)
def test_other_commit_messages_are_refused_with_the_reason(message: str, words: str) -> None:
    found = fault(message)
    assert found is not None and words in found


def test_the_hook_is_called_with_a_file(tmp_path: Path) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    [entry] = [hook["entry"] for hook in hooks if hook.get("stages") == ["commit-msg"]]
    (tmp_path / "message").write_text("Added a reader\n", encoding="utf-8")
    command = [*entry.split(), str(tmp_path / "message")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("commit message: ")


def test_hooks_run_what_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    entries = " ".join(hook["entry"] for hook in hooks)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for tool in ("ruff format", "ruff check", "mypy", "npm run --silent lint"):
        assert tool in entries and tool in makefile.replace("/bin/", " ").replace("'", "")


def test_every_folder_of_tests_is_run_by_one_target_that_ci_runs() -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8").split("\n.PHONY: ")[1:]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    folders = [path.name for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py"))]
    targets = {
        folder: [rule.splitlines()[0] for rule in rules if re.search(rf"tests/{folder}(?![\w/])", rule)]
        for folder in folders
    }
    assert len(targets) > 8 and {len(names) for names in targets.values()} == {1}, targets
    del targets["gpu"]  # CI has none
    for [target] in targets.values():
        assert re.search(rf"^(?:if .*; then )?make .*\b{target}(?![\w-])", ci, flags=re.MULTILINE), target


def test_the_hosted_workflow_runs_the_script_and_may_do_little() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    workflow: dict[str, Any] = yaml.safe_load(text)
    [job] = workflow["jobs"].values()
    assert workflow["permissions"] == {"contents": "read"} and "permissions" not in job
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert job["steps"][-1] == {"run": ".ci/run"} and (ROOT / ".ci" / "run").stat().st_mode & 0o111
    used = re.findall(r"uses: (\S+) # v\d+\.\d+\.\d+$", text, flags=re.MULTILINE)
    assert len(used) == text.count("uses:") and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", one) for one in used)


def test_the_tools_for_the_page_are_pinned_and_name_no_host() -> None:
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    assert package["private"] and "dependencies" not in package
    for name, version in package["devDependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    assert all("integrity" in entry for path, entry in lock["packages"].items() if path)
    assert not re.search(r'"resolved"', json.dumps(lock))


def lint_page(path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the last recipe of `make lint` with another PATH."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^lint:.*?^\t@(if command -v npm.*? fi)$", makefile, flags=re.DOTALL | re.MULTILINE)
    assert recipe is not None
    script = recipe[1].replace("\\\n\t", "").replace("$$", "$").replace("$(MAKE)", "echo make")
    command = ["/bin/sh", "-c", script]
    return subprocess.run(command, env={"PATH": path, **variables}, capture_output=True, text=True, check=False)


def test_lint_says_how_to_get_npm_and_insists_on_it_in_ci(tmp_path: Path) -> None:
    without = lint_page(str(tmp_path))
    assert (without.returncode, without.stderr.count("\n")) == (0, 1) and "apt install npm" in without.stderr
    insisting = lint_page(str(tmp_path), LOOKALIKE_NEEDS_NPM="1")
    assert insisting.returncode == 1 and "no npm" in insisting.stderr
    (tmp_path / "npm").write_text("#!/bin/sh\n")
    (tmp_path / "npm").chmod(0o755)
    assert lint_page(str(tmp_path)).stdout.split()[-1:] == ["lint-page"]
    assert "LOOKALIKE_NEEDS_NPM=1" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
