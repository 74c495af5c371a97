"""How an encoder's code is imported, and whose encoder it is: said once, for all who start one."""

from pathlib import Path

import pytest

from auricle.encoder.load import parse_encoder
from auricle.encoder.protocol import judged_folders, judged_variables, load_order


def write(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_a_file_is_imported_by_its_path_beside_its_siblings(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.py")
    order = load_order(parse_encoder(f"{path}:Mine"), device="cpu", threads=2)
    assert order == {
        "op": "load",
        "shown": str(path),
        "path": str(path),
        "module": None,
        "folders_first": [str(tmp_path)],
        "folders_last": [str(Path.cwd())],
        "class_name": "Mine",
        "arguments": {},
        "device": "cpu",
        "threads": 2,
    }


def test_a_file_in_a_package_is_imported_as_its_part(tmp_path: Path) -> None:
    for name in ("net/__init__.py", "net/inner/__init__.py"):
        write(tmp_path, name)
    path = write(tmp_path, "net/inner/mine.py")
    order = load_order(parse_encoder(str(path)), device="cpu", threads=1)
    assert order["module"] == "net.inner.mine"
    assert order["folders_first"] == [str(path.parent), str(tmp_path)]


def test_a_module_and_a_built_in_have_their_own_ways() -> None:
    module = load_order(parse_encoder("package.module:Mine"), device="cpu", threads=1)
    assert (module["module"], module["path"]) == ("package.module", None)
    assert module["folders_first"] == []
    assert load_order(parse_encoder("logmel"), device="cpu", threads=1)["module"] is None


def test_a_submissions_encoder_starts_in_the_submission_and_is_known_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission, environment = tmp_path / "submission", tmp_path / "environment"
    path = write(submission, "src/mine.py")
    assert parse_encoder(str(path)).judged is None
    for name, value in judged_variables(submission, environment).items():
        monkeypatch.setenv(name, value)
    spec = parse_encoder(str(path))
    assert spec.judged == (submission, environment)
    assert load_order(spec, device="cpu", threads=1)["folders_last"] == [str(submission)]
    assert parse_encoder(str(write(tmp_path, "another.py"))).judged is None
    assert judged_folders(path, {}) == ()
