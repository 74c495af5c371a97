"""Whatever of the honest encoders `auricle check` accepts, `auricle pack` accepts."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from auricle.challenge.commands import Workplace
from auricle.challenge.environment import (
    _CONSTRUCT,
    ENCODER_ROOM,
    Environment,
    _construction,
    _count_parameters,
)
from auricle.challenge.new import create_submission
from auricle.challenge.pack import pack
from auricle.challenge.processes import Outcome
from auricle.challenge.stages import Settings, Trial
from auricle.challenge.submission import Submission
from auricle.encoder.load import parse_encoder
from auricle.encoder.protocol import judged_folders, judged_variables, load_order
from auricle.sandbox.wrap import no_locks

ROOT = Path(__file__).parents[2]
HONEST = [*ROOT.glob("tests/encoder/zoo/good_*.py"), *ROOT.glob("examples/*.py")]
HONEST = [path for path in HONEST if "Encoder(" in path.read_text(encoding="utf-8")]
# Constructs several encoders as the fetch stage does, each in a fork of one process with torch.
CONSTRUCT_ALL = """
import json, os, runpy, sys
import torch
construct, room, *orders = sys.argv[1:]
for order in orders:
    sys.stdout.flush()
    if os.fork() == 0:
        sys.argv[1:] = [room, order]
        try:
            runpy.run_path(construct, run_name="__main__")
        except SystemExit as end:
            print("CODE", json.loads(order)["path"], end.code, flush=True)
        os._exit(0)
    os.wait()
"""
LAYERS = "BANDS = 8\n"
IN_A_PACKAGE = "from ..layers import BANDS\nimport layers_beside\n"
IN_A_FOLDER = "from layers_of_root import BANDS\n"
ENCODER = """
import torch

