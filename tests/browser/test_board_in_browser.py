"""The board in a real browser: sort, search, filter, keyboard alone, phone, dark, no script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browser_pages import SCHEMES, WIDTHS, Opened, PageAt

from auricle.board.site import build_board
from board.board_material import HOSTILE_NAMES, hostile_results, make_run, task_entry

pytestmark = pytest.mark.slow

PUBLISHED_ORDER = ["THUVoice", "THU-HSCI-2", "trans-encoder", "IASP Lab", "MIT SLS"]
"""Track A of 2026, best first."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published tables, two runs of our own (one with a missing task), and hostile names."""
    folder = tmp_path_factory.mktemp("board")
    failed = {"gtzan": task_entry(0.4, failure="3 of 99 test clips cannot be decoded")}
    runs = [
        make_run(folder / "mine", name="mine", hidden={"Secret": task_entry(0.7)}, tasks=failed),
        make_run(folder / "small", name="small", suite="smoke"),
    ]
    build_board(out=folder / "site", runs=runs, results=[hostile_results(folder / "results.csv")])
    return folder / "site"


def entry_of(site: Path, start: str) -> str:
    return next(f"entries/{path.name}" for path in (site / "entries").glob(f"{start}*"))


@pytest.fixture(scope="module")
def names(site: Path) -> dict[str, str]:
    return {
        "index": "index.html",
        "track a": "track-a.html",
        "track b": "track-b.html",
        "suite": "smoke-track-a.html",
        "published": "entries/thuvoice.html",
        "run": entry_of(site, "mine-"),
        "hostile": entry_of(site, "script-alert-1"),
        "task": "tasks/gtzan.html",
        "hidden task": "tasks/king-asr-876.html",
    }


PAGES = (
    *("index", "track a", "track b", "suite", "published", "run", "hostile", "task"),
    "hidden task",
)


def teams(opened: Opened, count: int = 5) -> list[str]:
    """The first visible rows' teams."""
    found = opened.page.locator("#board tbody tr:visible th a").all_inner_texts()
    return [text.strip() for text in found][:count]


def sort_by(opened: Opened, key: str) -> None:
    opened.page.locator(f'#board th[data-key="{key}"] button').click()


def status(opened: Opened) -> str:
    return opened.page.locator("#status").inner_text()


def headings(opened: Opened) -> list[str]:
    """Keys of the visible columns."""
    found = opened.page.locator("#board thead th:visible")
    keys: list[str] = found.evaluate_all("cells => cells.map(cell => cell.dataset.key)")
    return keys


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_its_own_files_alone(
    site: Path, page_at: PageAt, names: dict[str, str], name: str
) -> None:
    opened = page_at(site / names[name])
    opened.page.wait_for_timeout(200)
    own = {(site / file).as_uri() for file in ("board.css", "field.css", "board.js")}
    assert set(opened.requests) <= own
    assert opened.messages == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [*WIDTHS, 320])
def test_a_page_never_scrolls_sideways(
    site: Path, page_at: PageAt, names: dict[str, str], name: str, width: int
) -> None:
    assert page_at(site / names[name], width).scroll_width() <= width


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious_on_the_board(
    site: Path,
    page_at: PageAt,
    names: dict[str, str],
    axe_problems: Callable[[Opened], list[str]],
    name: str,
    width: int,
    scheme: str,
) -> None:
    assert axe_problems(page_at(site / names[name], width, scheme)) == []


def test_the_table_stands_in_rank_order_and_says_so(site: Path, page_at: PageAt) -> None:
    opened = page_at(site / "track-a.html")
    assert teams(opened) == PUBLISHED_ORDER
    assert status(opened) == "26 of 26 rows, by Rank, best first"
    sorted_by = opened.page.locator("#board th[aria-sort]")
    assert sorted_by.count() == 1
    assert sorted_by.get_attribute("data-key") == "rank"


