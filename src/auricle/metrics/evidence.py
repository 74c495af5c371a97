"""What the caption models said about one task's answers: enough to score again without them.

Stored as one JSON object (`CaptionEvidence.to_json`), lists of numbers in the order of the clips;
``texts`` is a hash of the normalised texts, so an evidence can never vouch for other answers.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Any

from auricle.errors import ScoringError
from auricle.metrics.text import Samples

FENSE = "FENSE"
DATE = "DATE"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class CaptionEvidence:
    """The models' numbers for one metric on one task."""

    metric: str
    """FENSE or DATE."""
    texts: str
    """`texts_hash` of what was judged."""
    models: dict[str, str]
    """Which sentence model and which detector, by name and hash."""
    penalty: list[float]
    """Per clip: 0.1 where the detector finds the answer broken, else 1."""
    similarity: list[float]
    """Per sample: cosine of answer and reference, times the clip's penalty."""
    discrimination: list[float]
    """Per sample: share of references that stand further from the answer; DATE alone."""
    grouped_similarity: list[float]
    """Per clip: the same with the clip's references as one centroid and every clip once; DATE
    alone, empty where every clip has one reference."""
    grouped_discrimination: list[float]
    speechless: str | None
    """DATE: ``answers`` or ``references`` where none of them has a single word, which the
    definition does not survive; the numbers above are empty then."""
    constant: float
    """Score of the best constant answer."""
    constant_answer: str
    shuffled: float | None
    """Score of the answers, each given to another clip."""

    def to_json(self) -> dict[str, Any]:
        """The evidence as a JSON object."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def evidence_from_json(value: dict[str, Any]) -> CaptionEvidence:
    """Read what `CaptionEvidence.to_json` wrote.

    Raises:
        ScoringError: Another version, or a field is missing.
    """
    names = [field.name for field in fields(CaptionEvidence)]
    missing = [name for name in names if name not in value]
    if value.get("schema_version") != SCHEMA_VERSION or missing:
        raise ScoringError(
            f"The stored caption evidence has schema version {value.get('schema_version')} and "
            f"lacks {missing or 'nothing'}; version {SCHEMA_VERSION} was expected. "
            "Delete the file and score again."
        )
    return CaptionEvidence(**{name: value[name] for name in names})


def texts_hash(samples: Samples) -> str:
    """SHA-256 of normalised answers and references, unambiguous about where each text ends."""
    digest = hashlib.sha256()
    for answer, texts in zip(samples.predictions, samples.references, strict=True):
        for text in (answer, *texts):
            data = text.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little") + data)
        digest.update(b"|")
    return digest.hexdigest()
