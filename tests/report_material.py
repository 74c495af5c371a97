"""A run folder without a run: six tasks of five metrics, answered by dice that hear a little."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auricle.files import read_json, write_json, write_text
from auricle.runs.folder import RunFolder
from auricle.runs.predictions import Prediction, write_predictions
from auricle.runs.rescore import score_run

WORDS = "bird cat dog down five four go happy left nine no yes".split()
EVENTS = ["dog", "rain", "siren", "birds", "engine", "car horn"]
DIGITS = "zero one two three four five six seven eight nine".split()
SYLLABLES = list("妈麻马骂八拔把爸")
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;\u202e\x00\x1b"


@dataclass(frozen=True)
class Kind:
    track: str
    domain: str
    skill: str
    metric: str
    prompt: str
    num_classes: int | None
    truth: Callable[[np.random.Generator], list[str]]
    guess: Callable[[np.random.Generator], str]


def _some(rng: np.random.Generator, texts: Sequence[str], most: int) -> list[str]:
    return [texts[i] for i in rng.integers(0, len(texts), rng.integers(1, most + 1))]


def _labels(rng: np.random.Generator) -> str:
    return ";".join(sorted(set(_some(rng, EVENTS, 3))))


def _digits(rng: np.random.Generator) -> str:
    return " ".join(_some(rng, DIGITS, 5))


def _caption(rng: np.random.Generator) -> str:
    return f"a {rng.choice(EVENTS)} is heard near a {rng.choice(EVENTS)}"


KINDS = {
    "words": Kind(
        *("a", "speech", "what", "accuracy", "Which word is spoken?", 12),
        lambda r: [str(r.choice(WORDS))],
        lambda r: str(r.choice([*WORDS, "a word that is no label"])),
    ),
    "events": Kind(
        *("a", "sound", "what", "mAP", "List all sound events.", 6),
        lambda r: [_labels(r)],
        _labels,
    ),
    "counting": Kind(
        *("a", "sound", "how many", "accuracy", "How many?", 7),
        lambda r: [str(r.integers(0, 7))],
        lambda r: str(r.integers(2, 5)),
    ),
    "digits": Kind(
        *("b", "speech", "when", "iWER", "Write down the digits.", None),
        lambda r: [_digits(r)],
        _digits,
    ),
    "tones": Kind(
        *("b", "speech", "when", "iCER", "写下音节。", None),
        lambda r: ["".join(_some(r, SYLLABLES, 5))],
        lambda r: "".join(_some(r, SYLLABLES, 5)),
    ),
    "captions": Kind(
        *("b", "music", "what", "ROUGE-L", "Describe it.", None),
        lambda r: [_caption(r) for _ in range(3)],
        _caption,
    ),
}


def make_run(
    path: Path,
    *,
    encoder: str = "logmel",
    hearing: float = 0.6,
    seed: int = 42,
    clips: int = 60,
    tasks: Sequence[str] = tuple(KINDS),
    missing: dict[str, str] | None = None,
    hostile: bool = False,
) -> RunFolder:
    """Write and score a run folder; an answer is right with probability ``hearing``."""
    folder = RunFolder(path)
    evil = HOSTILE if hostile else ""
    missing = missing or {}
    write_json(
        folder.manifest, _manifest(tasks, clips, encoder + evil, seed) | {"failures": missing}
    )
    for name in tasks:
        if name not in missing:
            write_predictions(folder.predictions(name), _answers(name, clips, hearing, seed))
    if hostile:
        _poison(folder, tasks)
    steps = np.arange(1, 401)
    noise = np.random.default_rng(seed).normal(0, 0.2, len(steps))
    losses = 0.8 + 5 * np.exp(-steps / 60) + noise * 0.5
    lines = [
        json.dumps({"step": int(s), "loss": float(v)}) for s, v in zip(steps, losses, strict=True)
    ]
    write_text(folder.losses, "\n".join(lines) + "\n")
    write_json(folder.plan, {"stages_s": {"encode": 60, "train": 120, "answer": 40}})
    score_run(folder)
    return folder


def ask_further(
    run: RunFolder, suite: str, *, tasks: Sequence[str], clips: int = 60, hearing: float = 0.6
) -> RunFolder:
    """Write and score a further evaluation of a run."""
    folder = run.further(suite)
    manifest = run.read_manifest()
    stored = _manifest(tasks, clips, manifest.encoder.name, manifest.seed)
    trained = {"training": "reuse", "runs": dict.fromkeys(tasks, run.path.name)}
    write_json(folder.manifest, stored | {"suite": suite, "mixture": {}, "trained": trained})
    for name in tasks:
        write_predictions(folder.predictions(name), _answers(name, clips, hearing, manifest.seed))
    score_run(folder)
    return folder


def _answers(task: str, clips: int, hearing: float, seed: int) -> list[Prediction]:
    kind = KINDS[task]
    # The truth is of the task, the luck of the run.
    truths = np.random.default_rng([1, *task.encode()])
    luck = np.random.default_rng([seed, *task.encode()])
    found = []
    for clip in range(clips):
        references = kind.truth(truths)
        guess = kind.guess(luck)
        answer = references[0] if luck.random() < hearing else guess
        found.append(Prediction(f"{task}/test_0000/{clip:06d}", tuple(references), answer, 2.5))
    return found


def _poison(folder: RunFolder, tasks: Sequence[str]) -> None:
    for name in tasks:
        path = folder.predictions(name)
        lines = path.read_text(encoding="utf-8").splitlines()
        values = [json.loads(line) for line in lines]
        for value in values[::3]:
            value["prediction"] = HOSTILE + "x" * 2000
        for value in values[1::3]:
            value["id"] += HOSTILE
            value["references"] = [text + HOSTILE for text in value["references"]]
        path.write_text("".join(json.dumps(v) + "\n" for v in values), encoding="utf-8")
    manifest = read_json(folder.manifest)
    manifest["notes"] = [HOSTILE]
    manifest["encoder"]["arguments"] = {"name": HOSTILE}
    for facts in manifest["test"].values():
        facts["prompt"] = HOSTILE
    folder.manifest.write_text(json.dumps(manifest), encoding="utf-8")


def _manifest(tasks: Sequence[str], clips: int, encoder: str, seed: int) -> dict[str, Any]:
    shards = {
        name: [
            {"name": f"{name}.tar", "size": 1, "sha256": hashlib.sha256(name.encode()).hexdigest()}
        ]
        for name in tasks
    }
    return {
        "schema_version": 1,
        "suite": "smoke",
        "mode": "reference",
        "official": False,
        "official_tasks": False,
        "encoder": {
            "name": encoder,
            "text": encoder,
            "arguments": {},
            "class_name": "LogMelEncoder",
            "output_dim": 256,
            "dtype": "float32",
            "num_parameters": 0,
            "content_hash": "70113bc8" * 8,
            "files": {"/home/someone/encoders/logmel.py": "b3bb5cd598b0" * 5},
            "packages": {"numpy": "2.4.6"},
            "properties": {"padding_invariant": True, "batch_invariant": None, "frame_rate_hz": 25},
        },
        "mixture": {
            name: {"share": 1 / len(tasks), "repository": "auricle/synthetic", "commit": "v1"}
            | {"clips": 1800, "shards": shards[name]}
            for name in tasks
        },
        "test": {name: _test_facts(name, clips, shards[name]) for name in tasks},
        "recipe": {
            "name": "mini",
            "lora": None,
            "train": {"steps": 400, "batch_size": 32},
            "precision": "float32",
        },
        "seed": seed,
        "batches": {"mode": "padded", "budget_s": 240.0},
        "versions": {"python": "3.11.2", "torch": "2.13.0"},
        "hardware": {"processor": "a processor", "cores": 2, "memory_bytes": 16_000_000_000},
        "settings": {"device": "cpu", "threads": 1},
        "stages_s": {"encode": 71.5, "train": 118.2, "answer": 55.0, "score": 0.9},
        "notes": ["words: 2 training clips cannot be decoded; each is replaced by the next one."],
    }


def _test_facts(name: str, clips: int, shards: list[dict[str, Any]]) -> dict[str, Any]:
    kind = KINDS[name]
    return {
        "track": kind.track,
        "domain": kind.domain,
        "skill": kind.skill,
        "prompt": kind.prompt,
        "metric": kind.metric,
        "num_classes": kind.num_classes,
        "separator": ";",
        "field": "text",
        "clips_expected": clips,
        "repository": "auricle/synthetic",
        "commit": "v1",
        "shards": shards,
    }


def hum(task: str, clip_id: str) -> np.ndarray | None:
    """Audio of any clip: a tone whose pitch is the clip's, in noise."""
    seed = int.from_bytes(
        hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).digest()[:4], "big"
    )
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(2.5 * 16_000)) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(200, 3000) * time_s * (1 + 0.1 * time_s))
    return (tone + 0.02 * rng.normal(size=len(time_s))).astype(np.float32)


def silence(task: str, clip_id: str) -> None:
    """No clip is at hand."""
    return
