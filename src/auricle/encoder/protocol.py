"""What this program and an encoder's process say to each other; light, so that any room may ask.

`EncoderSpec` is an encoder that can be started, `load_order` the first order to its process: the
one place that says how an encoder's code is imported, for a check, a run and a submission alike.

Answers come from a process that runs a stranger's code. Each kind is a type with bounds, and
`read_answer` makes one from bytes or says what is wrong with them: whatever gets past it has the
fields, the kinds of values and the sizes that stand here, and no others.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from auricle.records.record import first_problem

WRAPPERS = Path(__file__).resolve().parent / "wrappers"
_SUBMISSION, _FETCHED = "AURICLE_SUBMISSION", "AURICLE_SUBMISSION_FETCHED"


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """An encoder that can be started.

    ``text`` is what the user typed, ``name`` short enough for folders and tables. ``kind`` is
    ``file``, ``module``, ``builtin`` or ``hf``; ``target`` an absolute path to a Python file, or a
    module's dotted name. ``class_name`` is None where the target's only encoder class is meant.
    ``python`` is the interpreter, None for our own; ``folder`` is where it starts, None for the
    current one. ``judged`` are the folders of a submission that is examined, itself and what it
    fetched: their files and no others make its identity. None for one's own encoder, where every
    file does that its process opens.
    """

    text: str
    name: str
    kind: str
    target: str
    class_name: str | None
    arguments: dict[str, Any]
    python: Path | None = None
    folder: Path | None = None
    judged: tuple[Path, ...] | None = None

    @property
    def base(self) -> Path:
        """Where the encoder starts and its relative paths begin."""
        return self.folder or Path.cwd()


def judged_variables(submission: Path, fetched: Path) -> dict[str, str]:
    """Environment variables that tell an auricle command whose encoder it examines.

    Args:
        submission: The submission's files.
        fetched: What its encoder fetched when it was constructed.
    """
    return {_SUBMISSION: str(submission), _FETCHED: str(fetched)}


def judged_folders(target: Path, variables: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The folders of the submission that is examined, the one where its encoder starts first.

    Args:
        target: The encoder's file.
        variables: Environment variables, from `judged_variables` in an examination.

    Returns:
        Nothing where no submission is examined, or the file is none of its own.
    """
    if _SUBMISSION not in variables or _FETCHED not in variables:
        return ()
    submission = Path(variables[_SUBMISSION])
    inside = target.resolve().is_relative_to(submission.resolve())
    return (submission, Path(variables[_FETCHED])) if inside else ()


def load_order(spec: EncoderSpec, *, device: str, threads: int) -> dict[str, Any]:
    """The order to import an encoder's code and construct it.

    A file in a package is imported as that package's part, from the folder above it; any other by
    its path, with its own folder first on the search path. The folder where the encoder starts
    comes last.

    Args:
        spec: The encoder.
        device: Where it computes, as torch names devices.
        threads: Threads of its number libraries.
    """
    is_file = spec.kind != "module"
    path = Path(spec.target)
    module, root = _package_of(path) if is_file else (spec.target, None)
    return {
        "op": "load",
        "shown": spec.text.removesuffix(f":{spec.class_name}"),
        "path": spec.target if is_file else None,
        "module": module,
        "folders_first": [str(path.parent), *([str(root)] if root else [])] if is_file else [],
        "folders_last": [str(spec.base)],
        "class_name": spec.class_name,
        "built_in": spec.kind in ("builtin", "hf"),
        "arguments": spec.arguments,
        "device": device,
        "threads": threads,
    }


def _package_of(path: Path) -> tuple[str | None, Path | None]:
    """Dotted name and root folder of a file that lies in a package; our own wrappers do not."""
    if path.parent == WRAPPERS or not (path.parent / "__init__.py").is_file():
        return None, None
    parts = [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


class NonsenseError(Exception):
    """What came is not a message of this protocol; the text says what was seen."""


MAX_COUNT = 1 << 60
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Side = Annotated[int, Field(ge=0, lt=1 << 40)]
Words = Annotated[str, StringConstraints(max_length=2_000)]
"""Text of a stranger for a sentence, through `failures.clean`."""
_Quoted = Annotated[str, StringConstraints(max_length=24_000)]
_Name = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\p{C}\p{Zl}\p{Zp}]+$")]
_Place = Annotated[str, StringConstraints(max_length=4_096, pattern=r"^/[^\x00]*$")]
_Version = Annotated[
    str, StringConstraints(max_length=60, pattern=r"^[0-9]+\.[0-9]+[0-9A-Za-z.+-]*$")
]
_Sum = Annotated[str, StringConstraints(max_length=40, pattern=r"^[0-9a-z.+-]+$")]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    ok: Literal[True]


