"""The order of encoding says nothing of the labels: an encoder that counts hears no more for it."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from auricle import RunOptions, run
from auricle.catalog.spec import Task
from auricle.data.clips import AudioSource, ClipTable, Window, by_content
from auricle.data.index import open_indexes
from auricle.data.mixture import Crop, Mixture, MixturePart
from auricle.data.tables import asked_windows, collect_asked_clips
from auricle.encoder.host import EncoderProcess
from auricle.encoder.load import parse_encoder
from auricle.features.batches import EQUAL, PADDED, BatchPlan
from auricle.features.encode import Features
from auricle.features.store import FeatureStore
from auricle.progress import SilentProgress
from auricle.stages.walk import CHUNK, Walk
from making import PITCH, audio_bytes, locked, write_suite, write_tar

WORDS = tuple(f"w{number}" for number in range(10))
TRAINED, ASKED, SAMPLES = 20, 10, 4000
"""Clips of each of ten classes of white noise, and the length of each."""
COUNTING = f"""
import torch
class CountingEncoder(torch.nn.Module):
    '''Numbers the clips of one length as they come; says in which tenth of a side each came.'''
    output_dim = 10
    def __init__(self):
        super().__init__()
        self.seen = {{}}
    def forward(self, audio, mask=None):
        frames = torch.zeros(len(audio), max(1, audio.shape[1] // 1000), 10)
        for row, clip in enumerate(audio):
            if audio.shape[1] == {SAMPLES}:
                place = self.seen.setdefault(clip.numpy().tobytes(), len(self.seen))
                trained = {10 * TRAINED}
                each = {TRAINED} if place < trained else {ASKED}
                frames[row, :, (place - (place >= trained) * trained) // each % 10] = 1.0
        return frames, torch.ones(frames.shape[:2])
"""


def old_order(window: Window) -> tuple[str, int]:
    """That of the shards, as it was before."""
    return window.shard, window.position


def write_noise(folder: Path, side: str, each: int, *, turned: bool = False) -> Path:
    """White noise, sorted by class as an organiser's table is, or the other way round."""
    generator = np.random.default_rng([each, len(side)])
    clips = []
    for place in range(10 * each):
        audio = audio_bytes(generator.uniform(-0.5, 0.5, SAMPLES).astype("f4"))
        label = json.dumps({"label": WORDS[place // each]}).encode()
        clips.append([(f"k{place:03d}.flac", audio), (f"k{place:03d}.json", label)])
    members = [member for clip in (reversed(clips) if turned else clips) for member in clip]
    return write_tar(folder / f"{side}.tar", members)


def table_of(tar: Path, home: Path) -> ClipTable:
    shard = locked(tar)
    indexes = open_indexes([shard], home=home, workers=1, progress=SilentProgress())
    return ClipTable([shard], indexes)


def noise_task() -> Task:
    shards = {"train_shards": ["train.tar"], "test_shards": ["test.tar"]}
    return Task(name="noise", **{**PITCH, "num_classes": 10, **shards})


@pytest.mark.parametrize("order", ["content", "shards"])
def test_an_encoder_that_counts_is_at_chance(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    if order == "shards":
        monkeypatch.setattr(Window, "order", property(old_order))
    (tmp_path / "counting.py").write_text(COUNTING)
    train = table_of(write_noise(tmp_path, "train", TRAINED), home)
    test = table_of(write_noise(tmp_path, "test", ASKED), home)
    task = noise_task()
    part = MixturePart(task, train, 1.0)
    mixture = Mixture([part], crop=Crop(30.0, 5.0), seed=1)
    asked = collect_asked_clips(task, test)
    with EncoderProcess(
        parse_encoder(str(tmp_path / "counting.py")), log_path=tmp_path / "log.txt"
    ) as process:
        features = Features(
            BatchPlan(mode=PADDED, budget_s=4.0),
            FeatureStore(tmp_path, dtype="float32", dim=10),
            AudioSource([train, test]),
            encoder=lambda: process,
            workers=1,
        )
        trained = features.plan.add(mixture.all_windows(part))
        answered = features.plan.add(asked_windows(test, asked))
        features.ensure([*trained, *answered], name="encode", progress=SilentProgress())
        said = [int(features.read(test.window(a.clip))[0].argmax()) for a in asked]
    right = sum(WORDS[number] == a.references[0] for number, a in zip(said, asked, strict=True))
    if order == "shards":
        assert right == len(asked)
    else:  # 10 of 100 by chance; within three standard deviations
        assert abs(right - 10) <= 9


@pytest.mark.slow
@pytest.mark.parametrize("order", ["content", "shards"])
def test_a_lalm_learns_no_class_from_an_encoder_that_counts(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    if order == "shards":
        monkeypatch.setattr(Window, "order", property(old_order))
    (tmp_path / "counting.py").write_text(COUNTING)
    write_noise(tmp_path, "train", TRAINED)
    write_noise(tmp_path, "test", ASKED)
    task = {**PITCH, "num_classes": 10, "weight": 1.0}
    task |= {"train_shards": ["train.tar"], "test_shards": ["test.tar"]}
    settings = (
        *("train.steps=200", "train.batch_size=8", "train.warmup=10", "train.lr=0.003"),
        *("decoder_config.hidden_size=64", "decoder_config.intermediate_size=64"),
        *("decoder_config.num_hidden_layers=1", "decoder_config.vocab_size=280"),
        "answer.max_new_tokens=4",
    )
    options = RunOptions(out=tmp_path / "runs", settings=settings, workers=1)
    suite = write_suite(tmp_path, "noise", {"noise": task})
    result = run(str(tmp_path / "counting.py"), str(suite), options=options)
    score = float(result.scores["tasks"]["noise"]["score"])
    assert score >= 0.8 if order == "shards" else score <= 0.19


def test_windows_are_in_one_order_however_their_clips_are_packed(
    tmp_path: Path, home: Path
) -> None:
    one = table_of(write_noise(tmp_path / "one", "test", 4), home)
    other = table_of(write_noise(tmp_path / "other", "test", 4, turned=True), home)
    digests = [
        [window.digest for window in by_content(table.window(j) for j in range(len(table)))]
        for table in (one, other)
    ]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 40
    assert digests[0] != [one.window(j).digest for j in range(40)]


def test_clips_of_equal_audio_are_in_no_order_of_their_places(tmp_path: Path, home: Path) -> None:
    audio = audio_bytes(np.zeros(SAMPLES, "f4"))
    members = [
        member
        for place in range(40)
        for member in ((f"k{place:03d}.flac", audio), (f"k{place:03d}.json", b"{}"))
    ]
    table = table_of(write_tar(tmp_path / "same.tar", members), home)
    order = [window.position for window in by_content(table.window(j) for j in range(40))]
    assert sorted(order) == [*range(40)]
    rising = sum(one < other for one, other in pairwise(order))
    assert 10 <= rising <= 29


def test_chunks_of_test_clips_are_asked_as_their_batches_are_encoded(
    tmp_path: Path, home: Path
) -> None:
    test = table_of(write_noise(tmp_path, "test", 20), home)
    asked = collect_asked_clips(noise_task(), test)
    plan = BatchPlan(mode=PADDED, budget_s=CHUNK * 0.25)
    plan.add(asked_windows(test, asked))
    data: Any = SimpleNamespace(tests={"noise": (test, asked)})
    other: Any = None
    found = Walk(other, data, other, bytes_per_s=1.0).questions("noise")
    assert [len(chunk) for chunk in found.chunks] == [64, 64, 64, 8]
    for chunk in found.chunks:  # of one length, so a chunk is a batch
        assert len({plan.places[found.windows[a.id]][0].hash for a in chunk}) == 1
    labels = [a.references[0] for a in found.chunks[0]]
    assert len(set(labels)) == 10


def test_the_batches_of_a_whole_mixture_are_the_same_for_every_seed(
    tmp_path: Path, home: Path
) -> None:
    train = table_of(write_noise(tmp_path, "train", 5), home)
    part = MixturePart(noise_task(), train, 1.0)
    found = []
    for seed in (1, 2):
        plan = BatchPlan(mode=PADDED, budget_s=4.0)
        mixture = Mixture([part], crop=Crop(0.1, 0.05), seed=seed)
        plan.add(mixture.all_windows(part))
        before = len(plan.batches)
        plan.add(mixture.windows(0, 400))
        assert len(plan.batches) == before
        found.append([batch.hash for batch in plan.batches])
    assert found[0] == found[1]


@pytest.mark.parametrize("mode", [PADDED, EQUAL])
@pytest.mark.parametrize(
    "lengths_s", [(5.0,), (2.0, 3.0, 4.0, 5.0, 10.0), tuple(1 + j / 37 for j in range(700))]
)
def test_chunks_of_questions_need_no_more_disk_than_in_the_order_of_the_shards(
    monkeypatch: pytest.MonkeyPatch, mode: str, lengths_s: tuple[float, ...]
) -> None:
    draw = random.Random(1)
    windows = [
        Window(
            f"s{j // 1000}",
            j % 1000,
            0,
            round(draw.choice(lengths_s) * 16_000),
            16_000,
            f"s{j // 1000}/k{j % 1000:04d}",
            draw.getrandbits(64),
        )
        for j in range(5000)
    ]

    def needed() -> float:
        plan = BatchPlan(mode=mode, budget_s=240.0)
        plan.add(by_content(windows))
        asked = sorted(windows, key=lambda window: window.length_order)
        chunks = [asked[j : j + CHUNK] for j in range(0, len(asked), CHUNK)]
        of_chunk = [{plan.places[w][0].hash: plan.places[w][0] for w in c} for c in chunks]
        return max(sum(batch.duration_s for batch in one.values()) for one in of_chunk)

    now = needed()
    monkeypatch.setattr(Window, "order", property(old_order))
    assert now <= 1.1 * needed()
