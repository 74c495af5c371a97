"""What trains, under the names it has in files.

The lean decoder stores several matrices as one parameter. Files name each matrix as transformers
or peft does, so that a checkpoint does not depend on how the parameters are stacked in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a parameter."""

    name: str
    parameter: Tensor
    first: int
    stop: int

    def of(self, stored: Tensor) -> Tensor:
        """The same rows of a tensor shaped like the parameter, e.g. an optimiser's moment."""
        return stored[self.first : self.stop]


def whole(name: str, parameter: Tensor) -> Piece:
    """A parameter that is one piece."""
    return Piece(name, parameter, 0, parameter.shape[0])


def stacked(names: Sequence[str], sizes: Sequence[int], parameter: Tensor) -> list[Piece]:
    """A parameter whose rows belong to several matrices."""
    pieces, first = [], 0
    for name, size in zip(names, sizes, strict=True):
        pieces.append(Piece(name, parameter, first, first + size))
        first += size
    return pieces


def parameters_of(pieces: Sequence[Piece]) -> list[Tensor]:
    """The distinct parameters, in order."""
    return list({id(piece.parameter): piece.parameter for piece in pieces}.values())


def values(pieces: Sequence[Piece]) -> dict[str, Tensor]:
    """Name to value; views, not copies."""
    return {piece.name: piece.of(piece.parameter.detach()) for piece in pieces}


@torch.no_grad()
def assign(pieces: Sequence[Piece], tensors: Mapping[str, Tensor]) -> None:
    """Overwrite the parameters.

    Raises:
        KeyError: A name is missing.
        ValueError: A shape differs.
    """
    for piece in pieces:
        old, new = piece.of(piece.parameter), tensors[piece.name]
        if old.shape != new.shape:
            raise ValueError(
                f"{piece.name} has shape {list(new.shape)}, expected {list(old.shape)}"
            )
        old.copy_(new)
