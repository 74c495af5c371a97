"""The manifest's record against a folder that an earlier version wrote, and against damage."""

from __future__ import annotations

import json
import re
import shutil
import wave
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auricle import RunOptions, run
from auricle.data.decode import DECODER_VERSION
from auricle.data.index import INDEX_VERSION
from auricle.errors import DamagedFileError, UserError
from auricle.files import read_json, write_json
from auricle.records.manifest import Manifest, run_hash
from auricle.records.record import Record
from auricle.records.scores import Scores
from auricle.runs.folder import RunFolder
from auricle.runs.manifest import (
    begun_otherwise,
    record_failure,
    record_note,
    record_splits,
    record_stage,
)
from auricle.runs.report import write_report
from auricle.runs.rescore import score_run
from making import PITCH, write_suite, write_tar

STORED = Path(__file__).parent / "stored" / "pitch" / "logmel-5560f8366447"
"""Made before the manifest became a record: a run of four steps, with a further evaluation."""


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    shutil.copytree(STORED, tmp_path / STORED.name)
    return RunFolder(tmp_path / STORED.name)


@pytest.mark.parametrize("name", ["manifest.json", "further/later/manifest.json"])
def test_a_stored_manifest_is_written_again_byte_by_byte(name: str, tmp_path: Path) -> None:
    Manifest.read(STORED / name).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (STORED / name).read_bytes()


def test_a_stored_run_keeps_its_hash() -> None:
    manifest = Manifest.read(STORED / "manifest.json")
    assert manifest.identity == STORED.name.rpartition("-")[2]
    moved = {
        name: task.with_fields(repository="another/place", commit="f" * 40)
        for name, task in manifest.mixture.items()
    }
    assert manifest.with_fields(mixture=moved).identity == manifest.identity
    other = {name: task.with_fields(share=0.5) for name, task in manifest.mixture.items()}
    assert manifest.with_fields(mixture=other).identity != manifest.identity


def test_what_a_later_version_adds_is_kept_and_what_an_older_one_lacks_is_not_added(
    folder: RunFolder,
) -> None:
    value = read_json(folder.manifest)
    del value["stages_cpu_s"], value["trained"], value["encoder"]["properties"]["frame_rate_hz"]
    value["test"]["pitch"]["later"] = {"deep": [1, 2.0]}
    value["much_later"] = None
    write_json(folder.manifest, value)
    manifest = folder.read_manifest()
    assert manifest.trained is None
    assert manifest.encoder.properties.frame_rate_hz is None
    manifest.write(folder.manifest)
    assert json.dumps(read_json(folder.manifest), sort_keys=True) == json.dumps(
        value, sort_keys=True
    )


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("seed",), "42", r"seed is '42'; expected a valid integer"),
        (("test", "pitch", "clips_expected"), None, r"test\.pitch\.clips_expected is None; exp"),
        (("mixture", "pitch", "shards"), "all", r"mixture\.pitch\.shards is 'all'; expected a"),
        (("encoder",), [], r"encoder is \[\]; expected"),
        (("notes",), [7], r"notes\.0 is 7; expected a valid string"),
        (("trained",), {"training": "both", "runs": {}}, r"expected 'reuse' or 'apart'"),
    ],
)
def test_a_damaged_field_is_named(
    folder: RunFolder, place: tuple[str, ...], value: Any, said: str
) -> None:
    stored = read_json(folder.manifest)
    inner = stored
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    write_json(folder.manifest, stored)
    with pytest.raises(DamagedFileError, match=said) as raised:
        folder.read_manifest()
    assert str(raised.value).startswith(f"{folder.manifest} is damaged: ")
    assert "bring a copy back" in str(raised.value)
    assert len(str(raised.value)) < len(str(folder.manifest)) + 300


@pytest.mark.parametrize("name", ["suite", "encoder", "test"])
def test_a_missing_field_is_named(folder: RunFolder, name: str) -> None:
    stored = read_json(folder.manifest)
    del stored[name]
    write_json(folder.manifest, stored)
    with pytest.raises(DamagedFileError, match=f"manifest.json is damaged: it has no {name}"):
        folder.read_manifest()


