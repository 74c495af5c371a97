import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auricle.encoder.host import EncoderProcess, probe_audio
from auricle.encoder.process import Isolation
from auricle.errors import (
    EncoderContractError,
    EncoderCrashError,
    EncoderLoadError,
    EncoderTimeoutError,
    OutputError,
)

Write = Callable[..., str]
Start = Callable[..., EncoderProcess]
FRAMES = "return torch.ones(len(audio), 3, 4), None"
WINDOW = probe_audio(1, 8_000)


def encode(process: EncoderProcess, *audio: np.ndarray) -> list[np.ndarray]:
    names = [f"clip{n}" for n in range(len(audio))]
    return [e.frames for e in process.encode(audio, labels=names)]


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_the_child_sees_padded_audio_a_mask_and_no_gradients(
    start: Start, write_encoder: Write
) -> None:
    process = start(
        write_encoder(
            """
            assert audio.dtype == torch.float32 and mask.dtype == torch.int32
            assert audio.shape == mask.shape and not torch.is_grad_enabled()
            assert not self.training and not self.inner.weight.requires_grad
            assert not torch.is_autocast_enabled("cpu")
            self.train(); self.inner.weight.requires_grad_(True)  # undone before the next batch
            assert bool((audio[mask == 0] == 0).all())
            lengths = mask.sum(1, keepdim=True).float()
            sums = (audio * mask).sum(1, keepdim=True)
            return torch.cat([lengths, sums, sums * 0, sums * 0], 1)[:, None], None
            """,
            init="self.inner = torch.nn.Linear(2, 2)",
        )
    )
    audio = [WINDOW, WINDOW[:100], WINDOW[:1]]
    for _ in range(2):
        frames = encode(process, *audio)
        assert [float(f[0, 0]) for f in frames] == [8_000, 100, 1]
        assert [float(f[0, 1]) for f in frames] == pytest.approx(
            [float(a.sum()) for a in audio], abs=1e-2
        )


FORMS = [
    ("x, None", 3),
    ("[x, mask[:, :3]]", 3),
    ("x", 3),
    ("(x,)", 3),
    ("x.numpy()", 3),
    ("(x.double(), np.ones((len(x), 3)))", 3),
    ("(x.half(), torch.tensor([[True, False, True]] * len(x)))", 2),
    ("(x, torch.tensor([[1, 0, 1]] * len(x)).bfloat16())", 2),
    ("[row for row in x]", 3),
    ("tuple(row[: n + 1] for n, row in enumerate(x))", 1),
    ("x.transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()", 3),
]


def test_every_allowed_form_of_output_is_read(start: Start, write_encoder: Write) -> None:
    lines = ["x = torch.arange(len(audio) * 12.).view(-1, 3, 4)"]
    lines += [f"if audio.shape[1] == {100 + n}: return {form}" for n, (form, _) in enumerate(FORMS)]
    process = start(write_encoder("\n".join([*lines, "return x"])))
    for number, (form, frames) in enumerate(FORMS):
        first = encode(process, WINDOW[: 100 + number], WINDOW[:50])[0]
        assert len(first) == frames, form
        assert first[0].tolist() == [0, 1, 2, 3], form


@pytest.mark.slow
@pytest.mark.parametrize(
    ("returned", "dtype"), [("double", "float32"), ("half", "float16"), ("bfloat16", "bfloat16")]
)
def test_features_keep_their_dtype(
    start: Start, write_encoder: Write, returned: str, dtype: str
) -> None:
    process = start(write_encoder(f"return torch.full((len(audio), 2, 4), -2.5).{returned}()"))
    assert process.info.dtype == dtype
    encoded = process.encode([WINDOW], labels=["a"])[0]
    assert encoded.dtype == dtype
    assert encoded.as_float32().tolist() == [[-2.5] * 4] * 2


