"""The whole site: what it says, what it never says, and how it is put in place."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from board_material import (
    HOSTILE_NAMES,
    all_text,
    hostile_results,
    make_results,
    make_run,
    task_entry,
)

from auricle.board.site import BoardOptions, build_board
from auricle.catalog.load import get_suite
from auricle.errors import OutputError, ScoringError

TAGS = {
    *("html", "head", "meta", "title", "link", "script", "noscript", "body", "a", "header", "nav"),
    *("main", "h1", "h2", "h3", "p", "b", "small", "span", "i", "bdi", "ul", "li", "dl", "dt"),
    *("dd", "div", "section", "table", "caption", "thead", "tbody", "tr", "th", "td", "label"),
    *("input", "fieldset", "legend", "details", "summary", "button", "figure", "svg", "path"),
}
ATTRIBUTES = re.compile(
    r"aria-[a-z]+|data-[a-z]+|lang|charset|name|content|http-equiv|rel|href|type|class|id|src|defer|"
    r"scope|style|title|role|tabindex|download|hidden|colspan|autocomplete|spellcheck|placeholder|"
    r"viewbox|d"
)


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.styles: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "href" and tag == "a":
                self.links.append(value or "")
            elif name in ("href", "src"):
                self.loads.append(value or "")
            elif name == "style":
                self.styles.append(value or "")
            elif name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A site with hostile names and a run with hidden scores, by file."""
    folder = tmp_path_factory.mktemp("hostile")
    secret = {"Top<i>Secret": task_entry(0.7771, clips_scored=7771, failure=None)}
    run = make_run(folder / "run", name=HOSTILE_NAMES[0], hidden=secret)
    build_board(
        out=folder / "site",
        runs=[run],
        results=[hostile_results(folder / "r.csv")],
        options=BoardOptions(title="<b>Board</b> & co"),
    )
    return all_text(folder / "site")


def pages(site: dict[str, str]) -> dict[str, Page]:
    return {name: Page(text) for name, text in site.items() if name.endswith(".html")}


def test_hostile_names_add_no_tag_and_no_attribute(hostile: dict[str, str]) -> None:
    for name, page in pages(hostile).items():
        assert page.tags <= TAGS, (name, page.tags - TAGS)
        strange = {a for a in page.attributes if not ATTRIBUTES.fullmatch(a)}
        assert not strange, (name, strange)
        assert all(re.fullmatch(r"(--[a-z]:[\d.]+;?)*", style) for style in page.styles), name


