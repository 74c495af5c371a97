"""The report's parts, each against a hand-worked case or another library."""

from __future__ import annotations

import io
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
from PIL import Image
from sklearn.metrics import confusion_matrix as reference_matrix

from auricle.metrics.text import Samples
from auricle.records.manifest import TestTask
from auricle.records.scores import TaskScore
from auricle.runs.predictions import Prediction
from auricle.runs.report_curves import histogram, loss_curve, ticks_to
from auricle.runs.report_examples import LONGEST_TEXT, choose, shorten
from auricle.runs.report_facts import TaskFacts, read_losses, read_run
from auricle.runs.report_labels import MOST_CLASSES, classes_of, confusion_matrix, confusions
from auricle.runs.report_making import making_facts
from auricle.runs.report_media import (
    BYTES_PER_S,
    LONGEST_EXCERPT_S,
    SHORTEST_EXCERPT_S,
    excerpt_length_s,
    ink_png,
    make_excerpt,
    opus,
    spectrogram,
)
from auricle.runs.report_overview import groups, remarks
from auricle.runs.report_page import breakable, visible
from auricle.runs.report_recognition import Piece, Slip, difference, recognition_errors
from making import tone
from report_material import WORDS, make_run


def samples(pairs: list[tuple[str, str]]) -> Samples:
    return Samples([answer for _, answer in pairs], [(text,) for text, _ in pairs])


def task(metric: str, pairs: list[tuple[str, str]]) -> TaskFacts:
    predictions = [Prediction(f"clip/{i}", (t,), a, 1.0) for i, (t, a) in enumerate(pairs)]
    facts = TestTask(domain="speech", metric=metric, clips_expected=len(pairs))
    return TaskFacts("task", facts, TaskScore(metric=metric), predictions)


# Sound and picture


def test_an_excerpt_is_the_beginning_of_the_clip() -> None:
    clip = np.concatenate([tone(400, 2.0), tone(3000, 2.0)])
    heard, rate = soundfile.read(io.BytesIO(opus(clip[:32_000])))
    assert rate == 16_000
    assert len(heard) == 32_000
    spectrum = np.abs(np.fft.rfft(heard[8000:24_000]))
    assert int(spectrum.argmax()) == 400  # one hertz a bin: a second of samples
    excerpt = make_excerpt(clip, 2.0)
    assert excerpt is not None
    assert excerpt.duration_s == 2.0


def test_equal_samples_give_equal_bytes() -> None:
    clip = tone(700, 1.0)
    assert opus(clip) == opus(clip)


@pytest.mark.parametrize("length", [1, 7, 320, 16_001])
def test_clips_of_any_length_have_an_excerpt(length: int) -> None:
    excerpt = make_excerpt(np.full(length, 0.1, np.float32), 6.0)
    assert excerpt is not None
    assert excerpt.duration_s == length / 16_000


def test_a_clip_without_samples_has_no_excerpt() -> None:
    assert make_excerpt(np.zeros(0, np.float32), 6.0) is None


def test_samples_out_of_range_or_not_finite_do_no_harm() -> None:
    assert make_excerpt(np.array([np.nan, np.inf, 9.0, -9.0] * 2000, np.float32), 6.0) is not None


def test_a_tone_is_a_line_at_its_height() -> None:
    ink = spectrogram(tone(1000, 1.0))
    # 1000 Hz is 1000 mel of 2840: band 20 of 57 steps, counted from the last row up.
    assert ink.shape == (56, 49)
    assert abs((55 - int(ink[:, 20].argmax())) - (1000 / 2840 * 57 - 1)) <= 1


def test_silence_is_blank() -> None:
    assert not spectrogram(np.zeros(4000, np.float32)).any()


def test_a_picture_has_the_ink_that_was_given() -> None:
    ink = np.arange(15, dtype=np.uint8).reshape(3, 5)
    image = Image.open(io.BytesIO(ink_png(ink))).convert("RGBA")
    pixels = np.asarray(image)
    assert pixels.shape == (3, 5, 4)
    assert not pixels[..., :3].any()
    assert (pixels[..., 3] == ink * 17).all()


def test_excerpts_get_shorter_as_tasks_get_more() -> None:
    assert excerpt_length_s(10, 3_600_000) == LONGEST_EXCERPT_S
    assert excerpt_length_s(0, 3_600_000) == LONGEST_EXCERPT_S
    assert excerpt_length_s(100_000, 3_600_000) == SHORTEST_EXCERPT_S
    many = excerpt_length_s(150, 3_600_000)
    assert 150 * many * BYTES_PER_S == pytest.approx(3_600_000)


def test_a_second_costs_what_the_budget_assumes() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, 96_000).astype(np.float32)
    excerpt = make_excerpt(noise, 6.0)
    assert excerpt is not None
    assert len(excerpt.audio) + len(excerpt.picture) < 1.25 * 6 * BYTES_PER_S


# Curves


