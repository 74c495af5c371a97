"""``manifest.json``: what a run is, on what it was trained, what it was asked, where it ran.

The parts stand in the order in which they are written. Fields may be added; none is renamed without
a new `SCHEMA_VERSION`. Most may be missing: an older auricle did not write them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import JsonValue

from auricle.errors import UserError
from auricle.files import read_json, sha256_json, write_json
from auricle.records.record import Record

SCHEMA_VERSION = 1
HASH_DIGITS = 12
RECIPE_VERSIONS = {"official": 2}
"""Versions of the catalog's recipes that are not 1; runs of others are readable, and custom."""
PROVENANCE = ("repository", "commit")
"""Where shards came from, in a data lock: the same bytes are the same data."""

Number = int | float


class EncoderProperties(Record):
    """What was measured of an encoder before anything was encoded.

    Differences are relative to the features' RMS, None where the numbers of frames differ.
    """

    padding_invariant: bool | None = None
    """Whether a window's features are the same alone and padded beside longer ones."""
    batch_invariant: bool | None = None
    """Whether they are the same alone and beside others of the window's length."""
    padding_difference: Number | None = None
    """The largest difference that padding makes."""
    batch_difference: Number | None = None
    """The largest difference that company makes."""
    frame_rate_hz: Number | None = None
    """Frames a second."""


class EncoderFacts(Record):
    """The encoder of a run."""

    name: str = "encoder"
    """For people; part of the folder's name. Of a judged run, the team."""
    text: str | None = None
    """ENCODER as it was given."""
    arguments: dict[str, JsonValue] | None = None
    """What its constructor was given."""
    class_name: str | None = None
    """Its class."""
    output_dim: int | None = None
    """Numbers in a frame."""
    dtype: str | None = None
    """That of its features: float32, float16 or bfloat16."""
    num_parameters: int | None = None
    """How many parameters it has."""
    content_hash: str | None = None
    """Hash of its arguments, files and packages; finds stored features (law 5)."""
    files: dict[str, str] | None = None
    """SHA-256 of each local file that its import, construction and first window opened."""
    packages: dict[str, str] | None = None
    """Versions of the installed packages that it imported."""
    python: str | None = None
    """Version of its interpreter."""
    pid: int | None = None
    """Its process, while the run went on."""
    notes: list[str] | None = None
    """What was assumed or left out when its files were loaded."""
    properties: EncoderProperties = EncoderProperties()
    """What was measured of it."""


class ShardFacts(Record):
    """One shard of a data lock."""

    name: str = ""
    """Its path in the repository."""
    size: int | None = None
    """Bytes of the plain tar."""
    sha256: str = ""
    """SHA-256 of the plain tar."""


class DataLock(Record):
    """What one side of a task resolved to on the machine of the run."""

    repository: str | None = None
    """Where the shards came from."""
    commit: str | None = None
    """At which commit."""
    clips: int | None = None
    """Clips in them, as far as they are used."""
    shards: list[ShardFacts] = []
    """The shards, in order."""
    index: int | None = None
    """Version of what told the clips' lengths and the order in which they are encoded."""
    decoder: str | None = None
    """Version of what decoded them."""


class _Trained(Record):
    share: Number | None = None
    """Part of all draws."""
    prompt: str | list[str] | None = None
    """What the LALM was asked."""
    prompt_field: str | None = None
    """Where the prompt is empty and not that of the field ``prompt``: the clips' field, or ""."""
    field: str | None = None
    """The clips' field that holds the answer."""
    held_out: dict[str, JsonValue] | None = None
    """Which part of the training clips was kept back and asked instead."""


class MixtureTask(DataLock, _Trained):
    """A task as it was trained on; its content is part of the run's identity."""

    def content(self) -> dict[str, JsonValue]:
        """The stored form without where the shards came from."""
        return {k: v for k, v in self.to_json().items() if k not in PROVENANCE}


