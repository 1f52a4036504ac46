"""Run the notebooks of examples/ on drawn data and store what their cells show; run by `make notebooks`.

    notebooks.py [NAME...]      notebooks to run, such as tour; without names all of them

A notebook runs in an empty folder, in the kernel of this interpreter. That folder is /home/me in what is stored.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"
PARAMETERS = "parameters"
"""Tag of the cell with the parameters of a notebook, as papermill has it."""

HOME = "/home/me"
LIMIT_S = 600


def notebooks() -> list[Path]:
    """Return the paths of all notebooks."""
    return sorted(EXAMPLES.glob("*.ipynb"))


def read(path: Path) -> Any:  # noqa: ANN401 - nbformat has no types
    """Read a notebook, as it is stored."""
    return nbformat.read(path, as_version=4)


def executed(path: Path, folder: Path, *, parameters: str | None = None) -> Any:  # noqa: ANN401 - see above
    """Run a notebook from top to bottom, and return it with what its cells show.

    Args:
        path: The notebook, which is not changed.
        folder: Folder to run in.
        parameters: Code to run instead of its cell of parameters; None runs it as it is.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed; the message has its code and its traceback.
    """
    notebook = read(path)
    if parameters is not None:
        [cell] = [cell for cell in notebook.cells if PARAMETERS in cell.metadata.get("tags", [])]
        cell.source = parameters
    with tempfile.TemporaryDirectory(prefix="nb") as settings:  # a short path: names of sockets have 107 bytes
        surroundings = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "IPYTHONDIR": settings,
            "JUPYTER_PREFER_ENV_PATH": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
        }
        client = NotebookClient(
            notebook, timeout=LIMIT_S, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        )
        client.create_kernel_manager()
        client.km.connection_file = f"{settings}/kernel.json"
        client.km.transport = "ipc"  # sockets in that folder: no ports, and no network
        client.execute(env=surroundings)
    return tidied(notebook, folder)


def tidied(notebook: Any, folder: Path) -> Any:  # noqa: ANN401 - see above
    """Leave out of an executed notebook what differs between runs and machines."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = output.text.replace(str(folder), HOME)
            for kind, content in output.get("data", {}).items():
                if isinstance(content, str):
                    output.data[kind] = content.replace(str(folder), HOME)
            data = output.get("data", {})
            for better, other in (("image/jpeg", "image/png"), ("text/html", "text/plain")):
                if better in data:
                    data.pop(other, None)  # Pillow and IPython give both, and a front end shows the better one
        join_streams(cell)
    return notebook


def join_streams(cell: Any) -> None:  # noqa: ANN401 - see above
    """Join the pieces of a stream, which are as many as the machine was slow."""
    joined: list[Any] = []
    for output in cell.get("outputs", []):
        before = joined[-1] if joined else None
        if before is not None and output.output_type == "stream" == before.output_type and output.name == before.name:
            before.text += output.text
        else:
            joined.append(output)
    if joined:
        cell.outputs = joined


def shown(cell: Any) -> str:  # noqa: ANN401 - see above
    """Return the text that a cell shows, with that of tables and pages, and without pictures."""
    texts = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        page = data.get("text/html")
        plain = re.sub(r"<[^>]*>", " ", page) if page else data.get("text/markdown", data.get("text/plain", ""))
        texts.append(output.get("text", plain))
    return "\n".join(texts)


def main(names: list[str]) -> int:
    """Run notebooks and store them."""
    for path in notebooks():
        if names and path.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            notebook = executed(path, Path(folder))
        nbformat.write(notebook, path)
        sys.stdout.write(f"{path.name}: {path.stat().st_size // 1000} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
