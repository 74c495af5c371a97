"""The page of expected numbers says what was published, and its means are those of its rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auricle.scoring.published import published_baselines

PAGE = Path(__file__).parents[2] / "docs" / "reproduce.md"


@pytest.mark.parametrize("track", ["a", "b"])
def test_the_pages_table_holds_the_published_figures(track: str) -> None:
    section = PAGE.read_text(encoding="utf-8").partition(f"### Track {track.upper()}")[2]
    rows = re.findall(
        r"^\| ([a-z0-9*-]+) \| ([0-9.]+) \| ([0-9.]+) \|$", section.partition("###")[0], re.M
    )
    shown = {name: (float(one), float(two)) for name, one, two in rows}
    means = shown.pop("**mean**")
    published = published_baselines(track)
    for place, name in enumerate(("dasheng-base", "whisper-base")):
        assert {task: values[place] for task, values in shown.items()} == published[name]
        expected = sum(published[name].values()) / len(published[name])
        assert means[place] == pytest.approx(expected, abs=0.0005)


def test_the_page_says_that_nobody_has_run_it() -> None:
    assert "Not yet run on the official data" in PAGE.read_text(encoding="utf-8")
