"""How an encoder's code is imported, whose it is, and what of its process's answers is believed."""

import json
from pathlib import Path

import pytest

from auricle.encoder.failures import clean, nonsense
from auricle.encoder.load import parse_encoder
from auricle.encoder.protocol import (
    Batch,
    Loaded,
    NonsenseError,
    Refusal,
    Report,
    Sums,
    judged_folders,
    judged_variables,
    load_order,
    read_answer,
)
from puppet import HONEST


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
        "built_in": False,
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


ARRAY = {"shape": [1, 2, 4], "dtype": "float32", "bytes": 32}
FILES = ["/a/b.py"]
KINDS: dict[str, type[Loaded | Batch | Report | Sums]] = {
    "load": Loaded,
    "encode": Batch,
    "report": Report,
    "sums": Sums,
}


@pytest.mark.parametrize("op", KINDS)
def test_what_the_child_says_is_read_as_it_is(op: str) -> None:
    said = json.dumps(HONEST[op]).encode()
    answer = read_answer(said, KINDS[op])
    assert isinstance(answer, KINDS[op])
    assert answer.model_dump(exclude_unset=True) == HONEST[op]


def test_a_refusal_is_read_in_place_of_any_answer() -> None:
    said = {"ok": False, "stage": "forward", "kind": "crash", "text": "a", "traceback": "b"}
    for kind in KINDS.values():
        assert read_answer(json.dumps(said).encode(), kind) == Refusal.model_validate(said)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b"[1, 2]", "a JSON list instead of an object"),
        (b"null", "a JSON NoneType instead of an object"),
        (b"\xff\xfe{}", "not JSON"),
        (b"hello, world", r"not JSON \(b'hello, world'"),
        (b'{"ok": NaN}', "not JSON"),
        (b'{"ok": -Infinity}', "not JSON"),
        (b'{"ok": "\\ud800"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"ok": ' + b"[" * 500 + b"]" * 500 + b"}", "not JSON"),
        (b"1" * 10_000, "not JSON"),
        (b'{"ok": true} {"ok": true}', "not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(data: bytes, says: str) -> None:
    for kind in KINDS.values():
        with pytest.raises(NonsenseError, match=says):
            read_answer(data, kind)


BAD_FIELDS: list[tuple[str, str, object]] = [
    *(("load", "ok", value) for value in (1, "true", None, [True])),
    *(("load", "class_name", value) for value in (None, 7, ["x"], "x" * 2_001)),
    *(("load", "output_dim", value) for value in (True, 4.0, "4", [4], 10**400, -(10**20))),
    *(("load", "output_dim_seen", value) for value in ({}, "x" * 5_000)),
    *(("load", "baseline_bytes", value) for value in (-1, 1e999, True, "1", 1 << 61, [])),
    *(("load", "arguments_taken", value) for value in (-1, 1_001, True, None, "1")),
    *(("load", "notes", value) for value in (None, "x", [1], ["x"] * 21, ["x" * 2_001])),
    *(("load", "more", value) for value in (1, None)),
    *(("encode", "features", value) for value in (None, [], "x", 3, {})),
    *(("encode", "features", {**ARRAY, **each}) for each in ({"bytes": True}, {"bytes": 10**30})),
    *(
        ("encode", "features", {**ARRAY, "shape": value})
        for value in ([2, 5, -4], [2, 5, "4"], "2,5,4", [1] * 65, [1.0], [True], [1 << 40], None)
    ),
    *(
        ("encode", "features", {**ARRAY, "dtype": value})
        for value in (None, 3, "", "float\n32", "f" * 41, "FLOAT32")
    ),
    ("encode", "features", {**ARRAY, "offset": 4096}),
    *(("encode", "mask", value) for value in (0, "None", [], {"shape": []})),
    *(("encode", "bad_output", value) for value in ("x", {"rule": "output", "seen": "x"})),
    *(("encode", "resident_bytes", value) for value in (-1, 0.5, "1", 1 << 61, [1])),
    *(("encode", "device_bytes", value) for value in (-1, 0.5, "1", 1 << 61, {})),
    *(("encode", "training", value) for value in (0, 1, "false", None, [], [False])),
    *(
        ("report", "files", value)
        for value in (None, "/a", {}, ["a"], [""], [7], ["/a\0b"], ["/" + "a" * 4096], [FILES])
    ),
    *(
        ("report", "packages", value)
        for value in (
            *(None, [], "x", {"a": 1}, {"a": None}, {"": "1"}, {"a": ""}, {"a": "x" * 201}),
            *({"a\0": "1"}, {"a": "1\x1b[2J"}, {"a\nb": "1"}, {"a": "1\u202e"}, {"x" * 201: "1"}),
        )
    ),
    *(("report", "python", value) for value in (None, 3.11, "", "3", "3.11\n", "3.1" + "1" * 99)),
    *(("report", "num_parameters", value) for value in (-1, 1.5, True, "7", 1 << 61, 10**400)),
    *(("sums", "parameters", value) for value in (None, "0x1p+0", [1.0], ["x" * 41], ["\0"], [""])),
    *(("sums", "buffers", value) for value in (None, {}, [None], [["0x1p+0"]])),
]


@pytest.mark.parametrize(("op", "field", "value"), BAD_FIELDS)
def test_a_field_that_is_not_what_it_should_be_is_refused(
    op: str, field: str, value: object
) -> None:
    said = json.dumps({**HONEST[op], field: value}).replace("Infinity", "1e999").encode()
    with pytest.raises(NonsenseError) as caught:
        read_answer(said, KINDS[op])
    sentence = str(nonsense(clean(str(caught.value), 300)))
    assert sentence.startswith("The encoder's process sent a")
    assert sentence.isprintable()
    assert len(sentence) < 600


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        (
            "files",
            ["/" + "a" * 4_096],
            r"files\.0 is '/a+\.\.\.; expected at most 4096 characters$",
        ),
        ("packages", [], r"packages is \[\]; expected a valid dictionary$"),
        ("python", "3", r"python is '3'; expected pattern "),
        ("num_parameters", 1 << 61, r"expected less than or equal to 1152921504606846976$"),
    ],
)
def test_it_is_told_which_field_and_what_was_expected(field: str, value: object, says: str) -> None:
    with pytest.raises(NonsenseError, match=f"^a 'report' answer that does not fit: .*{says}"):
        read_answer(json.dumps({**HONEST["report"], field: value}).encode(), Report)


