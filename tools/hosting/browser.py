"""A real browser at a real server: what tests and pictures of the interface need of Playwright."""

from __future__ import annotations

import contextlib
import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"
"""Screenshots, kept after the run and ignored by git."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,
    "Comfy.Minimap.Visible": False,
    "Comfy.VueNodes.Enabled": False,
    "Comfy.Locale": "en",
}
"""A user's settings who has seen the tour; texts are drawn at every zoom. A server keeps what was saved before, so that
all that any page is opened with is named here."""

STILL = """document.addEventListener('DOMContentLoaded', () => {
    const style = document.createElement('style')
    style.textContent = '*, *::before, *::after { animation: none !important; transition: none !important; '
        + 'backdrop-filter: none !important }'
    document.head.append(style)
})"""
"""Nothing fades, slides or is blurred: drawn without a GPU, that takes more than all else that the interface does."""


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium: the system's, else Playwright's own. Raises LookupError where there is none."""
    from playwright.sync_api import Error, sync_playwright

    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(
                executable_path=executable, args=["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
            )
        except Error as error:
            raise LookupError("no Chromium: install one, or run `playwright install chromium`") from error
        yield started
        started.close()


def save_settings(address: str, settings: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"http://{address}/settings", json.dumps(settings).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()


def open_interface(started: Any, address: str, height: int = 900, width: int = 1600, newcomer: bool = False) -> Any:
    """The interface with the host's first workflow in it, on a page that can reach nothing but the server.

    newcomer: the user has not seen the tour, and is shown the templates instead of a workflow.
    """
    page = started.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(20_000)
    page.add_init_script(STILL)
    local = (f"http://{address}/", f"ws://{address}/", "data:", "blob:")
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith(local) else route.abort())
    page.goto(f"http://{address}/")
    wait_until_ready(page)
    if newcomer:
        page.get_by_role("dialog").first.wait_for()
    else:
        page.wait_for_function("() => app.graph._nodes.length")  # its first workflow comes last
    return page


def wait_until_ready(page: Any) -> None:
    """Until the interface knows the pack's nodes."""
    known = "() => !!window.app?.graph && !!window.LiteGraph?.registered_node_types?.SEINEKSampler"
    page.wait_for_function(known, timeout=120_000)


def screenshot(page: Any, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")