class Loaded(_Answer):
    """The encoder was imported and constructed."""

    class_name: Words
    output_dim: Annotated[int, Field(ge=-MAX_COUNT, le=MAX_COUNT)] | None
    """None where it is missing or no whole number."""
    output_dim_seen: Words
    baseline_bytes: Count | None
    """Memory of the process before it."""
    arguments_taken: Annotated[int, Field(ge=0, le=1_000)]
    """Positional arguments of its ``forward``: audio alone, or with a mask."""
    mask_argument: Annotated[str, StringConstraints(max_length=60, pattern=r"^\w*$")] = ""
    """What its ``forward`` calls the second of them; empty where that cannot be told."""
    notes: Annotated[list[Words], Field(max_length=20)]
    """What a wrapper of ours assumed or left out of a model's files."""


class Description(BaseModel):
    """An array that is said to lie in the features file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    shape: Annotated[list[Side], Field(max_length=64)]
    dtype: Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z0-9._]+$")]
    bytes: Count


class BadOutput(BaseModel):
    """What the encoder returned was nothing that could be laid into the file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    rule: Literal["output", "dtype"]
    seen: Words


class Batch(_Answer):
    """A batch was encoded; its arrays lie in the features file, the mask behind the features."""

    features: Description | None = None
    mask: Description | None = None
    bad_output: BadOutput | None = None
    resident_bytes: Count | None
    """The process's memory at its peak, as it says itself."""
    device_bytes: Count | None
    """Likewise of a CUDA device; None where it computes on none."""
    training: bool
    """Whether a part of the encoder is in training mode afterwards."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.features is None) == (self.bad_output is None):
            raise ValueError("either features or a bad output")
        return self


class Report(_Answer):
    """What the encoder's process opened and imported so far."""

    files: Annotated[list[_Place], Field(max_length=100_000)]
    packages: Annotated[dict[_Name, _Name], Field(max_length=20_000)]
    python: _Version
    num_parameters: Count


class Sums(_Answer):
    """Sums of the parameters and of the buffers."""

    parameters: list[_Sum]
    buffers: list[_Sum]


class Refusal(BaseModel):
    """What was ordered could not be done."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    ok: Literal[False]
    stage: Literal["start", "torch", "device", "import", "construct", "forward", "sums", "report"]
    kind: Literal["load", "memory", "crash"]
    text: Words
    traceback: _Quoted = ""


Answer = TypeVar("Answer", bound=_Answer)


def read_answer(data: bytes, kind: type[Answer]) -> Answer | Refusal:
    """Make an answer from a stranger's bytes.

    Args:
        data: One message.
        kind: The answer that is due.

    Raises:
        NonsenseError: They are no JSON object in UTF-8 with exactly the fields, the kinds of values
            and the bounds of that answer or of a refusal.
    """
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise NonsenseError(f"bytes that are not JSON ({data[:40]!r}...)") from error
    if not isinstance(value, dict):
        raise NonsenseError(f"a JSON {type(value).__name__} instead of an object")
    refused = value.get("ok") is False
    if not refused and value.get("ok") is not True:  # 1 is no flag, though it equals one
        raise NonsenseError("an answer whose flag 'ok' is neither true nor false")
    try:
        return Refusal.model_validate(value) if refused else kind.model_validate(value)
    except (ValidationError, RecursionError) as error:
        name = "refusal" if refused else kind.__name__.lower()
        problem = " ".join(first_problem(error).split())  # it may quote a stranger's lines
        raise NonsenseError(f"a '{name}' answer that does not fit: {problem}") from error
