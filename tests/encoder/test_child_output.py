from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

Load = Callable[[str], ModuleType]


@pytest.fixture
def child_output(child_module: Load) -> ModuleType:
    return child_module("child_output")


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
def test_what_is_no_output_is_described(child_output: ModuleType, output: Any, says: str) -> None:
    with pytest.raises(child_output.BadOutputError, match=says):
        child_output.unpack(output, 2)


def test_a_list_of_windows_is_padded_and_masked(child_output: ModuleType) -> None:
    features, mask = child_output.unpack([X[0], X[1, :1]], 2)
    assert features.tolist() == [X[0].tolist(), [[1] * 4, [0] * 4, [0] * 4]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_numpy_arrays_are_tensors(child_output: ModuleType) -> None:
    features, mask = child_output.unpack((np.ones((2, 3, 4)), np.ones((2, 3))), 2)
    assert features.shape == (2, 3, 4)
    assert mask.shape == (2, 3)
