"""Who a run stands for on the board, and how it was measured.

A judged run (``receipt.json`` in its folder, ``submission.yaml`` too where the declaration is to be
shown) stands under its team's name; others stand under their encoder's name. People, addresses and
local paths are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from auricle.board.model import DataSet, Declaration, Entry, Report
from auricle.board.names import base_slug, clean_name, clean_text
from auricle.board.read_values import is_hidden, read_object
from auricle.challenge.receipt import RECEIPT, ChangedReceiptError, Examined, examine_receipt
from auricle.challenge.submission import FILE_NAME, ORGANISERS_SET, Submission, read_submission
from auricle.errors import ScoringError
from auricle.progress import duration_text
from auricle.records.manifest import Manifest
from auricle.records.receipt import Receipt
from auricle.records.scores import Scores
from auricle.runs.folder import RunFolder
from auricle.runs.report_facts import without_folders

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def run_entry(
    folder: RunFolder,
    manifest: Manifest,
    scores: Scores,
    withheld: tuple[str, ...],
    examined: Examined,
) -> Entry:
    """Who a run stands for, and how it was measured.

    Args:
        folder: The run.
        manifest: Its manifest.
        scores: Its ``scores.json``.
        withheld: Names of its hidden tasks that are not released.
        examined: What its receipt is worth.

    Raises:
        SubmissionError: Its declaration is not valid.
    """
    submission = read_submission(folder.path) if (folder.path / FILE_NAME).is_file() else None
    receipt = examined.receipt
    team = submission.team if submission else receipt and receipt.team
    name = str(team or manifest.encoder.name or folder.path.name)
    version = manifest.versions.get("auricle")
    mode = (scores.mode or "unknown") if manifest.has_current_recipe else "custom"
    # The run's own hash, so that each run keeps an address of its own, and its folder's.
    slug = f"{base_slug(name) or 'run'}-{manifest.identity}"
    return Entry(
        slug=slug,
        team=clean_name(name),
        affiliation="",
        kind="run",
        mode=clean_text(mode, limit=20),
        protocol=clean_text(
            f"auricle {version or '(unknown version)'}, {manifest.recipe_label}", limit=60
        ),
        date=_date_of(folder, receipt),
        facts=(*_suite_mean(scores), *_facts_of(manifest), *_judged(examined)),
        notes=_safe_notes(manifest.notes, withheld),
        declaration=_declaration(submission) if submission else None,
        reports=() if withheld else tuple(_reports(folder, slug)),
        source=f"seed {manifest.seed}",
        signer=clean_text(examined.signer),
    )


def read_receipt(folder: RunFolder, trusted: Mapping[str, str]) -> Examined:
    """What the receipt of a run is worth; a run without one was not judged.

    Args:
        folder: The run.
        trusted: Whose each trusted key is, by the key.

    Raises:
        ScoringError: The receipt, or what it covers, was changed.
    """
    path = folder.path / RECEIPT
    value = read_object(path) if path.is_file() else None
    try:
        return examine_receipt(folder, value, trusted)
    except ChangedReceiptError as error:
        raise ScoringError(str(error)) from error


def _judged(examined: Examined) -> Iterator[tuple[str, str]]:
    receipt = examined.receipt
    if receipt is not None:
        yield "Judged", receipt.time[:10]
        yield "Submission", f"SHA-256 {receipt.archive_sha256[:12]}"
        for remark in receipt.remarks.values():
            yield "To be known", clean_text(remark, limit=300)
        words = "; ".join(_lock_words(receipt.locks))
        yield "Locks", clean_text(words, limit=300) or "none"
    yield "Signed by", clean_text(examined.signer) or f"nobody who is trusted: {examined.fault}"


def _lock_words(locks: Mapping[str, Any]) -> Iterator[str]:
    for name, value in locks.items():
        yield str(value) if name == "sandbox" else f"{name.replace('_', ' ')}: {value}"


def _reports(folder: RunFolder, slug: str) -> Iterator[Report]:
    """Documents of a run whose every score is public: its report shows answers and references."""
    pdf = folder.path / "report.pdf"
    if pdf.is_file():
        yield Report("Technical report (PDF)", f"reports/{slug}.pdf", pdf)
    if folder.report.is_file():
        yield Report("Report of the run, with answers", f"reports/{slug}.html", folder.path)


def _suite_mean(scores: Scores) -> Iterator[tuple[str, str]]:
    """The number that ``auricle run`` prints for a suite whose tracks are averaged together."""
    public = not any(is_hidden(name) for name in scores.tasks)
    if public and scores.mean is not None and len(scores.tracks) > 1:
        yield f"Mean over all {len(scores.tasks)} tasks", f"{scores.mean:.4f}"


def _safe_notes(notes: Sequence[str], withheld: tuple[str, ...]) -> tuple[str, ...]:
    kept = [note for note in notes if not any(name in note for name in withheld)]
    return tuple(clean_text(without_folders(note), limit=300) for note in kept)


def _date_of(folder: RunFolder, receipt: Receipt | None) -> str:
    """The day of the receipt or of the log's last line; without either, of the scores' file."""
    if found := _DATE.match(receipt.time if receipt else ""):
        return found[0]
    if folder.log.is_file():
        lines = folder.log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in reversed(lines):
            if found := _DATE.match(line):
                return found[0]
    return datetime.fromtimestamp(folder.scores.stat().st_mtime, UTC).date().isoformat()


def _facts_of(manifest: Manifest) -> Iterable[tuple[str, str]]:
    """Facts for the entry's page; no local path is among them."""
    encoder, recipe = manifest.encoder, manifest.recipe
    rate = encoder.properties.frame_rate_hz
    seconds = sum(manifest.stages_s.values())
    pairs = {
        "Encoder class": encoder.class_name,
        "Feature dimension": encoder.output_dim,
        "Frame rate": None if rate is None else f"{rate:.4g} Hz",
        "Encoder parameters, as stated": _thousands(encoder.num_parameters),
        "Encoder hash": (encoder.content_hash or "")[:12],
        "Recipe": manifest.recipe_label,
        "Decoder": recipe.get("decoder"),
        "Training steps": _thousands(manifest.steps),
        "Precision": recipe.get("precision"),
        "Seed": manifest.seed,
        "Measured on": manifest.hardware.gpu or manifest.hardware.processor,
        "Time": duration_text(seconds) if seconds else None,
    }
    for name, value in pairs.items():
        if value not in (None, ""):
            yield name, clean_text(str(value), limit=80)


def _thousands(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _declaration(submission: Submission) -> Declaration:
    return Declaration(
        parameters=submission.parameters,
        hardware=clean_text(submission.hardware, limit=200),
        training_data=tuple(
            DataSet(
                name=clean_text(each.name, limit=120),
                source="" if each.source == ORGANISERS_SET else each.source,
                licence=clean_text(each.licence, limit=80),
                hours=each.hours,
                share=each.share,
            )
            for each in submission.training_data
        ),
    )
