from pathlib import Path

import pytest

from auricle.errors import UnknownNameError
from auricle.scoring import published
from auricle.scoring.published import (
    published_baselines,
    published_rows,
    standing,
    standing_sentence,
)

DATA = Path(__file__).parent.parent / "data"


@pytest.mark.parametrize(
    "name", ["published_track_a.csv", "published_track_b.csv", "published_baselines.csv"]
)
def test_shipped_data_are_the_published_ones(name):
    shipped = Path(published.__file__).parent / "published" / name
    assert shipped.read_bytes() == (DATA / name).read_bytes()


@pytest.mark.parametrize(("track", "public", "hidden"), [("a", 15, 6), ("b", 5, 4)])
def test_each_track_has_23_rows_of_all_its_tasks(track, public, hidden):
    rows = published_rows(track)
    assert len(rows) == 23
    tasks = list(rows[0].scores)
    assert sum(task.endswith("*") for task in tasks) == hidden
    assert len(tasks) == public + hidden


def test_a_public_mean_has_a_place_among_the_published():
    # The best public mean of track B is .7021, the worst .1684.
    assert standing("b", 0.71) == (1, 24)
    assert standing("b", 0.7) == (3, 24)
    assert standing("b", 0.1) == (24, 24)


def test_an_equal_mean_shares_the_better_place():
    best = max(row.public_mean for row in published_rows("a"))
    assert standing("a", float(best)) in ((1, 24), (2, 24))


def test_the_sentence_carries_the_caveat():
    text = standing_sentence("b", 0.6)
    assert text.startswith("By public mean this would stand 8th of 24 in track B of 2026;")
    assert "measured elsewhere" in text


@pytest.mark.parametrize(
    ("mean", "word"), [(0.71, "1st"), (0.702, "2nd"), (0.7, "3rd"), (0.5, "11th"), (0.3, "18th")]
)
def test_places_are_spelt(mean, word):
    assert f" {word} of 24" in standing_sentence("b", mean)


def test_baselines_have_the_printed_means():
    # README of XARES-LLM: track A .614 and .652; track B .27 and, as the mean of its rows, .435.
    means = {
        (track, name): sum(scores.values()) / len(scores)
        for track in "ab"
        for name, scores in published_baselines(track).items()
    }
    assert means["a", "dasheng-base"] == pytest.approx(0.614, abs=5e-4)
    assert means["a", "whisper-base"] == pytest.approx(0.652, abs=5e-4)
    assert means["b", "dasheng-base"] == pytest.approx(0.27, abs=5e-3)
    assert means["b", "whisper-base"] == pytest.approx(0.435, abs=5e-4)


def test_an_unknown_track_is_refused():
    with pytest.raises(UnknownNameError, match="no track named 'c'"):
        published_rows("c")
