"""A receipt: what was examined, when, behind which locks, and what was found.

It is handed to the team and kept by the organiser. Its own hash is over all its other fields, so
that neither side can change a copy unseen. The format::

    {"schema_version": 1, "archive_sha256", "archive_bytes", "time": ISO 8601 in UTC, "team",
     "accepted", "stages": {name: verdict}, "locks": {...}, "limits": {...}, "environment_sha256",
     "installed": {package: version}, "auricle", "receipt_sha256"}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from auricle.challenge.verdicts import Stage, Verdict
from auricle.files import sha256_file, sha256_json

SCHEMA_VERSION = 1


def make_receipt(
    archive: Path,
    stages: Sequence[Stage],
    *,
    team: str | None,
    locks: Mapping[str, str],
    limits: Mapping[str, float],
    environment: Mapping[str, Any],
) -> dict[str, Any]:
    """Write down an examination.

    Args:
        archive: The ZIP.
        stages: What was found.
        team: The declared team, where the declaration could be read.
        locks: What the code was locked in by; empty where none of it was run.
        limits: What the code was allowed to take, in bytes and seconds.
        environment: Facts from `freeze_environment`; empty where there is none.
    """
    receipt: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "archive_sha256": sha256_file(archive),
        "archive_bytes": archive.stat().st_size,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "team": team,
        "accepted": is_accepted(stages),
        "stages": {stage.name: str(stage.verdict) for stage in stages},
        "locks": dict(locks),
        "limits": dict(limits),
        "environment_sha256": environment.get("sha256"),
        "installed": environment.get("installed", {}),
        "auricle": metadata.version("auricle"),
    }
    return receipt | {"receipt_sha256": sha256_json(receipt)}


def is_accepted(stages: Sequence[Stage]) -> bool:
    """Whether no stage failed and none was left out; what cannot be measured is no failure."""
    return all(
        stage.passed or (stage.passed is None and stage.verdict is Verdict.NOT_MEASURED)
        for stage in stages
    )


def is_unchanged(receipt: Mapping[str, Any]) -> bool:
    """Whether a receipt still has the content that its hash was made from."""
    content = {name: value for name, value in receipt.items() if name != "receipt_sha256"}
    return receipt.get("receipt_sha256") == sha256_json(content)