def test_sorting_takes_exact_numbers_and_leaves_missing_ones_last(
    site: Path, page_at: PageAt
) -> None:
    opened = page_at(site / "track-a.html")
    sort_by(opened, "gtzan")
    # gtzan of 2026: THU-HSCI-2 0.9394, trans-encoder 0.9293, then three with 0.9091, in rank order.
    assert teams(opened, 4) == ["THU-HSCI-2", "trans-encoder", "THUVoice", "MIT SLS"]
    assert status(opened).endswith("by gtzan, highest first")
    last = opened.page.locator("#board tbody tr").last
    assert last.locator("th a").inner_text() == "mine"
    sort_by(opened, "gtzan")
    assert teams(opened, 3) == ["Pinch", "dasheng-base", "AICIS"]  # 0.1818, 0.323, 0.4343
    assert opened.page.locator("#board tbody tr").last.locator("th a").inner_text() == "mine"
    heading = opened.page.locator('#board th[data-key="gtzan"]')
    assert heading.get_attribute("aria-sort") == "ascending"


def test_search_finds_teams_and_affiliations(site: Path, page_at: PageAt) -> None:
    opened = page_at(site / "track-a.html")
    opened.page.get_by_label("Search").fill("tsinghua")
    assert teams(opened) == ["THUVoice", "THU-HSCI-2"]
    assert status(opened).startswith("2 of 26 rows")
    opened.page.get_by_label("Search").fill("no such team")
    assert teams(opened) == []
    opened.page.get_by_role("button", name="Show all rows").click()
    assert status(opened).startswith("26 of 26 rows")
    assert not opened.page.get_by_text("Nothing matches").is_visible()
    opened.page.get_by_label("Search").fill("no such team")
    assert opened.page.get_by_text("Nothing matches").is_visible()
    opened.page.get_by_role("button", name="Reset").click()
    assert status(opened).startswith("26 of 26 rows")


def test_the_domain_filter_leaves_the_summary_and_its_tasks(site: Path, page_at: PageAt) -> None:
    opened = page_at(site / "track-a.html")
    opened.page.get_by_label("music (3)").check()
    keys = headings(opened)
    assert keys[:5] == ["rank", "team", "overall", "public", "hidden"]
    assert keys[5:8] == ["freemusicarchive", "gtzan", "nsynth"]
    assert keys[8:] == ["mode", "protocol", "date", "affiliation"]


def test_columns_and_rows_can_be_chosen_and_the_address_keeps_the_view(
    site: Path, page_at: PageAt
) -> None:
    opened = page_at(site / "track-a.html")
    opened.page.locator("#columns summary").click()
    opened.page.locator("#columns").get_by_label("cremad").uncheck()
    opened.page.get_by_label("baseline (2)").uncheck()
    sort_by(opened, "esc-50")
    assert "cremad" not in headings(opened)
    assert status(opened).startswith("24 of 26 rows")
    again = opened.page.context.new_page()
    again.goto(opened.page.url)
    same = Opened(again)
    assert (headings(same), status(same)) == (headings(opened), status(opened))
    assert (
        teams(same)
        == teams(opened)
        == ["EncodexPOL", "THU-HSCI-2", "trans-encoder", "IASP Lab", "THUVoice"]
    )


@pytest.mark.parametrize("width", [*WIDTHS, 320])
def test_the_menu_of_columns_stays_inside_the_window(
    site: Path, page_at: PageAt, width: int
) -> None:
    opened = page_at(site / "track-a.html", width)
    opened.page.locator("#columns summary").click()
    box = opened.page.locator("#columns > div").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert opened.scroll_width() <= width


def test_a_hostile_address_changes_nothing(site: Path, page_at: PageAt) -> None:
    opened = page_at(site / "track-a.html")
    hash_text = "#sort=constructor:x&domain=<img>&without=team,%3Cscript%3E&q=%25"
    opened.page.goto((site / "track-a.html").as_uri() + hash_text)
    opened.page.get_by_role("button", name="Reset").click()
    assert teams(opened) == PUBLISHED_ORDER
    assert opened.messages == []


