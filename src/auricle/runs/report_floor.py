"""The floor: what an encoder that hears nothing scores on the same clips.

Chance says what one constant answer gets; the floor says what training on noise gets, which can be
more where the answers to different clips are unevenly likely.
"""

from __future__ import annotations

from auricle.files import read_json, sha256_json, write_json
from auricle.records.manifest import Manifest
from auricle.runs.folder import RunFolder
from auricle.runs.report_facts import number, same_test

FLOOR_ENCODER = "noise"


def find_floor(folder: RunFolder) -> RunFolder | None:
    """A finished run of the built-in noise encoder beside a run: same suite, recipe and seed.

    Where only other seeds were run, the first of them by name. None where there is none, or where
    the run is such a run itself.
    """
    mine = folder.read_manifest()
    if mine.encoder.text == FLOOR_ENCODER:
        return None
    found = []
    for path in sorted(folder.path.parent.glob("*/manifest.json")):
        other = RunFolder(path.parent)
        manifest = other.read_manifest()
        same = manifest.recipe == mine.recipe
        is_floor = manifest.encoder.text == FLOOR_ENCODER
        if same and is_floor and other.scores.is_file():
            found.append((manifest.seed != mine.seed, path.parent.name, other))
    return min(found, key=lambda item: item[:2])[2] if found else None


def kept_floor(folder: RunFolder, floor: RunFolder | None) -> dict[str, float]:
    """The floor's scores; those of an earlier page where the floor's run is not at hand.

    ``floor.json`` holds them, with a hash of what each task asked.

    Raises:
        OutputError: It cannot be written.
    """
    manifest = folder.read_manifest()
    asked = {name: sha256_json(facts.asked) for name, facts in manifest.test.items()}
    if found := floor_scores(manifest, floor):
        kept = {name: {"score": score, "asked": asked[name]} for name, score in found.items()}
        if not folder.floor.is_file() or read_json(folder.floor) != kept:
            write_json(folder.floor, kept)
        return found
    kept = read_json(folder.floor) if folder.floor.is_file() else {}
    return {
        name: score
        for name, one in kept.items()
        if one["asked"] == asked.get(name) and (score := number(one["score"])) is not None
    }


def floor_scores(manifest: Manifest, floor: RunFolder | None) -> dict[str, float]:
    """The floor's score of every task whose test data are the same to the byte."""
    scores = floor.read_scores() if floor is not None else None
    if floor is None or scores is None:
        return {}
    theirs = floor.read_manifest().test
    found = {name: task.estimate.value for name, task in scores.tasks.items()}
    return {
        name: value
        for name, facts in manifest.test.items()
        if same_test(facts, theirs.get(name)) and (value := found.get(name)) is not None
    }