@pytest.mark.parametrize("op", KINDS)
def test_every_field_must_be_there(op: str) -> None:
    for field in HONEST[op].keys() - {"mask"}:
        said = {name: value for name, value in HONEST[op].items() if name != field}
        with pytest.raises(NonsenseError):
            read_answer(json.dumps(said).encode(), KINDS[op])


@pytest.mark.parametrize(
    "changed",
    [
        {"stage": "elsewhere"},
        {"stage": None},
        {"kind": "timeout"},
        {"kind": ["crash"]},
        {"text": None},
        {"text": "x" * 2_001},
        {"traceback": "x" * 24_001},
        {"traceback": ["x"]},
        {"more": 1},
    ],
)
def test_a_refusal_has_its_form_too(changed: dict[str, object]) -> None:
    said = {"ok": False, "stage": "forward", "kind": "crash", "text": "a", **changed}
    with pytest.raises(NonsenseError, match="a 'refusal' answer that does not fit:"):
        read_answer(json.dumps(said).encode(), Batch)


def test_text_of_a_stranger_steers_no_terminal() -> None:
    text = "a\x1b[2J\x00\u202eb\ud800\u2028c\x9b\r\nd\te"
    assert clean(text) == "a\ufffd[2J\ufffd\ufffdb\ufffd\ufffdc\ufffd\nd\te"
