"""The report page: whole, closed to the network, honest about what is missing, safe to open."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from auricle.errors import ScoringError
from auricle.files import read_json, write_json, write_text
from auricle.progress import duration_text
from auricle.records.manifest import ShardFacts
from auricle.runs.folder import RunFolder
from auricle.runs.report import write_report
from auricle.runs.report_floor import find_floor, floor_scores
from auricle.runs.report_page import score_text, visible
from report_material import HOSTILE, KINDS, hum, make_run, silence


class Tags(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in ("script", "style"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = make_run(tmp_path_factory.mktemp("report") / "smoke" / "logmel-1")
    return write_report(folder, audio=hum).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = make_run(tmp_path_factory.mktemp("evil") / "smoke" / "evil-1", hostile=True, clips=12)
    return write_report(folder, audio=silence).read_text(encoding="utf-8")


def test_nothing_in_the_page_points_outside_it(page: str) -> None:
    for tag, attributes in Tags(page).elements:
        for name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
            value = attributes.get(name, "")
            assert value.startswith(("#", "data:")) or not value, f"<{tag} {name}={value[:60]}>"
    assert "url(" not in page
    assert "@import" not in page


def test_links_inside_the_page_lead_somewhere(page: str) -> None:
    tags = Tags(page)
    ids = [attributes["id"] for _, attributes in tags.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in tags.named("a"):
        assert link["href"].removeprefix("#") in ids


def test_the_policy_allows_the_pages_own_style_and_script_alone(page: str) -> None:
    (policy,) = [m["content"] for m in Tags(page).named("meta") if "http-equiv" in m]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in policy
    assert " style=" not in page


def test_writing_a_page_again_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tasks=("words", "digits"), clips=20)
    first = write_report(folder, audio=hum).read_bytes()
    assert write_report(folder, audio=hum).read_bytes() == first


def test_every_task_has_its_place_examples_and_sound(page: str) -> None:
    tags = Tags(page)
    for name, kind in KINDS.items():
        assert name in tags.text
        assert kind.prompt in tags.text
    assert len(tags.named("audio")) == len(tags.named("img")) == 5 * len(KINDS)
    assert all(a["src"].startswith("data:audio/ogg;base64,") for a in tags.named("audio"))
    assert all(i["alt"] for i in tags.named("img"))


def test_planned_and_actual_times_stand_side_by_side(page: str) -> None:
    text = re.sub(r"\s+", " ", Tags(page).text)
    assert "stage planned actual" in text or "stageplannedactual" in text
    assert re.search(r"encode ?60 s ?72 s", text)
    assert re.search(r"train ?2 min ?2 min", text)
    assert re.search(r"score ?not planned ?0.9 s", text)


def test_a_plan_that_measured_nothing_has_no_column(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tasks=["counting"])
    write_json(folder.plan, {"stages_s": {"encode": 0.0, "train": None, "answer": None}})
    manifest = read_json(folder.manifest)
    manifest["encoder"]["text"] = "/home/someone/mine/encoder.py:MyEncoder"
    write_json(folder.manifest, manifest)
    page = write_report(folder, audio=silence).read_text(encoding="utf-8")
    assert "planned" not in Tags(page).text
    assert "encoder.py:MyEncoder" in Tags(page).text
    assert "someone" not in page


def test_a_path_of_the_machine_is_cut_to_its_end(page: str) -> None:
    assert "someone" not in page
    assert "logmel.py · b3bb5cd598b0" in Tags(page).text


def test_notes_are_shown(page: str) -> None:
    assert "2 training clips cannot be decoded" in Tags(page).text


def test_text_of_strangers_never_becomes_markup(hostile_page: str) -> None:
    tags = Tags(hostile_page)
    assert len(tags.named("script")) == 1
    assert not [i for i in tags.named("img") if not i["src"].startswith("data:image/png")]
    assert not [name for _, found in tags.elements for name in found if name.startswith("on")]
    assert "<script>alert(1)</script>" in tags.text
    assert "\x00" not in hostile_page
    assert "\x1b" not in hostile_page


def test_long_texts_are_cut(hostile_page: str) -> None:
    assert "x" * 500 not in hostile_page
    assert len(hostile_page) < 400_000


def test_control_characters_and_lone_surrogates_become_visible() -> None:
    assert visible("a\x00b\x1b\x7f\x85\ud800\n") == "a␀b␛␡��\n"
    visible(HOSTILE).encode()


def test_a_missing_task_is_shown_with_its_reason_and_leaves_no_mean(tmp_path: Path) -> None:
    reason = "incomplete: 3 of 60 test clips cannot be decoded"
    folder = make_run(tmp_path / "run", missing={"events": reason}, clips=12)
    text = Tags(write_report(folder, audio=silence).read_text(encoding="utf-8")).text
    assert reason in text
    assert "1 of 6 tasks is missing" in text
    assert "no mean: 1 task missing" in text
    assert "audio not at hand" in text


def test_an_unfinished_run_has_a_page_all_the_same(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tasks=("words",), clips=5)
    for path in (folder.losses, folder.plan, folder.scores, folder.predictions("words")):
        path.unlink()
    text = Tags(write_report(folder, audio=silence).read_text(encoding="utf-8")).text
    assert "not answered yet" in text
    assert "Training" not in text
    assert "1 of 1 task is missing" in text


def test_a_broken_loss_line_is_named(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tasks=("words",), clips=5)
    write_text(folder.losses, '{"step": 1, "loss": 2}\n[]\n')
    with pytest.raises(ScoringError, match=r"losses.jsonl, line 2 is no loss .*expected an object"):
        write_report(folder, audio=silence)


def test_official_tracks_have_a_headline_each(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tasks=("words", "digits"), clips=12)
    text = folder.manifest.read_text(encoding="utf-8")
    write_text(folder.manifest, text.replace('"official_tasks": false', '"official_tasks": true'))
    tags = Tags(write_report(folder, audio=silence).read_text(encoding="utf-8"))
    heads = [found for _, found in tags.elements if found.get("class") == "headline"]
    assert len(heads) == 2
    assert "mean of all tasks" not in tags.text


def test_the_floor_is_a_noise_run_of_the_same_recipe(tmp_path: Path) -> None:
    mine = make_run(tmp_path / "smoke" / "logmel-1", tasks=("words",), clips=12)
    assert find_floor(mine) is None
    make_run(tmp_path / "smoke" / "noise-2", encoder="noise", seed=7, tasks=("words",), clips=12)
    noise = make_run(tmp_path / "smoke" / "noise-3", encoder="noise", tasks=("words",), clips=12)
    other = make_run(tmp_path / "smoke" / "noise-1", encoder="noise", tasks=("words",), clips=12)
    text = other.manifest.read_text(encoding="utf-8")
    write_text(other.manifest, text.replace('"steps": 400', '"steps": 40'))
    found = find_floor(mine)
    assert found is not None
    assert found.path == noise.path
    assert find_floor(noise) is None


def test_a_floor_on_other_clips_is_none(tmp_path: Path) -> None:
    mine = make_run(tmp_path / "mine", tasks=("words", "digits"), clips=12)
    noise = make_run(tmp_path / "noise", encoder="noise", tasks=("words", "digits"), clips=12)
    manifest = mine.read_manifest()
    assert set(floor_scores(manifest, noise)) == {"words", "digits"}
    shards = [ShardFacts(name="other.tar", sha256="0" * 64)]
    words = manifest.test["words"].with_fields(shards=shards)
    manifest = manifest.with_fields(test=manifest.test | {"words": words})
    assert set(floor_scores(manifest, noise)) == {"digits"}
    assert floor_scores(manifest, None) == {}
    assert floor_scores(manifest, RunFolder(tmp_path / "nowhere")) == {}


def test_the_floor_stands_beside_the_score(tmp_path: Path) -> None:
    mine = make_run(tmp_path / "mine", tasks=("words",), clips=12)
    noise = make_run(tmp_path / "noise", encoder="noise", tasks=("words",), clips=12, hearing=0.0)
    tags = Tags(write_report(mine, audio=silence, floor=noise).read_text(encoding="utf-8"))
    scores = noise.read_scores()
    assert scores is not None
    floor = f"noise encoder {scores.tasks['words'].score:.3f}"
    labels = [s["aria-label"] for s in tags.named("svg") if "aria-label" in s]
    assert any(floor in label for label in labels)


def test_numbers_are_said_as_people_say_them() -> None:
    assert score_text(None) == "missing"
    assert score_text(-0.0123) == "−0.012"
    assert [duration_text(s) for s in (0.94, 59.6, 125, 7200)] == [
        "0.9 s",
        "60 s",
        "2 min",
        "2.0 h",
    ]
