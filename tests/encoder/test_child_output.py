"""`child_output.py` is loaded by path here, as the child does; it is no module of auricle."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import auricle

_PATH = Path(auricle.__file__).parent / "encoder" / "child_output.py"
_SPEC = importlib.util.spec_from_file_location("child_output", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
child_output = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(child_output)

X = torch.ones(2, 3, 4)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (None, "None"),
        (1.0, "a float"),
        ("features", "a str"),
        ({"last_hidden_state": X}, "a dict with the keys last_hidden_state"),
        ((X, X, X), r"a tuple of 3 values: a tensor of shape \[2, 3, 4\] and dtype torch.float32"),
        (X.long(), "features of dtype torch.int64"),
        (X.to(torch.complex64), "features of dtype torch.complex64"),
        (X.bool(), "features of dtype torch.bool"),
        ((X, "mask"), "features and, as mask, a str"),
        ((X, 5), "features and, as mask, a int"),
        ((), "a tuple of 0 values"),
        ([None, None], "a list of 2 values: None, None"),
        ([X[0], X[1, :, :2]], "a list of features with differing widths"),
        (X.to_sparse(), "layout torch.sparse_coo"),
    ],
)
def test_what_is_no_output_is_described(output: Any, says: str) -> None:
    with pytest.raises(child_output.BadOutputError, match=says):
        child_output.unpack(output, 2)


def test_a_list_of_windows_is_padded_and_masked() -> None:
    features, mask = child_output.unpack([X[0], X[1, :1]], 2)
    assert features.tolist() == [X[0].tolist(), [[1] * 4, [0] * 4, [0] * 4]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_numpy_arrays_are_tensors() -> None:
    features, mask = child_output.unpack((np.ones((2, 3, 4)), np.ones((2, 3))), 2)
    assert features.shape == (2, 3, 4)
    assert mask.shape == (2, 3)
