"""Shell braces: ``train_{00..17}.tar`` and ``{S00,SM0}/{a,b}`` as the names that they stand for.

The rules are bash's: lists nest, ranges count up or down and keep their zero padding, letters have
ranges too, and braces without a comma or a range stay as they are.
"""

from __future__ import annotations

import re

from auricle.errors import CatalogError

MOST_NAMES = 100_000
"""More names than this from one pattern are taken for a mistake."""

_RANGE = re.compile(r"(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])(?:\.\.(-?\d+))?")


def expand_braces(pattern: str) -> tuple[str, ...]:
    """All names that a pattern stands for, in the shell's order.

    Raises:
        CatalogError: The pattern stands for more than `MOST_NAMES` names.
    """
    return tuple(_expand(pattern, pattern))


def _expand(text: str, pattern: str) -> list[str]:
    found = _first_group(text)
    if found is None:
        return [text]
    start, stop, options = found
    head, tails = text[:start], _expand(text[stop:], pattern)
    middles = [name for option in options for name in _expand_option(option, pattern)]
    if len(middles) * len(tails) > MOST_NAMES:
        raise _too_many(pattern)
    return [head + middle + tail for middle in middles for tail in tails]


def _expand_option(option: str, pattern: str) -> list[str]:
    return _expand(option, pattern) if "{" in option else [option]


def _first_group(text: str) -> tuple[int, int, list[str]] | None:
    """Start, end and options of the first brace group that stands for several names."""
    start = text.find("{")
    while start >= 0:
        stop = _closing(text, start)
        if stop is not None:
            options = _options(text[start + 1 : stop])
            if options is not None:
                return start, stop + 1, options
        start = text.find("{", start + 1)
    return None


def _closing(text: str, start: int) -> int | None:
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return None


def _options(inside: str) -> list[str] | None:
    parts, depth, last = [], 0, 0
    for place, sign in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            parts.append(inside[last:place])
            last = place + 1
    if parts:
        return [*parts, inside[last:]]
    match = _RANGE.fullmatch(inside)
    return _count(*match.groups()) if match else None


def _count(first: str, last: str, step: str | None) -> list[str] | None:
    size = abs(int(step)) if step else 1
    if first.isalpha() != last.isalpha() or size == 0:
        return None
    low, high = (ord(first), ord(last)) if first.isalpha() else (int(first), int(last))
    if abs(high - low) // size >= MOST_NAMES:
        raise _too_many(f"{{{first}..{last}}}")
    numbers = range(low, high + 1, size) if low <= high else range(low, high - 1, -size)
    if first.isalpha():
        return [chr(number) for number in numbers]
    padded = any(re.match(r"-?0\d", end) for end in (first, last))
    width = max(len(first), len(last)) if padded else 0
    return [f"{number:0{width}d}" for number in numbers]


def _too_many(pattern: str) -> CatalogError:
    return CatalogError(
        f"The shard pattern '{pattern[:80]}' stands for more than {MOST_NAMES} names. "
        "Check the numbers in its braces."
    )
