"""``submission.yaml``: who submits what, trained on what.

The format, every field but ``arguments``, ``weights.files``, ``weights.urls`` and ``report`` due::

    schema: 1
    team: Night Owls                      # one model per team, a person in one team only
    members: [Ada Example, Bo Example]
    contact: owls@example.org
    encoder: encoder.py:MyEncoder         # a file of the submission, and its class
    arguments: {}                         # of its constructor
    tracks: [a, b]
    weights:
      source: inside                      # inside, fetched (by the encoder's own code) or none
      files: [weights.safetensors]        # for inside
      urls: []                            # for fetched
    training_data:                        # shares in percent, 100 in all
      - {name: LibriSpeech, source: "https://www.openslr.org/12", licence: CC BY 4.0,
         hours: 960, share: 90}
      - {name: the organisers' set, source: organisers, licence: challenge, hours: 20, share: 10}
    parameters: 86000000
    hardware: 8 x A100 for 3 days
    report: report.pdf
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails

from auricle.challenge.entry_names import check_name
from auricle.challenge.plain_yaml import MAX_BYTES, PlainYamlError, read_plain_yaml
from auricle.challenge.verdicts import Problem, Verdict, shown
from auricle.errors import UserError
from auricle.names import fold, unseen

FILE_NAME = "submission.yaml"
ORGANISERS_SET = "organisers"
_EMAIL = re.compile(r"[^@\s<>\"',;:()]{1,64}@[^@\s<>\"',;:()]{1,190}\.[A-Za-z]{2,24}\Z")
_MEMBER = re.compile(r"([^<>]+)<([^<>]*)>\Z")
_ENCODER = re.compile(r"(?P<file>[^:]+\.py)(:(?P<name>[A-Za-z_][A-Za-z0-9_]*))?\Z")
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}\Z")


def _printable(text: str) -> str:
    if not all(character.isprintable() for character in text):
        raise ValueError("it has line breaks, control or invisible characters; write plain text")
    return text


def _visible(text: str) -> str:
    """A name of a team or a person, as everybody sees it."""
    if sign := unseen(text):
        raise ValueError(
            f"U+{ord(sign):04X} is in it, which nobody sees; write it with visible characters alone"
        )
    if not any(unicodedata.category(sign)[0] in "LNSP" for sign in text):
        raise ValueError("a name that can be seen is expected")
    return text


def _member(text: str) -> str:
    """A person: a name, and behind it their e-mail address in angle brackets or nothing."""
    match = _MEMBER.match(text)
    if match is None:
        return text
    _visible(match[1].strip())
    _email(match[2])
    return text


def address_of(member: str) -> str:
    """The e-mail address of a member, in the form in which addresses are compared; may be empty."""
    match = _MEMBER.match(member)
    return fold(match[2]) if match else ""


def name_of(member: str) -> str:
    """The name of a member without the address."""
    match = _MEMBER.match(member)
    return match[1].strip() if match else member


def _version(number: int) -> int:
    if number != 1:
        raise ValueError("1 is the only version that this auricle reads")
    return number


def _email(text: str) -> str:
    if not _EMAIL.match(text):
        raise ValueError("an e-mail address like team@example.org is expected")
    return text


def _encoder(text: str) -> str:
    match = _ENCODER.match(text)
    if match is None or check_name(match["file"]) is not None:
        raise ValueError(
            "a file of the submission and its class are expected: encoder.py:MyEncoder"
        )
    return text


def _inside(text: str) -> str:
    if check_name(text) is not None or text.endswith("/"):
        raise ValueError("the name of a file in the submission is expected, relative to its folder")
    return text


def _public_url(text: str) -> str:
    if not is_public_url(text):
        raise ValueError("a public address is expected, https://host/...")
    return text


def _source(text: str) -> str:
    if text != ORGANISERS_SET and not is_public_url(text):
        raise ValueError(
            f"a public address (https://host/...) or '{ORGANISERS_SET}' is expected: training data "
            "must be public or the organisers' set"
        )
    return text


def is_public_url(text: str) -> bool:
    """Whether a text is a web address that could be reached by anyone."""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna").decode()
        _ = parts.port
    except (ValueError, UnicodeError):
        return False
    if parts.scheme not in ("http", "https") or parts.username or parts.password:
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        reserved = (".local", ".localhost", ".internal", ".test", ".invalid", ".example")
        return bool(_HOST.match(host)) and not host.endswith(reserved)


Line = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_printable),
]
TeamName = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=60),
    AfterValidator(_printable),
    AfterValidator(_visible),
]
Member = Annotated[Line, AfterValidator(_visible), AfterValidator(_member)]
"""``Ada Example``, or ``Ada Example <ada@example.org>`` where two people have one name."""
FileName = Annotated[Line, AfterValidator(_inside)]
Amount = Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Weights(_Model):
    """Where the encoder's weights come from."""

    source: Literal["inside", "fetched", "none"]
    files: list[FileName] = Field(default=[], max_length=1000)
    urls: list[Annotated[Line, AfterValidator(_public_url)]] = Field(default=[], max_length=100)


