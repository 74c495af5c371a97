"""Small things that tests make: audio, shards, a suite of one task, an encoder of little memory."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from auricle.data.shards import LockedShard

Sample = tuple[str, str, bytes, dict[str, Any]]

PITCH: dict[str, Any] = {
    **{"track": "a", "domain": "sound", "prompt": "Low or high?", "metric": "accuracy"},
    **{"num_classes": 2, "train_field": "label", "test_field": "label"},
}
"""A task of two pitches, but for its shards."""

CRAMPED_ENCODER = """
import torch
class CrampedEncoder(torch.nn.Module):
    '''Has memory for three windows.'''
    output_dim = 2
    def forward(self, audio, mask=None):
        if len(audio) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")
        frames = audio[:, : audio.shape[1] // 400 * 400].reshape(len(audio), -1, 400)
        counts = mask[:, 399 : audio.shape[1] // 400 * 400 : 400]
        return torch.stack([frames.mean(-1), frames.std(-1)], -1), counts
"""


def tone(hz: float, seconds: float, rate: int = 16_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype("f4")


def audio_bytes(samples: np.ndarray, rate: int = 16_000, kind: str = "flac") -> bytes:
    stream = io.BytesIO()
    subtype = {"wav": "FLOAT", "flac": "PCM_16", "ogg": "VORBIS"}[kind]
    soundfile.write(stream, samples, rate, format=kind.upper(), subtype=subtype)
    return stream.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def locked(path: Path, name: str = "") -> LockedShard:
    data = path.read_bytes()
    return LockedShard(
        repository="local",
        commit="none",
        name=name or path.name,
        tar=path,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        download_sha256=None,
    )


def write_suite(folder: Path, name: str, tasks: dict[str, Any], **more: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "recipe": "mini", "tasks": tasks, **more}))
    return path


def pitch_suite(folder: Path, **sides: Iterable[tuple[str, bytes, str]]) -> Path:
    """A suite of the task `PITCH`; its clips by side, each with key, flac and label."""
    for side, clips in sides.items():
        members = []
        for key, audio, label in clips:
            text = json.dumps({"label": label}).encode()
            members += [(f"{key}.flac", audio), (f"{key}.json", text)]
        write_tar(folder / f"{side}.tar", members)
    shards = {f"{side}_shards": [f"{side}.tar"] for side in sides}
    return write_suite(folder, "pitch", {"pitch": {**PITCH, "weight": 1.0, **shards}})


def filled_in(folder: Path, team: str = "Night Owls") -> Path:
    """A new submission whose template was written over: ready to be handed in."""
    from auricle.challenge.new import create_submission
    from auricle.challenge.report_skeleton import skeleton_pdf

    create_submission(folder)
    declaration = folder / "submission.yaml"
    text = declaration.read_text(encoding="utf-8")
    for old, new in (
        ("team: My Team", f"team: {team}"),
        ("[First Person, Second Person]", "[Ada Example, Bo Example]"),
        ("team@example.org", "owls@example.org"),
    ):
        assert old in text
        text = text.replace(old, new)
    declaration.write_text(text, encoding="utf-8")
    words = "The encoder is a spectrum in mel bands, and no part of it was trained. " * 8
    (folder / "report.pdf").write_bytes(skeleton_pdf(f"# Night Owls\n\n{words}"))
    return folder
