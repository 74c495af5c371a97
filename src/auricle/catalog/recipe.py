"""Recipe: every number that can change a score, by name.

What a machine needs to know (device, workers, budgets, paths) is not here, and neither is the
seed: two runs with one recipe differ by their seed alone. Values are strict, so that
``--set train.steps=yes`` is refused instead of becoming 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from auricle.catalog.parse import parse_yaml, problem_text
from auricle.catalog.spec import Suite
from auricle.errors import CatalogError, UnknownNameError, UserError

MINI_DECODER = "mini"
"""The decoder that is built from ``decoder_config`` and trained from nothing."""
BLOCK = 128
"""Draws that are sorted by length together (docs/protocol.md, "Training examples")."""

Mode = Literal["reference", "fast", "custom"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DecoderConfig(_Part):
    """Shape of the small Llama of the mini recipe."""

    hidden_size: int = Field(ge=8)
    num_hidden_layers: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    num_key_value_heads: int = Field(ge=1)
    intermediate_size: int = Field(ge=8)
    max_position_embeddings: int = Field(ge=64)
    vocab_size: int = Field(ge=257)
    """Pieces of the byte-level BPE: 256 bytes, the end token, merges."""

    @model_validator(mode="after")
    def _divides(self) -> DecoderConfig:
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError("hidden_size must be a multiple of twice num_attention_heads")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError("num_attention_heads must be a multiple of num_key_value_heads")
        return self


class Lora(_Part):
    """Low-rank adapters on every linear layer of the decoder's blocks."""

    rank: int = Field(ge=1)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)


class Train(_Part):
    """The training loop."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1, le=BLOCK)
    lr: float = Field(gt=0)
    warmup: int = Field(ge=0)
    """Steps from 0 to ``lr``; from there it falls linearly to 0 at the last step."""
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    train_decoder: bool
    """Whether the decoder's own weights learn too."""

    @field_validator("batch_size")
    @classmethod
    def _whole_batches(cls, value: int) -> int:
        if BLOCK % value:
            raise ValueError(f"expected a divisor of {BLOCK}, so that sorted blocks cut evenly")
        return value


class Audio(_Part):
    """What an encoder is given of a clip."""

    resampler: Literal["soxr", "sinc-hann"] = "soxr"
    """soxr HQ, which is flat, or the reference implementation's windowed sinc, which is not."""


class Features(_Part):
    """What the LALM reads of an encoder."""

    dtype: Literal["float32", "float16", "bfloat16"] | None
    """Narrower type to store; null = the encoder's own."""
    concat: int = Field(ge=1, le=64)
    """Neighbouring frames that are joined into one position."""


class Crop(_Part):
    """Training windows of long clips."""

    length_s: float = Field(gt=0)
    grid_s: float = Field(gt=0)


class Answer(_Part):
    """Greedy generation."""

    max_new_tokens: int = Field(ge=1)
    repetition_penalty: float = Field(gt=0)


class Recipe(_Part):
    """Everything that makes a score, but the encoder, the data and the seed."""

    name: str
    version: int = Field(default=1, ge=1)
    """Raised when a recipe of the catalog changes; scores of two versions are never ranked."""
    decoder: str = Field(min_length=1)
    """A model's name on the hub, a folder, or ``mini``."""
    decoder_config: DecoderConfig | None
    lora: Lora | None
    train: Train
    audio: Audio = Audio()
    features: Features
    crop: Crop
    answer: Answer
    precision: Literal["float32", "bf16"]

    @property
    def label(self) -> str:
        """Name and version, e.g. ``official-2``."""
        return f"{self.name}-{self.version}"

    def to_json(self) -> dict[str, Any]:
        """All fields, as manifests keep them and hashes are made of them.

        ``version`` and ``audio`` are left out where they say what they said before there were such
        fields, so that a recipe that did not change keeps its hash.
        """
        data = self.model_dump(mode="json")
        for name in ("version", "audio"):
            if getattr(self, name) == type(self).model_fields[name].default:
                del data[name]
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if (self.decoder == MINI_DECODER) != (self.decoder_config is not None):
            raise ValueError(
                "decoder_config describes the decoder 'mini' and no other: give both or neither"
            )
        if self.lora is not None and self.train.train_decoder:
            raise ValueError(
                "lora and train.train_decoder exclude each other: set lora=null or "
                "train.train_decoder=false"
            )
        return self


def apply_settings(recipe: Recipe, settings: Sequence[str], *, source: str = "--set") -> Recipe:
    """A recipe with some fields replaced.

    Args:
        recipe: The recipe to start from.
        settings: ``name=value`` each, e.g. ``train.steps=500``; ``null`` is no value. All are
            applied before the result is checked, and the last one of a name wins.
        source: Where the settings come from, for errors.

    Raises:
        UnknownNameError: A name is no field; the text offers the nearest.
        UserError: A setting has no ``=``, or its value has the wrong type or range.
    """
    if not settings:
        return recipe
    data = recipe.model_dump(mode="json")
    given: dict[str, str] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"{source} {setting}: expected name=value, e.g. train.steps=500.")
        _put(data, name.strip(), _value(text.strip(), setting))
        given[name.strip()] = text.strip()
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        clauses = [_clause(detail, given) for detail in error.errors()]
        raise UserError(f"{source}: {'; '.join(clauses)}.") from error


def setting_names() -> list[str]:
    """Every name that `apply_settings` takes."""
    return sorted(_names(Recipe, ""))


def mode_of(recipe: Recipe, base: Recipe) -> Mode:
    """How a recipe relates to the one that its suite names, steps of the suite included.

    Returns:
        ``reference`` where only float32 precision may differ, ``fast`` for the same in bf16, else
        ``custom``.
    """
    if recipe.model_copy(update={"precision": base.precision}) != base:
        return "custom"
    return "reference" if recipe.precision == "float32" else "fast"


def is_official(suite: Suite, mode: Mode) -> bool:
    """Whether a result may be called official: an official suite and an unchanged recipe."""
    return suite.official and mode != "custom"


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if not prefix and name in ("name", "version"):
            continue
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        nested = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if nested:
            yield from _names(nested[0], f"{prefix}{name}.")
        if not nested or type(None) in options:
            yield f"{prefix}{name}"


def _put(data: dict[str, Any], name: str, value: Any) -> None:
    if name not in setting_names():
        raise UnknownNameError("recipe field", name, setting_names())
    *groups, last = name.split(".")
    for depth, group in enumerate(groups):
        if data[group] is None:
            path = ".".join(groups[: depth + 1])
            raise UserError(
                f"--set {name}: this recipe has no {path}. Give it whole, "
                f"e.g. --set '{path}={{rank: 8, alpha: 32, dropout: 0.1}}'."
                if path == "lora"
                else f"--set {name}: this recipe has no {path}; only the recipe 'mini' has."
            )
        data = data[group]
    data[last] = value


def _value(text: str, setting: str) -> Any:
    for kind in (int, float):
        try:
            value = kind(text)  # YAML alone would read 1e-4 as a text
        except ValueError:
            continue
        if math.isfinite(value):
            return value
    try:
        return parse_yaml(text, f"--set {setting}")
    except CatalogError as error:
        raise UserError(str(error)) from error


def _clause(detail: Any, given: dict[str, str]) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    text = given.get(name)
    clause = problem_text(Recipe, detail)
    return clause if text is None else f"{name} is '{text}'{clause[clause.index(':') :]}"
