"""Benchmark of the page: time from the drop of a photo to the first paint of results, in Chromium, on 10,000 items."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import lookalike
from lookalike.catalogue.sample.drawn import cached_sample, changed_photo, make_products
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.spaces import unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

ITEMS, RUNS, PORT = 10_000, 20, 8766
NOISE = 0.02
WATCH = """
document.addEventListener("drop", () => { window.dropped = performance.now(); }, true);
const painted = (name) => requestAnimationFrame(() => setTimeout(() => { window[name] ??= performance.now(); }));
const cards = () => document.querySelectorAll("#grid .card:not(.waiting)");
const watch = () => {
  if (cards().length) painted("resultsPainted");
  const first = [...cards()].slice(0, 4);
  if (first.length && first.every((card) => card.querySelector("img.there"))) painted("photosPainted");
};
new MutationObserver(watch).observe(document, { subtree: true, childList: true, attributes: true });
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def fill(gallery: Path, folder: Path) -> None:
    """Embed the drawn sample, and repeat its vectors with noise until there are enough items."""
    with lookalike.open(folder / "sample.gallery") as sample:
        sample.index(cached_sample())
        known = list(sample.gallery.rows())
        spaces = sample.gallery.spaces
    random = np.random.default_rng(0)
    with LocalGallery(gallery, create=True) as shop:
        for copy in range(-(-ITEMS // sum(len(items) for items, _ in known))):
            for items, vectors in known:
                named = [replace(item, id=f"{item.id}-{copy}") for item in items][: ITEMS - len(shop)]
                noisy = {
                    name: unit_rows(rows + NOISE * random.standard_normal(rows.shape, dtype=np.float32))[: len(named)]
                    for name, rows in vectors.items()
                }
                if named:
                    shop.add(named, noisy, spaces=spaces)
        shop.optimise()


@contextmanager
def serving(gallery: Path) -> Iterator[str]:
    """Run a server; yields its address."""
    command = [sys.executable, "-m", "lookalike", "serve", "--gallery", str(gallery), "--port", str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{PORT}/"
        try:
            while process.poll() is None:
                try:
                    urllib.request.urlopen(f"{url}readyz", timeout=5).close()
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def one_drop(browser: Browser, url: str, photo: Path) -> tuple[float, float, float]:
    """Drop a photo; returns milliseconds until results and the first row's photos are painted, and the layout shift."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(url, wait_until="networkidle")
    session = context.new_cdp_session(page)
    data = {"items": [], "files": [str(photo)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 700, "y": 400, "data": data})
    page.wait_for_function("() => window.resultsPainted && window.photosPainted", timeout=60_000, polling=100)
    page.wait_for_load_state("networkidle")
    results, photos, shift = page.evaluate("[resultsPainted - dropped, photosPainted - dropped, shifted]")
    context.close()
    return results, photos, shift


def main() -> None:
    """Drop photos, and print the times."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, help="by default a drawn one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photo = given.photo or folder / "query.jpg"
        if given.photo is None:
            changed_photo(make_products(13)[12]).save(photo, quality=90)
        fill(folder / "shop.gallery", folder)
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        with serving(folder / "shop.gallery") as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium") or shutil.which("chromium-headless-shell"), args=arguments
            )
            runs = [one_drop(browser, url, photo) for _ in range(RUNS + 1)][1:]
            browser.close()
    results, photos, shifts = zip(*runs, strict=True)
    for what, times in (("first results painted", results), ("photos of the first row painted", photos)):
        worst = sorted(times)[int(0.95 * len(times))]
        print(f"{what}: median {statistics.median(times):.0f} ms, 95th percentile {worst:.0f} ms")
    print(f"layout shift: at most {max(shifts):.4f}")


if __name__ == "__main__":
    main()
