"""Law 3: the process with encoder code holds nothing of ours, and its answers are checked bytes."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import auricle
from auricle.encoder.channel import MAX_MESSAGE_BYTES
from auricle.encoder.host import EncoderProcess, probe_audio
from auricle.encoder.load import parse_encoder
from auricle.errors import EncoderContractError

SPY = """
import json, os, sys
import torch

class SpyEncoder(torch.nn.Module):
    output_dim = 1

    def forward(self, audio, mask):
        if audio.shape[1] == 1000:
            print(json.dumps({
                "modules": sorted(sys.modules),
                "environment": dict(os.environ),
                "arguments": sys.argv,
                "path": sys.path,
                "descriptors": [os.readlink(f"/proc/self/fd/{n}") for n in range(64)
                                if os.path.exists(f"/proc/self/fd/{n}")],
            }))
        return torch.ones(len(audio), 1, 1), None
"""


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What encoder code can see around itself while we hold a secret in every likely place."""
    monkeypatch.setenv("AURICLE_SECRET", "the reference text")
    secret = tmp_path / "references.jsonl"
    secret.write_text("the reference text")
    path = tmp_path / "spy.py"
    path.write_text(SPY)
    with (
        secret.open("rb") as held,
        EncoderProcess(parse_encoder(str(path)), log_path=tmp_path / "log") as process,
    ):
        assert held.readable()
        process.encode([probe_audio(0, 1000)], labels=["a clip whose label is the reference text"])
    line = next(x for x in (tmp_path / "log").read_text().splitlines() if x.startswith("{"))
    found: dict[str, object] = json.loads(line)
    return found


def test_the_child_holds_nothing_of_ours(seen: dict[str, object]) -> None:
    assert not [name for name in seen["modules"] if name.split(".")[0] == "auricle"]  # type: ignore[attr-defined]
    assert "the reference text" not in json.dumps(seen)
    assert not [name for name in seen["environment"] if name.startswith("AURICLE")]  # type: ignore[attr-defined]
    assert not [link for link in seen["descriptors"] if "references" in link]  # type: ignore[attr-defined]
    assert len(seen["arguments"]) == 1  # type: ignore[arg-type]


def test_our_side_never_unpickles_or_runs_what_comes_back() -> None:
    room = Path(auricle.__file__).parent / "encoder"
    ours = [path for path in room.glob("*.py") if not path.name.startswith("child")]
    assert {"host.py", "channel.py", "contract.py"} <= {path.name for path in ours}
    for path in ours:
        names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert not names & {"pickle", "marshal", "shelve", "eval", "exec", "torch", "mmap"}, path


def test_standard_output_is_no_way_to_send_results(tmp_path: Path) -> None:
    path = tmp_path / "loud.py"
    forged = json.dumps({"ok": True, "features": {"shape": [1, 1, 1], "dtype": "float32"}})
    path.write_text(SPY.replace("if audio", f"print({forged!r}, flush=True)\n        if audio"))
    with EncoderProcess(parse_encoder(str(path)), log_path=tmp_path / "log") as process:
        encoded = process.encode([probe_audio(0, 500)], labels=["a"])
    assert encoded[0].frames.tolist() == [[1.0]]
    assert forged in (tmp_path / "log").read_text()


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES + 1, 2**32 - 1])
def test_the_amount_that_a_child_can_make_us_read_is_bounded(tmp_path: Path, size: int) -> None:
    path = tmp_path / "flood.py"
    attack = f"""
        if audio.shape[1] == 500:
            import socket, struct
            for n in range(3, 64):
                try: os.write(n, struct.pack(">I", {size}) + b"x" * 1000)
                except OSError: pass
"""
    path.write_text(SPY.replace("        if audio.shape[1] == 1000:", attack + "        if 0:"))
    with (
        pytest.raises(EncoderContractError, match=f"a message that says it is {size} bytes"),
        EncoderProcess(
            parse_encoder(str(path)), log_path=tmp_path / "log", batch_timeout_s=20
        ) as process,
    ):
        process.encode([probe_audio(0, 500)], labels=["a"])
