"""The pictures of the documentation, taken of the demo's root in a real browser.

    make screenshots                                               the pictures that pages show, into docs/images/
    python -m tools.site.screenshots --every FOLDER                every page at three widths, light and dark, to look at

The root is copied first: a review that is opened hands out a batch.
"""

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "images"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (390, 800, 1200)
COLOURS = 128  # a page has few; a quarter of the bytes


@dataclass(frozen=True)
class Shot:
    """One picture: its file name, the page, and how wide the window is."""

    name: str
    path: str
    width: int = 1200
    height: int = 820
    dark: bool = False
    whole: bool = False


SHOTS = (
    Shot("overview", "/overview", whole=True),
    Shot("overview-phone", "/overview", 390, 844),
    Shot("report", "{report}", height=1000),
    Shot("pictures", "/pictures?model=digits&verdict=wrong"),
    Shot("review", "/review"),
    Shot("review-phone", "/review", 390, 844, dark=True),
    Shot("models", "/models"),
    Shot("reports", "/reports"),
)
PAGES = ("/", "/overview", "/reports", "/pictures", "/review", "/audit", "/me", "/models", "/docs", "/login", "/nope", "{report}")


@contextmanager
def serve_copy(root: Path, model: str) -> Iterator[str]:
    """Serves a copy of a root, without keys; yields the address."""
    with tempfile.TemporaryDirectory() as folder:
        copy, ready, log = Path(folder, "root"), Path(folder, "ready.json"), Path(folder, "log")
        shutil.copytree(root, copy)
        environ = os.environ | {"PYTHONPATH": str(ROOT)}
        items = [sys.executable, "-m", "jobs.labelled.items", "--root", str(copy), "--model", model]
        subprocess.run(items, check=True, env=environ, stdout=subprocess.DEVNULL)  # else the page of pictures would make them
        command = [sys.executable, "-m", "inference.serve", "--root", str(copy), "--model", model, "--port", "0", "--no-auth",
                   "--ready-file", str(ready), "--outbox", str(Path(folder, "outbox"))]
        with open(log, "wb") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=folder, env=environ)
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise SystemExit(f"the service ended with {process.returncode}:\n{log.read_text()[-2000:]}")
                time.sleep(0.1)
            yield json.loads(ready.read_text())["url"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def take(browser: Browser, address: str, shot: Shot, target: Path) -> None:
    """Takes one picture."""
    context = browser.new_context(viewport={"width": shot.width, "height": shot.height}, reduced_motion="reduce",
                                  color_scheme="dark" if shot.dark else "light")
    page = context.new_page()
    path = find_report(page, address) if shot.path == "{report}" else shot.path
    page.goto(address + path)
    page.wait_for_load_state("networkidle")
    data = page.screenshot(full_page=shot.whole)
    context.close()
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(data)).convert("RGB").quantize(COLOURS).save(target, optimize=True)
    print(f"{target} ({target.stat().st_size:,} bytes)")


def find_report(page: Page, address: str) -> str:
    """Finds the newest report that the list links to."""
    page.goto(f"{address}/reports")
    link = page.locator('a[href*="/reports/"]').first.get_attribute("href")
    assert link, "no report is listed"
    return link


def list_every() -> Iterator[Shot]:
    """Every page, at each width, light and dark."""
    for path in PAGES:
        name = "start" if path == "/" else path.strip("/{}")
        for width in WIDTHS:
            for dark in (False, True):
                yield Shot(f"{name}-{width}-{'dark' if dark else 'light'}", path, width, 900, dark, whole=True)


def main() -> None:
    """Takes the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--root", type=Path, default=ROOT / "demo-root", help="a root that `make demo` left")
    parser.add_argument("--model", default="digits")
    parser.add_argument("--every", type=Path, metavar="FOLDER", help="every page, into FOLDER")
    given = parser.parse_args()
    browser_path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not given.root.is_dir() or browser_path is None:
        missing = "a root that `make demo` left" if browser_path else f"one of {', '.join(CHROMIUM)} on the PATH"
        raise SystemExit(f"expected {missing}; found none ({given.root})")
    shots, folder = (list_every(), given.every) if given.every else (iter(SHOTS), PICTURES)
    with serve_copy(given.root, given.model) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        for shot in shots:
            take(browser, address, shot, folder / f"{shot.name}.png")
        browser.close()


if __name__ == "__main__":
    main()