@pytest.mark.parametrize(
    ("forward", "says"),
    [
        ("return None", "returned None for one second of noise"),
        ("return {'last_hidden_state': audio}", "a dict with the keys last_hidden_state"),
        ("return torch.ones(1, 3, 4), mask", r"length of the audio"),
        ("return torch.ones(1, 3, 4) * float('nan')", "nan in frame 0 of one second of noise"),
    ],
)
def test_what_the_contract_forbids_is_named_with_its_window(
    start: Start, write_encoder: Write, forward: str, says: str
) -> None:
    with pytest.raises(EncoderContractError, match=says):
        start(write_encoder(forward))


@pytest.mark.slow
def test_an_encoder_of_one_argument_gets_the_audio_alone(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text(
        "import torch\nclass OneEncoder(torch.nn.Module):\n    output_dim = 2\n"
        "    def forward(self, wave):\n        return torch.ones(len(wave), 1, 2)\n"
    )
    assert encode(start(str(path)), WINDOW)[0].shape == (1, 2)


def test_an_exception_is_quoted_without_lines_of_ours(start: Start, write_encoder: Write) -> None:
    process = start(write_encoder(f"if audio.shape[1] == 8000:\n    missing.name\n{FRAMES}"))
    with pytest.raises(EncoderCrashError, match=r"NameError.*while encoding clip0 \(0.50 s\)") as e:
        encode(process, WINDOW)
    assert "missing.name" in e.value.quoted
    assert "mine.py" in e.value.quoted
    assert "child.py" not in e.value.quoted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "says"),
    [
        ("os._exit(7)", "ended by itself with exit code 7"),
        ("sys.exit(3)", "raised SystemExit: 3"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("os.kill(os.getpid(), 9)", r"signal 9 \(SIGKILL\).*memory ran out"),
        ("import ctypes; ctypes.string_at(0)", r"SIGSEGV.*fault in compiled code"),
        ("raise MemoryError('no')", "ran out of memory while encoding clip0"),
        ("torch.empty(1 << 60)", "ran out of memory while encoding clip0"),
    ],
)
def test_a_death_is_told_with_its_cause_and_last_words(
    start: Start, write_encoder: Write, act: str, says: str
) -> None:
    forward = f"if audio.shape[1] == 8000:\n    print('the last words')\n    {act}\n{FRAMES}"
    process = start(write_encoder(forward))
    with pytest.raises(EncoderCrashError, match=says) as caught:
        encode(process, WINDOW)
    if "process" in str(caught.value):
        assert "the last words" in caught.value.quoted
    assert is_gone(process.info.pid)


def test_a_hang_ends_at_the_limit_and_names_the_windows(start: Start, write_encoder: Write) -> None:
    forward = f"if audio.shape[1] == 8000:\n    while True: pass\n{FRAMES}"
    process = start(write_encoder(forward), batch_timeout_s=1.0)
    started = time.monotonic()
    with pytest.raises(EncoderTimeoutError, match=r"encoding clip0 \(0.50 s\).* within 1 s"):
        encode(process, WINDOW)
    assert time.monotonic() - started < 3
    assert is_gone(process.info.pid)


@pytest.mark.slow
def test_what_an_encoder_started_ends_with_it(start: Start, write_encoder: Write) -> None:
    init = "import subprocess\nself.helper = subprocess.Popen(['sleep', '1000'])"
    process = start(
        write_encoder("return torch.full((1, 1, 4), float(self.helper.pid))", init=init)
    )
    helper = int(encode(process, WINDOW)[0][0, 0])
    assert not Path(f"/proc/{helper}/stat").read_text().split()[2] == "Z"
    process.close()
    assert is_gone(helper)