def test_no_page_needs_the_network(hostile: dict[str, str]) -> None:
    for name, page in pages(hostile).items():
        for load in page.loads:
            assert load == "data:," or f"{Path(name).parent}/{load}".count("..") <= 1, load
            assert not re.match(r"\w+://|//", load), load
    for name in ("board.css", "field.css", "board.js"):
        assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|import\(", hostile[name]), name


def test_every_link_leads_to_a_page_of_the_site_or_to_https(hostile: dict[str, str]) -> None:
    parsed = pages(hostile)
    for name, page in parsed.items():
        for link in page.links:
            if link.startswith("https://"):
                continue
            path, _, fragment = link.partition("#")
            target = Path(name).parent.joinpath(path or Path(name).name).as_posix()
            target = re.sub(r"(^|/)[^/]+/\.\./", r"\1", target)
            assert target in hostile, (name, link)
            if fragment:
                assert fragment in parsed[target].ids, (name, link)


def test_ids_are_unique_and_tags_are_closed(hostile: dict[str, str]) -> None:
    for name, page in pages(hostile).items():
        assert len(page.ids) == len(set(page.ids)), name
    for text in (text for name, text in hostile.items() if name.endswith(".html")):
        for tag in ("a", "span", "table", "div", "dl", "main", "header", "small", "b", "bdi"):
            assert len(re.findall(rf"<{tag}[\s>]", text)) == text.count(f"</{tag}>"), tag


def test_names_are_shown_as_they_are_written(hostile: dict[str, str]) -> None:
    words = "".join(pages(hostile)["track-b.html"].words)
    for name in ("<script>alert(1)</script>", "{{ 7 * 7 }}", "../../etc/passwd", "&lt;b&gt;bold"):
        assert name in words
    assert "\u202e" not in "".join(hostile.values())
    assert len(max(re.findall("W+", words), key=len)) < 120


def test_hidden_scores_that_are_not_released_change_no_byte(tmp_path: Path) -> None:
    """Whatever the hidden scores are, how many, and how the tasks are called: the same site."""
    sites = []
    for name, tasks in {
        "low": {"Fingersnap": task_entry(0.1)},
        "high": {
            "Fingersnap": task_entry(0.9, failure="Fingersnap failed"),
            "Other": task_entry(1),
        },
    }.items():
        run = make_run(tmp_path / name, hidden=tasks)
        (tmp_path / f"files-{name}").mkdir()
        results = make_results(
            tmp_path / f"files-{name}" / "results.csv",
            ["team", "gtzan", "overall", "hidden", *(f"{task}*" for task in tasks)],
            [["A", "0.5", "0.31", "0.12", *["0.25"] * len(tasks)]],
        )
        for published in (True, False):
            out = tmp_path / f"site-{name}-{published}"
            build_board(out=out, runs=[run], results=[results], published=published)
            sites.append(all_text(out))
    assert sites[0] == sites[2]
    assert sites[1] == sites[3]
    assert not [name for name, text in sites[1].items() if "Fingersnap" in text or "0.31" in text]


def test_the_name_of_a_hidden_task_stands_in_no_file(hostile: dict[str, str]) -> None:
    assert not [name for name, text in hostile.items() if "Secret" in text + name]


def test_the_same_site_after_release_shows_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", hidden={"TopSecret": task_entry(0.7771)})
    build_board(
        out=tmp_path / "site", runs=[run], published=False, options=BoardOptions(released=True)
    )
    site = all_text(tmp_path / "site")
    assert "TopSecret*" in site["track-a.html"]
    assert "0.7771" in site["track-a.csv"]
    assert json.loads(site["track-a.json"])["rows"][0]["tasks"]["TopSecret*"] == 0.7771
    # Public mean 0.5, hidden mean 0.7771.
    assert json.loads(site["track-a.json"])["rows"][0]["overall"]["mean"] == pytest.approx(0.63855)


def test_missing_is_a_dash_an_empty_field_and_null_never_zero(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tasks={"gtzan": task_entry(None)})
    build_board(out=tmp_path / "site", runs=[run], published=False)
    site = all_text(tmp_path / "site")
    (line,) = csv.DictReader(io.StringIO(site["track-a.csv"]))
    assert (line["gtzan"], line["overall"], line["rank"], line["esc-50"]) == ("", "", "", "0.5")
    (row,) = json.loads(site["track-a.json"])["rows"]
    assert row["tasks"]["gtzan"] is None
    assert row["missing"] == {"gtzan": "not answered yet"}
    assert row["overall"] == {"mean": None}
    assert '<span class="sr"> missing</span>' in site["track-a.html"]
    assert "0.000" not in site["track-a.html"]
    entry = next(text for name, text in site.items() if name.startswith("entries/"))
    assert "not answered yet" in entry


def test_the_csv_can_be_ranked_again_and_holds_no_formula(hostile: dict[str, str]) -> None:
    lines = list(csv.DictReader(io.StringIO(hostile["track-b.csv"])))
    teams = [line["team"] for line in lines]
    assert not [team for team in teams if team[:1] in set("=+-@\t\r")]
    assert "'=HYPERLINK(1)" in teams
    assert lines[0]["team"] == "trans-encoder"
    assert (lines[0]["rank"], lines[0]["tacos*"]) == ("1", "0.4277")


def test_the_json_is_strict_and_complete(hostile: dict[str, str]) -> None:
    def refuse(text: str) -> None:
        raise AssertionError(text)

    table = json.loads(hostile["track-a.json"], parse_constant=refuse)
    assert table["schema_version"] == 1
    assert len(table["tasks"]) == 21
    assert [row["rank"] for row in table["rows"]][:3] == [1, 2, 3]
    assert all(row["page"] in hostile for row in table["rows"])


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for name in ("one", "two"):
        build_board(out=tmp_path / name, runs=[run])
    assert all_text(tmp_path / "one") == all_text(tmp_path / "two")


@pytest.mark.parametrize("suite", ["track-a", "smoke", "mini", "all"])
def test_46_published_rows_and_two_runs_stay_under_500_kb(tmp_path: Path, suite: str) -> None:
    hidden = {"Hidden": task_entry(0.5)}
    runs = [make_run(tmp_path / str(n), suite=suite, seed=n, hidden=hidden) for n in (1, 2)]
    summary = build_board(out=tmp_path / "site", runs=runs)
    on_disk = sum(path.stat().st_size for path in (tmp_path / "site").rglob("*") if path.is_file())
    assert summary.bytes_written == on_disk < 500_000
    own = set(get_suite(suite).tasks) - set(get_suite("all").tasks)
    assert (summary.entries, summary.tasks) == (27, 15 + 6 + 5 + 4 + len(own))
    assert sum(summary.tables.values()) >= 2 * 25 + 2


def test_a_build_replaces_all_of_an_earlier_one_and_leaves_nothing_beside_it(
    tmp_path: Path,
) -> None:
    first = make_run(tmp_path / "run", name="first")
    build_board(out=tmp_path / "www" / "site", runs=[first])
    assert any("first" in name for name in all_text(tmp_path / "www" / "site"))
    build_board(out=tmp_path / "www" / "site")
    assert not any("first" in name for name in all_text(tmp_path / "www" / "site"))
    assert [path.name for path in (tmp_path / "www").iterdir()] == ["site"]


def test_a_folder_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    build_board(out=tmp_path / "site")
    (tmp_path / "site" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds thesis.tex, which no build of a board made"):
        build_board(out=tmp_path / "site")
    assert (tmp_path / "site" / "thesis.tex").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is no folder"):
        build_board(out=tmp_path / "file")


def test_a_refused_source_leaves_the_earlier_site_as_it_was(tmp_path: Path) -> None:
    build_board(out=tmp_path / "site")
    before = all_text(tmp_path / "site")
    broken = make_results(tmp_path / "r.csv", ["team", "gtzan"], [["A", "2"]])
    with pytest.raises(ScoringError, match="2 is no score"):
        build_board(out=tmp_path / "site", results=[broken])
    assert all_text(tmp_path / "site") == before
    assert {path.name for path in tmp_path.iterdir()} == {"site", "r.csv"}


def test_nothing_to_show_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScoringError, match="There is nothing to show"):
        build_board(out=tmp_path / "site", published=False)


def test_reports_are_taken_along_only_when_asked(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "report.html").write_text("<p>the answers")
    build_board(out=tmp_path / "site", runs=[run], published=False)
    assert "the answers" not in "".join(all_text(tmp_path / "site").values())
    build_board(
        out=tmp_path / "site", runs=[run], published=False, options=BoardOptions(with_reports=True)
    )
    site = all_text(tmp_path / "site")
    (report,) = (name for name in site if name.startswith("reports/"))
    entry = next(text for name, text in site.items() if name.startswith("entries/"))
    assert f'href="../{report}"' in entry


def test_no_template_fills_an_attribute_without_quotes() -> None:
    folder = files("auricle.board").joinpath("templates")
    for template in folder.iterdir():
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"=\s*\{[{%]", text), template.name
        assert "|safe" not in text.replace(" ", ""), template.name
        assert "autoescape" not in text, template.name


