"""Files of answers from anywhere, read and scored: ``auricle score FILE --metric M``.

Formats, all UTF-8:

- CSV as XARES-LLM's ``predictions_*.csv``, and TSV: a header with ``predict`` and ``labels`` (also
  ``prediction``; ``label``, ``reference``, ``references``), a row per sample. A column ``id`` makes
  rows of one id the references of one clip, whose answer must then be the same; without it every
  row is a clip of its own. Other columns are ignored.
- JSON lines: ``{"id", "prediction", "references": [text, ...]}`` a line; ``id`` may be left out of
  all (or be null), ``references`` may be one text. A JSON list of such objects is read too.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from auricle.errors import ScoringError
from auricle.metrics.compute import canonical_metric, compute_prepared, prepare
from auricle.metrics.result import MetricOptions, finite_or_none
from auricle.scoring.summary import ScoredClip, measured

_ANSWER = ("predict", "prediction", "predictions")
_REFERENCE = ("labels", "label", "references", "reference")
_BESIDE = ("low", "high", "interval", "chance", "chance_corrected", "chance_answers")


def score_file(path: Path, metric: str, *, options: MetricOptions | None = None) -> dict[str, Any]:
    """Score a file of answers.

    Args:
        path: CSV, TSV or JSON lines.
        metric: Name in any case.
        options: What the metric needs besides texts.

    Returns:
        ``{"metric", "score", "raw", "corrected", "reason", "per_clip", "num_clips", "num_samples",
        "detail"}``, fit for JSON; where there is a score also ``low`` and ``high`` with how they
        were found (``interval``), ``chance``, ``chance_corrected`` and ``chance_answers``.

    Raises:
        ScoringError: The file cannot be read, or a caption model is missing.
        UnknownNameError: No such metric.
    """
    name, options = canonical_metric(metric), options or MetricOptions()
    clips = read_clips(path)
    samples = prepare(name, [c.prediction for c in clips], [c.references for c in clips])
    result = compute_prepared(name, samples, options)
    known = {} if result.score is None else measured(samples, result, options)
    return {
        "metric": result.metric,
        "score": result.score,
        "raw": None if result.raw is None else finite_or_none(result.raw),
        "corrected": result.corrected,
        "reason": result.reason,
        "per_clip": result.per_clip,
        "num_clips": result.num_clips,
        "num_samples": result.num_samples,
        **{field: known.get(field) for field in _BESIDE},
        "detail": known.get("detail", result.detail),
    }


def read_clips(path: Path) -> list[ScoredClip]:
    """Read a file of answers; its ending, or else its first characters, tell the format.

    Raises:
        ScoringError: It is none of the formats; the text names the line.
    """
    if not path.is_file():
        raise ScoringError(
            f"There is no file {path}. Give a CSV, TSV or JSON lines file of answers, or a run "
            "folder."
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return _read(path, stream)
    except UnicodeDecodeError as error:
        raise ScoringError(
            f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8 and try again."
        ) from error
    except OSError as error:
        raise ScoringError(f"{path} cannot be read ({error.strerror}).") from error


def _read(path: Path, stream: TextIO) -> list[ScoredClip]:
    start = stream.read(4096)
    stream.seek(0)
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".json", ".ndjson") or start.lstrip()[:1] in ("{", "["):
        if start.lstrip()[:1] == "[":
            return _from_objects(path, _list_items(path, stream))
        return _from_objects(path, _lines(path, stream))
    header = start.splitlines()[0] if start else ""
    tabs = suffix == ".tsv" or (suffix != ".csv" and "\t" in header)
    # Answers may be longer than the csv module's default field.
    before = csv.field_size_limit(sys.maxsize)
    try:
        return _from_rows(path, csv.reader(stream, delimiter="\t" if tabs else ",", strict=True))
    except csv.Error as error:
        raise ScoringError(
            f"{path} is no valid {'TSV' if tabs else 'CSV'} file ({error}). Fields that hold "
            "quotes, separators or line ends must be quoted."
        ) from error
    finally:
        csv.field_size_limit(before)


def _from_rows(path: Path, rows: Iterator[list[str]]) -> list[ScoredClip]:
    header = [name.strip().lower() for name in next(rows, [])]
    answer = next((header.index(name) for name in _ANSWER if name in header), None)
    reference = next((header.index(name) for name in _REFERENCE if name in header), None)
    if answer is None or reference is None:
        seen = ", ".join(header[:8])
        seen = f"has the columns: {seen}" if header else "is empty"
        raise ScoringError(f"{path} {seen}. Expected a header with 'predict' and 'labels'.")
    identity = header.index("id") if "id" in header else None
    answers: dict[str, str] = {}
    references: dict[str, list[str]] = {}
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(header):
            raise ScoringError(
                f"{path}, row {number} has {len(row)} fields, the header {len(header)}. Quote "
                "fields that hold separators."
            )
        clip = str(number - 2) if identity is None else row[identity]
        if not clip.strip():
            raise ScoringError(
                f"{path}, row {number} has no id. Give every row one, or leave the column out, "
                "where each row is a clip of its own."
            )
        if answers.setdefault(clip, row[answer]) != row[answer]:
            raise ScoringError(
                f"{path}, row {number}: clip '{clip}' has two different answers. Rows of one id "
                "are the references of one answer."
            )
        references.setdefault(clip, []).append(row[reference])
    return [ScoredClip(clip, text, tuple(references[clip])) for clip, text in answers.items()]


def _lines(path: Path, stream: TextIO) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(stream, 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ScoringError(
                    f"{path}, line {number} is no JSON ({error}). Expected one object a line."
                ) from error


def _list_items(path: Path, stream: TextIO) -> Iterator[tuple[str, Any]]:
    try:
        values = json.load(stream)
    except (ValueError, RecursionError) as error:
        raise ScoringError(f"{path} is no JSON ({error}).") from error
    yield from ((f"item {number}", value) for number, value in enumerate(values, 1))


def _from_objects(path: Path, objects: Iterable[tuple[str, Any]]) -> list[ScoredClip]:
    clips: list[ScoredClip] = []
    seen: set[str] = set()
    for place, value in objects:
        if not isinstance(value, dict) or not {"prediction", "references"} <= value.keys():
            names = ", ".join(list(value)[:8]) if isinstance(value, dict) else type(value).__name__
            raise ScoringError(
                f"{path}, {place} holds {names or 'nothing'}. Expected an object with 'prediction' "
                "and 'references'."
            )
        texts = value["references"]
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(value["prediction"], str) or not _are_texts(texts):
            raise ScoringError(
                f"{path}, {place}: 'prediction' must be a text and 'references' a list of texts."
            )
        clip = _id(path, place, value.get("id"))
        if clips and (clip is None) == bool(seen):
            raise ScoringError(
                f"{path}, {place} {'has no' if seen else 'has an'} id, unlike those before it. "
                "Give every clip an id, or none."
            )
        if clip in seen:
            raise ScoringError(f"{path}, {place}: the id '{value['id']}' stands there twice.")
        if clip is not None:
            seen.add(clip)
        name = str(len(clips) if clip is None else value["id"])
        clips.append(ScoredClip(name, value["prediction"], tuple(texts)))
    return clips


def _id(path: Path, place: str, value: Any) -> str | None:
    """What tells a clip from others: 1 and "1" are two; None where it has no id."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ScoringError(f"{path}, {place}: 'id' must be a text or a number.")
    return f"{type(value).__name__} {value}"


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
