"""Memory, estimated from shapes, so that a GPU's can be known before there is one."""

from __future__ import annotations

from collections.abc import Sequence

from auricle.encoder.checks import CARD_BYTES
from auricle.encoder.host import EncoderProcess
from auricle.job import hardware
from auricle.lalm.decode import CACHE_POSITIONS
from auricle.lalm.llama import LeanLlama
from auricle.lalm.model import LALM
from auricle.plan.questions import Asked
from auricle.plan.speed import Bench
from auricle.records.plan import PlannedMemory

_FLOAT_BYTES = 4
_TRAINED_BYTES = 12  # gradient and two moments of a number that trains


def estimate_memory(
    bench: Bench | None,
    chunks: Sequence[Asked],
    encoder: float | None,
    *,
    device: str,
) -> PlannedMemory:
    """What each stage needs; whether it fits is no verdict of an estimate.

    Args:
        bench: Has taken a training step, or None.
        chunks: All questions.
        encoder: From `encoder_bytes`.
        device: Where the run would compute.
    """
    machine = hardware(device)
    train = answer = None
    if bench is not None and bench.saved_per_position:
        weights = sum(p.numel() * p.element_size() for p in bench.lalm.parameters())
        trained = sum(p.numel() for p in bench.lalm.parameters() if p.requires_grad)
        train = weights + trained * _TRAINED_BYTES + bench.saved_per_position * bench.longest_step
        answer = weights + max((_chunk_bytes(bench, chunk) for chunk in chunks), default=0.0)
    known = [bytes_ for bytes_ in (encoder, train, answer) if bytes_ is not None]
    return PlannedMemory(
        card_bytes=CARD_BYTES,
        machine_bytes=machine.get("gpu_memory_bytes", machine["memory_bytes"]),
        encoder_bytes=_whole(encoder),
        train_bytes=_whole(train),
        answer_bytes=_whole(answer),
        most_bytes=_whole(max(known, default=None)),
        estimate=True,
        fits=None,
    )


def encoder_bytes(process: EncoderProcess, largest_s: float, *, budget_s: float) -> float | None:
    """What an encoder took on its GPU; without one, its parameters and what its process grew by.

    Args:
        process: Has encoded batches.
        largest_s: Padded seconds of the largest of them.
        budget_s: Seconds of audio in the largest batch.
    """
    if process.usage.device_bytes is not None:
        return float(process.usage.device_bytes)
    if process.usage.resident_bytes is None or process.baseline_bytes is None or not largest_s:
        return None
    parameters = process.info.num_parameters * _FLOAT_BYTES
    grown = max(0.0, process.usage.resident_bytes - process.baseline_bytes - parameters)
    return parameters + grown * budget_s / largest_s


def _chunk_bytes(bench: Bench, chunk: Asked) -> float:
    """Keys and values of all rows, and the widest layer's input and output of the prefill."""
    rows, longest = len(chunk.lengths), max(map(bench.positions, chunk.durations_s))
    room = longest + bench.job.recipe.answer.max_new_tokens
    numbers, widest = _widths(bench.lalm)
    held = min(rows * room, max(room, CACHE_POSITIONS))
    passed = min(chunk.positions, held)  # who finds no place in the cache waits
    return (held * numbers + 2 * passed * widest) * _FLOAT_BYTES


def _widths(lalm: LALM) -> tuple[int, int]:
    """Numbers in the cache per position, and columns of the widest layer."""
    decoder = lalm.decoder
    if isinstance(decoder, LeanLlama):
        blocks = decoder.lean_blocks()
        return 2 * len(blocks) * decoder.heads[1] * decoder.head_dim, sum(blocks[0].gate_up.sizes)
    config = decoder.decoder.config
    heads = config.num_attention_heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    wide = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    return 2 * config.num_hidden_layers * key_heads * head_dim, 2 * wide


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
