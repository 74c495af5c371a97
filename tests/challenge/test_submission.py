"""A declaration is read strictly, and everything that is wrong with it is told at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from auricle.challenge.plain_yaml import PlainYamlError, read_plain_yaml
from auricle.challenge.submission import (
    SubmissionError,
    is_public_url,
    parse_submission,
    read_submission,
)
from auricle.challenge.verdicts import Verdict

GOOD: dict[str, Any] = {
    "schema": 1,
    "team": "Night Owls",
    "members": ["Ada Example", "Bo Example"],
    "contact": "owls@example.org",
    "encoder": "encoder.py:OwlEncoder",
    "arguments": {"layer": 6, "nested": {"deep": [1, 2.5, None, True]}},
    "tracks": ["a", "b"],
    "weights": {"source": "inside", "files": ["weights.safetensors"]},
    "training_data": [
        {
            "name": "LibriSpeech",
            "source": "https://www.openslr.org/12",
            "licence": "CC BY 4.0",
            "hours": 960,
            "share": 90,
        },
        {
            "name": "non-speech",
            "source": "organisers",
            "licence": "challenge",
            "hours": 20,
            "share": 10,
        },
    ],
    "parameters": 86_000_000,
    "hardware": "8 x A100 for 3 days",
}


def written(**changes: Any) -> bytes:
    value = {k: v for k, v in (GOOD | changes).items() if v is not ...}
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False).encode()


def problems_of(data: bytes) -> str:
    with pytest.raises(SubmissionError) as caught:
        parse_submission(data)
    assert {p.verdict for p in caught.value.problems} == {Verdict.DECLARATION_INVALID}
    return str(caught.value)


def test_a_good_declaration_is_read() -> None:
    submission = parse_submission(written())
    assert submission.team == "Night Owls"
    assert submission.training_data[0].hours == 960.0
    assert submission.report == "report.pdf"
    assert submission.encoder_in(Path("/s")) == "/s/encoder.py:OwlEncoder"
    assert submission.arguments_json() == '{"layer": 6, "nested": {"deep": [1, 2.5, null, true]}}'


def test_all_problems_are_told_at_once() -> None:
    text = problems_of(written(team=7, members=[], tracks=["c"], parameters="many", contact=...))
    for part in ("team: 7 was seen", "members", "tracks[0]", "parameters", "contact: is missing"):
        assert part in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tem": "x"}, "tem: there is no such field; did you mean 'team'"),
        ({"weights": {"source": "inside", "file": ["w"]}}, "did you mean 'files'"),
        ({"weights": {"source": "cloud"}}, "'inside', 'fetched' or 'none'"),
        ({"schema": 2}, "schema: 2 was seen"),
        ({"schema": True}, "schema: true was seen"),
        ({"team": "a\nb"}, "line breaks"),
        ({"team": "\u202eevil"}, "invisible characters"),
        ({"team": " "}, 'team: " " was seen; a text is expected'),
        ({"team": "x" * 61}, "at most 60 characters"),
        ({"members": "Ada"}, '"Ada" was seen; a list is expected'),
        ({"members": []}, "[] was seen; at least 1 entry is expected."),
        ({"members": ["Ada", {"name": "Bo"}]}, r"members[1]"),
        ({"contact": "not an address"}, "e-mail address"),
        ({"encoder": "../evil.py:E"}, "encoder.py:MyEncoder"),
        ({"encoder": "/etc/evil.py"}, "encoder.py:MyEncoder"),
        ({"encoder": "hf:owner/model"}, "encoder.py:MyEncoder"),
        ({"encoder": "encoder.py:os.system('x')"}, "encoder.py:MyEncoder"),
        ({"report": "../../secret.pdf"}, "relative to its folder"),
        ({"weights": {"source": "inside", "files": ["/etc/shadow"]}}, "relative to its folder"),
        ({"weights": {"source": "fetched", "urls": ["file:///etc/shadow"]}}, "public address"),
        ({"parameters": 1.5}, "parameters"),
        ({"parameters": -1}, "-1 was seen; 0 or more is expected"),
        ({"parameters": 10**13}, "at most 1000000000000 is expected"),
        ({"arguments": [1]}, "arguments"),
        ({"parameters": None}, "is empty; fill it in (how many numbers the encoder has)"),
        ({"training_data": None}, "is empty; fill it in (a list of data sets)"),
        (
            {"weights": {"source": None}},
            "weights.source: is empty; fill it in (inside, fetched or none)",
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_is_expected(
    changes: dict[str, Any], expected: str
) -> None:
    assert expected in problems_of(written(**changes))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("source", "our private recordings", "must be public or the organisers' set"),
        ("source", "http://localhost/data", "must be public"),
        ("source", "http://192.168.0.1/data", "must be public"),
        ("source", "https://user:password@host.org/", "must be public"),
        ("share", 0, "more than 0 is expected"),
        ("share", 101, "at most 100 is expected"),
        ("share", "90 %", "a number is expected"),
        ("hours", -1, "0 or more is expected"),
        ("licence", "", "a text is expected"),
    ],
)
def test_a_training_set_is_held_to_the_rules(field: str, value: Any, expected: str) -> None:
    first = GOOD["training_data"][0] | {field: value}
    text = problems_of(written(training_data=[first, GOOD["training_data"][1]]))
    assert expected in text
    assert f"training_data[0].{field}" in text


@pytest.mark.parametrize("text", [".inf", "-.inf", ".nan", "1e400", "9" * 400, "0x10", "1_000"])
def test_what_is_no_plain_number_stays_text(text: str) -> None:
    data = written(parameters=...) + f"parameters: {text}\n".encode()
    assert "parameters" in problems_of(data)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [" + ",".join([f"*{chr(97 + i)}"] * 9) + "]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (BOMB.encode(), "anchor or alias"),
        (b"a: !!python/object/apply:os.system ['touch /tmp/pwned']", "has a tag"),
        (b"a: !!binary aGVsbG8=", "has a tag"),
        (b"team: A\nteam: B\n", "'team' a second time"),
        (b'team: A\n"team": B\n', "a second time"),
        (b"<<: {team: A}\n", "merge key"),
        (b"--- 1\n--- 2\n", "several documents"),
        (b"[" * 50_000, "nested deeper"),
        (b"? [a, b]\n: c\n", "no plain text"),
        (b"a: [1, 2\n", "not valid YAML in line"),
        (b"a: \x00b\n", "not valid YAML"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"x" * 300_000, "at most 262144"),
        (b"[" + b"1," * 25_000 + b"]", "more than 20000 values"),
        (b"a: *missing\n", "anchor or alias"),
    ],
)
def test_yaml_tricks_are_refused(data: bytes, expected: str) -> None:
    started = time.monotonic()
    with pytest.raises(PlainYamlError, match=expected):
        read_plain_yaml(data)
    assert time.monotonic() - started < 10


def test_words_and_numbers_mean_what_they_look_like() -> None:
    text = b"{a: no, b: 1:30, c: 0123, d: 2026-01-02, e: 1.5e3, f: -7, g: ~, h: 'true', i: true}"
    assert read_plain_yaml(text) == {
        **{"a": "no", "b": "1:30", "c": "0123", "d": "2026-01-02", "e": 1500.0},
        **{"f": -7, "g": None, "h": "true", "i": True},
    }


@pytest.mark.parametrize("data", [b"", b"[]", b"text", b"7", b"null"])
def test_a_declaration_that_is_no_map_is_refused(data: bytes) -> None:
    assert "'name: value' lines are due" in problems_of(data)


def test_a_strangers_text_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in problems_of(written(team="\x1b[2J"))


def test_a_missing_declaration_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="auricle new DIR --adopt") as caught:
        read_submission(tmp_path)
    assert caught.value.problems[0].verdict is Verdict.DECLARATION_MISSING


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://zenodo.org/records/1", True),
        ("http://www.openslr.org/12/", True),
        ("https://b\u00fccher.de/x", True),
        ("https://8.8.8.8/x", True),
        ("ftp://host.org/x", False),
        ("https://127.0.0.1/x", False),
        ("https://[::1]/x", False),
        ("https://intranet/x", False),
        ("https://nas.local/x", False),
        ("https://host.org:99999/x", False),
        ("javascript:alert(1)", False),
    ],
)
def test_public_addresses(url: str, public: bool) -> None:
    assert is_public_url(url) is public
