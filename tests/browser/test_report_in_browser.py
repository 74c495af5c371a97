"""The report and the comparison in a real browser: no request, no sideways scroll, accessible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browser_pages import SCHEMES, WIDTHS, Opened, PageAt

from auricle.runs.compare_page import write_comparison
from auricle.runs.report import write_report
from report_material import hum, make_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good run, a hostile one with a missing task, and the two side by side."""
    folder = tmp_path_factory.mktemp("pages") / "smoke"
    good = make_run(folder / "logmel-1")
    noise = make_run(folder / "noise-1", encoder="noise", hearing=0.0)
    evil = make_run(folder / "evil-1", clips=12, missing={"events": "the encoder's process died"})
    hostile = make_run(folder / "hostile-1", clips=12, hostile=True)
    return {
        "report": write_report(good, audio=hum, floor=noise),
        "missing": write_report(evil, audio=hum),
        "hostile": write_report(hostile, audio=hum),
        "compare": write_comparison([good, noise, evil, hostile], folder / "compare.html"),
    }


NAMES = ("report", "missing", "hostile", "compare")


@pytest.mark.parametrize("name", NAMES)
def test_the_page_asks_the_network_for_nothing(
    pages: dict[str, Path], page_at: PageAt, name: str
) -> None:
    opened = page_at(pages[name])
    opened.page.wait_for_timeout(300)
    assert opened.requests == []
    assert opened.messages == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [*WIDTHS, 320])
def test_the_page_never_scrolls_sideways(
    pages: dict[str, Path], page_at: PageAt, name: str, width: int
) -> None:
    opened = page_at(pages[name], width)
    assert opened.scroll_width() <= width


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(
    pages: dict[str, Path],
    page_at: PageAt,
    axe_problems: Callable[[Opened], list[str]],
    name: str,
    width: int,
    scheme: str,
) -> None:
    assert axe_problems(page_at(pages[name], width, scheme)) == []


def test_the_page_is_whole_without_javascript(pages: dict[str, Path], page_at: PageAt) -> None:
    with_it, without = (
        page_at(pages["report"], javascript=on).page.locator("main").inner_text()
        for on in (True, False)
    )
    assert with_it == without


def test_an_excerpt_plays_and_stops_the_one_before(pages: dict[str, Path], page_at: PageAt) -> None:
    page = page_at(pages["report"]).page
    play = "async (i) => { const a = document.querySelectorAll('audio')[i]; await a.play(); "
    duration = page.evaluate(play + "return a.duration; }", 0)
    assert 2.4 < duration < 2.6
    page.evaluate(play + "}", 1)
    page.wait_for_function("document.querySelectorAll('audio')[0].paused")
    page.wait_for_function("document.querySelectorAll('.head')[1].style.display === 'block'")


def test_spectrograms_are_drawn(pages: dict[str, Path], page_at: PageAt) -> None:
    page = page_at(pages["report"]).page
    sizes = page.evaluate(
        "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalHeight)))"
    )
    assert sizes == [56] * 30


def test_everything_is_on_paper_but_the_players(pages: dict[str, Path], page_at: PageAt) -> None:
    page = page_at(pages["report"], scheme="dark").page
    on_screen = page.locator("main").inner_text()
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("main").inner_text() == on_screen
    assert not page.locator("audio").first.is_visible()
    assert page.locator(".picture img").first.is_visible()
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"


def test_the_keyboard_reaches_every_scrolling_part(pages: dict[str, Path], page_at: PageAt) -> None:
    page = page_at(pages["report"], 390).page
    out_of_reach = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(e => e.tabIndex < 0).length"
    )
    assert out_of_reach == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#scores"


def test_hostile_text_runs_nothing(pages: dict[str, Path], page_at: PageAt) -> None:
    opened = page_at(pages["hostile"])
    dialogs: list[str] = []
    opened.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    opened.page.reload()
    opened.page.wait_for_timeout(300)
    assert dialogs == []
    assert opened.page.locator("script").count() == 1
