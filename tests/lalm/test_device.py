"""A step on another device than the CPU: nothing of it is read back, and no devices are mixed.

The meta device holds shapes and no numbers, so whatever waited for a number, as `item` and
`nonzero` do on a GPU, is an error there; an operation with tensors of two devices is one here. What
it cannot show: the optimiser (its fused form needs a real device), dropout (no generator), copies.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from auricle.lalm.batch import block_batches, pack
from auricle.lalm.decode import Generator
from auricle.lalm.gradients import gradients_of
from auricle.lalm.greedy import Settings, choose
from auricle.lalm.llama import LeanLlama
from auricle.lalm.model import build_lalm
from auricle.lalm.rows import Rows

META = torch.device("meta")


class OneDevice(TorchDispatchMode):
    """Refuses an operation whose tensors, numbers in tensors aside, lie on two devices."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        places = {x.device.type for x in tensors if x.dim()}
        self.operations += places == {"meta"}
        moves = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
        assert moves or len(places) < 2, f"{func} mixes {sorted(places)}"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("train_decoder", [False, True])
def test_a_training_step_reads_nothing_back(
    make_recipe, tokens, material, precision, train_decoder
) -> None:
    recipe = make_recipe(
        precision=precision,
        train__train_decoder=train_decoder,
        **({"lora": None} if train_decoder else {}),
    )
    examples = block_batches([material.draw(i) for i in range(4)], tokens, 4)[0]
    batch = pack(examples, [material.read(e.window) for e in examples], concat=1)
    lalm = build_lalm(recipe, tokens=tokens, feature_dim=12, seed=0, device=META)
    with OneDevice() as watch:
        loss = lalm.loss(batch.to(META))
        loss.backward()
    assert loss.device == META
    gradients = [piece.parameter.grad for piece in lalm.pieces()]
    assert all(gradient is not None and gradient.device == META for gradient in gradients)
    assert watch.operations > 300


class Steered(Generator):
    """Answers without numbers: the tokens to say are given."""

    def choose(self, logits: Tensor, rows: Rows) -> Tensor:
        likeliest = choose(logits, rows.said(), rows.settings.repetition_penalty)
        assert likeliest.device == META
        return torch.tensor([5 + owner for owner in rows.owners])


class MetaRows(Rows):
    """Rows whose cache holds no numbers; the tokens come from the CPU."""

    def keep(self, chosen: Tensor, *, vocabulary: int) -> Tensor:
        device, self._said = self._said.device, torch.zeros(self._said.shape, dtype=torch.int64)
        kept = super().keep(chosen, vocabulary=vocabulary)
        self._said = self._said.to(device)
        return kept.to(device)


def test_answering_reads_back_the_chosen_tokens_alone(
    make_recipe, tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auricle.lalm.decode.Rows", MetaRows)
    lalm = build_lalm(make_recipe(), tokens=tokens, feature_dim=12, seed=0, device=META)
    assert isinstance(lalm.decoder, LeanLlama)
    generator = Steered(lalm.decoder, cache_positions=64)  # so that some questions must wait
    with torch.inference_mode():
        audio = [lalm.positions(torch.zeros(frames, 12)) for frames in (9, 3, 17, 5)]
    with OneDevice() as watch:
        answers = generator.generate(
            audio, [[5, 6], [7], [5], [8]], Settings(tokens.eos_id, 4, 1.05)
        )
    assert answers == [[5 + owner] * 4 for owner in range(4)]
    assert watch.operations > 300


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_gpus_captured_steps_give_the_cpus_losses_gradients_and_answers(
    make_recipe, tokens, material, caplog, precision
) -> None:
    recipe = make_recipe(precision=precision)
    batches = []
    for first in (0, 4, 0):  # the last one repeats a captured shape
        examples = block_batches([material.draw(i) for i in range(first, first + 4)], tokens, 4)[0]
        batches.append(pack(examples, [material.read(e.window) for e in examples], concat=1))
    audio = [torch.randn(n, 12, generator=torch.Generator().manual_seed(n)) for n in (9, 3, 17)]
    settings, found = Settings(tokens.eos_id, 6, 1.05), []
    for device in (torch.device("cpu"), torch.device("cuda")):
        lalm = build_lalm(recipe, tokens=tokens, feature_dim=12, seed=0, device=device)
        compute, steps = gradients_of(lalm), []
        for batch in batches:
            loss = compute(batch, None)
            gradients = [piece.parameter.grad.cpu().clone() for piece in lalm.pieces()]
            steps.append((loss.item(), gradients))
            for piece in lalm.pieces():
                piece.parameter.grad = None
        with torch.inference_mode():
            rows = [lalm.positions(features) for features in audio]
        answers = Generator(lalm.decoder).generate(rows, [[5, 6], [7], [5]], settings)
        found.append((steps, answers))
    assert "cannot be captured" not in caplog.text
    (steps, answers), (other_steps, other_answers) = found
    limit = 1e-5 if precision == "float32" else 2e-2
    for (loss, gradients), (other_loss, other_gradients) in zip(steps, other_steps, strict=True):
        assert other_loss == pytest.approx(loss, rel=limit)
        for one, other in zip(gradients, other_gradients, strict=True):
            torch.testing.assert_close(other, one, rtol=100 * limit, atol=limit)
    if precision == "float32":
        assert other_answers == answers


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpus_captured_dropout_is_the_one_of_its_seed(
    make_recipe, tokens, material, caplog
) -> None:
    recipe = make_recipe(lora={"rank": 8, "alpha": 32.0, "dropout": 0.1})
    examples = block_batches([material.draw(i) for i in range(4)], tokens, 4)[0]
    batch = pack(examples, [material.read(e.window) for e in examples], concat=1)
    lalm = build_lalm(recipe, tokens=tokens, feature_dim=12, seed=0, device="cuda")
    for piece in lalm.pieces():
        piece.parameter.data.add_(0.05)
    compute = gradients_of(lalm)
    losses = [compute(batch, seed).item() for seed in (1, 2, 1, None, 2)]
    assert losses[0] == losses[2]
    assert losses[1] == losses[4]
    assert len(set(losses)) == 3
    assert "cannot be captured" not in caplog.text
