"""Draws and features that are functions of their number, for the tests of this room."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import torch

WORDS = "one two three four five six seven eight dog cat bell rain siren horn 中 文".split()
DIM = 12


@dataclass(frozen=True, slots=True)
class Drawn:
    index: int
    task: str
    window: str
    prompt: str
    text: str
    duration_s: float


class Material:
    """Draws and features that are functions of their number."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.read_windows: list[str] = []
        self.broken: set[str] = set()

    def draw(self, index: int) -> Drawn:
        rng = random.Random(index)
        words = [rng.choice(WORDS) for _ in range(rng.randint(1, 4))]
        prompt = rng.choice(["Name it.", "What do you hear here?", ""])
        return Drawn(
            index, "task", f"clip-{index}", prompt, " ".join(words), rng.randint(4, 40) / 4
        )

    def draws(self, first: int, stop: int) -> list[Drawn]:
        self.asked.append((first, stop))
        return [self.draw(index) for index in range(first, stop)]

    def read(self, window: str) -> torch.Tensor:
        self.read_windows.append(window)
        index = int(window.removeprefix("clip-"))
        frames = int(self.draw(index).duration_s * 2)
        features = torch.randn(frames, DIM, generator=torch.Generator().manual_seed(index))
        return features * float("nan") if window in self.broken else features


class Folder:
    """Where a training keeps its files."""

    def __init__(self, path: Path) -> None:
        self.checkpoints = path / "checkpoints"
        self.losses = path / "losses.jsonl"
