"""What the browser's fixtures hand out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTHS = (1440, 390)
SCHEMES = ("light", "dark")
HEIGHT = 900


@dataclass
class Opened:
    """A page in the browser, with what it did since it was opened."""

    page: Page
    requests: list[str] = field(default_factory=list)
    """Addresses that it asked for besides itself; data inside the page is none."""
    messages: list[str] = field(default_factory=list)
    """Errors and warnings on its console, refusals by its content policy among them."""

    def scroll_width(self) -> int:
        """How wide the page is, in CSS pixels; more than the window scrolls sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


class PageAt(Protocol):
    def __call__(
        self, path: Path, width: int = 1440, scheme: str = "light", *, javascript: bool = True
    ) -> Opened: ...
