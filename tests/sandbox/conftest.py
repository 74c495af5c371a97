"""Locks that are really tried: their tests skip, with a count, where bubblewrap cannot start."""

from __future__ import annotations

import pytest

from auricle.sandbox.bubblewrap import Bubblewrap, SandboxError, find_bubblewrap


@pytest.fixture
def bubblewrap() -> Bubblewrap:
    try:
        return find_bubblewrap()
    except SandboxError as error:
        pytest.skip(f"bubblewrap cannot start here: {error}")
