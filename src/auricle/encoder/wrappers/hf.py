"""Audio encoders in the Hugging Face format: `hf:owner/model` or a folder, without user code.

Whisper, Qwen2-Audio's tower, the wav2vec 2.0 family (HuBERT, WavLM, data2vec, ...), wav2vec2-BERT,
and with ``trust_remote_code`` models that bring their own code. Windows longer than the model's are
encoded in pieces; what the model needs as padding never becomes a frame.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from hf_families import find_family  # type: ignore[import-not-found]  # the file beside this
from hf_loading import Checkpoint, ModelError, Preprocessor  # type: ignore[import-not-found]

SAMPLE_RATE = 16_000
_GRID = 640  # pieces start on it, so that frames of 10, 20 and 40 ms keep their places
_AT_ONCE_S = 480  # audio that goes through a model in one call
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class _Piece(NamedTuple):
    row: int
    start: int
    samples: torch.Tensor


class HuggingFaceEncoder(torch.nn.Module):
    """A pretrained audio encoder.

    Args:
        model: ``owner/name`` on the hub, or a folder that ``save_pretrained`` wrote.
        layer: Which hidden states are the features: None for the model's output, a number (0 is
            what enters the first layer, -1 the last layer's output), a list of numbers for their
            mean, or "mean" for the mean over all layers.
        chunk_s: Longest piece in seconds; None for the model's own window, or 30.
        dtype: float32, float16 or bfloat16.
        revision: Branch, tag or commit on the hub.
        trust_remote_code: Run the code that comes with the model.
        preprocessor: What stands over the model's preprocessor configuration, or for one that it
            lacks, e.g. ``{"do_normalize": false}``; False to give a model with code of its own
            samples, though it brings a feature extractor.
    """

    def __init__(
        self,
        model: str,
        *,
        layer: Any = None,
        chunk_s: float | None = None,
        dtype: str = "float32",
        revision: str | None = None,
        trust_remote_code: bool = False,
        preprocessor: Preprocessor = None,
    ) -> None:
        super().__init__()
        if dtype not in _DTYPES:
            raise ModelError(f"dtype is {dtype!r}; one of {', '.join(_DTYPES)} is expected.")
        source = {"revision": revision} if revision else {}
        files = Checkpoint(model, source, _DTYPES[dtype], preprocessor)
        self.family = find_family(files, trust_remote_code=trust_remote_code)
        self.layer = _checked_layer(layer)
        limit = self.family.max_samples
        wanted = 30 * SAMPLE_RATE if chunk_s is None else round(chunk_s * SAMPLE_RATE)
        self.piece_samples = max(_GRID, min(wanted, limit or wanted) // _GRID * _GRID)
        second = torch.zeros(1, SAMPLE_RATE)
        with torch.no_grad():
            self.output_dim = self(second, second.int() + 1)[0].shape[2]
            files.settle(self._probe)
        self.loading_notes = files.notes

    def _probe(self) -> torch.Tensor:
        """Features of two windows, one of them short: what a weight is tried on."""
        time_s = torch.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
        audio = torch.stack([torch.sin(900 * time_s * (1 + time_s))] * 2) * 0.3
        mask = torch.ones_like(audio, dtype=torch.int32)
        mask[1, 5_937:] = 0
        features: torch.Tensor = self(audio * mask, mask)[0]
        return features

    def forward(self, audio: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode a batch.

        Args:
            audio: float32 ``[B, T]`` at 16 kHz.
            mask: int32 ``[B, T]``, 1 where a sample counts.

        Returns:
            ``[B, T', D]`` and the frames' mask, bool ``[B, T']``.
        """
        # Sorted by length, so that little is padded and what cannot be padded shares a call.
        pieces = sorted(
            (
                _Piece(row, start, audio[row, start:stop])
                for row, length in enumerate(mask.sum(1).tolist())
                for start, stop in _cut(length, self.piece_samples)
            ),
            key=lambda piece: -len(piece.samples),
        )
        encoded: dict[tuple[int, int], torch.Tensor] = {}
        for group in _groups(pieces, self.family):
            for piece, frames in zip(group, self._encode([p.samples for p in group])):  # noqa: B905
                encoded[piece.row, piece.start] = frames
        rows: list[list[torch.Tensor]] = [[] for _ in audio]
        for row, start in sorted(encoded):
            rows[row].append(encoded[row, start])
        whole = [torch.cat(parts) for parts in rows]
        lengths = torch.tensor([len(frames) for frames in whole], device=audio.device)
        features = torch.nn.utils.rnn.pad_sequence(whole, batch_first=True)
        places = torch.arange(features.shape[1], device=audio.device)
        return features, places[None] < lengths[:, None]

    def _encode(self, pieces: list[torch.Tensor]) -> list[torch.Tensor]:
        lengths = torch.tensor([len(piece) for piece in pieces], device=pieces[0].device)
        size = max(int(lengths.max()), self.family.min_samples, self.family.padded_samples or 0)
        batch = torch.stack(
            [torch.nn.functional.pad(piece, (0, size - len(piece))) for piece in pieces]
        )
        lengths = lengths.clamp(min=self.family.min_samples)
        output = self.family(batch, lengths, hidden=self.layer is not None)
        features = self._choose(output)
        counts = self.family.count_frames(lengths, features.shape[1]).tolist()
        return [row[:count] for row, count in zip(features, counts)]  # noqa: B905

    def _choose(self, output: Any) -> torch.Tensor:
        if self.layer is None:
            last: torch.Tensor = output.last_hidden_state
            return last
        states = output.hidden_states
        wanted = range(1, len(states)) if self.layer == "mean" else self.layer
        for index in wanted:
            if not -len(states) <= index < len(states):
                raise ModelError(
                    f"layer {index} was asked for; this model has {len(states) - 1} layers."
                )
        mean = torch.stack([states[index] for index in wanted]).mean(0)
        after: torch.Tensor = self.family.after_layer(mean)
        return after


def _checked_layer(layer: Any) -> Any:
    if layer is None or layer == "mean":
        return layer
    layers = layer if isinstance(layer, list) else [layer]
    if layers and all(type(index) is int for index in layers):
        return layers
    raise ModelError(f'layer is {layer!r}; a number, a list of numbers or "mean" is expected.')


def _cut(length: int, longest: int) -> list[tuple[int, int]]:
    """Cut a window into equal pieces on the grid, as few as there can be."""
    count = -(-length // longest)
    size = -(-length // (count * _GRID)) * _GRID
    return [(start, min(start + size, length)) for start in range(0, length, size)]


def _groups(pieces: list[_Piece], family: Any) -> list[list[_Piece]]:
    """Pieces, longest first, that go through the model together within a bound on their audio."""
    groups: list[list[_Piece]] = []
    for piece in pieces:
        first = groups[-1][0] if groups else piece
        size = family.padded_samples or len(first.samples)
        fits = groups and (len(groups[-1]) + 1) * size <= _AT_ONCE_S * SAMPLE_RATE
        if not fits or (not family.mixes_lengths and len(piece.samples) != len(first.samples)):
            groups.append([])
        groups[-1].append(piece)
    return groups