def test_the_keyboard_alone_sorts_searches_filters_and_follows_a_link(
    site: Path, page_at: PageAt
) -> None:
    opened = page_at(site / "track-a.html")
    keys = opened.page.keyboard

    def tab_to(selector: str, most: int = 60) -> None:
        for _ in range(most):
            keys.press("Tab")
            if opened.page.evaluate("s => document.activeElement.matches(s)", selector):
                style = "getComputedStyle(document.activeElement).outlineStyle"
                assert opened.page.evaluate(style) != "none"
                return
        raise AssertionError(f"{selector} cannot be reached with the keyboard")

    keys.press("Tab")
    assert opened.page.evaluate("document.activeElement.className") == "skip"
    tab_to("#search")
    keys.type("university")
    assert "rows" in status(opened)
    tab_to("#domains input")
    keys.press("ArrowRight")  # all -> speech
    assert "gtzan" not in headings(opened)
    assert "cremad" in headings(opened)
    tab_to("#columns summary")
    keys.press("Enter")
    tab_to('#columns input[value="cremad"]')
    keys.press("Space")
    assert "cremad" not in headings(opened)
    keys.press("Escape")
    assert opened.page.evaluate("document.activeElement.matches('summary')")
    tab_to('th[data-key="public"] button')
    keys.press("Enter")
    public = opened.page.locator('th[data-key="public"]')
    assert public.get_attribute("aria-sort") == "descending"
    assert opened.page.evaluate("document.activeElement.closest('th').dataset.key") == "public"
    keys.press("Space")
    assert public.get_attribute("aria-sort") == "ascending"
    first = teams(opened, 1)[0]
    tab_to("#board tbody a")
    keys.press("Enter")
    opened.page.wait_for_url("**/entries/*.html")
    assert opened.page.locator("h1").inner_text().startswith(first)


@pytest.mark.parametrize("width", WIDTHS)
def test_heading_and_first_column_stay_in_sight(site: Path, page_at: PageAt, width: int) -> None:
    opened = page_at(site / "track-a.html", width)
    region = opened.page.locator(".scroll")
    region.evaluate("node => node.scrollIntoView()")
    before = opened.page.locator('#board th[data-key="team"]').bounding_box()
    region.evaluate("node => node.scrollTo(600, 300)")
    assert opened.page.locator('#board th[data-key="team"]').bounding_box() == before
    frame, cell = region.bounding_box(), opened.page.locator("#board tbody th").last.bounding_box()
    assert frame is not None
    assert cell is not None
    assert frame["x"] <= cell["x"]
    assert cell["x"] + cell["width"] <= frame["x"] + 0.4 * frame["width"]
    if width < 400:
        heading = opened.page.locator("#board thead").bounding_box()
        assert heading is not None
        assert heading["height"] <= 140


def test_the_page_is_whole_without_javascript(site: Path, page_at: PageAt) -> None:
    opened = page_at(site / "track-a.html", javascript=False)
    assert teams(opened) == PUBLISHED_ORDER
    assert opened.page.locator("#board tbody tr").count() == 26
    assert not opened.page.locator("#controls").is_visible()
    assert opened.page.locator("#board thead button").count() == 0
    assert opened.page.locator("noscript").is_visible()


def test_missing_is_read_out_as_missing(site: Path, page_at: PageAt, names: dict[str, str]) -> None:
    opened = page_at(site / names["run"])
    row = opened.page.get_by_role("row", name="gtzan")
    assert "missing" in row.inner_text()
    assert "3 of 99 test clips cannot be decoded" in row.inner_text()


@pytest.mark.parametrize(("name", "rows"), [("published", 30), ("task", 25), ("track a", 26)])
def test_first_cells_are_row_headings_to_a_screen_reader(
    site: Path, page_at: PageAt, names: dict[str, str], name: str, rows: int
) -> None:
    """Chromium's own tree; on small pages the attribute is left to what HTML implies."""
    page = page_at(site / names[name]).page
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    roles = [node.get("role", {}).get("value") for node in tree["nodes"]]
    assert roles.count("rowheader") == rows


def test_no_hostile_name_runs_anything(site: Path, page_at: PageAt) -> None:
    opened = page_at(site / "track-b.html")
    dialogs: list[str] = []
    opened.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for key in ("team", "public", "affiliation"):
        sort_by(opened, key)
    opened.page.get_by_label("Search").fill("<script>")
    assert teams(opened) == [HOSTILE_NAMES[0]]
    opened.page.locator("#board tbody tr:visible th a").click()
    opened.page.wait_for_url("**/entries/*.html")
    assert opened.page.locator("h1 bdi").inner_text() == HOSTILE_NAMES[0]
    assert dialogs == []
    assert opened.messages == []
