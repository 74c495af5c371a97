"""Run folders and tables that the board's tests read: small, hand-written, never a real run."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auricle.catalog.load import get_suite, get_task
from auricle.runs.folder import RunFolder

HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "' onmouseover='alert(3)",
    "</title></style><svg/onload=alert(4)>",
    "{{ 7 * 7 }}{% include 'base.html' %}",
    "javascript:alert(5)",
    "exe.\u202egnp.lave",
    "\u2066isolated\u2069 \u200fmarks",
    "../../etc/passwd",
    "..\\..\\windows\\system32",
    "C:\\CON",
    "index",
    "field.css",
    "👩\u200d👩\u200d👧 hears",
    "北京大学",
    "فريق السمع",
    "=HYPERLINK(1)",
    "+1+1",
    "@SUM(A1)",
    "W" * 5000,
    "many words " * 400,
    "Z" + "\u0301" * 80 + "algo",
    "null\u0000byte\u001b[31m",
    "Team One",
    "team one",
    "team-one",
    "TEAM  ONE!",
    "thuvoice",
    "&lt;b&gt;bold&lt;/b&gt;",
    "\u200b\u200b",
)


def task_entry(score: float | None, **more: Any) -> dict[str, Any]:
    """A task's entry of scores.json."""
    entry: dict[str, Any] = {
        "metric": "accuracy",
        "score": score,
        "raw": score,
        "low": None if score is None else max(0.0, score - 0.02),
        "high": None if score is None else min(1.0, score + 0.02),
        "chance": 0.1,
        "clips_scored": 100,
        "clips_expected": 100,
        "samples_scored": 100,
        "failure": None if score is not None else "not answered yet",
    }
    return entry | more


def asked_facts(track: str) -> dict[str, Any]:
    """What a manifest says of a test task, as far as a board reads it."""
    return {"track": track, "domain": "speech", "metric": "accuracy", "clips_expected": 10}


def make_run(
    folder: Path,
    *,
    name: str = "my-encoder",
    suite: str = "track-a",
    tasks: Mapping[str, dict[str, Any]] | None = None,
    hidden: Mapping[str, dict[str, Any]] | None = None,
    seed: int = 42,
    mode: str = "reference",
    version: int = 2,
) -> Path:
    """Write a run folder: the suite's tasks at 0.5 unless given, hidden ones as a further suite."""
    known = {task: task_entry(0.5) for task in get_suite(suite).tasks}
    known |= tasks or {}
    track = {task: get_task(task).track for task in get_suite(suite).tasks}
    manifest = {
        "schema_version": 1,
        "suite": suite,
        "mode": mode,
        "official": suite.startswith("track-"),
        "encoder": {"name": name, "class_name": "MyEncoder", "content_hash": "ab" * 32},
        "mixture": {},
        "test": {task: asked_facts(track.get(task, "a")) for task in known},
        "recipe": {"name": "official", "version": version, "train": {"steps": 100_000}},
        "seed": seed,
        "versions": {"auricle": "0.1.0"},
        "hardware": {"processor": "a processor"},
        "stages_s": {"encode": 60.0, "train": 120.0},
        "notes": [],
        "failures": {},
    }
    scores = _scores(suite, mode, known, {track.get(task, "a") for task in known})
    run = RunFolder(folder)
    _write(run.manifest, manifest)
    _write(run.scores, scores)
    run.log.write_text("2026-05-06 07:08:09,000 INFO done\n", encoding="utf-8")
    if hidden:
        _write(run.further_scores("hidden-a"), _scores("hidden-a", mode, hidden, {"a"}))
    return folder


def _scores(
    suite: str, mode: str, tasks: Mapping[str, dict[str, Any]], tracks: set[str]
) -> dict[str, Any]:
    means = {track: {"mean": 0.5, "low": 0.49, "high": 0.51} for track in sorted(tracks)}
    return {
        "schema_version": 1,
        "suite": suite,
        "mode": mode,
        "tracks": means,
        "mean": None,
        "tasks": dict(tasks),
    }


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def make_results(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    """Write a CSV of results."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def hostile_results(path: Path) -> Path:
    """A row per hostile name, in track b's public tasks."""
    tasks = sorted(get_suite("track-b").tasks)
    rows = [
        [name, f"affiliation of {name}"[:300], *[f"0.{10 + place}"] * len(tasks)]
        for place, name in enumerate(HOSTILE_NAMES)
    ]
    return make_results(path, ["team", "affiliation", *tasks], rows)


def all_text(site: Path) -> dict[str, str]:
    """Every file of a site as text, by its name relative to the site."""
    files = sorted(path for path in site.rglob("*") if path.is_file())
    return {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in files}
