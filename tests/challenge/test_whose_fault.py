"""Why a command stopped: a submission is judged by its own faults, never by the organiser's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import auricle
from auricle.challenge.commands import VERDICT_OF_ERROR, Workplace, explain_failure
from auricle.challenge.processes import Outcome
from auricle.challenge.verdicts import Problem, Verdict
from auricle.errors import UserError
from auricle.sandbox.wrap import Lock


def explain(
    folder: Path,
    kind: str = "",
    text: str = "",
    *,
    stopped: Verdict | None = None,
    secret: bool = False,
) -> Problem:
    error = {"error": {"type": kind, "message": text, "quoted": ""}}
    stdout = json.dumps(error).encode() if kind else b""
    outcome = Outcome(2, stdout, "the last line", wall_s=3.0, stopped=stopped)
    lock = Lock((), {}, folder, None)
    places = Workplace(folder).places
    return explain_failure(outcome, lock, *places, what="the judged run", secret=secret)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        ("EncoderContractError", Verdict.CONTRACT_BROKEN),
        ("EncoderCrashError", Verdict.ENCODER_FAILED),
        ("EncoderError", Verdict.ENCODER_FAILED),
        ("EncoderTimeoutError", Verdict.TIME_LIMIT),
    ],
)
def test_an_encoders_error_is_the_submissions(tmp_path: Path, kind: str, verdict: Verdict) -> None:
    problem = explain(tmp_path, kind, "it raised ValueError")
    assert problem == Problem(verdict, "During the judged run: it raised ValueError")


@pytest.mark.parametrize("kind", list(VERDICT_OF_ERROR))
def test_what_can_quote_a_hidden_clip_is_kept_back(tmp_path: Path, kind: str) -> None:
    heard = "0.0013,0.0222 while encoding hidden/test_0000/000002_clip00 (1.00 s)"
    problem = explain(tmp_path, kind, heard, secret=True)
    assert problem.verdict is VERDICT_OF_ERROR[kind]
    assert problem.message.startswith("During the judged run: ")
    assert "0.00" not in problem.message
    assert "hidden/" not in problem.message
    assert "only the organiser has it" in problem.message


def test_a_team_is_given_no_advice_on_the_organisers_options(tmp_path: Path) -> None:
    said = "was ended. If it is only slow, give it longer with --batch-timeout."
    message = explain(tmp_path, "EncoderTimeoutError", said).message
    assert message == "During the judged run: was ended."


@pytest.mark.parametrize("kind", ["DataError", "OutputError", "CatalogError", "UserError", ""])
def test_every_other_error_is_raised_in_the_organisers_command(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match=r"not the submission's, so there is no verdict\. "):
        explain(tmp_path, kind, "test_0000.tar is no complete tar archive")


def test_a_bound_that_was_met_is_the_submissions(tmp_path: Path) -> None:
    assert explain(tmp_path, stopped=Verdict.DISK_LIMIT).verdict is Verdict.DISK_LIMIT


def test_a_team_is_told_no_folders_of_the_machine(tmp_path: Path) -> None:
    ours = Path(auricle.__file__).parent / "encoder/child.py"
    lines = (f'File "{tmp_path}/submission/encoder.py", line 3', f'File "{ours}", line 9')
    more = f'File "{sys.prefix}/lib/torch.py"'
    text = explain(tmp_path, "EncoderCrashError", "\n".join([*lines, more])).message
    assert 'File "encoder.py", line 3\nFile "auricle/encoder/child.py", line 9' in text
    assert str(tmp_path) not in text
    assert sys.prefix not in text
