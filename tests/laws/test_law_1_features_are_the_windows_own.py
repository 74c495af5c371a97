"""Law 1: features depend on the encoder and the window alone, float rounding excepted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from auricle.data.clips import AudioSource, ClipTable, Window
from auricle.data.index import open_indexes
from auricle.data.shards import LockedShard
from auricle.encoder.host import EncoderProcess
from auricle.encoder.load import parse_encoder
from auricle.encoder.properties import measure_properties
from auricle.features.batches import BatchPlan, batching_mode
from auricle.features.encode import Features
from auricle.features.store import FeatureStore
from auricle.progress import SilentProgress
from making import CRAMPED_ENCODER, audio_bytes

MASKLESS = """
import torch
class MeanEncoder(torch.nn.Module):
    '''Subtracts the mean over all samples it is given, padding included; has no mask.'''
    output_dim = 4
    def forward(self, audio, mask=None):
        audio = audio - audio.mean(dim=1, keepdim=True)
        frames = audio[:, : audio.shape[1] // 400 * 400].reshape(len(audio), -1, 400)
        return torch.stack([frames.amax(-1), frames.amin(-1), frames.mean(-1), frames.std(-1)], -1)
"""
BATCHED = """
import torch
class WholeBatchEncoder(torch.nn.Module):
    '''Normalises by the loudest clip of the batch.'''
    output_dim = 1
    def forward(self, audio, mask=None):
        audio = audio / audio.abs().max()
        frames = audio[:, : audio.shape[1] // 400 * 400].reshape(len(audio), -1, 400)
        return frames.abs().mean(-1, keepdim=True)
"""


CONVOLUTION = """
import torch
class ConvolutionEncoder(torch.nn.Module):
    '''Two convolutions; what is padding is zero before each.'''
    output_dim = 48
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv1d(1, 32, 400, stride=160, padding=200)
        self.second = torch.nn.Conv1d(32, 48, 5, padding=2)
    def forward(self, audio, mask):
        kept = mask[:, ::160]
        frames = torch.nn.functional.gelu(self.first((audio * mask)[:, None])[..., : kept.shape[1]])
        return self.second(frames * kept[:, None]).transpose(1, 2), kept
"""
TRANSFORMER = """
import torch
class TransformerEncoder(torch.nn.Module):
    '''Frames of 20 ms through two blocks that attend to what is no padding.'''
    output_dim = 192
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(320, 192)
        block = torch.nn.TransformerEncoderLayer(192, 3, 384, batch_first=True, norm_first=True)
        self.blocks = torch.nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
    def forward(self, audio, mask):
        short = -audio.shape[1] % 320
        audio = torch.nn.functional.pad(audio * mask, (0, short))
        kept = torch.nn.functional.pad(mask, (0, short))[:, ::320]
        frames = self.first(audio.unflatten(1, (-1, 320)))
        return self.blocks(frames, src_key_padding_mask=kept == 0), kept
"""


@pytest.fixture
def clips(make_shard: Callable[..., LockedShard], home: Path) -> tuple[ClipTable, list[Window]]:
    generator = np.random.default_rng(0)
    lengths = [0.5, 0.5, 0.8, 0.8, 0.8, 1.1, 1.7, 2.0, 2.0, 3.1]
    samples = []
    for j, seconds in enumerate(lengths):
        audio = 0.1 * (1 + j % 4) * generator.uniform(-1, 1, round(seconds * 16_000))
        samples.append((f"k{j}", "flac", audio_bytes(audio.astype("f4")), {}))
    shard = make_shard(samples)
    table = ClipTable(
        [shard], open_indexes([shard], home=home, workers=1, progress=SilentProgress())
    )
    return table, [table.window(j) for j in range(len(lengths))]


def features_of(
    encoder: str, clips: tuple[ClipTable, list[Window]], folder: Path, *, budgets_s: Sequence[float]
) -> tuple[list[dict[Window, np.ndarray]], str]:
    """Encode all windows as a run does, once for each budget; also returns the batching mode."""
    table, windows = clips
    found = []
    with EncoderProcess(parse_encoder(encoder), log_path=folder / "log.txt") as process:
        properties = measure_properties(process)
        mode = batching_mode(
            padding_invariant=properties.padding_invariant,
            batch_invariant=properties.batch_invariant,
        )
        for budget_s in budgets_s:
            features = Features(
                BatchPlan(mode=mode, budget_s=budget_s),
                FeatureStore(folder / f"{budget_s}", dtype="float32", dim=process.info.output_dim),
                AudioSource([table]),
                encoder=lambda: process,
                workers=2,
            )
            features.plan.add(windows)
            features.ensure(features.plan.batches, name="encode", progress=SilentProgress())
            found.append({w: features.read(w).numpy() for w in windows})
    return found, mode


@pytest.mark.parametrize(
    ("encoder", "mode"),
    [
        *(("logmel", "padded"), ("noise", "padded")),
        *((CONVOLUTION, "padded"), (TRANSFORMER, "padded")),
        *((MASKLESS, "equal"), (BATCHED, "single")),
    ],
    ids=["logmel", "noise", "convolution", "transformer", "without-a-mask", "whole-batch"],
)
def test_features_do_not_depend_on_batch_mates(
    encoder: str, mode: str, clips: tuple[ClipTable, list[Window]], tmp_path: Path
) -> None:
    if "\n" in encoder:
        (tmp_path / "enc.py").write_text(encoder)
        encoder = str(tmp_path / "enc.py")
    budgets_s = (0.1, 4.0, 100.0)  # one by one, a few together, all together
    (alone, *others), chosen = features_of(encoder, clips, tmp_path, budgets_s=budgets_s)
    assert chosen == mode
    worst = 0.0
    for together in others:
        for window, expected in alone.items():
            assert together[window].shape == expected.shape
            rms = float(np.sqrt((expected**2).mean()))
            worst = max(worst, float(np.abs(together[window] - expected).max()) / rms)
    print(f"largest difference: {worst:.1e} of the RMS")
    assert worst <= 1e-5


def test_batches_are_fixed_by_the_windows_and_the_budget_alone(
    clips: tuple[ClipTable, list[Window]],
) -> None:
    _, windows = clips
    one, two = (BatchPlan(mode="padded", budget_s=4.0) for _ in range(2))
    one.add(windows)
    two.add(list(windows))
    assert [b.hash for b in one.batches] == [b.hash for b in two.batches]
    assert len(one.batches) > 2


def test_a_dropped_batch_comes_back_byte_for_byte(
    clips: tuple[ClipTable, list[Window]], tmp_path: Path
) -> None:
    table, windows = clips
    with EncoderProcess(parse_encoder("logmel"), log_path=tmp_path / "log.txt") as process:
        features = Features(
            BatchPlan(mode="padded", budget_s=4.0),
            FeatureStore(tmp_path, dtype="float32", dim=process.info.output_dim),
            AudioSource([table]),
            encoder=lambda: process,
            workers=2,
        )
        features.plan.add(windows)
        batches = features.plan.batches
        features.ensure(batches, name="encode", progress=SilentProgress())
        first = {b.hash: features.store.path(b.hash).read_bytes() for b in batches}
        features.keep_only(batches[:1])
        assert len(features.missing(batches)) == len(batches) - 1
        features.ensure(list(reversed(batches)), name="encode", progress=SilentProgress())
    assert {b.hash: features.store.path(b.hash).read_bytes() for b in batches} == first


def test_a_batch_that_ran_out_of_memory_has_the_features_of_its_windows(
    clips: tuple[ClipTable, list[Window]], tmp_path: Path
) -> None:
    (tmp_path / "small.py").write_text(CRAMPED_ENCODER)
    encoder = str(tmp_path / "small.py")
    (alone,), _ = features_of(encoder, clips, tmp_path / "alone", budgets_s=[0.1])
    (split,), mode = features_of(encoder, clips, tmp_path / "split", budgets_s=[1000.0])
    assert mode == "padded"
    parts = [json.loads(p.read_text()) for p in (tmp_path / "split/1000.0/splits").glob("*.json")]
    assert parts == [[2, 3, 2, 3]]  # ten windows in halves, and those in halves
    for window, expected in alone.items():
        assert np.array_equal(split[window], expected)
