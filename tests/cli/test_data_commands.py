"""What `auricle data` prints and refuses; fetching and importing have tests of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auricle.cli.app import execute


def test_what_was_made_is_said_and_has_a_json_form(
    shared_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AURICLE_HOME", str(shared_home))
    made = ["data", "make", "synth-keyword", "--quiet"]
    assert execute(made) == 0
    place = shared_home / "shards"
    assert capsys.readouterr().out == f"synthetic tasks that are ready below {place}: 1\n"
    assert execute([*made, "--json"]) == 0
    expected = {"tasks": ["synth-keyword"], "folder": str(place), "warnings": []}
    assert json.loads(capsys.readouterr().out) == expected
    assert execute([*made, "--workers", "-1"]) == 2
    assert "--workers" in capsys.readouterr().err


def test_data_that_are_made_are_not_fetched(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["data", "fetch", "synth-keyword"]) == 2
    text = " ".join(capsys.readouterr().err.split())
    assert "Every task of 'synth-keyword' is synthetic, so there is nothing to fetch" in text
    assert "auricle data make synth-keyword" in text


@pytest.mark.parametrize(("suite", "verb"), [("esc-50", "fetch"), ("synth-keyword", "make")])
def test_a_list_says_how_to_bring_what_is_missing(
    home: Path, capsys: pytest.CaptureFixture[str], suite: str, verb: str
) -> None:
    assert execute(["data", "list", suite]) == 3
    assert f"what is missing: auricle data {verb} {suite}\n" in capsys.readouterr().out
