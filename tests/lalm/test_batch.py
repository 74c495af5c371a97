"""Blocks, batches, packing, and what is read when."""

from __future__ import annotations

import pytest
import torch
from lalm_material import DIM

from auricle.lalm.batch import BatchSource, block_batches, draws_of_steps, pack, stack_frames


def test_block_is_sorted_from_long_to_short_with_ties_by_number(material, tokens):
    draws = material.draws(128, 256)
    batches = block_batches(draws, tokens, 4)
    assert [len(batch) for batch in batches] == [4] * 32
    examples = [example for batch in batches for example in batch]
    by_number = {draw.index: draw for draw in draws}
    keys = []
    for example in examples:
        draw = by_number[example.index]
        text = len(tokens.encode(draw.prompt)) + len(tokens.encode(draw.text)) + 1
        keys.append((-(text + draw.duration_s), example.index))
    assert keys == sorted(keys)
    assert len({key[0] for key in keys}) < 128  # ties do occur
    assert sorted(by_number) == sorted(example.index for example in examples)


def test_order_of_the_draws_given_does_not_matter(material, tokens):
    draws = material.draws(0, 128)
    assert block_batches(draws[::-1], tokens, 32) == block_batches(draws, tokens, 32)


def test_target_ends_with_eos_and_prompt_may_be_empty(material, tokens):
    draws = material.draws(0, 128)
    examples = {e.index: e for batch in block_batches(draws, tokens, 4) for e in batch}
    assert any(draw.prompt == "" for draw in draws)
    for draw in draws:
        example = examples[draw.index]
        assert example.target[-1] == tokens.eos_id
        assert tokens.decode(example.target) == draw.text
        assert tokens.decode(example.prompt) == draw.prompt


@pytest.mark.parametrize(
    ("steps", "size", "first", "stop", "expected"),
    [
        (1000, 4, 0, 1, (0, 128)),
        (1000, 4, 32, 64, (128, 256)),
        (1000, 4, 31, 33, (0, 256)),
        (1000, 32, 3, 5, (0, 256)),
        (20, 4, 0, 20, (0, 80)),
        (33, 4, 32, 33, (128, 132)),
    ],
)
def test_draws_of_steps_are_whole_blocks_up_to_the_last_draw(
    make_recipe, steps, size, first, stop, expected
):
    recipe = make_recipe(train__steps=steps, train__batch_size=size)
    assert draws_of_steps(first, stop, recipe=recipe) == expected


def test_every_draw_is_used_once_and_step_s_is_always_the_same(material, tokens, make_recipe):
    recipe = make_recipe(train__steps=40)

    def source() -> BatchSource:
        return BatchSource(draws=material.draws, read=material.read, tokens=tokens, recipe=recipe)

    straight = [batch.names for batch in source().batches(0, 40)]
    assert sorted(n for names in straight for n in names) == sorted(f"clip-{i}" for i in range(160))
    spans = [b.names for a, z in ((0, 7), (7, 33), (33, 40)) for b in source().batches(a, z)]
    assert spans == straight
    assert source().batch(33).names == straight[33]


def test_nothing_beyond_the_span_is_read(material, tokens, make_recipe):
    recipe = make_recipe(train__steps=64)
    source = BatchSource(draws=material.draws, read=material.read, tokens=tokens, recipe=recipe)
    assert len(list(source.batches(0, 32))) == 32
    assert material.asked == [(0, 128)]
    assert len(material.read_windows) == 128
    assert list(source.batches(32, 32)) == []
    assert len(material.read_windows) == 128


def test_error_of_a_read_reaches_the_trainer(tokens, make_recipe, material):
    def read(window: str) -> torch.Tensor:
        raise OSError(f"{window} is gone")

    source = BatchSource(draws=material.draws, read=read, tokens=tokens, recipe=make_recipe())
    with pytest.raises(OSError, match=r"clip-\d+ is gone"):
        next(source.batches(0, 3))


def test_packed_rows_are_audio_prompt_target_without_eos(material, tokens):
    examples = block_batches(material.draws(0, 128), tokens, 4)[3]
    features = [material.read(example.window) for example in examples]
    batch = pack(examples, features, concat=1)
    rows: list[tuple[str, object]] = [("?", None)] * sum(batch.lengths)
    for place, frame in zip(batch.audio_places.tolist(), batch.features, strict=True):
        rows[place] = ("audio", frame)
    for place, token in zip(batch.token_places.tolist(), batch.tokens.tolist(), strict=True):
        rows[place] = ("token", token)
    expected: list[tuple[str, object]] = []
    labels = {}
    for example, item in zip(examples, features, strict=True):
        expected += [("audio", frame) for frame in item]
        expected += [("token", token) for token in example.prompt]
        for token in example.target:
            labels[len(expected) - 1] = token  # the row before a target token predicts it
            expected.append(("token", token))
        expected.pop()
    assert len(rows) == len(expected)
    for (kind, value), (wanted_kind, wanted) in zip(rows, expected, strict=True):
        assert kind == wanted_kind
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(wanted))
    assert dict(zip(batch.label_places.tolist(), batch.labels.tolist(), strict=True)) == labels
    assert batch.positions.tolist() == [p for n in batch.lengths for p in range(n)]


def test_frames_are_joined_and_the_last_group_is_filled_with_zeros():
    features = torch.arange(5 * DIM, dtype=torch.float16).view(5, DIM)
    joined = stack_frames(features, 3)
    assert joined.shape == (2, 3 * DIM)
    assert torch.equal(joined[0], features[:3].flatten())
    assert torch.equal(joined[1], torch.cat([features[3], features[4], torch.zeros(DIM).half()]))
    assert stack_frames(features, 1) is features