def test_ticks_are_round_and_reach_the_top() -> None:
    assert ticks_to(5.7) == [0, 2, 4, 6]
    assert ticks_to(1.0) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks_to(1200, most=6) == [0, 200, 400, 600, 800, 1000, 1200]


def test_a_curve_runs_from_edge_to_edge() -> None:
    curve = loss_curve([(step, 4.0 - 0.02 * step) for step in range(1, 101)])
    assert curve is not None
    assert curve.line.startswith("M0.00 ")
    assert "L100.00 " in curve.line
    # 25 stretches of 4 steps: the first has the mean of steps 1 to 4, the last of 97 to 100.
    assert curve.first == pytest.approx(3.95)
    assert curve.last == pytest.approx(2.03)
    assert curve.steps == 100


def test_a_stretch_holds_whole_blocks_so_that_sorting_leaves_no_wave() -> None:
    losses = [(step, 2.0 + (step % 8) / 8) for step in range(1600)]
    curve = loss_curve(losses, period=8)
    assert curve is not None
    heights = {point.split(" ")[1] for point in curve.line[1:].split("L")}
    assert len(heights) == 1


def test_long_curves_are_cut_to_few_points() -> None:
    curve = loss_curve([(step, 1.0) for step in range(70_000)])
    assert curve is not None
    assert curve.line.count("L") <= 200


def test_one_loss_is_no_curve() -> None:
    assert loss_curve([(1, 2.0)]) is None
    assert loss_curve([]) is None


def test_losses_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "losses.jsonl"
    path.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": NaN}\n', encoding="utf-8")
    assert read_losses(path) == [(1, 2.5)]


def test_a_histogram_counts_like_numpys() -> None:
    values = [-0.5, 0.0, 0.05, 0.1, 0.55, 0.99, 1.0]
    wanted, _ = np.histogram(np.clip(values, 0, 1), bins=10, range=(0, 1))
    assert [bin_.count for bin_ in histogram(values)] == wanted.tolist()


# Labels


def test_the_matrix_counts_like_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    pairs = [(str(rng.choice(WORDS)), str(rng.choice(WORDS))) for _ in range(300)]
    matrix = confusion_matrix(samples(pairs))
    assert matrix is not None
    counts = np.zeros((len(matrix.labels),) * 2, int)
    for cell in matrix.cells:
        counts[cell.row, cell.column] = cell.count
        assert cell.share == cell.count / matrix.counts[cell.row]
    wanted = reference_matrix(*zip(*pairs, strict=True), labels=matrix.labels)
    assert (counts == wanted).all()
    assert not matrix.others


def test_answers_that_are_no_label_have_a_column_of_their_own() -> None:
    matrix = confusion_matrix(samples([("cat", "cat"), ("dog", "hot dog"), ("dog", "")]))
    assert matrix is not None
    assert matrix.others
    assert [(c.row, c.column, c.count) for c in matrix.cells] == [(0, 0, 1), (1, 2, 2)]


def test_numbers_are_in_their_own_order() -> None:
    found = confusion_matrix(samples([("10", "2"), ("2", "2"), ("1", "1")]))
    assert found is not None
    assert found.labels == ["1", "2", "10"]
    words = confusion_matrix(samples([("two", "one"), ("three", "one"), ("one", "one")]))
    assert words is not None
    assert words.labels == ["one", "two", "three"]


def test_too_many_classes_have_no_matrix_but_confusions() -> None:
    pairs = [(f"speaker {i}", "speaker 0") for i in range(MOST_CLASSES + 1)]
    assert confusion_matrix(samples(pairs)) is None
    assert len(confusions(samples(pairs))) == 8


def test_confusions_are_most_frequent_first() -> None:
    pairs = [("a", "b")] * 2 + [("b", "a")] * 3 + [("a", "a")] * 2
    found = [(c.reference, c.answer, c.count, c.share) for c in confusions(samples(pairs))]
    assert found == [("b", "a", 3, 1.0), ("a", "b", 2, 0.5)]


def test_many_classes_keep_both_ends(tmp_path: Path) -> None:
    recall = {f"class {i:02d}": i / 40 for i in range(40)}
    entry = TaskScore(metric="accuracy", detail={"per_class_recall": recall})
    facts = TaskFacts("t", TestTask(metric="accuracy", clips_expected=0), entry, [])
    found = classes_of(facts, samples([("class 01", "class 01")]))
    assert found is not None
    assert found.best[0].label == "class 39"
    assert found.worst[-1].label == "class 00"
    assert len(found.best) + len(found.worst) + found.left_out == 40


# Recognition


