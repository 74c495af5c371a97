"""XARES-LLM's own train and evaluation YAML, as tasks and recipe settings of ours.

Each of its fields is either honoured or named, with the reason, in ``ignored``. A dataset without
``prob`` weighs as many as its shards, as it does there; one without ``prompt`` is asked nothing,
and a clip's JSON field of that name is not read.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from auricle.catalog.parse import kind_of
from auricle.catalog.spec import METRICS
from auricle.errors import CatalogError

_SETTINGS = {
    "learning_rate": "train.lr",
    "per_device_train_batch_size": "train.batch_size",
    "decoder_model_name": "decoder",
    "crop_audio_length": "crop.length_s",
    "warmup_steps": "train.warmup",
    "weight_decay": "train.weight_decay",
    "max_grad_norm": "train.max_grad_norm",
}
_IGNORED = {
    "torch_num_threads": "--workers says how many threads compute",
    "save_steps": "checkpoints are written by time",
    "save_total_limit": "the newest valid checkpoints are kept",
    "logging_dir": "the log lies in the run's folder",
    "logging_steps": "every step's loss is kept",
    "output_dir": "--out says where runs lie",
    "config_name": "the file's name is the suite's",
    "eval_weight": "the reference does not use it either",
    "torch_compile": "it could change no score",
}
_SAME = {
    "optimizer": (("adamw_torch",), "training uses AdamW"),
    "sort_by_length": ((128,), "draws are sorted in blocks of 128"),
    "gradient_accumulation_steps": ((1,), "a step is one batch"),
    "bf16": ((False,), "--precision bf16 says so"),
    "fp16": ((False,), "float16 training is not offered"),
}
"""Fields that are honoured at one value, and why another has no effect."""
_TAKEN = ("train_data", "max_steps", "seed", "num_training_workers")
_DATA_FIELDS = ("prompt", "data", "key", "prob", "repo_id", "name")
_EVAL_FIELDS = ("data", "metric", "metric_args", "batch_size", "num_workers", "weight")


@dataclass(frozen=True, slots=True)
class XaresFile:
    """What a file of XARES-LLM asks for, in our terms."""

    tasks: dict[str, dict[str, Any]]
    """Fields of a task by the name that the file gives it."""
    weights: dict[str, float | Literal["shards"]]
    steps: int | None = None
    seed: int | None = None
    workers: int | None = None
    settings: tuple[str, ...] = ()
    training: Literal["reuse"] | None = None
    ignored: tuple[str, ...] = ()


def read_train_file(data: dict[str, Any], source: str) -> XaresFile:
    """Translate a train file.

    Args:
        data: The parsed YAML.
        source: Names the file in errors.

    Raises:
        CatalogError: A field is unknown or has the wrong type.
    """
    known = [*_TAKEN, *_SETTINGS, *_IGNORED, *_SAME]
    _refuse_unknown(data, known, source)
    entries = _mapping(data["train_data"], f"{source}: train_data")
    ignored = [f"{name}: {why}" for name, why in _IGNORED.items() if name in data]
    for name, (values, why) in _SAME.items():
        if name in data and data[name] not in values:
            ignored.append(f"{name} {data[name]}: {why}")
    tasks: dict[str, dict[str, Any]] = {}
    weights: dict[str, float | Literal["shards"]] = {}
    for name, entry in entries.items():
        where = f"{source}: train_data.{name}"
        facts = _data_of(_mapping(entry, where), where)
        prob = entry.get("prob")
        if prob == 0:
            ignored.append(f"train_data.{name}: its prob is 0, so it is never drawn")
            continue
        weights[name] = "shards" if prob is None else _number(prob, f"{where}.prob")
        tasks[name] = {
            "prompt": facts["prompt"],
            "prompt_field": "",
            "train_field": facts["key"],
            "train_shards": facts["data"],
            "repository": facts["repo_id"],
        }
    if entries and not tasks:
        raise CatalogError(f"{source}: every prob is 0, so nothing would be drawn. Correct one.")
    return XaresFile(
        tasks=tasks,
        weights=weights,
        steps=_whole(data, "max_steps", source),
        seed=_whole(data, "seed", source),
        workers=_whole(data, "num_training_workers", source),
        settings=tuple(
            f"{_SETTINGS[name]}={data[name]}" for name in _SETTINGS if data.get(name) is not None
        ),
        ignored=tuple(ignored),
    )


def read_eval_file(data: dict[str, Any], source: str) -> XaresFile:
    """Translate an evaluation file; its tasks are answered by the run that is at hand.

    Args:
        data: The parsed YAML.
        source: Names the file in errors.

    Raises:
        CatalogError: A field is unknown or has the wrong type.
    """
    tasks: dict[str, dict[str, Any]] = {}
    score_weights: dict[str, float] = {}
    ignored: dict[str, str] = {}
    for name, entry in data.items():
        where = f"{source}: {name}"
        _refuse_unknown(entry, _EVAL_FIELDS, where)
        facts = _data_of(_mapping(entry["data"], f"{where}.data"), f"{where}.data")
        arguments = _mapping(entry.get("metric_args") or {}, f"{where}.metric_args")
        _refuse_unknown(arguments, ("num_classes", "separator"), f"{where}.metric_args")
        if entry.get("metric") is None:
            raise CatalogError(f"{where}: the field 'metric' is missing; {', '.join(METRICS)}.")
        tasks[name] = {
            "prompt": facts["prompt"],
            "prompt_field": "",
            "test_field": facts["key"],
            "test_shards": facts["data"],
            "repository": facts["repo_id"],
            "metric": entry["metric"],
            **arguments,
        }
        score_weights[name] = _number(entry.get("weight", 1), f"{where}.weight")
        if "batch_size" in entry:
            ignored["batch_size"] = "clips are answered in chunks of a fixed size"
        if "num_workers" in entry:
            ignored["num_workers"] = "--workers says how many threads decode"
        if facts["prob"] is not None:
            ignored["data.prob"] = "every test clip is answered once"
    if len(set(score_weights.values())) > 1:
        ignored["weight"] = "the mean over tasks is plain; each task's score is shown"
    return XaresFile(
        tasks=tasks,
        weights=dict.fromkeys(tasks, 1.0),
        training="reuse",
        ignored=tuple(f"{name}: {why}" for name, why in ignored.items()),
    )


def _data_of(entry: dict[str, Any], where: str) -> dict[str, Any]:
    _refuse_unknown(entry, _DATA_FIELDS, where)
    patterns = entry.get("data")
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if (
        not isinstance(patterns, list)
        or not patterns
        or not all(isinstance(p, str) for p in patterns)
    ):
        raise CatalogError(f"{where}.data is {patterns!r}; expected shard patterns.")
    prompt = entry.get("prompt") or ""
    prompt = "" if prompt == [""] else prompt
    listed = prompt if isinstance(prompt, list) else [prompt]
    if not all(isinstance(text, str) for text in listed):
        raise CatalogError(f"{where}.prompt is {prompt!r}; expected a text or a list of texts.")
    key = entry.get("key")
    if key is not None and not isinstance(key, str):
        raise CatalogError(f"{where}.key is {key!r}; expected JSON fields, 'a;b'.")
    return {
        "data": patterns,
        "prompt": prompt,
        "key": key or "",
        "prob": entry.get("prob"),
        "repo_id": entry.get("repo_id"),
    }


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        numbers = [key for key in value if not isinstance(key, str)] if value else []
        hint = f" Put the name {numbers[0]!r} in quotes." if isinstance(value, dict) else ""
        raise CatalogError(f"{where} holds {kind_of(value)}; expected 'name: value' lines.{hint}")
    return value


def _refuse_unknown(data: dict[str, Any], known: Iterable[str], where: str) -> None:
    names = list(known)
    for name in data:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            offer = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
            raise CatalogError(f"{where}: XARES-LLM has no field '{name}' ({offer}).")


def _number(value: Any, where: str) -> float:
    if isinstance(value, str):  # YAML reads 1e-3, which has no dot, as a text
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise CatalogError(f"{where} is {value!r}; expected a number above 0.")
    return float(value)


def _whole(data: dict[str, Any], name: str, source: str) -> int | None:
    value = data.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise CatalogError(f"{source}: {name} is {value!r}; expected a whole number, 0 or more.")
    return value
