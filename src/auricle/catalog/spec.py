"""Task and Suite: the one format in which everything that is measured is described.

Built-in tasks, a participant's own and an organiser's hidden ones are the same models, one YAML
file per dataset, so that a dataset is described once. How a label is found in a clip's JSON is
part of the format (docs/protocol.md, "Tasks").
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from math import inf
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from auricle.catalog.braces import expand_braces
from auricle.errors import DataError

Track = Literal["a", "b"]
Domain = Literal["speech", "sound", "music", "general"]
Skill = Literal["what", "who", "when", "how many"]
Metric = Literal["accuracy", "mAP", "iWER", "iCER", "FENSE", "DATE", "ROUGE-L"]
Side = Literal["train", "test"]

METRICS: tuple[Metric, ...] = ("accuracy", "mAP", "iWER", "iCER", "FENSE", "DATE", "ROUGE-L")
FALLBACK_FIELDS = ("captions", "caption", "text")
SHARD_SHARE = "shards"
"""A weight that stands for the task's share of all train shards of its suite."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


def _check_name(value: str) -> str:
    if re.fullmatch(_NAME, value) is None:
        raise ValueError("expected at most 100 letters, digits, '.', '_' or '-', the first no sign")
    return value


def _check_weight(value: Any) -> Any:
    if value == SHARD_SHARE:
        return value
    try:
        good = not isinstance(value, bool) and 0 < float(value) < inf
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ValueError(f"expected a number above 0, or '{SHARD_SHARE}'")
    return float(value)


Name = Annotated[str, AfterValidator(_check_name)]
Weight = Annotated[float | Literal["shards"], BeforeValidator(_check_weight)]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Synthetic(_Spec):
    """How many clips the synthesiser makes of a task."""

    train_clips: int = Field(gt=0)
    test_clips: int = Field(gt=0)
    clips_per_shard: int = Field(gt=0)


class SideSize(_Spec):
    """What one side of a task amounts to, known before any of it is on this machine."""

    clips: int = Field(gt=0)
    hours: float = Field(gt=0)
    bytes: int = Field(gt=0)
    """Of the packed shards: from the hours and the kind of file, so always an estimate."""
    source: str = Field(min_length=1)
    """Who says so."""
    estimate: bool = False
    """Whether clips or hours are derived too."""


def encoded_s(clips: int, hours: float, *, draws: float | None, crop_s: float) -> float:
    """Seconds of audio of one side of a task that a run is expected to encode.

    Of n draws from c clips, c * (1 - (1 - 1 / c) ** n) clips are expected to be drawn.

    Args:
        clips: How many it has.
        hours: What they last.
        draws: How often one is drawn in training; None for a side that is asked whole.
        crop_s: What a draw takes of a clip at most.
    """
    length_s = hours * 3600 / clips
    if draws is None:
        return clips * length_s
    missed = float((1 - 1 / clips) ** draws)
    return clips * (1 - missed) * min(length_s, crop_s)


