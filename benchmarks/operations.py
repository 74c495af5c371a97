"""How many operations a training step asks of a device; a GPU would wait for their launches.

    python benchmarks/operations.py [--seconds 10]

Ours runs on the meta device, which holds shapes and no numbers, and takes the path that a GPU takes
there; attention, which has no fused form on it, counts as one operation each way. All of ours are
launched once when a shape is captured; from then on a step is one launch beside the copies of its
inputs. The plain baseline reads numbers back, so it runs on the CPU, without its encoder. Views and
empty tensors are not counted, nor is the optimiser's step on either side.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import plain_baseline as plain
import torch
import train_step
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from auricle.lalm import fixed
from auricle.lalm.batch import Example, pack
from auricle.lalm.fixed import widen
from auricle.lalm.model import build_lalm
from auricle.lalm.pieces import parameters_of

META = torch.device("meta")
FREE = {"empty", "new_empty", "empty_like", "empty_strided", "detach", "_unsafe_view"}


class Count(TorchDispatchMode):
    """Counts operations that write something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        returns = [value.alias_info for value in func._schema.returns]
        is_view = any(alias is not None and not alias.is_write for alias in returns)
        name = func._schema.name.removeprefix("aten::")
        if not is_view and name not in FREE:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


class FusedOnMeta(torch.autograd.Function):
    """Attention's shapes alone: what a fused form would return, in one operation each way."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The shape of the queries."""
        ctx.save_for_backward(q, k, v)
        return torch.zeros_like(q)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        """Shapes of the three gradients, made in one operation."""
        q, k, v = ctx.saved_tensors
        made = torch.zeros(q.numel() + k.numel() + v.numel(), dtype=q.dtype, device=q.device)
        parts = torch.split(made, [x.numel() for x in (q, k, v)])
        return tuple(part.view(x.shape) for part, x in zip(parts, (q, k, v), strict=True))


def fused(q: Tensor, k: Tensor, v: Tensor, **named: Any) -> Tensor:
    """In place of torch's attention."""
    apply: Any = FusedOnMeta.apply
    result: Tensor = apply(q, k, v)
    return result


def ours(decoder: Path, clips: list[plain.Sample], precision: str) -> Counter[str]:
    """Loss and gradients on the path of a GPU."""
    arguments = argparse.Namespace(steps=6, dropout=0.0, precision=precision)
    no_tokens: Any = None
    lalm = build_lalm(
        train_step.recipe_of(decoder, arguments),
        tokens=no_tokens,
        feature_dim=plain.WIDTH,
        seed=1,
        device=META,
    )
    examples = [Example(0, s.name, 0.0, s.prompt, s.target) for s in clips]
    batch = widen(pack(examples, [s.frames for s in clips], concat=1)).to(META)
    parameters = parameters_of(lalm.pieces())
    with mock.patch.object(fixed, "scaled_dot_product_attention", fused), Count() as count:
        torch.autograd.grad(lalm.fixed_loss(batch), parameters)
    return count.found


def theirs(decoder: Path, clips: list[plain.Sample]) -> Counter[str]:
    """Loss and gradients of the plain baseline, without its encoder."""
    model = plain.PlainLALM(decoder)
    model.optimiser.step = lambda: None
    with Count() as count:
        model.step(clips, rate=0.0)
    return count.found


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    clips = train_step.samples(arguments.seconds, train_step.BATCH)
    with tempfile.TemporaryDirectory() as name:
        decoder = Path(name)
        plain.save_decoder(decoder)
        rows = {
            "plain, without encoder": theirs(decoder, clips),
            "ours, float32": ours(decoder, clips, "float32"),
            "ours, bf16": ours(decoder, clips, "bf16"),
        }
    print("| | operations | products of matrices | most frequent |")
    print("|---|---|---|---|")
    for side, found in rows.items():
        products = sum(found[name] for name in ("mm", "addmm", "bmm"))
        most = ", ".join(f"{name} {count}" for name, count in found.most_common(6))
        print(f"| {side} | {found.total():,} | {products:,} | {most} |")


if __name__ == "__main__":
    main()