class _Asked(Record):
    track: str | None = None
    """a (classification) or b (transcription and captions)."""
    domain: str | None = None
    """Speech, sound, music or general."""
    skill: str | None = None
    """What must be heard: what, who, when or how many."""
    prompt: str | list[str] | None = None
    """The question."""
    prompt_field: str | None = None
    """As in ``mixture``."""
    metric: str
    """Canonical name of the metric."""
    num_classes: int | None = None
    """How many classes the task has, where its metric needs it."""
    separator: str = ";"
    """What stands between labels."""
    field: str | None = None
    """The clips' field that holds the references."""
    held_out: dict[str, JsonValue] | None = None
    """Which part of the training clips was kept back and is asked here."""
    clips_expected: int
    """Test clips; a task that has answers to fewer counts as missing."""
    licence: str | None = None
    """Of the audio."""
    redistribute: str | None = None
    """Whether audio and references may be handed on: no, attribution or yes."""
    attribution: str | None = None
    """Whom to name for audio and references."""


class TestTask(DataLock, _Asked):
    """A task as it is asked, and how its answers are scored."""

    __test__ = False  # no class of tests, whatever pytest thinks of its name

    @property
    def asked(self) -> list[JsonValue]:
        """What decides the answers: prompt, field and clips, by content.

        How the clips were read is part of it: a run is not continued on other lengths or samples.
        """
        shards: list[JsonValue] = [shard.sha256 for shard in self.shards]
        prompt: JsonValue = [*self.prompt] if isinstance(self.prompt, list) else self.prompt
        if self.prompt_field is not None:
            prompt = [prompt, {"field": self.prompt_field}]
        question = [prompt, self.field, self.clips_expected, self.held_out]
        return [*question, self.index, self.decoder, shards]


class Batches(Record):
    """How windows share encode batches (law 1)."""

    mode: str = ""
    """padded, equal or single."""
    budget_s: Number = 0.0
    """Padded seconds of audio in one batch."""
    splits: dict[str, list[int]] = {}
    """Of batches that did not fit into memory: how many windows each part has."""


class Hardware(Record):
    """The machine."""

    processor: str | None = None
    """The processor's name."""
    cores: int | None = None
    """Its cores."""
    memory_bytes: int | None = None
    """Main memory."""
    system: str | None = None
    """Operating system and architecture."""
    gpu: str | None = None
    """The GPU's name, where one was used."""
    gpu_memory_bytes: int | None = None
    """Its memory."""


class Settings(Record):
    """Machine settings: they change float rounding and nothing more."""

    device: str | None = None
    """The torch device."""
    threads: int | None = None
    """Threads of torch, here and in the encoder's process."""
    workers: int | None = None
    """Threads and processes that decode and index."""


class Trained(Record):
    """Of a further evaluation: which LALM answered."""

    training: Literal["reuse", "apart"]
    """reuse: the run's own; apart: one for each task."""
    runs: dict[str, str]
    """The run that answered each task, below the folder of all runs."""


