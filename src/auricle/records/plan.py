"""``plan.json`` and what ``auricle plan --json`` prints: what a run is expected to cost.

Everything but the counts is an estimate; null is unknown. Fields may be added.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from auricle.files import write_json
from auricle.records.record import Record

SCHEMA_VERSION = 1
STAGES = ("fetch", "encode", "train", "answer")

Number = int | float
Source = Literal["data", "catalog"] | None
Seconds = dict[str, Number | None]


class PlannedSide(Record):
    """The clips of one side of a task."""

    task: str
    """The task's name."""
    side: str
    """train, test or held out."""
    shards: int
    """How many it has."""
    present: int
    """How many of them are on this machine."""
    bytes: int
    """What these take."""
    problem: str | None = None
    """Why they cannot be looked for."""
    missing: int
    """How many are not on this machine."""
    clips: int | None = None
    """Clips in all shards."""
    clips_from: Source = None
    """Who says so."""
    hours: Number | None = None
    """Hours of readable audio."""


class PlannedMemory(Record):
    """Bytes on a card; the three stages never need it at once."""

    card_bytes: int
    """Of the challenge's card."""
    machine_bytes: int | None = None
    """Main memory of this machine, or that of the GPU that would be used."""
    encoder_bytes: int | None = None
    train_bytes: int | None = None
    answer_bytes: int | None = None
    most_bytes: int | None = None
    """The largest of the three."""
    estimate: bool = True
    """No verdict."""
    fits: bool | None = None
    """Never said of an estimate."""


class Calibrated(Record):
    """What was measured for a plan."""

    seconds: Number
    """How long that took."""
    measured: dict[str, list[int]]
    """Units that were measured of how many, by stage."""


class Plan(Record):
    """What a run, or a further evaluation of it, is expected to cost."""

    schema_version: int = SCHEMA_VERSION
    """Version of the format."""
    suite: str
    """Name of the suite."""
    encoder: str
    """ENCODER as it was given."""
    device: str
    """The torch device."""
    recipe: str | None = None
    """Name and version of the recipe, e.g. ``official-2``."""
    resampler: str | None = None
    """What brings clips to 16 kHz."""
    on_gpu: bool = True
    """Whether memory is that of a GPU; false where the user chose the processor."""
    steps: int
    """Training steps; 0 where the run's LALM answers."""
    draws: int
    """Training examples."""
    tasks: list[PlannedSide]
    """What is known of the data."""
    missing_shards: int
    """Shards that are not on this machine."""
    download_bytes: int | None = None
    """What is to be downloaded."""
    download_from: Literal["hub", "catalog"] | None = None
    """Who says so: hub, catalog (an estimate), or null."""
    shards_bytes: int
    """Shards that are on this machine."""
    free_bytes: int
    """Free in the data home."""
    disk_budget: Number | None = None
    """Bytes of features on disk at a time, as was asked for."""
    train_windows: int | None = None
    """Distinct windows of all draws."""
    test_windows: int | None = None
    """Distinct windows of the tests."""
    spans: int | None = None
    """Spans of the training."""
    encode_hours: Number | None = None
    """Hours of audio that are to be encoded."""
    stored_hours: Number | None = None
    """Hours of audio that earlier runs have encoded."""
    features_bytes: int | None = None
    """Most bytes of features at a time."""
    checkpoints_bytes: int | None = None
    """Most bytes of checkpoints at a time."""
    memory: PlannedMemory
    """GPU memory by stage."""
    stages_s: Seconds = dict.fromkeys(STAGES)
    """Wall seconds by stage."""
    stages_cpu_s: Seconds = dict.fromkeys(STAGES)
    """Processor seconds by stage, of all processes."""
    at_least_s: Seconds = {}
    """What a first look at the encoder says that a stage takes at least, where it says anything."""
    answer_at_most_s: Number | None = None
    """Wall seconds of the answers if each is as long as it may be."""
    answer_at_most_cpu_s: Number | None = None
    """Their processor seconds."""
    calibration: Calibrated | None = None
    """What was measured."""
    problem: str | None = None
    """Why something is unknown."""
    interrupted: bool = False
    """Whether the user stopped it: what was not measured yet is unknown."""
    evaluation: str | None = None
    """Of a further evaluation: its suite."""
    training: Literal["reuse", "apart"] | None = None
    """Of a further evaluation: whose LALM answers."""
    further: list[Plan] = []
    """Plans of the further evaluations."""

    def to_json(self) -> dict[str, JsonValue]:
        """The stored form: every field, null where nobody knows."""
        return self.model_dump()

    def write(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_json(path, self.to_json())
