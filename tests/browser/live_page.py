"""A running server, and a browser's window that notes whatever the browser complains about."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

START_SECONDS = 60.0
PATIENCE_MS = 20_000
"""How long an action or an expectation waits at most: other tests run on the same processors."""

expect.set_options(timeout=PATIENCE_MS)
WITHOUT_FINDER = """
import sys
from pathlib import Path
from lookalike.cli import main
from lookalike.finding import finder
finder.SHIPPED_FINDER = Path("none.onnx")
sys.exit(main(sys.argv[1:]))
"""
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput, sources } of list.getEntries()) {
    const isBox = sources.every(({ node }) => node?.parentElement?.closest(".crop")); // it moves to the garment
    if (!hadRecentInput && !isBox) window.shifted += value;
  }
}).observe({ type: "layout-shift", buffered: true });
"""


@dataclass
class Server:
    """A running `lookalike serve`.

    Attributes:
        url: Of the page, with a slash at the end.
        gallery: What it serves.
        finder: Its finder of garments, if it has one.
    """

    url: str
    gallery: Path
    process: subprocess.Popen[bytes] = field(repr=False)
    finder: Path | None = None

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def start_server(
    gallery: Path,
    *,
    port: int | None = None,
    finder: Path | None = None,
    config: Path | None = None,
    options: Sequence[str] = (),
) -> Server:
    """Start a server and wait until it is ready; without a finder it has none, even if one is installed.

    Without a config, cards are photos instead of products.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-c", WITHOUT_FINDER] if finder is None else [sys.executable, "-m", "lookalike"]
    command += ["serve", "--gallery", str(gallery), "--port", str(port)]
    command += ["--finder", str(finder)] if finder else []
    config = config or photo_by_photo(gallery)
    command += ["--config", str(config), *options]
    log = gallery.with_suffix(".log")
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}readyz", timeout=5):
                return Server(url, gallery, process, finder)
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    process.kill()
    process.wait()
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


def photo_by_photo(gallery: Path) -> Path:
    """Settings of a page whose cards are photos, which tests of the order of photos compare."""
    config = gallery.with_suffix(".toml")
    config.write_text('[page]\ngroup = "photo"\n')
    return config


@dataclass
class Complaints:
    """What the browser had to say against the page.

    Attributes:
        expected: Beginnings of those that a test provokes.
    """

    heard: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def listen(self, page: Page, url: str) -> None:
        page.on("console", lambda said: self.heard.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.heard.append(f"uncaught {error}"))
        page.on("request", lambda asked: self._check_origin(asked.url, url))

    def _check_origin(self, asked: str, url: str) -> None:
        if not asked.startswith((url, "blob:", "data:")):
            self.heard.append(f"asked for something outside: {asked}")

    def unexpected(self) -> list[str]:
        return [text for text in self.heard if not text.startswith(self.expected or ("\0",))]


OpenPage = Callable[..., Page]


@contextmanager
def watched_pages(browser: Browser, complaints: Complaints) -> Iterator[OpenPage]:
    """A function that opens a page of a server, in a window of its own."""
    contexts = []

    def open_page(server: Server, path: str = "", *, width: int = 1280, height: int = 860, **options: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(SHIFTS)
        contexts.append(context)
        page = context.new_page()
        complaints.listen(page, server.url)
        page.goto(f"{server.url}{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
