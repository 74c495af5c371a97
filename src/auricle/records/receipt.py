"""``receipt.json``: what was examined, when, within which limits and locks, and what was found.

Fields may be added; none is renamed. A receipt of an older auricle has neither ``limits`` nor
``run`` nor a signature.
"""

from __future__ import annotations

from auricle.records.record import Record

SCHEMA_VERSION = 1


class RunDigests(Record):
    """What a judged run consists of: for each part one hash over the names and hashes of its files.

    No file is named here, because a file's name can be that of a hidden task.
    """

    scores: str
    """``scores.json`` and ``scores/``."""
    predictions: str
    """``predictions/``, those of further evaluations included."""
    manifests: str
    """``manifest.json`` of the run and of its further evaluations: suites and data locks."""
    declaration: str
    """``submission.yaml``."""
    reports: str
    """``report.pdf``, pages, and the excerpts that they play."""
    recipe: str | None = None
    """Name and version of the recipe, e.g. ``official-2``; an older auricle did not write it."""


class Signature(Record):
    """By whom a receipt was signed."""

    algorithm: str
    """``Ed25519``."""
    key: str
    """The public key, 32 bytes as base64."""
    value: str
    """Of the canonical JSON of all other fields, 64 bytes as base64."""


class Receipt(Record):
    """An examination, and the judged run where there was one."""

    schema_version: int
    """1."""
    archive_sha256: str
    """Of the submission's ZIP."""
    archive_bytes: int | None = None
    """Its size."""
    time: str
    """When it was written, ISO 8601 in UTC."""
    team: str | None = None
    """The declared team, where the declaration could be read."""
    accepted: bool
    """Whether no stage failed."""
    stages: dict[str, str] = {}
    """Verdict of each stage."""
    evidence: dict[str, str] = {}
    """Of each stage that was not good: on what its verdict rests."""
    remarks: dict[str, str] = {}
    """Of stages: what breaks no rule but is to be known, such as what an encoder does not hear."""
    locks: dict[str, str] = {}
    """What held the code; empty where none of it was run."""
    limits: dict[str, int | float] = {}
    """What the code was allowed to take, in bytes and seconds."""
    environment_sha256: str | None = None
    """Of every file of the submission's environment."""
    installed: dict[str, str] = {}
    """Versions of the packages that were installed for it."""
    run: RunDigests | None = None
    """What the judged run consists of."""
    auricle: str | None = None
    """The version that wrote this."""
    receipt_sha256: str | None = None
    """Of the canonical JSON of all fields above: finds a slip, and proves nothing."""
    signature: Signature | None = None
    """Proves who wrote it, to whoever knows the key."""
