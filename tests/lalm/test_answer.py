"""Answers against transformers' own generate, and what they depend on."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest
import torch
from lalm_material import DIM
from test_llama import build, pair

from auricle.errors import TrainingError
from auricle.lalm.answer import Answerer, Question, answer
from auricle.lalm.decode import Generator
from auricle.lalm.greedy import Settings

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore:Passing `repetition_penalty`:UserWarning"
)


def questions_of(material, count, first=0) -> list[Question]:
    draws = [material.draw(i) for i in range(first, first + count)]
    return [Question(material.read(d.window), d.prompt) for d in draws]


def expected_answers(lalm, recipe, tokens, questions) -> list[str]:
    """One by one, with the adapters beside the weights, in float64."""
    model = lalm.decoder.decoder.eval()
    texts = []
    for question in questions:
        ids = torch.tensor(tokens.encode(question.prompt)).long()
        audio = lalm.projector(question.features.double())
        inputs = torch.cat([audio, model.get_input_embeddings()(ids)])[None]
        out = model.generate(
            inputs_embeds=inputs,
            attention_mask=torch.ones(inputs.shape[:2], dtype=torch.int64),
            do_sample=False,
            max_new_tokens=recipe.answer.max_new_tokens,
            repetition_penalty=recipe.answer.repetition_penalty,
            eos_token_id=tokens.eos_id,
            pad_token_id=tokens.eos_id,
        )
        texts.append(tokens.decode(out[0].tolist()))
    return texts


@pytest.mark.parametrize(
    ("penalty", "longest", "count"),
    [(1.0, 8, 50), (1.3, 8, 50), (1.05, 10, 95), (1.05, 150, 5)],  # the last one: the protocol's
)
def test_answers_agree_token_for_token_with_generate(
    make_recipe, tokens, material, penalty, longest, count
):
    recipe = make_recipe(answer__repetition_penalty=penalty, answer__max_new_tokens=longest)
    lean, plain = pair(recipe, tokens)
    for lalm in (lean, plain):
        lalm.set_precision(torch.float64)
    questions = questions_of(material, count, first=round(1000 * penalty) + longest)
    found = answer(lean, tokens, questions, recipe=recipe)
    expected = expected_answers(plain, recipe, tokens, questions)
    assert found == expected
    lengths = {len(tokens.encode(text)) for text in found}
    assert len(set(found)) > count / 2
    assert len(lengths) > 2, "answers should end at different lengths"


def test_transformers_engine_answers_the_same(make_recipe, tokens, material):
    recipe = make_recipe()
    lean, plain = pair(recipe, tokens)
    for lalm in (lean, plain):
        lalm.set_precision(torch.float64)
    questions = questions_of(material, 12)
    assert answer(plain, tokens, questions, recipe=recipe) == answer(
        lean, tokens, questions, recipe=recipe
    )


def test_answers_do_not_depend_on_the_rest_of_the_chunk(make_recipe, tokens, material):
    recipe = make_recipe()
    lean, _ = pair(recipe, tokens)
    lean.set_precision(torch.float64)
    answerer = Answerer(lean, tokens, recipe=recipe)
    questions = questions_of(material, 24)
    together = answerer.answer(questions)
    assert [answerer.answer([q])[0] for q in questions] == together
    assert answerer.answer(questions[::-1]) == together[::-1]
    assert answerer.answer([]) == []


def test_questions_that_wait_for_a_slot_answer_the_same(make_recipe, tokens, material):
    recipe = make_recipe(answer__repetition_penalty=1.3, answer__max_new_tokens=15)
    lean, _ = pair(recipe, tokens)
    lean.set_precision(torch.float64)
    questions = questions_of(material, 24)
    rows = [lean.positions(q.features).detach() for q in questions]
    prompts = [tokens.encode(q.prompt) for q in questions]
    longest = max(len(row) + len(prompt) for row, prompt in zip(rows, prompts, strict=True))
    whole = Generator(lean.decoder)
    said = Counter(chain(*whole.generate(rows, prompts, Settings(tokens.eos_id, 15, 1.3))))
    settings = Settings(said.most_common(1)[0][0], 15, 1.3)  # so that many answers end early
    together = whole.generate(rows, prompts, settings)
    assert len({len(answer) for answer in together}) > 2, "slots should become free one by one"
    for slots in (0, 1, 5):
        few = Generator(lean.decoder, cache_positions=slots * (longest + 15))
        assert few.generate(rows, prompts, settings) == together


def test_same_chunk_same_answers_in_float32_and_bf16(make_recipe, tokens, material):
    for precision in ("float32", "bf16"):
        recipe = make_recipe(precision=precision)
        lalm = build(recipe, tokens, "lean")
        questions = questions_of(material, 10)
        assert answer(lalm, tokens, questions, recipe=recipe) == answer(
            lalm, tokens, questions, recipe=recipe
        )


def test_answers_stop_at_the_limit(make_recipe, tokens, material):
    questions = questions_of(material, 20)
    long, short = (make_recipe(answer__max_new_tokens=n) for n in (12, 3))
    lalm = build(long, tokens, "lean")
    rows = [lalm.positions(q.features) for q in questions]
    prompts = [tokens.encode(q.prompt) for q in questions]
    generator = Generator(lalm.decoder)
    full, cut = (
        generator.generate(rows, prompts, Settings(tokens.eos_id, r.answer.max_new_tokens, 1.05))
        for r in (long, short)
    )
    assert max(map(len, full)) == 12
    assert cut == [ids[:3] for ids in full]
    assert generator.generate(rows, prompts, Settings(tokens.eos_id, 0, 1.05)) == [[]] * 20


def test_ties_go_to_the_lowest_number(make_recipe, tokens, material):
    recipe = make_recipe(answer__repetition_penalty=1.0, answer__max_new_tokens=4)
    lalm = build(recipe, tokens, "lean")
    with torch.no_grad():
        lalm.decoder.norm.zero_()  # all logits are equal
    lowest = tokens.decode([0] * 4) if tokens.eos_id != 0 else ""
    assert answer(lalm, tokens, questions_of(material, 3), recipe=recipe) == [lowest] * 3


def test_features_of_half_precision_are_taken(make_recipe, tokens):
    recipe = make_recipe(features__concat=4)
    lalm = build(recipe, tokens, "lean")
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        question = Question(torch.ones(7, DIM, dtype=dtype), "Name it.")
        assert isinstance(answer(lalm, tokens, [question], recipe=recipe)[0], str)


@pytest.mark.parametrize("engine", ["lean", "transformers"])
def test_output_that_is_no_number_names_the_question(make_recipe, tokens, engine):
    recipe = make_recipe()
    lalm = build(recipe, tokens, engine)
    features = [torch.ones(3, DIM), torch.full((3, DIM), float("nan"))]
    with pytest.raises(TrainingError, match=r"question 1 of the chunk .* is not a number"):
        answer(lalm, tokens, [Question(f, "Name it.") for f in features], recipe=recipe)
