"""Checkpoints of a training: whole or not there, newest valid one wins.

``checkpoints/step-<steps done>.safetensors`` holds, by name of each trained matrix,
``value/<name>``, and the optimiser's ``first/<name>`` and ``second/<name>`` moments; ``losses``
(float64, one per step done) and ``grad_norms``. ``final.safetensors`` has the values and losses of
the finished training alone. The metadata's one entry, ``auricle``, is JSON: ``schema_version``,
``step`` (steps done), ``steps`` (of the whole training) and ``sha256`` of all tensors' bytes in
order of their names, so that a damaged file is known before it is used. It is one entry because
safetensors writes several in no fixed order, and equal trainings are to end in equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from auricle.files import clean_temporary, write_bytes

SCHEMA_VERSION = 1
FINAL = "final.safetensors"
KEPT = 2
"""Checkpoints that are kept while the training goes on."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training after ``step`` steps."""

    step: int
    """Steps done."""
    steps: int
    """Steps of the whole training."""
    tensors: Mapping[str, Tensor]
    """As the module's text says."""


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and forget all but the two newest.

    Raises:
        OutputError: It cannot be written.
    """
    path = folder / f"step-{checkpoint.step:07d}.safetensors"
    write_bytes(path, _packed(checkpoint))
    for old in _by_age(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def save_final(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write the trained weights: their presence says that the training is finished.

    Raises:
        OutputError: It cannot be written.
    """
    path = folder / FINAL
    write_bytes(path, _packed(checkpoint))
    return path


def load_newest(folder: Path, *, steps: int) -> Checkpoint | None:
    """The final weights, else the newest checkpoint that is whole; damaged ones are reported.

    Args:
        folder: Of the checkpoints; what a killed writer left there is removed.
        steps: Of the whole training: a checkpoint of another length is no use.
    """
    clean_temporary(folder)
    final = folder / FINAL
    for path in [*([final] if final.exists() else []), *_by_age(folder)]:
        try:
            checkpoint = read_checkpoint(path)
            if checkpoint.steps != steps:
                raise ValueError(f"it belongs to a training of {checkpoint.steps} steps")
            if path == final and checkpoint.step != steps:
                raise ValueError(f"it ends after {checkpoint.step} of {steps} steps")
        except (ValueError, OSError) as error:
            logger.warning("Checkpoint %s cannot be used (%s); an older one is.", path, error)
            continue
        return checkpoint
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify one file.

    Raises:
        ValueError: It is damaged, or of another schema version.
    """
    data = path.read_bytes()
    try:
        header_size = int.from_bytes(data[:8], "little")
        metadata = json.loads(json.loads(data[8 : 8 + header_size])["__metadata__"]["auricle"])
        tensors = safetensors.torch.load(data)
    except Exception as error:
        # safetensors has an exception class of its own, and a damaged header may raise anything.
        raise ValueError(f"not a safetensors file: {error}") from error
    if metadata.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema version {metadata.get('schema_version')} is not {SCHEMA_VERSION}")
    if metadata.get("sha256") != _digest(tensors):
        raise ValueError("its contents do not match its hash")
    return Checkpoint(metadata["step"], metadata["steps"], tensors)


def _packed(checkpoint: Checkpoint) -> bytes:
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()
    }
    metadata = {
        "schema_version": SCHEMA_VERSION,
        "step": checkpoint.step,
        "steps": checkpoint.steps,
        "sha256": _digest(tensors),
    }
    data: bytes = safetensors.torch.save(tensors, {"auricle": json.dumps(metadata)})
    return data


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _by_age(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True) if folder.is_dir() else []