def test_errors_are_counted_like_jiwers() -> None:
    rng = np.random.default_rng(5)
    words = "one two three four five".split()
    texts = [" ".join(rng.choice(words, rng.integers(1, 8))) for _ in range(200)]
    answers = [" ".join(rng.choice(words, rng.integers(1, 8))) for _ in range(200)]
    found = recognition_errors(samples(list(zip(texts, answers, strict=True))), "iWER")
    wanted = jiwer.process_words(texts, answers)
    assert found.total == wanted.substitutions + wanted.deletions + wanted.insertions
    assert found.units == wanted.hits + wanted.substitutions + wanted.deletions
    assert found.deletions - found.insertions == wanted.deletions - wanted.insertions


def test_errors_are_named() -> None:
    found = recognition_errors(samples([("a b c", "a x c"), ("a b", "a"), ("a", "a a")]), "iWER")
    assert found.swapped == [Slip("b", "x", 1)]
    assert found.lost == [Slip("b", "", 1)]
    assert found.invented == [Slip("", "a", 1)]
    assert found.unit == "word"


def test_an_answer_is_set_against_its_reference() -> None:
    assert difference("one two three", "one too three four", "iWER") == [
        Piece("same", "one"),
        Piece("lost", "two"),
        Piece("new", "too"),
        Piece("same", "three"),
        Piece("new", "four"),
    ]
    assert difference("妈马", "妈骂", "iCER") == [
        Piece("same", "妈"),
        Piece("lost", "马"),
        Piece("new", "骂"),
    ]


# Examples


def test_wrong_examples_show_the_most_frequent_confusions() -> None:
    pairs = [("a", "b")] * 5 + [("c", "d")] * 3 + [("e", "f")] * 2 + [("g", "h")] + [("a", "a")] * 4
    chosen = choose(task("accuracy", pairs))
    wrong = [pairs[c.index] for c in chosen if not c.right]
    assert wrong == [("a", "b"), ("c", "d"), ("e", "f")]
    assert len([c for c in chosen if c.right]) == 2


def test_the_choice_does_not_depend_on_the_order_of_clips() -> None:
    pairs = [(str(i % 3), str(i % 4)) for i in range(40)]
    one = task("accuracy", pairs)
    other = TaskFacts(one.name, one.facts, one.entry, one.predictions[::-1])
    assert {one.predictions[c.index].id for c in choose(one)} == {
        other.predictions[c.index].id for c in choose(other)
    }


def test_without_a_perfect_answer_the_best_are_shown() -> None:
    pairs = [
        ("one two three four", " ".join(["one two three four".split()[i]] * 1)) for i in range(4)
    ]
    chosen = choose(task("iWER", [*pairs, ("one two", "one")]))
    assert [c.value for c in chosen if c.right]
    assert len({c.index for c in chosen}) == len(chosen)


def test_a_task_without_answers_has_no_examples() -> None:
    assert choose(task("accuracy", [])) == []


def test_long_texts_are_shortened_with_an_ellipsis() -> None:
    assert len(shorten("x" * 10_000)) == LONGEST_TEXT
    assert shorten("x") == "x"


# Overview


def test_groups_are_means_on_the_way_from_chance_to_perfect(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", tasks=("words", "counting"), clips=40))
    moved = []
    for facts in run.tasks:
        chance, score = facts.entry.chance, facts.entry.score
        moved.append((score - chance) / (1 - chance))
    bars = {bar.name: bar for bar in groups(run, "skill")}
    assert bars["what"].value == pytest.approx(moved[0])
    assert bars["how many"].value == pytest.approx(moved[1])
    assert [bar.name for bar in groups(run, "domain")] == ["speech", "sound"]


def test_tasks_at_chance_are_named(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", tasks=("words", "counting"), clips=40, hearing=0.0))
    found = {remark.text: remark.tasks for remark in remarks(run)}
    (deaf,) = [tasks for text, tasks in found.items() if text.startswith("Not shown to be above")]
    assert deaf == ["words", "counting"]


def test_saturated_tasks_are_named(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", tasks=("words",), clips=40, hearing=1.0))
    assert any(r.text.startswith("Saturated") and r.tasks == ["words"] for r in remarks(run))


@pytest.mark.parametrize(
    "mark", [*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]
)
def test_no_mark_of_direction_reaches_a_page(mark: str) -> None:
    """A label of a matrix, a title and a name for screen readers cannot isolate what they hold."""
    assert visible(f"dog{mark}tac") == "dog\ufffdtac"
    assert mark not in breakable(f"a/{mark}b")
    assert visible("\u05db\u05dc\u05d1") == "\u05db\u05dc\u05d1"  # a Hebrew word stays


def test_an_encoder_that_names_thousands_of_packages_makes_no_endless_page(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tasks=("words",), clips=40)
    manifest = folder.read_manifest()
    packages = {f"package{number}": "1" for number in range(20_000)}
    encoder = manifest.encoder.with_fields(packages=packages)
    manifest.with_fields(encoder=encoder).write(folder.manifest)
    rows = [row for row in making_facts(read_run(folder))[0].rows if row[0].startswith("package")]
    assert len(rows) == 201
    assert rows[-1] == ("packages", "and 19800 more in manifest.json")