def test_a_file_that_takes_a_published_teams_name_is_warned_of(tmp_path: Path) -> None:
    results = make_results(tmp_path / "mine.csv", ["team", "gtzan"], [["THUVoice", "0.5"]])
    summary = build_board(out=tmp_path / "site", results=[results])
    (warning,) = summary.warnings
    assert "THUVoice stands here 2 times, from: published, mine.csv." in warning
    page = (tmp_path / "site" / "track-a.html").read_text()
    assert "<small>published</small>" in page
    assert "<small>mine.csv</small>" in page
    assert build_board(out=tmp_path / "other").warnings == ()


def test_an_interval_has_a_column_only_where_a_table_has_one(tmp_path: Path) -> None:
    build_board(out=tmp_path / "site", runs=[make_run(tmp_path / "run", suite="smoke")])
    assert 'data-key="interval"' in (tmp_path / "site" / "smoke-track-a.html").read_text()
    assert "95 % interval<" not in (tmp_path / "site" / "track-a.html").read_text()


def test_where_nobody_is_ranked_an_entry_has_no_rank_of_nobody(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", mode="custom")
    build_board(out=tmp_path / "site", runs=[run], published=False)
    (page,) = (tmp_path / "site" / "entries").glob("*.html")
    text = page.read_text()
    assert "rank of" not in text
    assert "in brackets" not in text
    assert (
        '<p class="soft">auricle 0.1.0, official-2 · 2026-05-06</p>' in text
    )  # custom stands beside the name


def test_what_takes_no_rank_takes_no_place_from_others(tmp_path: Path) -> None:
    """On gtzan in 2026 THU-HSCI-2 is first with 0.9394, trans-encoder second with 0.9293."""
    run = make_run(tmp_path / "run", mode="custom", tasks={"gtzan": task_entry(0.93)})
    build_board(out=tmp_path / "site", runs=[run])
    page = (tmp_path / "site" / "tasks" / "gtzan.html").read_text()
    places = re.findall(r"<td>([(0-9)–]+)<th><a href=\"../entries/([a-z0-9-]+)\.html", page)
    found = {slug: place for place, slug in places}
    (mine,) = (slug for slug in found if slug.startswith("my-encoder-"))
    assert (found["thu-hsci-2"], found[mine], found["trans-encoder"]) == ("1", "(2)", "2")
    assert found["whisper-base"].startswith("(")
    assert "A place in brackets is where" in page
    assert "<td>(2)<td" in (tmp_path / "site" / "entries" / f"{mine}.html").read_text()


def test_an_entrys_page_speaks_plainly(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"stages_s": {"encode": 4.2}}))
    results = make_results(
        tmp_path / "r.csv", ["team", "mode", "protocol", "gtzan"], [["A", "reference", "1", "0.5"]]
    )
    build_board(out=tmp_path / "site", runs=[run], results=[results], published=False)
    pages = [path.read_text() for path in (tmp_path / "site" / "entries").glob("*.html")]
    assert any("reference mode · protocol 1</p>" in page for page in pages)
    assert any("<dt>Time<dd>4.2 s" in page for page in pages)
