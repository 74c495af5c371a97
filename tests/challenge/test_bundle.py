"""Packing is deterministic, and a manifest notices every change."""

from __future__ import annotations

import json
import os
import time
import zipfile
from pathlib import Path

import pytest

from auricle.challenge.archive import Entry, extract_archive
from auricle.challenge.bundle import MANIFEST, check_manifest, list_folder, write_archive
from auricle.challenge.verdicts import Verdict


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "team"
    for name, text in {"encoder.py": "code", "layers/a.py": "more", "Z.txt": "z"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def unpacked(folder: Path, tmp_path: Path) -> tuple[Path, list[Entry]]:
    write_archive(folder, list_folder(folder).files, tmp_path / "a.zip")
    return tmp_path / "out", extract_archive(tmp_path / "a.zip", tmp_path / "out")


def test_the_same_files_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_archive(folder, list_folder(folder).files, tmp_path / "one.zip")
    other = tmp_path / "elsewhere"
    for name in ("Z.txt", "layers/a.py", "encoder.py"):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes((folder / name).read_bytes())
        (other / name).chmod(0o600)
        os.utime(other / name, (time.time() - 1e6, 1e9))
    write_archive(other, list_folder(other).files, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_entries_are_sorted_and_stored(folder: Path, tmp_path: Path) -> None:
    write_archive(folder, list_folder(folder).files, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == ["Z.txt", "encoder.py", "layers/a.py", MANIFEST]
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}


def test_caches_secrets_and_version_control_stay_out(folder: Path) -> None:
    for name in (".git/config", "__pycache__/a.pyc", ".env", ".venv/bin/python", "x.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("secret")
    listing = list_folder(folder)
    assert listing.files == ("Z.txt", "encoder.py", "layers/a.py")
    assert listing.left_out == (".env", ".git/", ".venv/", "__pycache__/", "x.pyc")


def test_links_and_pipes_are_problems(folder: Path) -> None:
    (folder / "weights.bin").symlink_to("/etc/passwd")
    (folder / "more").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    verdicts = [problem.verdict for problem in list_folder(folder).problems]
    assert sorted(verdicts) == sorted([Verdict.LINK, Verdict.LINK, Verdict.SPECIAL_FILE])


def test_an_untouched_archive_agrees_with_its_manifest(folder: Path, tmp_path: Path) -> None:
    out, entries = unpacked(folder, tmp_path)
    assert check_manifest(out, entries) == []


def test_changed_added_and_lost_files_are_noticed(folder: Path, tmp_path: Path) -> None:
    out, entries = unpacked(folder, tmp_path)
    (out / "encoder.py").write_text("evil")
    added = [*entries, Entry("planted.py", 1, False)]
    lost = [entry for entry in added if entry.name != "Z.txt"]
    text = "\n".join(problem.message for problem in check_manifest(out, lost))
    assert "'Z.txt' stands in MANIFEST.json but not" in text
    assert "'planted.py' is in the archive but not" in text
    assert "'encoder.py' has other bytes" in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema_version": 1, "files": []}',
        '{"schema_version": true, "files": {}}',
        '{"schema_version": 99, "files": {}}',
        '{"schema_version": 1, "files": {"a": 1}}',
        '{"schema_version": 1, "files": {"a": {"sha256": "../../x", "size": 1}}}',
        '{"schema_version": 1, "files": {"a": {"sha256": "' + "0" * 64 + '", "size": 1e9}}}',
        '{"schema_version": 1, "schema_version": 1, "files": {}}',
        '{"schema_version": 1, "files": {"a": {"size": ' + "9" * 5000 + "}}}",
        "[" * 100_000,
    ],
)
def test_a_hostile_manifest_is_refused(text: str, folder: Path, tmp_path: Path) -> None:
    out, entries = unpacked(folder, tmp_path)
    (out / MANIFEST).write_text(text)
    (problem,) = check_manifest(out, entries)
    assert problem.verdict is Verdict.MANIFEST_INVALID


def test_a_missing_manifest_is_told(folder: Path, tmp_path: Path) -> None:
    out, entries = unpacked(folder, tmp_path)
    (out / MANIFEST).unlink()
    assert check_manifest(out, entries)[0].verdict is Verdict.MANIFEST_MISSING


def test_a_manifest_of_the_participants_own_is_replaced(folder: Path, tmp_path: Path) -> None:
    (folder / MANIFEST).write_text(json.dumps({"files": {}}))
    out, entries = unpacked(folder, tmp_path)
    assert check_manifest(out, entries) == []