class TrainingSet(_Model):
    """One data set that the encoder was trained on."""

    name: Line
    source: Annotated[Line, AfterValidator(_source)]
    """A public address, or ``organisers``."""
    licence: Line
    hours: Amount
    share: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    """Percent of what the encoder heard in training."""


class Registration(_Model):
    """Who takes part: what a team registers with, and what its declaration says again."""

    schema_: Annotated[int, AfterValidator(_version)] = Field(alias="schema")
    team: TeamName
    members: list[Member] = Field(min_length=1, max_length=50)
    contact: Annotated[Line, AfterValidator(_email)]
    tracks: list[Literal["a", "b"]] = Field(min_length=1, max_length=2)


class Submission(Registration):
    """The declaration, as it stands in ``submission.yaml``."""

    encoder: Annotated[Line, AfterValidator(_encoder)]
    arguments: dict[str, Any] = Field(default={}, max_length=100)
    weights: Weights
    training_data: list[TrainingSet] = Field(max_length=1000)
    parameters: Annotated[int, Field(ge=0, le=10**12)]
    hardware: Line
    report: FileName = "report.pdf"

    @property
    def encoder_file(self) -> str:
        """The encoder's file, relative to the submission."""
        return self.encoder.partition(":")[0]

    def encoder_in(self, folder: Path) -> str:
        """ENCODER for the command line, for a submission that lies in a folder."""
        name = self.encoder.partition(":")[2]
        path = str(folder.joinpath(*PurePosixPath(self.encoder_file).parts))
        return f"{path}:{name}" if name else path

    def arguments_json(self) -> str:
        """The constructor's arguments for the command line."""
        return json.dumps(self.arguments)


Declared = TypeVar("Declared", bound=Registration)


class SubmissionError(UserError):
    """The declaration is not valid; ``problems`` says all that was found."""

    def __init__(self, problems: list[Problem], partial: Submission | None = None) -> None:
        super().__init__("\n".join(problem.message for problem in problems))
        self.problems = problems
        self.partial = partial
        """The fields of a submission that are good; the others are not there."""


