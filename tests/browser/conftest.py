"""A real browser for pages that we write: headless Chromium, and axe-core for accessibility.

Both are looked for on the machine (``chromium`` on the path or ``$CHROMIUM``; ``axe.min.js`` of
axe-core in ``node_modules`` or at ``$AXE_CORE``); where one is absent, its tests are skipped and
say so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser_pages import HEIGHT, Opened, PageAt

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_ROOT = Path(__file__).parents[2]
_AXE_PLACES = (
    _ROOT / "node_modules" / "axe-core" / "axe.min.js",
    Path("/usr/share/nodejs/axe-core/axe.min.js"),
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for the whole session."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium, or set $CHROMIUM")
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is absent")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-background-networking", "--mute-audio"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page_at(chromium: Browser) -> Iterator[PageAt]:
    """Open a file at a window width and colour scheme."""
    contexts = []

    def open_page(
        path: Path, width: int = 1440, scheme: str = "light", *, javascript: bool = True
    ) -> Opened:
        context = chromium.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=javascript,
        )
        contexts.append(context)
        opened = Opened(context.new_page())
        address = path.resolve().as_uri()

        def note_request(request: Any) -> None:
            if not request.url.startswith("data:") and request.url.split("#")[0] != address:
                opened.requests.append(request.url)

        def note_message(message: Any) -> None:
            if message.type in ("error", "warning"):
                opened.messages.append(message.text)

        opened.page.on("request", note_request)
        opened.page.on("console", note_message)
        opened.page.on("pageerror", lambda error: opened.messages.append(str(error)))
        opened.page.goto(address)
        return opened

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def axe_source() -> str:
    """The text of axe-core."""
    named = os.environ.get("AXE_CORE")
    for path in [Path(named)] if named else _AXE_PLACES:
        if path.is_file():
            return path.read_text(encoding="utf-8")
    pytest.skip("no axe-core on this machine: npm install axe-core, or set $AXE_CORE")


@pytest.fixture
def axe_problems(axe_source: str) -> Callable[[Opened], list[str]]:
    """What axe-core finds serious or critical: rule, impact and the first element of each."""

    def check(opened: Opened) -> list[str]:
        # Evaluated from outside: a script element would be refused by the page's own policy.
        opened.page.evaluate(axe_source)
        found = opened.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{v['id']} ({v['impact']}, {len(v['nodes'])}): {v['nodes'][0]['html'][:200]}"
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]

    return check
