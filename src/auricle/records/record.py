"""What all records on disk have in common: fields that are checked when they are read.

A record keeps the fields that it does not know (a later version may add some) and never writes one
that it was not given, so that reading and writing a file again changes nothing in it.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from auricle.errors import DamagedFileError

_LONGEST = 60
_SHOULD = re.compile(r"^\w+ should (be|have|match) ")


class Record(BaseModel):
    """A part of a file of ours."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="allow", use_attribute_docstrings=True
    )

    remedy: ClassVar[str] = "bring a copy back, or remove what it belongs to."
    """What a user does about a damaged file of this kind."""

    def to_json(self) -> dict[str, JsonValue]:
        """The stored form: the fields that were given, in their order."""
        return self.model_dump(exclude_unset=True)

    def with_fields(self, **fields: Any) -> Self:
        """The same with some fields replaced."""
        return self.model_copy(update=fields)

    @classmethod
    def from_json(cls, value: object, place: object) -> Self:
        """A record from its stored form.

        Args:
            value: Parsed JSON.
            place: Where it was read, for the error's text.

        Raises:
            DamagedFileError: A field is missing or is not what it should be.
        """
        try:
            return cls.model_validate(value)
        except (ValidationError, RecursionError) as error:
            raise DamagedFileError(
                f"{place} is damaged: {first_problem(error)}. auricle writes such a file whole, "
                f"so something else changed it: {cls.remedy}"
            ) from error


def first_problem(error: ValidationError | RecursionError) -> str:
    """What of a value does not fit its type: the field, what stands there, what was expected."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    first, *others = error.errors(include_url=False)
    where = ".".join(map(str, first["loc"]))
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "missing":
        return f"it has no {where}{more}"
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}{more}" if where else f"{first['ctx']['error']}"
    seen = repr(first["input"])
    seen = seen if len(seen) <= _LONGEST else f"{seen[:_LONGEST]}..."
    expected = _SHOULD.sub("", first["msg"])
    if not where:
        return f"it holds {seen}; expected an object"
    return f"{where} is {seen}; expected {expected}{more}"
