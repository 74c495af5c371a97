"""Why a command stopped: a submission is judged by its own faults, never by the organiser's."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

import auricle
from auricle.challenge.commands import VERDICT_OF_ERROR, Workplace, explain_failure
from auricle.challenge.environment import (
    Environment,
    EnvironmentFailedError,
    _pip_variables,
    freeze_environment,
)
from auricle.challenge.judge import JudgeOptions, judge
from auricle.challenge.processes import (
    Bounds,
    Outcome,
    disk_is_full,
    folder_bytes,
    load_of_machine,
    run_bounded,
)
from auricle.challenge.receipt import make_receipt
from auricle.challenge.stages import Settings, Trial, in_tries
from auricle.challenge.submission import Submission
from auricle.challenge.verdicts import Problem, Stage, UncertainError, Verdict, judged
from auricle.encoder.failures import death
from auricle.errors import RunBusyError, UserError
from auricle.files import file_lock, remove_tree, scratch_folder
from auricle.sandbox.bubblewrap import Bubblewrap, plan_command
from auricle.sandbox.limits import Group
from auricle.sandbox.policy import Policy
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
    assert problem.verdict is verdict
    assert problem.message == "During the judged run: it raised ValueError"


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


def test_a_verdict_says_the_limit_that_decided_it(tmp_path: Path) -> None:
    bounds = Bounds(9.0, tmp_path, 50 * 10**9)
    outcome = Outcome(2, b"", "", wall_s=3.0, stopped=Verdict.DISK_LIMIT, bounds=bounds)
    lock = Lock((), {}, tmp_path, None, memory_bytes=16 * 10**9)
    problem = explain_failure(outcome, lock, what="the smoke run")
    assert problem.message == "During the smoke run more disk was filled than a run may (50.0 GB)."
    (tmp_path / "memory.events").write_text("max 4\noom 1\noom_kill 1\n")
    lock = replace(lock, group=Group("cgroup v2", {"memory": tmp_path}))
    problem = explain_failure(replace(outcome, stopped=None), lock, what="the smoke run")
    assert problem.verdict is Verdict.MEMORY_LIMIT
    assert problem.message.endswith("the encoder used up all memory that it may (16.0 GB).")
    assert problem.evidence.startswith("its own control group met the limit")


def test_a_team_is_told_no_folders_of_the_machine(tmp_path: Path) -> None:
    ours = Path(auricle.__file__).parent / "encoder/child.py"
    lines = (f'File "{tmp_path}/submission/encoder.py", line 3', f'File "{ours}", line 9')
    more = f'File "{sys.prefix}/lib/torch.py"'
    text = explain(tmp_path, "EncoderCrashError", "\n".join([*lines, more])).message
    assert 'File "encoder.py", line 3\nFile "auricle/encoder/child.py", line 9' in text
    assert str(tmp_path) not in text
    assert sys.prefix not in text


@pytest.mark.parametrize("code", [-9, 137], ids=["as we are told", "as bubblewrap says it"])
@pytest.mark.parametrize("secret", [False, True])
def test_signal_9_from_outside_is_nobodys_fault(tmp_path: Path, code: int, secret: bool) -> None:
    error = death(code, doing="encoding a.wav (1.00 s)", log_path="log", log_tail="")
    with pytest.raises(UncertainError, match="ended by signal 9, which no process behind") as seen:
        explain(tmp_path, "EncoderCrashError", str(error), secret=secret)
    assert seen.value.problem is not None
    assert seen.value.problem.verdict is Verdict.ENCODER_FAILED
    assert "a.wav" not in seen.value.evidence


@pytest.mark.parametrize("code", [-11, -6, 1, 138, 13])
def test_every_other_death_is_the_encoders(tmp_path: Path, code: int) -> None:
    error = death(code, doing="encoding a.wav (1.00 s)", log_path="log", log_tail="")
    assert explain(tmp_path, "EncoderCrashError", str(error)).verdict is Verdict.ENCODER_FAILED


def test_an_encoders_own_words_pass_for_no_signal(tmp_path: Path) -> None:
    said = "The encoder raised ValueError: ended with exit code 137 while it"
    with pytest.raises(UncertainError):  # costs two more tries, and no more
        explain(tmp_path, "EncoderCrashError", said)
    said = "The encoder raised ValueError: signal 9, exit code 137"
    assert explain(tmp_path, "EncoderCrashError", said).verdict is Verdict.ENCODER_FAILED


def test_a_time_limit_is_no_verdict_on_a_loaded_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = {"stopped": Verdict.TIME_LIMIT}, {"kind": "EncoderTimeoutError", "text": "too late"}
    for how in late:
        problem = explain(tmp_path, **how)  # type: ignore[arg-type]
        assert problem.verdict is Verdict.TIME_LIMIT
        assert problem.evidence == "the clock of a machine that was not loaded"
    monkeypatch.setattr("auricle.challenge.commands.load_of_machine", lambda: "the load was 9")
    for how in late:
        with pytest.raises(UncertainError, match="the load was 9"):
            explain(tmp_path, **how)  # type: ignore[arg-type]


def test_the_machines_load_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(os, "getloadavg", lambda: (2.5, 9.0, 9.0))
    assert load_of_machine() == ""
    monkeypatch.setattr(os, "getloadavg", lambda: (2.6, 0.0, 0.0))
    assert load_of_machine() == "the machine was loaded (2.6 processes for 2 cores)"


def test_our_own_process_that_was_ended_is_tried_again(tmp_path: Path) -> None:
    outcome = Outcome(-9, b"", "", wall_s=3.0)
    with pytest.raises(UncertainError, match="our own process was ended by signal 9") as caught:
        explain_failure(outcome, Lock((), {}, tmp_path, None), what="the smoke run")
    assert caught.value.problem is None


KILLED = Problem(Verdict.ENCODER_FAILED, "it died")
LATE = Problem(Verdict.TIME_LIMIT, "too late")


def attempts(*ends: Problem | str | None) -> Callable[[], Stage]:
    """Ends of tries: a problem or None that is uncertain, or the note of a good stage."""
    left = list(ends)

    def attempt() -> Stage:
        end = left.pop(0)
        if isinstance(end, str):
            return judged("smoke", [], end)
        raise UncertainError(end, f"evidence {3 - len(left)}")

    return attempt


def test_a_stage_that_goes_well_at_the_third_try_is_good() -> None:
    stage = in_tries("smoke", attempts(KILLED, LATE, "well"))
    assert stage.passed
    assert stage.note == "well"


def test_the_same_end_three_times_is_a_verdict_with_its_evidence() -> None:
    stage = in_tries("smoke", attempts(KILLED, KILLED, KILLED))
    (problem,) = stage.problems
    assert (problem.verdict, problem.message) == (KILLED.verdict, KILLED.message)
    assert problem.evidence == "the same end in each of 3 tries: evidence 3"
    assert stage.record()["evidence"] == problem.evidence


@pytest.mark.parametrize(
    "ends", [(KILLED, LATE, KILLED), (None, None, None), (KILLED, KILLED, None)]
)
def test_ends_that_differ_or_are_ours_are_no_verdict(ends: tuple[Problem | None, ...]) -> None:
    with pytest.raises(UserError, match="was tried 3 times, and there is no verdict: evidence 1"):
        in_tries("smoke", attempts(*ends))


def test_every_verdict_says_on_what_evidence(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"")
    stages = [
        judged("archive", [Problem(Verdict.BOMB, "a bomb")]),
        judged("smoke", [replace(LATE, evidence="a clock")]),
        judged("contract", [KILLED, replace(LATE, evidence="a clock")]),
        judged("report", [], "good"),
    ]
    receipt = make_receipt(tmp_path / "a.zip", stages, team=None, locks={}, environment={})
    assert receipt["evidence"] == {
        "archive": "the archive's own bytes",
        "smoke": "a clock",
        "contract": "the answers of the encoder to 'auricle check'; a clock",
    }


def nest(folder: Path, depth: int) -> None:
    """Folders in folders, deeper than a path can name."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_folders_that_are_nested_too_deep_are_refused_and_removed(tmp_path: Path) -> None:
    code = "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n"
    bounds = Bounds(60, tmp_path / "work", 10**9)
    (tmp_path / "work").mkdir()
    words = [sys.executable, "-c", code]
    where = {"folder": tmp_path / "work", "environment": dict(os.environ)}
    outcome = run_bounded(words, bounds=bounds, logs=tmp_path / "logs", name="n", **where)  # type: ignore[arg-type]
    assert outcome.stopped is Verdict.TOO_DEEP
    problem = explain(tmp_path, stopped=outcome.stopped)
    assert problem.message == "During the judged run: it nested folders more than 100 deep."
    remove_tree(tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_tree_of_100_folders_is_counted(tmp_path: Path) -> None:
    nest(tmp_path, 100)
    assert folder_bytes(tmp_path) is not None
    nest(tmp_path / "d", 0)
    deep = tmp_path / "other"
    deep.mkdir()
    nest(deep, 100)
    assert folder_bytes(tmp_path) is None
    remove_tree(deep)


def test_removing_a_tree_follows_no_link_and_opens_what_is_closed(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    tree = tmp_path / "tree"
    (tree / "closed" / "inner").mkdir(parents=True)
    (tree / "closed" / "inner" / "file").write_text("x")
    (tree / "link").symlink_to(tmp_path)
    os.mkfifo(tree / "pipe")
    (tree / "closed" / "inner").chmod(0)
    (tree / "closed").chmod(0)
    remove_tree(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    remove_tree(tree)  # nothing there is no error


def test_hashing_an_environment_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "endless").open("wb") as stream:
        stream.truncate(1 << 40)  # a TB that takes no space
    environment = Environment(tmp_path, {})
    load = "auricle.challenge.environment.load_of_machine"
    monkeypatch.setattr(load, lambda: "")
    started = time.monotonic()
    with pytest.raises(EnvironmentFailedError, match="could not be hashed within 0 s"):
        freeze_environment(environment, limit_s=0.2)
    assert time.monotonic() - started < 60
    monkeypatch.setattr(load, lambda: "loaded")
    with pytest.raises(UncertainError, match="loaded"):
        freeze_environment(environment, limit_s=0.2)


def test_a_full_disk_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not disk_is_full(tmp_path)
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert disk_is_full(tmp_path)


def test_a_scratch_of_a_maker_that_was_killed_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    old, young, alive = (tmp_path / f"auricle-test-{name}" for name in ("old", "young", "alive"))
    for folder in (old, young, alive):
        (folder / "scratch").mkdir(parents=True)
        (folder / ".lock").touch()
    for folder in (old, alive):
        os.utime(folder / ".lock", (1, 1))
    other = tmp_path / "auricle-test-bare"
    other.mkdir()
    with (
        file_lock(alive / ".lock", what="a test"),
        scratch_folder("auricle-test-") as scratch,
    ):
        assert not old.exists()
        assert {young, alive, other} < set(tmp_path.iterdir())
        assert scratch.parent.stat().st_mode & 0o077 == 0  # what lies in it is nobody else's
        nest(scratch, 3000)
    assert not scratch.parent.exists()


def test_two_judges_of_one_run_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "team.zip").write_text("no ZIP")
    options = JudgeOptions(suite="smoke", out=tmp_path / "judged")
    with (
        file_lock(tmp_path / ".judging-judged.lock", what="a test"),
        pytest.raises(RunBusyError, match="Another process is working on the judged run"),
    ):
        judge(tmp_path / "team.zip", options=options)


def test_the_machines_pip_configuration_is_passed_on_without_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pip.conf"
    monkeypatch.setattr("auricle.challenge.environment._PIP_CONFIGURATION", config)
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    config.write_text(
        "[global]\nindex-url = https://me:SECRET@private.org/simple\n"
        "extra-index-url =\n    https://open.org/simple\n    https://x@y.org/?token=SECRET\n"
        "    https://z.org/simple?key=SECRET\ntrusted-host = open.org\n"
        "[install]\ntimeout = 5\ndefault-timeout = 7\nproxy = http://u:SECRET@proxy\n"
    )
    assert _pip_variables() == {
        "PIP_EXTRA_INDEX_URL": "https://open.org/simple",
        "PIP_TRUSTED_HOST": "open.org",
        "PIP_DEFAULT_TIMEOUT": "7",
        "PIP_CONFIG_FILE": os.devnull,
    }
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine.org/simple")
    assert _pip_variables()["PIP_INDEX_URL"] == "https://mine.org/simple"
    config.write_text("no configuration")
    assert set(_pip_variables()) == {"PIP_INDEX_URL", "PIP_CONFIG_FILE"}
    config.unlink()
    assert set(_pip_variables()) == {"PIP_INDEX_URL", "PIP_CONFIG_FILE"}
    plan = plan_command(Policy(network=True), Bubblewrap("bwrap", "0.8", as_root=False))
    assert "/etc/pip.conf" not in plan.before


def contract_problems(tmp_path: Path, *checks: dict[str, object]) -> list[Problem]:
    """What a judge makes of required checks of `auricle check --json`."""
    trial = Trial(
        submission=Submission.model_construct(),
        folder=tmp_path,
        workplace=Workplace(tmp_path),
        locks=lambda policy: nullcontext(Lock((), {}, tmp_path, None)),
        settings=Settings(),
    )
    answer = {"passed": False, "checks": [{"message": "so", "required": True, **c} for c in checks]}
    return trial._contract_problems(answer, out_of_memory=False)


def test_a_judge_tells_a_broken_rule_once_and_blames_no_time_for_it(tmp_path: Path) -> None:
    broken = contract_problems(
        tmp_path,
        {"name": "mask_shape", "passed": False, "verdict": "FAILED"},
        {"name": "one_clip", "passed": None, "verdict": "answered"},
        {"name": "mask_values", "passed": None, "verdict": "not reached"},
    )
    assert broken == [Problem(Verdict.CONTRACT_BROKEN, "mask_shape: so")]


def test_a_judge_gives_one_reason_for_all_that_was_not_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auricle.challenge.stages.timed_out", lambda problem: problem)
    names = ("one_clip", "several_clips", "silence")
    late = [{"name": name, "passed": None, "verdict": "not measured"} for name in names]
    assert contract_problems(tmp_path, *late) == [Problem(Verdict.TIME_LIMIT, "one_clip: so")]
