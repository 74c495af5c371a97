"""The checker's report, its messages and its time limit; the verdicts are the zoo's business."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from auricle.cli.tables import print_check
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
    assert message(report, "padding_invariant") == "Not examined, because mask_values failed."


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
    assert time.monotonic() - started < 6
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


def printed(report: CheckReport, capsys: pytest.CaptureFixture[str]) -> str:
    """What a person reads, each column of the table as one text, then what stands below it."""
    print_check(report)
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines()]
    columns = zip(*(line for line in lines if len(line) == 5), strict=True)
    below = (line[0] for line in lines if len(line) == 1)
    return " ".join(" ".join([*chain(*columns), *below]).split())


def verdicts(report: CheckReport) -> dict[str, str]:
    return {check.name: check.verdict for check in report.checks}


def test_a_wrong_mask_is_told_once_and_no_call_that_broke_it_is_good(
    write_encoder: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_encoder(
        "return torch.ones(len(audio), audio.shape[1] // 640 + 1, 4) * audio.mean(), mask"
    )
    report = check_encoder(parse_encoder(path), time_limit_s=60)
    found = verdicts(report)
    assert {name for name, verdict in found.items() if verdict == "FAILED"} == {"mask_shape"}
    for name in ("one_clip", "several_clips", "padding", "longest_clip"):
        assert found[name] == "answered"
        assert message(report, name) == "Answered; what was returned breaks mask_shape."
        assert next(c for c in report.checks if c.name == name).passed is None
    text = printed(report, capsys)
    assert text.count("returned a mask of shape") == 1
    assert "further batches" in text
    assert text.count("what was returned breaks mask_shape") == 1
    assert "8 checks" in text
    assert len(report.to_json()["checks"]) == len([*REQUIRED, *OPTIONAL])


def test_a_missing_width_is_told_once(
    write_encoder: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_encoder("return audio[..., None], None", init="del self.output_dim")
    report = check_encoder(parse_encoder(path), time_limit_s=60)
    assert verdicts(report)["output_dim"] == "FAILED"
    text = printed(report, capsys)
    others = len([*REQUIRED, *OPTIONAL]) - 2
    assert f"load output_dim {others} checks good FAILED not reached" in text
    assert text.count("Not tried, because output_dim failed.") == 1
    assert "could not be loaded" not in text


def test_a_long_exception_keeps_its_cause_once_with_the_line_of_the_users_file(
    write_encoder: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_encoder(
        "lines = '\\n'.join(f'node {n} of the graph' for n in range(200))\n"
        "raise RuntimeError(f'the backend failed:\\n{lines}\\nthe fft wants a power of two')"
    )
    report = check_encoder(parse_encoder(path), time_limit_s=60)
    told = message(report, "one_clip")
    assert "RuntimeError: the backend failed: [...] the fft wants a power of two" in told
    text = printed(report, capsys)
    assert text.count("[...] the fft wants a power of two") == 1
    assert "RuntimeError: the backend failed: node" not in text
    assert "node 100" not in text
    assert "mine.py" in text
    assert "in forward" in text
    assert "module.py" not in text
    for name in ("one_clip", "several_clips", "shortest_clip"):
        assert name in text
    assert text.count("FAILED") == 1
    assert "node 100" in report.to_json()["checks"][2]["quoted"]


@pytest.mark.parametrize(
    ("parameters", "audio", "named"),
    [
        ("audio, audio_attention_mask=None", "audio", "lengths = audio_attention_mask.sum(1)"),
        ("wav, m", "wav", "lengths = m.sum(1)"),
        ("*both", "both[0]", "lengths = mask.sum(1)"),
        ("audio", "audio", "def forward(self, audio, mask=None)"),
    ],
)
def test_the_hint_names_the_parameter_of_the_encoders_own_forward(
    write_encoder: Callable[..., str], parameters: str, audio: str, named: str
) -> None:
    frames = f"{audio}[:, ::640, None].expand(-1, -1, 4)"
    path = Path(write_encoder(f"return torch.cumsum({frames}, 1) + {audio}.std(), None"))
    source = path.read_text()
    path.write_text(source.replace("(self, audio, mask)", f"(self, {parameters})"))
    report = check_encoder(parse_encoder(str(path)), time_limit_s=60)
    assert report.passed, [c for c in report.checks if c.passed is False]
    assert named in message(report, "padding_invariant")
    notes = [note for note in report.notes if "XARES-LLM always gives two arguments" in note]
    assert len(notes) == (parameters == "audio")


def test_frames_that_do_not_follow_the_length_are_noted_with_what_they_cost(
    write_encoder: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_encoder(
        "x = audio[:, None] * mask[:, None].float()\n"
        "x = torch.nn.functional.interpolate(x, 1500)\n"
        "return x[:, 0, :, None].expand(-1, -1, 4).contiguous(), None"
    )
    report = check_encoder(parse_encoder(path), time_limit_s=60)
    (note,) = report.notes
    assert "does not follow the length: 1,500 for 0.1 s, 1,500 for 1" in note
    assert "takes so many positions of the decoder" in note
    assert printed(report, capsys).count("Note: ") == 1


def test_speed_is_said_in_hours_of_the_suites() -> None:
    report = check_encoder(
        parse_encoder("logmel"), time_limit_s=60, audio_h={"mini": 36, "track-a": 700}
    )
    assert verdicts(report)["speed"] == "good"
    assert report.realtime_factor is not None
    hours = report.to_json()["encode_hours"]
    assert hours["mini"] == pytest.approx(36 / report.realtime_factor)
    assert hours["track-a"] == pytest.approx(700 / report.realtime_factor)
    assert " for the 36 h of mini, " in message(report, "speed")


@pytest.mark.slow
def test_a_slow_encoder_is_slow_and_not_broken(
    write_encoder: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_encoder(
        "time.sleep(audio.numel() / 16000 * 0.5)\n"
        "x = torch.nn.functional.pad(audio, (0, -audio.shape[1] % 640)).unflatten(1, (-1, 640))\n"
        "return x[..., :4] + x[..., 4:8], None"
    )
    report = check_encoder(parse_encoder(path), time_limit_s=20, audio_h={"mini": 36})
    assert not report.passed  # not all was seen
    assert not [check for check in report.checks if check.required and check.passed is False]
    assert verdicts(report)["training_batch"] == "not measured"
    assert verdicts(report)["speed"] == "slow"
    assert message(report, "speed").startswith(("1.", "2 x", "2.0"))
    assert "h for the 36 h of mini" in message(report, "speed")
    assert "Nothing is broken as far as it was checked" in printed(report, capsys)


@pytest.mark.slow
def test_a_first_call_that_compiles_has_time_of_its_own(write_encoder: Callable[..., str]) -> None:
    path = write_encoder(
        "if not hasattr(self, 'warm'):\n"
        "    self.warm = True\n"
        "    time.sleep(16)\n"
        "x = torch.nn.functional.pad(audio, (0, -audio.shape[1] % 640)).unflatten(1, (-1, 640))\n"
        "return x[..., :4] + x[..., 4:8], None"
    )
    report = check_encoder(parse_encoder(path), time_limit_s=30)
    assert report.passed, [check for check in report.checks if check.passed is not True]
