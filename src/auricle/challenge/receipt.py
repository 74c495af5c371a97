"""A receipt: what was examined, when, behind which locks, and what was found.

It is handed to the team and kept by the organiser; its fields are those of
`auricle.records.receipt`. Its hash finds a slip of the hand. What proves that nothing was changed
is the signature of whoever judged: it covers every field, and with the digests in ``run`` every
file of the judged run that a board shows anything of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auricle.challenge.submission import FILE_NAME
from auricle.challenge.verdicts import Stage, Verdict
from auricle.errors import UserError
from auricle.files import data_home, sha256_file, sha256_json
from auricle.records.receipt import SCHEMA_VERSION, Receipt, RunDigests, Signature
from auricle.runs.folder import RunFolder

if TYPE_CHECKING:
    from auricle.challenge.signing import SigningKey

RECEIPT = "receipt.json"
_PURPOSE = b"auricle receipt 1\n"
"""Stands before what is signed, so that the key's other signatures are none of receipts."""


def default_key() -> Path:
    """Where a key lies that signs receipts without being named."""
    return data_home() / "keys" / "receipts.key"


def make_receipt(
    archive: Path,
    stages: Sequence[Stage],
    *,
    team: str | None,
    locks: Mapping[str, str],
    environment: Mapping[str, Any],
    limits: Mapping[str, float] | None = None,
    run: RunDigests | None = None,
) -> dict[str, Any]:
    """Write down an examination.

    Args:
        archive: The ZIP.
        stages: What was found.
        team: The declared team, where the declaration could be read.
        locks: What the code was locked in by; empty where none of it was run.
        environment: Facts from `freeze_environment`; empty where there is none.
        limits: What the code was allowed to take, in bytes and seconds.
        run: What the judged run consists of, where there is one.
    """
    receipt = Receipt(
        schema_version=SCHEMA_VERSION,
        archive_sha256=sha256_file(archive),
        archive_bytes=archive.stat().st_size,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        team=team,
        accepted=is_accepted(stages),
        stages={stage.name: str(stage.verdict) for stage in stages},
        evidence={stage.name: stage.evidence for stage in stages if stage.evidence},
        remarks={stage.name: stage.remark for stage in stages if stage.remark},
        locks=dict(locks),
        limits=dict(limits or {}),
        environment_sha256=environment.get("sha256"),
        installed=dict(environment.get("installed", {})),
        auricle=metadata.version("auricle"),
    )
    if run is not None:
        receipt = receipt.with_fields(run=run)
    value = receipt.to_json()
    return value | {"receipt_sha256": _content_hash(value)}


def is_accepted(stages: Sequence[Stage]) -> bool:
    """Whether no stage failed and none was left out; what cannot be measured is no failure."""
    return all(
        stage.passed or (stage.passed is None and stage.verdict is Verdict.NOT_MEASURED)
        for stage in stages
    )


def digest_run(folder: RunFolder) -> RunDigests:
    """Hash what a board shows of a judged run, and what that was made of."""
    every = [folder, *folder.all_further()]
    return RunDigests(
        scores=_digest(folder, [folder.scores, *_below(folder.path / "scores")]),
        predictions=_digest(folder, [p for e in every for p in _below(e.predictions_folder)]),
        manifests=_digest(folder, [each.manifest for each in every]),
        declaration=_digest(folder, [folder.path / FILE_NAME]),
        reports=_digest(
            folder, [folder.path / "report.pdf", *(p for e in every for p in _page(e))]
        ),
        recipe=folder.read_manifest().recipe_label,
    )


def _page(folder: RunFolder) -> Iterator[Path]:
    yield folder.report
    yield folder.floor
    yield from _below(folder.excerpts_folder)


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digest(folder: RunFolder, files: Sequence[Path]) -> str:
    """One hash over files by their names in the folder; one that is not there is not in it."""
    present = (path for path in files if path.is_file())
    return sha256_json({p.relative_to(folder.path).as_posix(): sha256_file(p) for p in present})


def is_unchanged(receipt: Mapping[str, Any]) -> bool:
    """Whether a receipt still has the content that its hash was made from."""
    return receipt.get("receipt_sha256") == _content_hash(receipt)


def _content_hash(receipt: Mapping[str, Any]) -> str:
    left_out = ("receipt_sha256", "signature")
    return sha256_json({name: v for name, v in receipt.items() if name not in left_out})


def sign_receipt(receipt: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """The same receipt with a signature of all that it says."""
    from auricle.challenge.signing import ALGORITHM

    value = key.sign(_signed_bytes(receipt))
    signature = Signature(algorithm=ALGORITHM, key=key.public, value=value)
    return {**receipt, "signature": signature.to_json()}


def _signed_bytes(receipt: Mapping[str, Any]) -> bytes:
    content = {name: value for name, value in receipt.items() if name != "signature"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return _PURPOSE + text.encode()


class ChangedReceiptError(UserError):
    """A receipt, or the run that it is of, is not what was signed."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a run's receipt is worth to somebody who trusts some keys."""

    receipt: Receipt | None = None
    """None where the run has none."""
    signer: str = ""
    """Whose key signed it; empty where no trusted one did."""
    fault: str = "it has no receipt"
    """Why nobody who is trusted vouches for it, empty where somebody does."""


def examine_receipt(
    folder: RunFolder, value: Mapping[str, Any] | None, trusted: Mapping[str, str]
) -> Examined:
    """Hold a run against its receipt, and the receipt against its signature.

    Args:
        folder: The run.
        value: The content of its ``receipt.json``; None where there is none.
        trusted: Whose each trusted key is, by the key.

    Raises:
        ChangedReceiptError: The receipt or a file that it covers was changed.
        DamagedFileError: A field of the receipt is not what it should be.
    """
    if value is None:
        return Examined()
    path = folder.path / RECEIPT
    receipt = Receipt.from_json(value, path)
    if not is_unchanged(value):
        raise ChangedReceiptError(
            f"{path} was changed after it was written: its content has another hash than it says. "
            "Give the folder that 'auricle challenge judge' made."
        )
    if receipt.signature is None:
        return Examined(receipt, fault="its receipt is not signed")
    from auricle.challenge.signing import ALGORITHM, is_signature

    key, signed = receipt.signature.key, receipt.signature.value
    known = receipt.signature.algorithm == ALGORITHM
    if not known or not is_signature(signed, _signed_bytes(value), public=key):
        raise ChangedReceiptError(
            f"{path} was changed after it was signed: its signature is not one of its content. "
            "Give the folder that 'auricle challenge judge' made."
        )
    if receipt.run is None:
        return Examined(receipt, fault="its receipt is of an examination, not of this run")
    found = digest_run(folder)
    said = receipt.run.to_json()
    changed = [name for name, value in found.to_json().items() if said.get(name, value) != value]
    if changed:
        raise ChangedReceiptError(
            f"{folder.path} is not the run that was signed: changed since are its "
            f"{', '.join(changed)}. Give the folder that 'auricle challenge judge' made."
        )
    if key not in trusted:
        fault = f"its receipt is signed by the key {key[:12]}..., which is not in the list"
        return Examined(receipt, fault=fault)
    return Examined(receipt, signer=trusted[key], fault="")