class Manifest(Record):
    """What a run is."""

    schema_version: int
    """Version of the format."""
    created: str | None = None
    """When the run began, in UTC."""
    suite: str
    """Name of the suite."""
    mode: str = ""
    """reference, fast or custom."""
    official: bool = False
    """True only for the official suites and tasks in reference or fast mode."""
    official_tasks: bool = False
    """Whether the suite is made of official tasks, whose tracks are never averaged together."""
    encoder: EncoderFacts
    """The encoder."""
    mixture: dict[str, MixtureTask] = {}
    """Training tasks by name."""
    test: dict[str, TestTask]
    """Test tasks by name."""
    recipe: dict[str, JsonValue] = {}
    """All fields of the recipe."""
    seed: int = 0
    """The run's seed."""
    batches: Batches = Batches()
    """How windows share encode batches; a run that continues keeps it."""
    versions: dict[str, str] = {}
    """Versions of auricle, Python and the packages that compute."""
    hardware: Hardware = Hardware()
    """The machine that the run ran on."""
    settings: Settings = Settings()
    """Its settings."""
    trained: Trained | None = None
    """Of a further evaluation: which LALM answered."""
    stages_s: dict[str, Number] = {}
    """Wall seconds by stage."""
    stages_cpu_s: dict[str, Number] = {}
    """Processor seconds by stage, of all processes, the encoder's included."""
    notes: list[str] = []
    """What a reader of the scores must know, such as replaced clips."""
    failures: dict[str, str] = {}
    """Tasks that failed or are incomplete, with the reason; they count as missing (law 7)."""

    @property
    def identity(self) -> str:
        """The run's hash, which ends the name of its folder."""
        return run_hash(
            encoder=self.encoder.content_hash or "",
            mixture=self.mixture,
            recipe=self.recipe,
            seed=self.seed,
        )

    @property
    def recipe_label(self) -> str:
        """Name and version of the recipe, e.g. ``official-2``."""
        return f"{self.recipe.get('name') or 'unknown'}-{self.recipe.get('version', 1)}"

    @property
    def has_current_recipe(self) -> bool:
        """Whether the recipe is of the version that this auricle runs: only such are ranked."""
        return is_current(self.recipe_label)

    @property
    def standing_mode(self) -> str:
        """The mode that the run counts as: one of another version of its recipe is custom."""
        return self.mode if self.has_current_recipe else "custom"

    @property
    def is_official(self) -> bool:
        """Whether the run still counts as official."""
        return self.official and self.has_current_recipe

    @property
    def batch_size(self) -> int | None:
        """Training examples in a step."""
        return self._of_training("batch_size")

    @property
    def steps(self) -> int | None:
        """Training steps."""
        return self._of_training("steps")

    def _of_training(self, name: str) -> int | None:
        train = self.recipe.get("train")
        value = train.get(name) if isinstance(train, dict) else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @classmethod
    def read(cls, path: Path) -> Self:
        """The manifest of a run.

        Raises:
            UserError: It is of another schema.
            DamagedFileError: It is no JSON, or a field is not what it should be.
        """
        value = read_json(path)
        version = value.get("schema_version", SCHEMA_VERSION) if isinstance(value, dict) else 1
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{path} has schema version {version}, this auricle writes {SCHEMA_VERSION}. Use "
                "the version that made the run, or choose another folder with --out."
            )
        return cls.from_json(value, path)

    def write(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_json(path, self.to_json())

    def with_stage(self, stage: str, seconds: float, *, cpu_s: float = 0.0) -> Self:
        """With what a stage took; one that was interrupted adds up over its parts.

        Args:
            stage: Its name.
            seconds: Wall time.
            cpu_s: Processor seconds of all processes.
        """
        return self.with_fields(
            stages_s=_added(self.stages_s, {stage: seconds}),
            stages_cpu_s=_added(self.stages_cpu_s, {stage: cpu_s}),
        )

    def with_splits(self, splits: Mapping[str, Sequence[int]]) -> Self:
        """With the parts of encode batches that did not fit; those that are known stay."""
        kept = {batch: list(parts) for batch, parts in splits.items()} | self.batches.splits
        order = [*self.batches.splits, *splits]
        known = {batch: kept[batch] for batch in order}
        return self.with_fields(batches=self.batches.with_fields(splits=known))

    def with_times_of(self, other: Manifest) -> Self:
        """With what another run's stages took added to its own."""
        return self.with_fields(
            stages_s=_added(self.stages_s, other.stages_s),
            stages_cpu_s=_added(self.stages_cpu_s, other.stages_cpu_s),
        )


def is_current(label: str) -> bool:
    """Whether a recipe of this name and version, e.g. ``official-2``, is what is run now."""
    name, _, version = label.rpartition("-")
    return version == str(RECIPE_VERSIONS.get(name, 1))


def run_hash(
    *,
    encoder: str,
    mixture: Mapping[str, MixtureTask],
    recipe: Mapping[str, JsonValue],
    seed: int,
) -> str:
    """Hash of everything that decides a run's LALM (law 5).

    Args:
        encoder: The encoder's content hash.
        mixture: The training tasks: prompts, fields, shares and the data lock of their shards.
        recipe: All fields of the recipe.
        seed: The run's seed.
    """
    content = {name: task.content() for name, task in mixture.items()}
    parts = {"encoder": encoder, "mixture": content, "recipe": recipe, "seed": seed}
    return sha256_json(parts)[:HASH_DIGITS]


def _added(one: Mapping[str, Number], other: Mapping[str, Number]) -> dict[str, Number]:
    total = dict(one)
    for stage, seconds in other.items():
        total[stage] = round(total.get(stage, 0.0) + seconds, 3)
    return total
