"""Takes docs/images/page.jpg and page-shop.jpg, the page over the drawn sample, in the system's Chromium.

lookalike demo && lookalike serve --gallery demo/drawn.gallery
python docs/images/page.py http://127.0.0.1:8000/ demo/query.jpg page

With the settings of docs/page.md that need no column of their own (name, logo, currency, accent):
lookalike serve --gallery demo/drawn.gallery --config shop.toml
python docs/images/page.py http://127.0.0.1:8000/?lang=fr demo/query.jpg page-shop
"""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def main() -> None:
    """Search with the photo, draw a box, say what is to be different, and point at a result."""
    url, photo, name = sys.argv[1:]
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-headless-shell"), args=arguments
        )
        page = browser.new_page(viewport={"width": 1240, "height": 800}, color_scheme="light")
        page.goto(url)
        page.set_input_files("#choose", photo)
        page.locator(".crop").wait_for()
        for grip, keys in (("nw", ["ArrowRight", "Shift+ArrowDown"]), ("se", ["Shift+ArrowLeft", "Shift+ArrowUp"])):
            page.focus(f".grip.{grip}")
            for key in keys:
                page.keyboard.press(key)
        if name == "page":
            page.locator("#words-field").fill("but red")
            page.locator("#words-field").press("Enter")
            page.get_by_role("slider", name="Photo or words").wait_for()
        page.wait_for_load_state("networkidle")
        page.locator("#grid .tile").nth(1).hover()
        page.wait_for_timeout(1000)
        page.screenshot(path=Path(__file__).with_name(f"{name}.jpg"), type="jpeg", quality=82)
        browser.close()


if __name__ == "__main__":
    main()
