"""What an examination found that breaks no rule, but is to be known."""

from __future__ import annotations

import pytest

from auricle.challenge.stages import _hearing_remark


@pytest.mark.parametrize(
    ("answer", "remark"),
    [
        ({"properties": {"hearing": {"remark": "deaf behind 5 s"}}}, "hearing: deaf behind 5 s"),
        ({"properties": {"hearing": {"remark": "a\x1b[31mb"}}}, "hearing: a\ufffd[31mb"),
        ({"properties": {"hearing": {"remark": ""}}}, ""),
        ({"properties": {"hearing": None}}, ""),
        ({"properties": [1]}, ""),
        ({}, ""),
    ],
)
def test_what_is_not_heard_is_remarked(answer: dict[str, object], remark: str) -> None:
    assert _hearing_remark(answer) == remark
