"""A process that lies: every lie ends as the encoder's own fault, in one sentence."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auricle.encoder.checks import check_encoder
from auricle.encoder.host import EncoderProcess, probe_audio
from auricle.encoder.load import parse_encoder
from auricle.errors import EncoderContractError, EncoderCrashError, EncoderLoadError
from puppet import DIM, HONEST, changed, write_puppet

Puppet = Callable[..., EncoderProcess]


@pytest.fixture
def puppet(tmp_path: Path) -> Puppet:
    """An encoder's process that says what it is told to; not started."""

    def make(said: dict[str, bytes] | None = None, **named: int | bytes | None) -> EncoderProcess:
        path = write_puppet(tmp_path / "puppet", said, **named)  # type: ignore[arg-type]
        spec = parse_encoder(str(path), python=tmp_path / "puppet")
        return EncoderProcess(spec, log_path=tmp_path / "log.txt", batch_timeout_s=20)

    return make


def features(**fields: object) -> dict[str, bytes]:
    return changed("encode", features={**HONEST["encode"]["features"], **fields})


def test_a_puppet_that_says_nothing_else_is_an_encoder(puppet: Puppet) -> None:
    with puppet() as process:
        assert process.info.class_name == "PuppetEncoder"
        encoded = process.encode([probe_audio(0, 900), probe_audio(1, 500)], labels=["a", "b"])
        assert np.array_equal(encoded[1].frames, np.ones((1, DIM), np.float32))
        assert process.parameter_sums().parameters == []


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (changed("load", output_dim=1 << 59), "output_dim is 4; a whole number from 1 to 65536"),
        (changed("load", baseline_bytes=1e999), "not JSON"),
        (
            changed("load", class_name=["x"]),
            r"a 'loaded' answer that does not fit: class_name is \['x'\]",
        ),
        ({"load": b'{"ok": true, "x": "\\ud800"}'}, "not JSON"),
        ({"load": b"{" + b" " * (5 << 20)}, "a message that says it is 5242881 bytes long"),
        (features(dtype="float8"), "features of an unknown dtype"),
        (features(bytes=15), "15 bytes for an array of 16"),
        (changed("encode", mask={"shape": [1, 1], "dtype": "bool", "bytes": 8}), "fewer bytes"),
        (changed("encode", training=[True]), r"training is \[True\]; expected a valid boolean"),
        (changed("encode", device_bytes=1), "memory of a GPU that it took on the device cpu"),
        (changed("report", files=["/a\0b"]), "files.0 is"),
        (changed("report", files=["relative"]), "files.0 is 'relative'"),
        (changed("report", packages={"a\0": "1"}), "packages"),
        (changed("report", num_parameters=10**400), "num_parameters is 1000000"),
        ({"report": json.dumps(HONEST["sums"]).encode()}, "a 'report' answer that does not fit:"),
        ({"encode": b'{"ok": false, "kind": "odd", "stage": "x", "text": ""}'}, "a 'refusal'"),
    ],
)
def test_a_lie_is_the_encoders_fault_in_one_sentence(
    puppet: Puppet, said: dict[str, bytes], says: str
) -> None:
    process = puppet(said)
    with pytest.raises(EncoderContractError, match=says) as caught:
        process.start()
    assert not process.is_running
    assert len(str(caught.value)) < 1_000
    assert str(caught.value).isprintable()


def test_lists_of_sums_that_are_none_end_the_process(puppet: Puppet) -> None:
    process = puppet(changed("sums", parameters="0x1p+0"))
    process.load()
    with pytest.raises(
        EncoderContractError, match="a 'sums' answer that does not fit: parameters is '0x1p"
    ):
        process.parameter_sums()
    process.close()


def test_a_hole_for_features_costs_us_nothing(puppet: Puppet) -> None:
    """A few kilobytes of a child once made our own process take gigabytes."""
    frames, width = 16_000, 65_536  # as many as a second may have, 4 GB of them
    said = {
        **changed("load", output_dim=width, output_dim_seen=str(width)),
        **features(shape=[1, frames, width], bytes=frames * width * 4),
    }
    process = puppet(said, laid=b"x" * 4096, file_bytes=frames * width * 4)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(EncoderContractError, match="fewer bytes of features than it said"):
        process.start()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 256 << 10  # kilobytes


def test_a_name_that_no_file_can_have_is_told(puppet: Puppet) -> None:
    with pytest.raises(EncoderLoadError, match="cannot be hashed"):
        puppet(changed("report", files=["/" + "x" * 4_000])).start()


def test_a_gpu_that_is_not_there_earns_no_verdict(tmp_path: Path) -> None:
    path = write_puppet(tmp_path / "puppet", changed("encode", device_bytes=1))
    report = check_encoder(parse_encoder(str(path), python=tmp_path / "puppet"), time_limit_s=30)
    verdicts = {check.name: check.passed for check in report.checks}
    assert verdicts["memory_training_batch"] is None
    assert verdicts["memory_longest_clip"] is None
    assert not report.passed
    assert "memory of a GPU" in "".join(check.message for check in report.checks)


def test_notes_are_for_wrappers_of_ours_alone(puppet: Puppet) -> None:
    with puppet(changed("load", notes=["the best of all encoders"])) as process:
        assert process.info.notes == []


def test_what_an_encoder_raised_is_quoted_without_what_steers_a_terminal(puppet: Puppet) -> None:
    said = {"ok": False, "stage": "forward", "kind": "crash", "text": "\x1b[2Jx", "traceback": "\0"}
    with pytest.raises(EncoderCrashError, match="The encoder raised \ufffd\\[2Jx while") as caught:
        puppet({"encode": json.dumps(said).encode()}).start()
    assert caught.value.quoted == "\ufffd"