class Task(_Spec):
    """One dataset with its prompt, label field and metric."""

    name: Name
    track: Track
    """a = classification, b = transcription and captioning."""
    domain: Domain
    skill: Skill | None = None
    """What an encoder must hear to answer, where one word says it."""
    prompt: str | list[str]
    """The question; a list: any in training, the first at test; "" = see ``prompt_field``."""
    prompt_field: str = "prompt"
    """Where ``prompt`` is "": the JSON field of each clip's own question; "" = nothing is asked."""
    metric: Metric | None = None
    """How answers are scored; None only where there are no test shards."""
    num_classes: int | None = Field(default=None, ge=2)
    separator: str = Field(default=";", min_length=1)
    """Between the labels of a clip that has several."""
    train_field: str = ""
    """JSON fields of the label, ``a;b``: the first that is present wins."""
    test_field: str = ""
    licence: str = "see homepage"
    homepage: str = ""
    redistribute: Literal["no", "attribution", "yes"] = "no"
    """Whether its audio and references may be handed on: never, with ``attribution``, or freely."""
    attribution: str = ""
    """Whom to name, and the licence, where ``redistribute`` is ``attribution``."""
    redistribute_source: str = ""
    """Where that is said."""
    repository: str | None = None
    """Dataset repository on the Hugging Face hub; None = the shards are paths, globs or URLs."""
    revision: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")
    train_shards: list[str] = []
    """Patterns with shell braces; paths in the repository."""
    test_shards: list[str] = []
    undecodable: list[str] = []
    """Ids of test clips that are known to be damaged at the source."""
    steps: int | None = Field(default=None, gt=0)
    """Steps of a run on this task alone; None = the recipe's."""
    test_clips: int | None = Field(default=None, gt=0)
    """Published size of the test set."""
    size: dict[Side, SideSize] = {}
    """What `auricle plan` says of a side whose shards are not on this machine."""
    synthetic: Synthetic | None = None
    folder: str = ""
    """Where relative paths in ``train_shards`` start; set when a user's file is loaded."""

    @field_validator("metric", mode="before")
    @classmethod
    def _canonical_metric(cls, value: Any) -> Any:
        spelled = {name.lower(): name for name in METRICS}
        return spelled.get(value.lower(), value) if isinstance(value, str) else value

    @field_validator("redistribute", mode="before")
    @classmethod
    def _unquoted(cls, value: Any) -> Any:
        """YAML takes a bare yes and no for truth values."""
        return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value

    @field_validator("prompt")
    @classmethod
    def _some_prompt(cls, value: str | list[str]) -> str | list[str]:
        if value == [] or (isinstance(value, list) and "" in value):
            raise ValueError("expected a text, a list of texts, or '' for the clips' own prompts")
        return value

    @field_validator("repository")
    @classmethod
    def _hub_name(cls, value: str | None) -> str | None:
        parts = (value or "a/b").split("/")
        if len(parts) != 2 or not all(p and p[0] not in ".-" and _plain(p) for p in parts):
            raise ValueError("expected owner/name of a dataset repository")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Task:
        if not self.train_shards and not self.test_shards:
            raise ValueError("give train_shards, test_shards or both")
        if self.test_shards and self.metric is None:
            raise ValueError(f"a task with test_shards needs a metric: {', '.join(METRICS)}")
        if self.redistribute == "attribution" and not self.attribution:
            raise ValueError("redistribute: attribution needs the text of the attribution")
        if self.metric == "mAP" and self.num_classes is None:
            raise ValueError("the metric mAP needs num_classes")
        if self.repository is not None:
            for name in (*self.expanded_train_shards, *self.expanded_test_shards):
                if name.startswith("/") or ".." in name.split("/"):
                    raise ValueError(f"the shard '{name}' does not lie inside the repository")
        return self

    @property
    def expanded_train_shards(self) -> tuple[str, ...]:
        """Train shards with their braces expanded, in order."""
        return tuple(name for pattern in self.train_shards for name in expand_braces(pattern))

    @property
    def expanded_test_shards(self) -> tuple[str, ...]:
        """Test shards with their braces expanded, in order."""
        return tuple(name for pattern in self.test_shards for name in expand_braces(pattern))

    def expanded_shards(self, side: str) -> tuple[str, ...]:
        """The shards of one side, ``train`` or ``test``."""
        return self.expanded_train_shards if side == "train" else self.expanded_test_shards

    def size_of(self, side: str) -> SideSize | None:
        """What a side is known to amount to, without its shards."""
        return next((size for known, size in self.size.items() if known == side), None)

    def only(self, side: Side) -> Task:
        """The task without the other side's shards, which then are neither fetched nor opened.

        A synthetic task keeps them, because it is made whole.
        """
        other = "test_shards" if side == "train" else "train_shards"
        return self if self.synthetic is not None else self.model_copy(update={other: []})

    def label_fields(self, side: str) -> tuple[str, ...]:
        """JSON fields in the order in which they are looked for, the fallbacks included."""
        listed = self.train_field if side == "train" else self.test_field
        names = [name.strip() for name in listed.split(";") if name.strip()]
        return tuple(dict.fromkeys([*names, *FALLBACK_FIELDS]))

    @property
    def is_own(self) -> bool:
        """Whether it is of the user's own data, whose labels mean what tables mean by them."""
        return self.repository is None and self.synthetic is None

    def texts(self, fields: dict[str, Any], side: str) -> list[str]:
        """The texts of a clip: training targets, or references at test.

        Args:
            fields: The clip's JSON.
            side: ``train`` or ``test``.

        Returns:
            One text, or one per element where the field holds a list.

        Raises:
            DataError: No field is present, or its value is no text, number or list of them. A
                field that is null or an empty list counts as absent.
        """
        wanted = self.label_fields(side)
        for name in wanted:
            value = fields.get(name)
            if value is not None and value != []:
                elements = value if isinstance(value, list) else [value]
                texts = [self._text_of(element, name) for element in elements]
                if self.metric == "mAP" and self.is_own and len(texts) > 1:
                    return [self.separator.join(texts)]  # the labels of one sample
                return texts
        seen = ", ".join(sorted(fields)) or "no fields at all"
        raise DataError(
            f"its JSON has {seen}; expected a label in one of {', '.join(wanted)}. Correct "
            f"{'train' if side == 'train' else 'test'}_field of the task, or its shards"
        )

    def _text_of(self, value: Any, name: str) -> str:
        """A label's text; what a class cannot be called is none.

        Raises:
            DataError: It is no text or number, not finite, or blank where it names a class.
        """
        if isinstance(value, float) and self.is_own and value.is_integer():
            value = int(value)  # 1.0 is the class 1, as tables of numbers write it
        text = _text_of(value, name)
        if not text.strip() and self.is_own and self.metric in ("accuracy", "mAP"):
            raise DataError(
                f"its JSON field '{name}' is blank; expected a label. Correct the shards, or leave "
                "the clip out"
            )
        return text


