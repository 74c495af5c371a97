"""Stored features are refused to an encoder that no longer gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auricle.errors import EncoderContractError
from auricle.features.probes import check_probes

PROBES = [np.random.default_rng(0).standard_normal((9, 4)).astype("f4") for _ in range(2)]


def test_the_same_features_agree_up_to_rounding(tmp_path: Path) -> None:
    check_probes(tmp_path, PROBES, encoder="enc.py")
    check_probes(tmp_path, [p * np.float32(1 + 1e-6) for p in PROBES], encoder="enc.py")


def test_other_features_are_refused(tmp_path: Path) -> None:
    check_probes(tmp_path, PROBES, encoder="enc.py")
    with pytest.raises(EncoderContractError, match=r"enc\.py gives other features"):
        check_probes(tmp_path, [p * np.float32(1.01) for p in PROBES], encoder="enc.py")
    with pytest.raises(EncoderContractError, match="another number of frames"):
        check_probes(tmp_path, [p[:-1] for p in PROBES], encoder="enc.py")
