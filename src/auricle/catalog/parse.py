"""YAML that people write, to validated models: every mistake of a file in one readable text.

A key given twice is an error here, because plain YAML would silently keep the last one.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from auricle.errors import CatalogError

Model = TypeVar("Model", bound=BaseModel)

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(_Base):  # type: ignore[misc]  # which of the two bases depends on the machine
    """The safe loader, which also refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value}' is given twice", key.start_mark
                    )
                seen.add(key.value)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return made


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file whose top level is a mapping.

    Raises:
        CatalogError: There is no such file, or it is no such YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CatalogError(f"{path} cannot be read: {reason}. Give a YAML file.") from error
    value = parse_yaml(text, str(path))
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise CatalogError(
            f"{path} holds {kind_of(value)} at its top level; expected 'name: value' lines."
        )
    return value


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML text; ``source`` names it in errors."""
    try:
        loader = _UniqueKeyLoader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        hint = "Mend the YAML; indentation and a space after each colon matter."
        if "constructor for the tag" in problem:
            hint = "Tags are not read here: remove it, or put the text in quotes."
        raise CatalogError(f"{source}{where}: {problem}. {hint}") from error


def validate(model: type[Model], data: dict[str, Any], source: str) -> Model:
    """Make a model from plain data.

    Args:
        model: The model's class.
        data: What a file said.
        source: Names the file in errors.

    Raises:
        CatalogError: The data are not valid; all problems are listed.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [problem_text(model, detail) for detail in error.errors()]
        raise CatalogError(f"{source}: {'; '.join(lines)}.") from error


def problem_text(model: type[BaseModel], detail: Any) -> str:
    """One problem as a clause: field, what was seen, what was expected."""
    place = [str(part) for part in detail["loc"]]
    field = ".".join(place)
    seen = repr(detail.get("input"))
    seen = seen if len(seen) <= 60 else seen[:57] + "..."
    if detail["type"] == "extra_forbidden":
        owner = _owner(model, detail["loc"][:-1])
        names = sorted(owner.model_fields) if owner else []
        near = difflib.get_close_matches(place[-1], names, n=1, cutoff=0.6)
        offer = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
        return f"there is no field '{field}' ({offer})"
    if detail["type"] == "missing":
        return f"the field '{field}' is missing"
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "expected")
    if detail["type"] == "value_error" and not field:
        return message
    return f"'{field}' is {seen}: {message}"


def _owner(model: type[BaseModel], place: tuple[Any, ...]) -> type[BaseModel] | None:
    """The nested model that a place lies in."""
    for part in place:
        field = model.model_fields.get(str(part))
        options = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        nested = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if not nested:
            return None
        model = nested[0]
    return model


def kind_of(value: Any) -> str:
    """What a YAML value is, in words."""
    return {
        list: "a list",
        str: "a text",
        type(None): "nothing",
        dict: "keys that are no text",
    }.get(type(value), f"a {type(value).__name__}")
