"""Files of answers from anywhere, read and scored: ``auricle score FILE --metric M``.

Formats, all UTF-8:

- CSV as XARES-LLM's ``predictions_*.csv``, and TSV: a header with ``predict`` and ``labels`` (also
  ``prediction``; ``label``, ``reference``, ``references``), a row per sample. A column ``id`` makes
  rows of one id the references of one clip, whose answer must then be the same; without it every
  row is a clip of its own. Other columns are ignored. Rows without any value, which spreadsheets
  leave at the end, are no clips; they are counted.
- JSON lines: ``{"id", "prediction", "references": [text, ...]}`` a line; ``id`` may be left out of
  all (or be null), ``references`` may be one text. A JSON list of such objects is read too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from auricle.delimited import DelimitedTable, open_text, read_delimited
from auricle.errors import ScoringError
from auricle.metrics.compute import canonical_metric, compute_prepared, prepare
from auricle.metrics.result import MetricOptions, finite_or_none
from auricle.scoring.summary import ScoredClip, measured, wrong_count

_ANSWER = ("predict", "prediction", "predictions")
_REFERENCE = ("labels", "label", "references", "reference")
_BESIDE = ("low", "high", "interval", "chance", "chance_corrected", "chance_answers")


def score_file(
    path: Path, metric: str, *, options: MetricOptions | None = None, expected: int | None = None
) -> dict[str, Any]:
    """Score a file of answers.

    Args:
        path: CSV, TSV or JSON lines.
        metric: Name in any case.
        options: What the metric needs besides texts.
        expected: How many clips its task has; None where that is not known.

    Returns:
        ``{"metric", "score", "raw", "corrected", "reason", "per_clip", "num_clips", "num_samples",
        "detail"}``, fit for JSON; where there is a score also ``low`` and ``high`` with how they
        were found (``interval``), ``chance``, ``chance_corrected`` and ``chance_answers``.
        ``clips_expected`` is ``expected``, ``failure`` says where the file has another number, and
        ``empty_rows`` counts rows without any value, which are no clips.

    Raises:
        ScoringError: The file cannot be read, or a caption model is missing.
        UnknownNameError: No such metric.
    """
    name, options = canonical_metric(metric), options or MetricOptions()
    clips, empty_rows = read_answers(path)
    samples = prepare(name, [c.prediction for c in clips], [c.references for c in clips])
    result = compute_prepared(name, samples, options)
    known = {} if result.score is None else measured(samples, result, options).to_json()
    return {
        "metric": result.metric,
        "score": result.score,
        "raw": None if result.raw is None else finite_or_none(result.raw),
        "corrected": result.corrected,
        "reason": result.reason,
        "per_clip": result.per_clip,
        "num_clips": result.num_clips,
        "num_samples": result.num_samples,
        "clips_expected": expected,
        "failure": wrong_count(len(clips), expected),
        "empty_rows": empty_rows,
        **{field: known.get(field) for field in _BESIDE},
        "detail": known.get("detail", result.detail),
    }


class Answers(NamedTuple):
    """What a file of answers holds."""

    clips: list[ScoredClip]
    empty_rows: int
    """Rows without any value."""


def read_answers(path: Path) -> Answers:
    """Read a file of answers; its ending, or else its first characters, tell the format.

    Raises:
        ScoringError: It is none of the formats; the text names the line.
    """
    wanted = "a CSV, TSV or JSON lines file of answers, or a run folder"
    with open_text(path, fault=ScoringError, wanted=wanted) as stream:
        objects = _objects(path, stream)
        if objects is not None:
            return Answers(_from_objects(path, objects), 0)
    return _from_rows(path, read_delimited(path, fault=ScoringError))


def _objects(path: Path, stream: TextIO) -> Iterator[tuple[str, Any]] | None:
    """The objects of a JSON file with their places; None where it is a table."""
    start = stream.read(4096).lstrip()[:1]
    stream.seek(0)
    if path.suffix.lower() not in (".jsonl", ".json", ".ndjson") and start not in ("{", "["):
        return None
    return _list_items(path, stream) if start == "[" else _lines(path, stream)


def _from_rows(path: Path, table: DelimitedTable) -> Answers:
    header = [name.strip().lower() for name in table.header]
    answer = _column(path, header, _ANSWER, "the answer")
    reference = _column(path, header, _REFERENCE, "the label")
    identity = _column(path, header, ("id",), "the clip's id")
    if answer is None or reference is None:
        seen = ", ".join(header[:8])
        seen = f"has the columns: {seen}" if header else "is empty"
        raise ScoringError(f"{path} {seen}. Expected a header with 'predict' and 'labels'.")
    answers: dict[str, str] = {}
    references: dict[str, list[str]] = {}
    for number, _, row in table.rows:
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
    clips = [ScoredClip(clip, text, tuple(references[clip])) for clip, text in answers.items()]
    return Answers(clips, table.empty_rows)


def _column(path: Path, header: list[str], names: Sequence[str], what: str) -> int | None:
    """The place of the column of one meaning; None where there is none."""
    places = [place for place, name in enumerate(header) if name in names]
    if len(places) > 1:
        shown = " and ".join(f"'{header[place]}'" for place in places)
        raise ScoringError(
            f"{path} has {len(places)} columns for {what}: {shown}. Leave one of them."
        )
    return places[0] if places else None


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
