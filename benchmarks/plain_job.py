"""The plain baseline's whole job, in a process of its own; nothing here imports auricle.

    python benchmarks/plain_job.py job.json

The job names extracted clips, the batches of every step (tokens and all) and the test clips with
as many questions as references; see `whole_job.py`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import plain_baseline as plain
import soundfile
import torch
from base_encoder import BaseEncoder
from torch import Tensor


class OnAudio(torch.nn.Module):
    """The encoder, fed with padded audio whose padding is zero; pieces come out."""

    def __init__(self, encoder: BaseEncoder) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(requires_grad=False)

    def forward(self, pieces: Tensor) -> Tensor:
        """Audio cut to pieces ``[clips, frames, hop]`` to features."""
        audio = pieces.flatten(1)
        kept = pieces.any(2, keepdim=True).expand_as(pieces).flatten(1)
        features: Tensor = self.encoder(audio, kept.int())[0]
        return features


def read(path: str) -> Tensor:
    """A clip, cut to the encoder's pieces."""
    audio = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    audio = torch.nn.functional.pad(audio, (0, -len(audio) % 640))
    return audio.unflatten(0, (-1, 640))


def main() -> None:
    """Train, then answer."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    encoder = OnAudio(BaseEncoder(**job["encoder"]))
    decoder = Path(job["folder"]) / "decoder"
    plain.save_decoder(decoder, shape=job["shape"])
    width = job["encoder"]["width"]
    lalm = plain.PlainLALM(decoder, encoder=encoder, lora=False, concat=job["concat"], width=width)
    losses = []
    for step, batch in enumerate(job["batches"]):
        samples = [
            plain.Sample(path, read(path), tuple(prompt), tuple(target))
            for path, prompt, target in batch
        ]
        losses.append(lalm.step(samples, rate=job["rates"][step]))
    answered = 0
    for questions in job["questions"]:
        for at in range(0, len(questions), job["batch_size"]):
            asked = questions[at : at + job["batch_size"]]
            lalm.answer(
                [read(path) for path, _ in asked],
                [tuple(prompt) for _, prompt in asked],
                [job["max_new_tokens"]] * len(asked),
                eos_id=0,
                penalty=1.0,
            )
            answered += len(asked)
    print(json.dumps({"loss": sum(losses[-20:]) / len(losses[-20:]), "answers": answered}))


if __name__ == "__main__":
    main()