class HeldOut(_Spec):
    """Which training clips of each task are kept out of training, to be asked instead."""

    share: float = Field(default=0.1, gt=0, lt=1)
    """Of the task's training clips."""
    most: int = Field(default=500, gt=0)
    """Clips of a task."""


class Suite(_Spec):
    """Tasks that are measured together, with their sampling weights."""

    name: Name
    description: str = ""
    recipe: str = "official"
    steps: int | None = Field(default=None, gt=0)
    """Replaces the recipe's."""
    tasks: dict[str, Weight] = {}
    """Weight of each task; ``shards`` = its share of all train shards of the suite."""
    include: list[str] = []
    """Suites whose tasks come in with their own weights; ``tasks`` adds to them or replaces."""
    training: Literal["apart", "reuse"] | None = None
    """How a hidden suite (``--eval``) is trained: one run per task, which is also what None means
    there, or not at all. A suite that is run as such trains its tasks together."""
    held_out: HeldOut | None = None
    """Ask a part of the training clips, which is kept out of training, and no test clips."""
    official: bool = False
    """Whether results on it may be called official."""

    @model_validator(mode="after")
    def _honest(self) -> Suite:
        if self.official and self.held_out is not None:
            raise ValueError("a suite that holds training clips out cannot be official")
        return self

    @property
    def shares(self) -> dict[str, float]:
        """Share of each task in the draws; they sum to 1."""
        weights = {name: float(weight) for name, weight in self.tasks.items()}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items()}


def _plain(text: str) -> bool:
    return all(sign.isalnum() or sign in "._-" for sign in text)


def _text_of(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        text = repr(value)
        return format(Decimal(text), "f") if "e" in text else text
    raise DataError(
        f"its JSON field '{name}' holds a {type(value).__name__} ({str(value)[:40]}); expected a "
        "text, a number or a list of them. Correct the label field of the task, or its shards"
    )