@pytest.mark.slow
@pytest.mark.parametrize(
    "noise", ["b'x' * 100", "b'\\x00\\x00\\x00\\x02[]'", "b'\\x00\\x00\\x00\\x09{\"ok\":1} '"]
)
def test_writing_to_every_descriptor_is_nonsense_and_no_result(
    start: Start, write_encoder: Write, noise: str
) -> None:
    forward = f"""
    if audio.shape[1] == 8000:
        for descriptor in range(3, 1024):
            try: os.write(descriptor, {noise})
            except OSError: pass
    {FRAMES}
    """
    with pytest.raises(EncoderContractError, match="process sent"):
        encode(start(write_encoder(forward)), WINDOW)


def test_prints_go_to_the_log_and_not_into_the_protocol(
    start: Start, write_encoder: Write, tmp_path: Path
) -> None:
    forward = (
        f"print('heard', audio.shape[1])\nos.write(1, b'raw')\nos.write(2, b'error')\n{FRAMES}"
    )
    encode(start(write_encoder(forward)), WINDOW)
    log = (tmp_path / "encoder.log").read_text()
    assert "heard 8000" in log
    assert "raw" in log
    assert "error" in log


@pytest.mark.slow
def test_standard_input_is_empty(start: Start, write_encoder: Write) -> None:
    forward = "assert sys.stdin.read() == ''\n" + FRAMES
    encode(start(write_encoder(forward)), WINDOW)


