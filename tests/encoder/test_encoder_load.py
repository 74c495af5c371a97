import json
import sys
from pathlib import Path

import pytest

from auricle.encoder.load import parse_encoder
from auricle.errors import EncoderLoadError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_encoder.py").write_text("raise RuntimeError('nobody imports me here')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", ["my_encoder.py", "./my_encoder.py", "../{name}/my_encoder.py"])
def test_a_file_may_be_relative(folder: Path, text: str) -> None:
    spec = parse_encoder(text.format(name=folder.name))
    assert (spec.kind, spec.class_name, spec.name) == ("file", None, "my_encoder")
    assert spec.target == str(folder / "my_encoder.py")


def test_a_file_may_name_its_class(folder: Path) -> None:
    spec = parse_encoder(f"{folder}/my_encoder.py:Best")
    assert (spec.class_name, spec.name) == ("Best", "my_encoder-Best")


def test_a_module_needs_a_class() -> None:
    spec = parse_encoder("package.module:Mine")
    assert (spec.kind, spec.target, spec.class_name) == ("module", "package.module", "Mine")
    dotted = parse_encoder("example.dummy.dummyencoder.DummyEncoder")
    assert (dotted.kind, dotted.target) == ("module", "example.dummy.dummyencoder")
    assert (dotted.class_name, dotted.name) == ("DummyEncoder", "dummyencoder-DummyEncoder")
    with pytest.raises(EncoderLoadError, match=r"'Mine' is no encoder"):
        parse_encoder("Mine")
    with pytest.raises(EncoderLoadError, match=r"names a module without a class: write .*:MyEnc"):
        parse_encoder("package.module")


@pytest.mark.parametrize("name", ["logmel", "noise"])
def test_built_in_names_are_files_of_ours(name: str) -> None:
    spec = parse_encoder(name)
    assert spec.kind == "builtin"
    assert Path(spec.target).is_file()
    assert spec.name == name
    with pytest.raises(EncoderLoadError, match=rf"^{name} is built in and takes no class. Write"):
        parse_encoder(f"{name}:Foo")


def test_a_model_is_named_by_owner_and_name_or_by_its_folder(folder: Path) -> None:
    spec = parse_encoder("hf:openai/whisper-base", arguments={"layer": 3})
    assert spec.arguments == {"model": "openai/whisper-base", "layer": 3}
    assert (spec.kind, spec.name) == ("hf", "whisper-base")
    (folder / "tiny").mkdir()
    (folder / "tiny" / "config.json").write_text("{}")
    for text in ("tiny", "hf:tiny", str(folder / "tiny")):
        assert parse_encoder(text).arguments == {"model": str(folder / "tiny")}
    trusting = parse_encoder("hf:a/b", trust_remote_code=True)
    assert trusting.arguments["trust_remote_code"] is True


def test_a_submission_names_its_encoder_and_starts_in_its_folder(folder: Path) -> None:
    declared = "encoder: my_encoder.py:Mine\narguments: {layer: 3, width: 8}\n"
    (folder / "submission.yaml").write_text(declared)
    spec = parse_encoder(str(folder), arguments={"width": 9})
    assert (spec.kind, spec.target) == ("file", str(folder / "my_encoder.py"))
    assert (spec.class_name, spec.arguments) == ("Mine", {"layer": 3, "width": 9})
    assert spec.folder == folder
    assert spec.name == f"{folder.name}-Mine"


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ("[", "cannot be read"),
        ("- 1", "names no encoder"),
        ("encoder: 5", "names no encoder"),
        ("encoder: package.module:Mine", "a file of the folder is expected"),
        ("encoder: gone.py:Mine", "There is no file"),
        ("encoder: my_encoder.py\narguments: [1]", "are a JSON list"),
    ],
)
def test_a_submission_that_names_no_encoder_is_told(folder: Path, declared: str, says: str) -> None:
    (folder / "submission.yaml").write_text(declared)
    with pytest.raises(EncoderLoadError, match=says):
        parse_encoder(".")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "No encoder was named"),
        ("my_encodr.py", "There is no file .*Nearest there: my_encoder.py"),
        ("nowhere/x.py", "nor its folder"),
        ("my_encoder", r"my_encoder.py is a file: write my_encoder.py"),
        ("my_encoder.py:", "is no class name"),
        ("my_encoder.py:My-Encoder", "'My-Encoder' after my_encoder.py: is no class name"),
        ("logmell", "Did you mean logmel"),
        (".", "is a folder without submission.yaml or config.json"),
        ("hf:", "is no model name"),
        ("hf:a/b/c/d", "is no model name"),
        ("hf:.", "has no config.json"),
        ("nonsense with spaces", "is no encoder"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_an_encoder_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(EncoderLoadError, match=says):
        parse_encoder(text)


def test_a_folder_called_like_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.py").mkdir()
    with pytest.raises(EncoderLoadError, match="is a folder"):
        parse_encoder(str(tmp_path / "x.py"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("{", "are not JSON"),
        ("[1]", "are a JSON list"),
        ('{"x": 1e999}', "are not JSON"),
        ('{"x": [-1e999]}', "are not JSON"),
        ('{"x": NaN}', "are not JSON"),
        ({"x": float("inf")}, "are not JSON"),
        ('{"a b": 1}', "'a b' cannot be the name of an argument"),
        ({"x": object()}, "are not JSON"),
        ('{"x": NaN}', "are not JSON .*Out of range"),
        ('{"x": 1e999}', "are not JSON .*Out of range"),
        ('{"x": "\\ud800"}', "are not JSON .*surrogates not allowed"),
        ('{"model": "x"}', "'model' is set by ENCODER itself"),
    ],
)
def test_arguments_must_be_a_json_object_of_names(arguments: object, says: str) -> None:
    with pytest.raises(EncoderLoadError, match=says):
        parse_encoder("hf:a/b", arguments=arguments)  # type: ignore[arg-type]


def test_arguments_are_json_values() -> None:
    spec = parse_encoder("logmel", arguments='{"layer": 6, "names": ["a"]}')
    assert spec.arguments == {"layer": 6, "names": ["a"]}
    assert json.dumps(parse_encoder("logmel", arguments={"x": (1, 2)}).arguments) == '{"x": [1, 2]}'


def test_the_interpreter_must_be_one(tmp_path: Path) -> None:
    assert parse_encoder("logmel", python=sys.executable).python == Path(sys.executable)
    with pytest.raises(EncoderLoadError, match="There is no Python interpreter"):
        parse_encoder("logmel", python=str(tmp_path / "python"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("")
    with pytest.raises(EncoderLoadError, match=r"is a folder, not .* Write .*bin/python"):
        parse_encoder("logmel", python=str(tmp_path))
    with pytest.raises(EncoderLoadError, match="cannot be executed"):
        parse_encoder("logmel", python=str(tmp_path / "bin" / "python"))


def test_names_are_fit_for_folders(tmp_path: Path) -> None:
    (tmp_path / "my enc (2).py").write_text("")
    assert parse_encoder(str(tmp_path / "my enc (2).py")).name == "my_enc_2_"


@pytest.mark.parametrize("text", ["~nosuch", "~nosuch/encoder.py", "~nosuch/encoder.py:Mine"])
def test_a_home_that_nobody_has_is_one_sentence(text: str) -> None:
    with pytest.raises(EncoderLoadError, match="~nosuch"):
        parse_encoder(text)
    with pytest.raises(EncoderLoadError, match="~nosuch"):
        parse_encoder("logmel", python=text)