assert BANDS == 8
class MyEncoder(torch.nn.Module):
    output_dim = 4
    def forward(self, audio, mask):
        frames = audio[:, : audio.shape[1] // 160 * 160] if audio.shape[1] >= 160 else (
            torch.nn.functional.pad(audio, (0, 160 - audio.shape[1])))
        frames = frames.reshape(len(audio), -1, 160)
        level = torch.log(frames.square().mean(2, keepdim=True) + 1e-6)
        kept = (mask.sum(1) // 160).clamp(min=1)
        used = torch.arange(frames.shape[1], device=audio.device)[None] < kept[:, None]
        return torch.cat([level, level * 2, level * 3, level * 4], 2), used
"""


def declared(file: str) -> Submission:
    return Submission.model_construct(encoder=file, arguments={})


def construct(*orders: dict[str, object]) -> str:
    words = [str(_CONSTRUCT), str(ENCODER_ROOM), *map(json.dumps, orders)]
    done = subprocess.run(
        [sys.executable, "-c", CONSTRUCT_ALL, *words], capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("encoder", ["mine.py", "net/mine.py:MyEncoder"])
def test_the_fetch_stage_and_the_check_give_one_order(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net").mkdir()
    for name in ("mine.py", "net/__init__.py", "net/mine.py"):
        (tmp_path / name).write_text("")
    submission = declared(encoder)
    for name, value in judged_variables(tmp_path, tmp_path / "environment").items():
        monkeypatch.setenv(name, value)
    spec = parse_encoder(submission.encoder_in(tmp_path), arguments=submission.arguments_json())
    checked = load_order(spec, device="cpu", threads=1)
    constructed = _construction(submission, tmp_path)
    assert constructed.pop("shown") == encoder.partition(":")[0]
    assert checked.pop("shown") == str(spec.target)
    assert constructed == checked


@pytest.mark.parametrize(
    "said", ["7.5", "-1", "true", '"7"', "1e999", "NaN", "1" * 400, "[" * 9_999]
)
def test_a_count_of_parameters_that_is_none_is_not_believed(said: str) -> None:
    """The encoder's process wrote it; 400 digits once ended the examination in a traceback."""
    for line, counted in ((said, None), ("86000000", 86_000_000)):
        printed = f'printed by its constructor\n{{"num_parameters": {line}}}\n'.encode()
        assert _count_parameters(Outcome(0, printed, "", 0.1)) == counted


def test_an_examination_tells_its_commands_whose_encoder_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is how an auricle command knows which files it may hash, whatever the encoder says."""
    submission, seen = tmp_path / "submission", []

    def run(command: object, *, environment: dict[str, str], **named: object) -> Outcome:
        seen.append(environment)
        return Outcome(2, b'{"error": {"type": "EncoderError", "message": "x"}}', "", 0.1)

    monkeypatch.setattr("auricle.challenge.commands.run_bounded", run)
    environment = Environment(tmp_path / "environment", {})
    place = Workplace(tmp_path / "work")
    trial = Trial(declared("mine.py"), submission, place, no_locks, Settings(), environment)
    assert not trial.examine().passed
    assert not trial.smoke().passed
    for variables in seen:
        folders = judged_folders(submission / "mine.py", variables)
        assert folders == (submission, tmp_path / "environment" / "home")
    assert len(seen) == 2


@pytest.mark.slow
def test_every_honest_encoder_of_the_tests_can_be_constructed_by_the_fetch_stage() -> None:
    said = construct(*(_construction(declared(path.name), path.parent) for path in HONEST))
    ended = {line for line in said.splitlines() if line.startswith("CODE")}
    assert ended == {f"CODE {path} 0" for path in HONEST}, said
    assert len(HONEST) > 30


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "head", "files"),
    [
        (
            "net/inner/mine.py",
            IN_A_PACKAGE,
            {
                "net/__init__.py": "",
                "net/inner/__init__.py": "",
                "net/layers.py": LAYERS,
                "net/inner/layers_beside.py": "",
            },
        ),
        ("source/mine.py", IN_A_FOLDER, {"layers_of_root.py": LAYERS}),
    ],
)
def test_an_encoder_deep_in_a_submission_is_packed(
    name: str, head: str, files: dict[str, str], tmp_path: Path, data_here: Path
) -> None:
    team = tmp_path / "team"
    create_submission(team)
    (team / "encoder.py").unlink()
    for place, text in {**files, name: head + ENCODER}.items():
        (team / place).parent.mkdir(parents=True, exist_ok=True)
        (team / place).write_text(text)
    declaration = team / "submission.yaml"
    declaration.write_text(
        declaration.read_text().replace("encoder.py:MyEncoder", f"{name}:MyEncoder")
    )
    packed = pack(team, settings=Settings(smoke_settings=("train.steps=2",)))
    problems = {stage.name: stage.message for stage in packed.stages if stage.problems}
    assert set(problems) <= {"report", "declaration"}, problems
    assert packed.stages[-1].passed, packed.stages[-1].message


@pytest.mark.slow
def test_a_team_reads_its_own_lines_and_none_of_ours(tmp_path: Path) -> None:
    sources = {
        "two.py": "class AEncoder: pass\nclass BEncoder: pass\n",
        "raises.py": "class MyEncoder:\n  def __init__(self):\n    raise ValueError('mine')\n",
        "leaves.py": "import sys\nsys.exit(3)\n",
    }
    said = {}
    for name, text in sources.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
        said[name] = construct(_construction(declared(name), tmp_path))
        assert f"CODE {tmp_path / name} 1" in said[name]
        ours = [line for line in said[name].splitlines() if str(ROOT / "src") in line]
        assert not ours
    assert "two.py has 2 classes whose name ends in 'Encoder'" in said["two.py"]
    assert "Traceback" not in said["two.py"]
    assert "line 3, in __init__" in said["raises.py"]
    assert "ValueError: mine" in said["raises.py"]
    assert "SystemExit: 3" in said["leaves.py"]
