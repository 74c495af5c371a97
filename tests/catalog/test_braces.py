"""Brace expansion against bash itself."""

from __future__ import annotations

import subprocess

import pytest

from auricle.catalog.braces import expand_braces
from auricle.errors import CatalogError

PATTERNS = [
    "plain.tar",
    "a{00..17}.tar.gz",
    "a{1..4}b",
    "a{000..371}",
    "a{8..012}",
    "a{5..1}",
    "a{0..10..3}",
    "a{a..e}",
    "{S00,SM0}/train_{0000,0001}-0",
    "{a,b{1..3},c{x,y}}z",
    "x{a}y",
    "x{}y",
    "x{a,}y",
    "a{b{1,2}}c",
    "{1..3}{a,b}",
    "a{-2..2}",
    "a{-02..2}",
    "un{closed",
    "a}b{c,d}",
    "{{a,b}}",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_expansion_is_bashs(pattern: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {pattern}"], capture_output=True, text=True, check=True
    )
    assert list(expand_braces(pattern)) == done.stdout.splitlines()


@pytest.mark.parametrize("pattern", ["a{0..999999999}", "{1..999}{1..999}"])
def test_a_giant_range_is_refused(pattern: str) -> None:
    with pytest.raises(CatalogError, match=r"more than 100000 names. Check the numbers"):
        expand_braces(pattern)
