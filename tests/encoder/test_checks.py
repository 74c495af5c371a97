"""The checker's report, its messages and its time limit; the verdicts are the zoo's business."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auricle.encoder.checks import OPTIONAL, REQUIRED, CheckReport, check_encoder
from auricle.encoder.load import parse_encoder

ZOO = Path(__file__).parent / "zoo"


def message(report: CheckReport, name: str) -> str:
    return next(check.message for check in report.checks if check.name == name)


class Listener:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.total = 0.0
        self.done = 0.0

    @contextlib.contextmanager
    def stage(self, name: str, total: float, unit: str, *, done: float = 0) -> Iterator[Any]:
        assert (name, unit, done) == ("checking the encoder", "checks", 0)
        self.total = total
        yield self

    def advance(self, amount: float = 1) -> None:
        self.done += amount

    def note(self, text: str) -> None:
        self.notes.append(text)

    def message(self, text: str) -> None:
        raise AssertionError(text)

    warn = message


def test_a_good_encoder_is_told_everything() -> None:
    listener = Listener()
    report = check_encoder(parse_encoder("logmel"), time_limit_s=60, progress=listener)
    assert report.passed
    assert [check.name for check in report.checks] == [*REQUIRED, *OPTIONAL]
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert value["encoder"] == "logmel"
    assert value["passed"] is True
    assert value["frame_rate_hz"] == 25
    assert value["output_dim"] == 256
    assert value["realtime_factor"] > 50
    assert 0 < value["peak_memory_bytes"] < 4e9
    assert value["properties"]["padding_invariant"] is True
    assert value["properties"]["batch_invariant"] is True
    assert value["properties"]["dtype"] == "float32"
    assert {"name", "passed", "message"} <= value["checks"][0].keys()
    assert message(report, "longest_clip") == "Frames: 3000 for 120 s."
    assert message(report, "padding") == "Frames: 100 for 4 s, 48 for 1.9 s, 3 for 0.1 s."
    memory = next(check for check in report.checks if check.name == "memory_longest_clip")
    assert memory.passed is None
    assert not memory.required
    assert "No GPU here, so no verdict" in memory.message
    assert listener.total == listener.done == len(listener.notes)


def test_problems_are_reported_all_at_once() -> None:
    report = check_encoder(parse_encoder(str(ZOO / "bad_additive_mask.py")), time_limit_s=60)
    assert not report.passed
    failed = {check.name for check in report.checks if check.passed is False}
    assert failed == {"mask_values", "mask_meaning"}
    assert report.frame_rate_hz is None
    assert "Not measured" in message(report, "padding_invariant")


def test_an_encoder_that_cannot_be_loaded_has_no_other_verdict() -> None:
    report = check_encoder(parse_encoder(str(ZOO / "bad_import.py")), time_limit_s=60)
    verdicts = {check.name: check.passed for check in report.checks}
    assert verdicts.pop("load") is False
    assert set(verdicts.values()) == {None}
    for name in ("one_clip", "frozen", "eval_mode", "mask_meaning", "speed"):
        assert "could not be loaded, so this was not tried" in message(report, name)
    assert "a_package_that_is_nowhere" in report.checks[0].quoted
    assert report.output_dim is None


@pytest.mark.parametrize(
    ("returned", "rule", "unseen"),
    [
        ("{'last_hidden_state': frames}, None", "output", ("dtype", "dimensions", "finite")),
        ("frames.to(torch.complex64), None", "dtype", ("output", "dimensions", "mask_meaning")),
        ("frames, mask", "mask_shape", ("mask_values", "mask_meaning")),
    ],
)
def test_what_another_failure_hides_is_not_blamed_on_the_time(
    write_encoder: Callable[..., str], returned: str, rule: str, unseen: tuple[str, ...]
) -> None:
    frames = "frames = torch.ones(len(audio), audio.shape[1] // 640 + 1, 4)\n"
    path = write_encoder(f"{frames}return {returned}")
    report = check_encoder(parse_encoder(path), time_limit_s=60)
    for name in unseen:
        assert message(report, name) == f"Not examined, because {rule} failed."
    assert message(report, "eval_mode") == "It stays in eval mode."
    assert not any("time limit" in check.message for check in report.checks)


def test_speed_and_memory_are_not_known_where_their_batch_failed(
    write_encoder: Callable[..., str],
) -> None:
    path = write_encoder(
        "if audio.shape[1] > 400_000: raise ValueError('too long')\n"
        "return torch.ones(len(audio), audio.shape[1] // 640 + 1, 4), None"
    )
    report = check_encoder(parse_encoder(path), time_limit_s=60)
    assert message(report, "speed") == "Not examined, because training_batch failed."
    assert message(report, "memory_longest_clip") == "Not examined, because longest_clip failed."


@pytest.mark.parametrize("name", ["bad_hang_always", "bad_hang_at_import"])
def test_the_time_limit_holds_whatever_the_encoder_does(name: str) -> None:
    started = time.monotonic()
    report = check_encoder(parse_encoder(str(ZOO / f"{name}.py")), time_limit_s=4)
    assert time.monotonic() - started < 4
    assert not report.passed
    last = report.checks[REQUIRED.index("longest_clip")]
    assert last.passed is None


def test_the_encoders_output_goes_where_it_is_told(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "encoder.log"
    encoder = parse_encoder(str(ZOO / "good_prints.py"))
    assert check_encoder(encoder, time_limit_s=60, log_path=log).passed
    assert "hello from forward" in log.read_text()


@pytest.mark.slow
def test_too_many_frames_for_the_decoder_are_told(write_encoder: Callable[..., str]) -> None:
    path = write_encoder(
        "x = audio[:, : audio.shape[1] // 160 * 160].unflatten(1, (-1, 160))[:, :, :4]\n"
        "return x.contiguous(), None"
    )
    report = check_encoder(parse_encoder(path), time_limit_s=60)
    assert report.passed
    assert "More than the 8192 positions" in message(report, "longest_clip")
