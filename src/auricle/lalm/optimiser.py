"""AdamW with the protocol's schedule: what one step does to the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from auricle.catalog.recipe import Train
from auricle.lalm.pieces import Piece, parameters_of

_BETAS = (0.9, 0.999)
_EPS = 1e-8


def learning_rate(step: int, *, train: Train) -> float:
    """Rate of one step: linear from 0 over the warm-up, then linear to 0 after the last step.

    Args:
        step: Counted from 0, so the first step of a warm-up has rate 0.
        train: Steps, warm-up and highest rate.
    """
    if step < train.warmup:
        return train.lr * step / max(1, train.warmup)
    return train.lr * max(0.0, (train.steps - step) / max(1, train.steps - train.warmup))


class Optimiser:
    """AdamW (Loshchilov & Hutter, 2019) over the pieces that train."""

    def __init__(self, pieces: Sequence[Piece], *, train: Train) -> None:
        """Prepare moments of zero.

        Args:
            pieces: What trains.
            train: Rates, decay, clipping.
        """
        self.pieces = list(pieces)
        self.parameters = parameters_of(pieces)
        self._train = train
        decay = [parameter for parameter in self.parameters if parameter.dim() > 1]
        plain = [parameter for parameter in self.parameters if parameter.dim() == 1]
        groups = [
            {"params": decay, "weight_decay": train.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        self._adamw = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=0.0,
            betas=_BETAS,
            eps=_EPS,
            fused=True,
        )
        for parameter in self.parameters:
            self._adamw.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    def step(self, step: int) -> Tensor:
        """Clip, update, clear the gradients.

        Args:
            step: Number of this step, from 0.

        Returns:
            Length of the gradient before clipping, a number on the parameters' device.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self._train.max_grad_norm)
        rate = learning_rate(step, train=self._train)
        for group in self._adamw.param_groups:
            group["lr"] = rate
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)
        return norm

    def state(self) -> dict[str, Tensor]:
        """Moments by name; views, not copies."""
        found = {}
        for piece in self.pieces:
            moments = self._adamw.state[piece.parameter]
            found[f"first/{piece.name}"] = piece.of(moments["exp_avg"])
            found[f"second/{piece.name}"] = piece.of(moments["exp_avg_sq"])
        return found

    def load(self, tensors: Mapping[str, Tensor], *, steps_done: int) -> None:
        """Continue after ``steps_done`` steps with the moments of `state`."""
        for name, stored in self.state().items():
            stored.copy_(tensors[name])
        for moments in self._adamw.state.values():
            moments["step"].fill_(steps_done)