@pytest.mark.slow
def test_auricle_is_in_neither_modules_nor_environment(
    start: Start, write_encoder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURICLE_HOME", "/somewhere")
    forward = f"""
    names = [name for name in sys.modules if name.partition('.')[0] == 'auricle']
    assert not names, names
    assert not [name for name in os.environ if name.startswith('AURICLE')]
    assert not [entry for entry in sys.path if 'encoder' in entry.split(os.sep)], sys.path
    {FRAMES}
    """
    encode(start(write_encoder(forward)), WINDOW)


@pytest.mark.slow
def test_a_judged_environment_is_exactly_what_is_handed_in(
    start: Start, write_encoder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    forward = f"assert 'HF_TOKEN' not in os.environ and os.environ['ONLY'] == '1'\n{FRAMES}"
    path = write_encoder(forward)
    clean = Isolation(environment={"ONLY": "1"}, command_prefix=("/usr/bin/env",))
    encode(start(path, isolation=clean), WINDOW)


@pytest.mark.slow
def test_global_random_numbers_start_anew_in_each_batch(start: Start, write_encoder: Write) -> None:
    forward = """
    import random
    values = [random.random(), float(np.random.rand()), float(torch.rand(1)), 0.0]
    return torch.tensor(values).expand(len(audio), 1, 4)
    """
    process = start(write_encoder(forward))
    assert np.array_equal(encode(process, WINDOW), encode(process, WINDOW))


@pytest.mark.slow
def test_the_threads_are_those_asked_for(start: Start, write_encoder: Write) -> None:
    forward = "return torch.full((1, 1, 4), float(torch.get_num_threads()))"
    assert encode(start(write_encoder(forward), threads=2), WINDOW)[0][0, 0] == 2


@pytest.mark.slow
def test_a_batch_must_have_windows_and_labels(start: Start) -> None:
    process = start("noise")
    for audio, labels in (([], []), ([WINDOW], []), ([WINDOW[:0]], ["empty"])):
        with pytest.raises(ValueError, match="at least one sample"):
            process.encode(audio, labels=labels)


def test_after_an_error_the_process_is_gone_for_good(start: Start, write_encoder: Write) -> None:
    forward = f"if audio.shape[1] == 8000:\n    return audio\n{FRAMES}"
    process = start(write_encoder(forward))
    with pytest.raises(EncoderContractError):
        encode(process, WINDOW)
    assert is_gone(process.info.pid)
    with pytest.raises(RuntimeError, match="closed"):
        encode(process, WINDOW)


PARENT = """
import sys, threading, time
from pathlib import Path
from auricle.encoder.host import EncoderProcess
from auricle.encoder.load import parse_encoder

def begin():
    process = EncoderProcess(parse_encoder(sys.argv[1]), log_path=Path(sys.argv[2]))
    process.load()
    print(process._child.pid, flush=True)
    return process

if sys.argv[3] == "thread":  # the thread ends; its child must not
    kept = []
    thread = threading.Thread(target=lambda: kept.append(begin()))
    thread.start(); thread.join(); time.sleep(0.3)
    kept[0].encode([__import__("numpy").zeros(100, "f4")], labels=["a"])
    print("encoded", flush=True)
else:
    process = begin()
    process.encode([__import__("numpy").zeros(100, "f4")], labels=["a"])
time.sleep(1000)
"""


def parent(tmp_path: Path, encoder: str, how: str) -> subprocess.Popen[str]:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    arguments = [sys.executable, str(script), encoder, str(tmp_path / "log"), how]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["main", "thread"])
def test_the_child_and_its_helpers_die_with_a_killed_parent(
    write_encoder: Write, tmp_path: Path, how: str
) -> None:
    init = """
    import subprocess
    helper = subprocess.Popen(['sleep', '1000'])
    open('{}', 'w').write(str(helper.pid))
    """.format(tmp_path / "helper")
    busy = "while True: pass" if how == "main" else FRAMES
    process = parent(tmp_path, write_encoder(busy, init=init), how)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    if how == "thread":
        assert process.stdout.readline() == "encoded\n"
    helper = int((tmp_path / "helper").read_text())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert is_gone(child)
    assert is_gone(helper)


def test_an_unwritable_log_is_a_sentence(start: Start, tmp_path: Path) -> None:
    (tmp_path / "encoder.log").mkdir()
    with pytest.raises(OutputError, match=r"encoder.log cannot be written \(Is a directory\)"):
        start("logmel")


@pytest.mark.slow
def test_a_forged_answer_is_checked_like_any_other(start: Start, write_encoder: Write) -> None:
    forged = json.dumps({"ok": True, "features": {"shape": [1, 9, 4], "dtype": "float32"}})
    forward = f"""
    if audio.shape[1] == 8000:
        data = {forged!r}.encode()
        for descriptor in range(3, 1024):
            try: os.write(descriptor, len(data).to_bytes(4, 'big') + data)
            except OSError: pass
    {FRAMES}
    """
    with pytest.raises(
        EncoderContractError, match=r"answer that does not fit: it has no features\.bytes"
    ):
        encode(start(write_encoder(forward)), WINDOW)


@pytest.mark.slow
@pytest.mark.parametrize("act", ["os.ftruncate(n, 0)", "os.ftruncate(n, 4)"])
def test_a_shrunken_features_file_is_nonsense(start: Start, write_encoder: Write, act: str) -> None:
    forward = f"""
    if audio.shape[1] == 8000:
        import threading
        def shrink():
            while True:
                for n in range(3, 1024):
                    try: {act}
                    except OSError: pass
        threading.Thread(target=shrink, daemon=True).start()
        return torch.ones(1, 4000, 4)
    {FRAMES}
    """
    process: Any = start(write_encoder(forward), batch_timeout_s=5.0)
    with pytest.raises((EncoderContractError, EncoderCrashError)):
        for _ in range(100):
            encode(process, WINDOW)


@pytest.mark.parametrize("named", ["nothing_here", "nothing_here.inside", "json.inside"])
def test_a_module_that_is_not_there_is_one_sentence(
    start: Callable[..., EncoderProcess], named: str
) -> None:
    absent = "json.inside" if named.startswith("json") else "nothing_here"
    with pytest.raises(
        EncoderLoadError, match=f"^There is no module {absent} in the enc"
    ) as caught:
        start(f"{named}:Mine")
    assert caught.value.quoted == ""


def test_a_program_that_is_no_python_is_not_blamed_on_the_encoder(start: Start) -> None:
    with pytest.raises(
        EncoderCrashError, match=r"^/bin/true ended with exit code 0 while starting"
    ):
        start("logmel", python="/bin/true")
