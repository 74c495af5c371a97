"""A short form of `make evidence-fuzz`: a few of each target, from a fixed seed."""

import sys

import pytest

from evidence.fuzz import SEED, TARGETS, fuzz

COUNTS = {"messages": 3_000, "processes": 8, "archives": 400}


@pytest.mark.parametrize("target", TARGETS)
def test_what_nobody_meant_is_refused_or_is_what_it_should_be(target: str) -> None:
    found = fuzz(target, SEED, count=COUNTS[target])
    assert found.total() == COUNTS[target]
    assert len(found) > 1  # some are believed, some are not


def test_a_fault_is_told_with_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **named: object) -> None:
        raise IndexError("string index out of range")

    monkeypatch.setattr(sys.modules["evidence.fuzz"], "extract_archive", fails)
    with pytest.raises(IndexError) as caught:
        fuzz("archives", SEED, count=5)
    assert caught.value.__notes__[0].startswith(f"archives, seed {SEED}, number 0: ")
