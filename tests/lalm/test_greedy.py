"""The choice of the next token, by hand."""

from __future__ import annotations

import pytest
import torch

from auricle.errors import TrainingError
from auricle.lalm.greedy import NOTHING, check_tokens, choose


def chosen(logits: list[float], said: list[int], penalty: float) -> int:
    return int(choose(torch.tensor([logits]), torch.tensor([said]), penalty)[0])


@pytest.mark.parametrize(
    ("logits", "said", "penalty", "expected"),
    [
        # 1.0 / 1.5 = 0.67 lies below 0.8, 1.0 / 1.2 = 0.83 above it
        ([1.0, 0.8, -3.0], [0], 1.5, 1),
        ([1.0, 0.8, -3.0], [0], 1.2, 0),
        # -1.0 * 1.5 = -1.5 lies below -1.3, -1.0 * 1.2 = -1.2 above it
        ([-1.0, -1.3, -3.0], [0], 1.5, 1),
        ([-1.0, -1.3, -3.0], [0], 1.2, 0),
        # a token that was not said keeps its logit
        ([1.0, 0.8, -3.0], [2], 1.5, 0),
        ([-1.0, -1.3, -1.1], [1, 2], 1.5, 0),
        # said twice is lowered once: 1.0 / 1.2 = 0.83 above 0.8; twice would be 0.69
        ([1.0, 0.8, -3.0], [0, 0], 1.2, 0),
        # a penalty below 1 raises: 0.8 / 0.5 = 1.6, -1.3 * 0.5 = -0.65
        ([1.0, 0.8, -3.0], [1], 0.5, 1),
        ([-1.0, -1.3, -3.0], [1], 0.5, 1),
        # places behind the last token of a row are no tokens
        ([1.0, 0.8, -3.0], [2, NOTHING, NOTHING], 1.5, 0),
        ([1.0, 0.8, -3.0], [NOTHING, NOTHING], 1.5, 0),
        ([1.0, 0.8, -3.0], [0], 1.0, 0),
        ([1.0, 0.8, -3.0], [], 1.5, 0),
        # ties go to the lowest number
        ([0.5, 2.0, 2.0], [], 1.0, 1),
    ],
)
def test_the_likeliest_token_after_the_repetition_penalty(logits, said, penalty, expected):
    assert chosen(logits, said, penalty) == expected


def test_each_row_is_lowered_by_what_it_said_itself():
    logits = torch.tensor([[1.0, 0.8], [1.0, 0.8], [1.0, 0.8]])
    said = torch.tensor([[0, NOTHING], [1, 0], [1, NOTHING]])
    # rows: 0.67 and 0.8; 0.67 and 0.53; 1.0 and 0.53
    assert choose(logits, said, 1.5).tolist() == [1, 0, 0]


def test_logits_that_are_not_numbers_choose_the_size_of_the_vocabulary():
    logits = torch.tensor([[0.0, float("nan"), 1.0], [0.0, 2.0, 1.0]])
    picked = choose(logits, torch.empty(2, 0, dtype=torch.long), 1.0)
    assert picked.tolist() == [3, 1]
    with pytest.raises(TrainingError, match=r"question 7 of the chunk .* is not a number"):
        check_tokens(picked.tolist(), [7, 8], 3)
    check_tokens([1, 2], [7, 8], 3)