@pytest.mark.parametrize("text", ["[]", "null", "7", '"text"'])
def test_a_manifest_is_an_object(folder: RunFolder, text: str) -> None:
    folder.manifest.write_text(text)
    with pytest.raises(DamagedFileError, match=r"is damaged: it holds .*; expected an object"):
        folder.read_manifest()


def test_a_later_schema_is_refused(folder: RunFolder) -> None:
    write_json(folder.manifest, read_json(folder.manifest) | {"schema_version": 2})
    with pytest.raises(UserError, match=r"has schema version 2, this auricle writes 1\. Use the"):
        folder.read_manifest()


def test_stages_add_up_and_notes_stand_once(folder: RunFolder) -> None:
    before = read_json(folder.manifest)
    record_stage(folder, "train", 1.5, cpu_s=2.25)
    record_stage(folder, "listen", 0.125)
    for _ in range(2):
        record_note(folder, "a remark")
    record_failure(folder, "pitch", "incomplete")
    after = read_json(folder.manifest)
    assert after["stages_s"]["train"] == pytest.approx(before["stages_s"]["train"] + 1.5)
    assert after["stages_cpu_s"]["train"] == pytest.approx(before["stages_cpu_s"]["train"] + 2.25)
    assert (after["stages_s"]["listen"], after["stages_cpu_s"]["listen"]) == (0.125, 0.0)
    assert after["notes"] == [*before["notes"], "a remark"]
    assert after["failures"] == {"pitch": "incomplete"}
    assert list(after) == list(before)


def test_the_first_parts_of_a_batch_stay(folder: RunFolder) -> None:
    record_splits(folder, {})
    assert "splits" not in read_json(folder.manifest)["batches"]
    record_splits(folder, {"a": [2, 1]})
    record_splits(folder, {"b": (1, 1), "a": [1, 1, 1]})
    assert read_json(folder.manifest)["batches"]["splits"] == {"a": [2, 1], "b": [1, 1]}


def _records(model: type[Any]) -> dict[str, type[Any]]:
    """Every record that a record is made of, by the path of its field."""
    found = {}
    for name, field in model.model_fields.items():
        kinds = [*getattr(field.annotation, "__args__", ()), field.annotation]
        for kind in kinds:
            if isinstance(kind, type) and hasattr(kind, "model_fields"):
                found[name] = kind
                found |= _records(kind)
    return found


@pytest.mark.parametrize(("name", "kind"), [("manifest.json", Manifest), ("scores.json", Scores)])
def test_the_page_about_run_folders_tells_every_field_and_no_other(
    name: str, kind: type[Record]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "run-folder.md").read_text(encoding="utf-8")
    before, section = page.split("## The manifest", 1)
    section = section.split("\n## ", 1)[0]
    if kind is Scores:
        section = before.split("`scores.json` (", 1)[1]
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \|$", section, flags=re.M)
    told = {place.strip("`"): re.findall(r"`(\w+)`", fields) for place, fields in rows}
    records = {name: kind, **_records(kind)}
    assert told == {place: list(kind.model_fields) for place, kind in records.items()}
    for record in records.values():
        assert all(field.description for field in record.model_fields.values()), record