def read_submission(folder: Path) -> Submission:
    """Read and validate a submission's declaration.

    Raises:
        SubmissionError: It is missing or not valid; all problems together.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise SubmissionError(
            [
                Problem(
                    Verdict.DECLARATION_MISSING,
                    f"There is no {FILE_NAME}; it says who submits what, trained on what. "
                    "'auricle new DIR --adopt' writes one into an existing repository.",
                )
            ]
        )
    with path.open("rb") as stream:
        return parse_submission(stream.read(MAX_BYTES + 1))


def parse_submission(data: bytes) -> Submission:
    """Validate a declaration's bytes.

    Raises:
        SubmissionError: All that is wrong with it.
    """
    return parse_declaration(Submission, data, FILE_NAME)


def parse_declaration(model: type[Declared], data: bytes, name: str) -> Declared:
    """Validate the bytes of a stranger's YAML file as a registration or a submission.

    Args:
        model: What it should be.
        data: Its bytes.
        name: What problems call it.

    Raises:
        SubmissionError: All that is wrong with it.
    """
    try:
        value = read_plain_yaml(data)
    except PlainYamlError as error:
        raise SubmissionError([_invalid(f"{name}: {shown(str(error), 300)}.")]) from error
    if not isinstance(value, dict):
        seen = "empty" if value is None else f"a {_kind(value)}"
        raise SubmissionError([_invalid(f"{name} is {seen}; 'name: value' lines are due.")])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)[:50]
        problems = [_explain(each, value, model, name) for each in details]
        partial = _salvage(model, value, {str(each["loc"][0]) for each in details if each["loc"]})
        raise SubmissionError(problems, partial) from error


def _salvage(model: type[Registration], value: dict[str, Any], bad: set[str]) -> Submission | None:
    """A declaration of those fields alone that are good, so that rules can be held against them."""
    if model is not Submission:
        return None
    kept = {name: each for name, each in value.items() if name in _SOME and name not in bad}
    try:
        whole = Submission.model_validate(_SOME | kept)
    except ValidationError:
        return None
    names = {name for name in Submission.model_fields if name.rstrip("_") in kept}
    return Submission.model_construct(_fields_set=names, **{n: getattr(whole, n) for n in names})


_SOME: dict[str, Any] = {
    "schema": 1,
    "team": "team",
    "members": ["member"],
    "contact": "team@example.org",
    "tracks": ["a"],
    "encoder": "encoder.py",
    "arguments": {},
    "weights": {"source": "none"},
    "training_data": [],
    "parameters": 0,
    "hardware": "hardware",
    "report": "report.pdf",
}
"""A value that is good, for each field."""


def _invalid(message: str) -> Problem:
    return Problem(Verdict.DECLARATION_INVALID, message)


def _explain(detail: ErrorDetails, value: Any, model: type[BaseModel], name: str) -> Problem:
    place = [part for part in detail["loc"] if not str(part).startswith("function-")]
    path = ""
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else f"{'.' if path else ''}{part}"
    said = f"{name}, {shown(path)}"
    kind, context = detail["type"], detail.get("ctx") or {}
    if kind == "missing":
        return _invalid(f"{said}: is missing; add it ({_purpose(place)}).")
    if kind == "extra_forbidden":
        known = _fields_at(place, model)
        near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.6)
        offer = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}."
        return _invalid(f"{said}: there is no such field; {offer}")
    seen = value
    for part in place:
        try:
            seen = seen[part]
        except (KeyError, IndexError, TypeError):
            break
    if seen is None:
        return _invalid(f"{said}: is empty; fill it in ({_purpose(place)}).")
    written = shown(json.dumps(seen, ensure_ascii=False, default=str), 60)
    expected = str(context.get("error") or _expected(kind, context) or detail["msg"])
    return _invalid(f"{said}: {written} was seen; {expected}.")


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    """What pydantic's kind of error means, in our words; empty for one that has none."""
    words = {
        "too_short": "at least {min_length} entry is expected",
        "too_long": "at most {max_length} entries are expected",
        "string_too_short": "a text is expected",
        "string_too_long": "at most {max_length} characters are expected",
        "literal_error": "{expected} is expected",
        "greater_than": "more than {gt} is expected",
        "greater_than_equal": "{ge} or more is expected",
        "less_than_equal": "at most {le} is expected",
        "string_type": "a text is expected; put it in quotes",
        "int_type": "a whole number is expected",
        "float_type": "a number is expected",
        "finite_number": "a finite number is expected",
        "list_type": "a list is expected",
        "dict_type": "'name: value' lines are expected",
        "model_type": "'name: value' lines are expected",
    }
    return words.get(kind, "").format_map(context).replace(".0 is", " is")


def _fields_at(place: list[Any], model: type[BaseModel]) -> list[str]:
    parts: dict[str, type[BaseModel]] = {"weights": Weights, "training_data": TrainingSet}
    model = parts.get(str(place[0]), model) if len(place) > 1 else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _purpose(place: Sequence[Any]) -> str:
    """What belongs into a field, by its name and, where two have one name, the field around it."""
    names = [str(part) for part in place if not isinstance(part, int)]
    purposes = {
        "schema": "the format's version, 1",
        "team": "the team's name",
        "members": "a list of names",
        "contact": "an e-mail address",
        "encoder": "encoder.py:MyEncoder",
        "tracks": "[a], [b] or [a, b]",
        "weights": "source: inside, fetched or none",
        "training_data": "a list of data sets",
        "parameters": "how many numbers the encoder has",
        "hardware": "what it was trained on",
        "share": "percent of the training data",
        "hours": "hours of audio",
        "licence": "the data set's licence",
        "weights.source": "inside, fetched or none",
        "training_data.source": "a public address, or organisers",
        "name": "the data set's name",
    }
    return purposes.get(".".join(names)) or purposes.get(names[-1], "see docs/submitting.md")


def _kind(value: object) -> str:
    names = {dict: "map", list: "list", str: "text", bool: "truth value"}
    return names.get(type(value), "number")
