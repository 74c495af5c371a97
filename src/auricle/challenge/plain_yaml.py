"""Reads the part of YAML that a declaration needs: maps, lists, text, numbers, true, false, null.

Everything else that YAML can do is refused rather than understood: anchors and aliases (a small
file can grow without bound), tags (a value can be made an object), a key given twice (readers
differ), several documents. Numbers and words mean what they look like: ``no`` is text, ``1:30``
is text, and a number too long to be a number of anything stays text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_BYTES = 256 << 10
_MAX_EVENTS = 20_000
_MAX_DEPTH = 12
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
_DECIMAL = re.compile(
    r"[-+]?((0|[1-9][0-9]{0,17})(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][-+]?[0-9]{1,2})?\Z"
)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}


class PlainYamlError(ValueError):
    """The text is not plain YAML; says what was seen, where, and what to write instead."""


def read_plain_yaml(data: bytes) -> Any:
    """Parse untrusted YAML.

    Args:
        data: The file's bytes.

    Returns:
        Dicts with text keys, lists, text, numbers, booleans and None.

    Raises:
        PlainYamlError: It is too large, damaged, or uses what is refused above.
    """
    if len(data) > MAX_BYTES:
        raise PlainYamlError(f"it has {len(data)} bytes; at most {MAX_BYTES} are expected")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PlainYamlError(f"it is not UTF-8 text ({error.reason})") from error
    try:
        return _Reader(text).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise PlainYamlError(f"it is not valid YAML{place}: {problem[:200]}") from error
    except RecursionError as error:
        raise PlainYamlError("its values are nested too deeply") from error


class _Reader:
    def __init__(self, text: str) -> None:
        self._events = yaml.parse(text, Loader=yaml.SafeLoader)
        self._count = 0

    def document(self) -> Any:
        value: Any = None
        self._next()
        event = self._next()
        if isinstance(event, yaml.DocumentStartEvent):
            value = self._value(self._next(), 0)
            self._next()
            if not isinstance(self._next(), yaml.StreamEndEvent):
                raise PlainYamlError("it holds several documents; one is expected, without '---'")
        return value

    def _next(self) -> Any:
        self._count += 1
        if self._count > _MAX_EVENTS:
            raise PlainYamlError(f"it has more than {_MAX_EVENTS} values")
        return next(self._events)

    def _value(self, event: Any, depth: int) -> Any:
        where = f"line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise PlainYamlError(f"{where} has an anchor or alias (& or *); write the value out")
        if event.tag is not None:
            raise PlainYamlError(f"{where} has a tag ({event.tag[:60]!r}); leave it out")
        if depth > _MAX_DEPTH:
            raise PlainYamlError(f"{where} is nested deeper than {_MAX_DEPTH} levels")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value) if event.style is None else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := self._next(), yaml.SequenceEndEvent):
                items.append(self._value(event, depth + 1))
            return items
        return self._mapping(depth)

    def _mapping(self, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            where = f"line {event.start_mark.line + 1}"
            self._value_of_key(event, where, depth)
            key = event.value
            if key in mapping:
                raise PlainYamlError(f"{where} gives '{key[:60]}' a second time; once is expected")
            mapping[key] = self._value(self._next(), depth + 1)
        return mapping

    def _value_of_key(self, event: Any, where: str, depth: int) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise PlainYamlError(f"{where} has a key that is no plain text")
        self._value(event, depth)
        if event.value == "<<" and event.style is None:
            raise PlainYamlError(f"{where} has a merge key (<<); write the values out")


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _DECIMAL.match(text):
        return float(text)
    return text
