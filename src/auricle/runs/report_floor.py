"""The floor: what an encoder that hears nothing scores on the same clips.

Chance says what one constant answer gets; the floor says what training on noise gets, which can be
more where the answers to different clips are unevenly likely.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auricle.files import read_json
from auricle.runs.folder import RunFolder
from auricle.runs.report_facts import number, same_test

FLOOR_ENCODER = "noise"


def find_floor(folder: RunFolder) -> RunFolder | None:
    """A finished run of the built-in noise encoder beside a run: same suite, recipe and seed.

    Where only other seeds were run, the first of them by name. None where there is none, or where
    the run is such a run itself.
    """
    mine = folder.read_manifest()
    if mine["encoder"].get("text") == FLOOR_ENCODER:
        return None
    found = []
    for path in sorted(folder.path.parent.glob("*/manifest.json")):
        other = RunFolder(path.parent)
        manifest = other.read_manifest()
        same = manifest.get("recipe") == mine.get("recipe")
        is_floor = manifest["encoder"].get("text") == FLOOR_ENCODER
        if same and is_floor and other.scores.is_file():
            found.append((manifest.get("seed") != mine.get("seed"), path.parent.name, other))
    return min(found, key=lambda item: item[:2])[2] if found else None


def floor_scores(manifest: Mapping[str, Any], floor: RunFolder | None) -> dict[str, float]:
    """The floor's score of every task whose test data are the same to the byte."""
    if floor is None or not floor.scores.is_file():
        return {}
    theirs, entries = floor.read_manifest()["test"], read_json(floor.scores)["tasks"]
    return {
        name: float(entries[name]["score"])
        for name, facts in manifest["test"].items()
        if same_test(facts, theirs.get(name))
        and name in entries
        and entries[name].get("failure") is None
        and number(entries[name].get("score")) is not None
    }