def _beep(hz: int, count: int) -> bytes:
    stream, period = BytesIO(), 16_000 // hz
    with wave.open(stream, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(16_000)
        half = period // 2
        one = np.array([8000] * half + [-8000] * (period - half), "<i2")
        audio.writeframes(np.resize(one, count).tobytes())
    return stream.getvalue()


def _write_clips(path: Path, clips: range) -> None:
    members = []
    for clip in clips:
        label, hz = (("low", 200), ("high", 1600))[clip % 2]
        members.append((f"{clip:03d}.wav", _beep(hz, 6000 + 160 * clip)))
        members.append((f"{clip:03d}.json", json.dumps({"label": label}).encode()))
    write_tar(path, members)


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_a_stored_run_continues_where_it_stopped(tmp_path: Path) -> None:
    _write_clips(tmp_path / "train.tar", range(16))
    _write_clips(tmp_path / "test.tar", range(16, 22))
    shards = {"train_shards": ["train.tar"], "test_shards": ["test.tar"]}
    suite = str(write_suite(tmp_path, "pitch", {"pitch": {**PITCH, "weight": 1.0, **shards}}))
    few = ("train.steps=4", "train.batch_size=2")

    def measured(out: str) -> RunFolder:
        options = RunOptions(out=tmp_path / out, settings=few, device="cpu")
        return run("logmel", suite, options=options).folder

    fresh = measured("fresh")
    stored, here = read_json(STORED / "manifest.json"), read_json(fresh.manifest)
    for side in ("mixture", "test"):  # how clips are read may have changed since
        for facts in stored[side].values():
            facts |= {"index": INDEX_VERSION, "decoder": DECODER_VERSION}
    for side in ("mixture", "test", "recipe"):
        assert json.dumps(here[side]) == json.dumps(stored[side]), "the clips are what they were"
    # The encoder's hash is this machine's, whose packages may be others.
    stored["encoder"]["content_hash"] = here["encoder"]["content_hash"]
    manifest = Manifest.from_json(stored, "stored")
    identity = run_hash(
        encoder=here["encoder"]["content_hash"],
        mixture=manifest.mixture,
        recipe=manifest.recipe,
        seed=42,
    )
    half = tmp_path / "half" / "pitch" / f"logmel-{identity}"
    assert half.name == fresh.path.name
    write_json(half / "manifest.json", stored)
    shutil.copytree(fresh.checkpoints, half / "checkpoints")
    continued = measured("half")
    assert continued.path == half
    assert continued.predictions("pitch").read_bytes() == fresh.predictions("pitch").read_bytes()
    after = read_json(continued.manifest)
    same = set(stored) - {"stages_s", "stages_cpu_s"}
    assert {name: after[name] for name in same} == {name: stored[name] for name in same}
    assert list(after) == list(stored)


def official(folder: RunFolder, **recipe: Any) -> None:
    value = read_json(folder.manifest)
    value |= {"mode": "reference", "official": True}
    value["recipe"] = {**value["recipe"], "name": "official", **recipe}
    write_json(folder.manifest, value)


def test_a_run_of_an_earlier_version_of_its_recipe_is_readable_and_custom(
    folder: RunFolder,
) -> None:
    official(folder)
    manifest = folder.read_manifest()
    assert (manifest.mode, manifest.official) == ("reference", True)  # as it was written
    assert (manifest.standing_mode, manifest.is_official) == ("custom", False)
    assert manifest.recipe_label == "official-1"
    scores = score_run(folder)
    assert (scores.mode, scores.official) == ("custom", False)
    assert scores.recipe == "official-1"
    write_report(folder, audio=lambda task, clip: None)
    page = folder.report.read_text("utf-8")
    assert "custom mode, not an official result" in page
    assert "official-1" in page.replace("<wbr>", "")


def test_a_run_of_its_recipes_version_counts(folder: RunFolder) -> None:
    official(folder, version=2, audio={"resampler": "sinc-hann"})
    manifest = folder.read_manifest()
    assert (manifest.standing_mode, manifest.is_official) == ("reference", True)
    assert manifest.recipe_label == "official-2"
    assert manifest.identity != STORED.name.rpartition("-")[2]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, False),  # the same versions: continued, or another run
        ({"audio": {"resampler": "sinc-hann"}}, False),
        ({"version": 2, "audio": {"resampler": "sinc-hann"}}, True),
        ({"version": 2, "precision": "bf16"}, False),
    ],
)
def test_a_run_begun_by_another_version_of_the_recipe_is_found(
    folder: RunFolder, changes: dict[str, Any], found: bool
) -> None:
    official(folder)
    stored = folder.read_manifest()
    now = stored.with_fields(recipe={**stored.recipe, **changes})
    other = begun_otherwise(RunFolder(folder.path.parent / "logmel-0123456789ab"), now)
    assert (other is not None and other.path == folder.path) == found
