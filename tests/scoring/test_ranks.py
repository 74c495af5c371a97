import csv
from fractions import Fraction
from pathlib import Path

import pytest

from auricle.errors import ScoringError
from auricle.records.scores import Estimate
from auricle.scoring.ranks import Contestant, exact, rank_rows, told_apart

DATA = Path(__file__).parent.parent / "data"


def published(track):
    with (DATA / f"published_track_{track}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def ranked(scores, *, hidden=("h*",), half=None):
    """Rank teams given as {team: (public, hidden)}."""

    def value(score):
        if half is None or score is None:
            return Estimate(score)
        return Estimate(score, score - half, score + half)

    rows = [Contestant(t, {"p": value(p), "h*": value(h)}) for t, (p, h) in scores.items()]
    return rank_rows(rows, public=["p"], hidden=list(hidden))


@pytest.mark.parametrize("track", ["a", "b"])
def test_published_means_and_order_are_found_again(track):
    rows = published(track)
    tasks = list(rows[0])[5:]
    contestants = [
        Contestant(
            row["team"],
            {task: Estimate(float(row[task]), exact=Fraction(row[task])) for task in tasks},
        )
        for row in rows
    ]
    found = rank_rows(
        contestants,
        public=[task for task in tasks if not task.endswith("*")],
        hidden=[task for task in tasks if task.endswith("*")],
    )
    printed = {row["team"]: row for row in rows}
    assert len(found) == 23
    for row in found:
        for name in ("public", "hidden", "overall"):
            value = getattr(row, name).value
            assert value == pytest.approx(float(printed[row.team][name]), abs=5.1e-5), row.team
    overall = [float(printed[row.team]["overall"]) for row in found]
    assert overall == sorted(overall, reverse=True)
    assert [row.rank for row in found] == list(range(1, 24))


def test_the_printed_tie_of_track_a_is_none_unrounded():
    # DKU-WHU and WaWu are both printed as .7888.
    rows = published("a")
    tasks = list(rows[0])[5:]
    found = rank_rows(
        [Contestant(r["team"], {t: Estimate(float(r[t])) for t in tasks}) for r in rows],
        public=[task for task in tasks if not task.endswith("*")],
        hidden=[task for task in tasks if task.endswith("*")],
    )
    assert [row.team for row in found[11:13]] == ["DKU-WHU", "WaWu"]


def test_equal_rows_share_the_better_place():
    found = ranked({"d": (0.1, 0.1), "b": (0.5, 0.3), "c": (0.3, 0.5), "a": (0.9, 0.9)})
    assert [(row.rank, row.team) for row in found] == [(1, "a"), (2, "b"), (2, "c"), (4, "d")]


def test_scores_tie_as_they_are_written_not_as_binary_numbers():
    assert 0.1 + 0.2 != 0.3
    rows = [
        Contestant("x", {"p": Estimate(0.1), "q": Estimate(0.2)}),
        Contestant("y", {"p": Estimate(0.3), "q": Estimate(0.0)}),
    ]
    assert [row.rank for row in rank_rows(rows, public=["p", "q"], hidden=[])] == [1, 1]
    assert exact(Estimate(0.1)) == Fraction(1, 10)


def test_a_hair_decides():
    found = ranked({"a": (0.50000001, 0.5), "b": (0.5, 0.5)})
    assert [row.rank for row in found] == [1, 2]


def test_overall_is_half_public_half_hidden_whatever_their_numbers():
    rows = [Contestant("x", {"p": Estimate(0.2), "q": Estimate(0.4), "h*": Estimate(0.9)})]
    (row,) = rank_rows(rows, public=["p", "q"], hidden=["h*"])
    assert row.overall.value == pytest.approx((0.3 + 0.9) / 2)


def test_a_missing_task_leaves_a_row_unranked_and_behind():
    found = ranked({"a": (0.9, None), "b": (0.1, 0.1)})
    assert [(row.rank, row.team) for row in found] == [(1, "b"), (None, "a")]
    assert found[1].missing == ("h*",)
    assert found[1].overall.value is None
    assert found[1].public.value == pytest.approx(0.9)


def test_without_hidden_tasks_overall_is_the_public_mean():
    found = ranked({"a": (0.2, None)}, hidden=())
    assert found[0].overall.value == pytest.approx(0.2)
    assert found[0].rank == 1


def test_rows_that_cannot_be_told_apart_share_a_band():
    found = ranked({"a": (0.80, 0.80), "b": (0.79, 0.79), "c": (0.2, 0.2)}, half=0.05)
    assert [row.band for row in found] == [(1, 2), (1, 2), (3, 3)]


@pytest.mark.parametrize(("distance", "apart"), [(0.9, False), (1.1, True), (1.3, True)])
def test_bands_take_the_root_of_summed_squares(distance, apart):
    """Two tasks of +-h each: a row's mean has h / sqrt(2), the difference of two rows has h."""
    half = 0.05
    found = ranked(
        {"a": (0.5 + distance * half, 0.5 + distance * half), "b": (0.5, 0.5)}, half=half
    )
    assert [row.band for row in found] == ([(1, 1), (2, 2)] if apart else [(1, 2), (1, 2)])


@pytest.mark.parametrize(
    ("upper", "lower", "apart"),
    [
        # the sides that face each other: hypot(0.05, 0.02) = 0.054, less than 0.1
        ((0.6, 0.55, 0.9), (0.5, 0.2, 0.52), True),
        # and hypot(0.3, 0.3) = 0.42, more than 0.1, whatever the other sides are
        ((0.6, 0.3, 0.61), (0.5, 0.49, 0.8), False),
        # one side alone is wide enough
        ((0.6, 0.45, 0.61), (0.5, 0.49, 0.51), False),
        ((0.6, 0.59, 0.61), (0.5, 0.49, 0.65), False),
        # a difference of exactly the reach is not above zero: hypot(0.3, 0.4) = 0.5
        ((0.75, 0.45, 0.8), (0.25, 0.2, 0.65), False),
    ],
)
def test_the_sides_that_face_each_other_decide(upper, lower, apart):
    assert told_apart(Estimate(*upper), Estimate(*lower)) is apart
    assert not told_apart(Estimate(*lower), Estimate(*upper))


def test_rows_without_an_interval_are_not_told_apart():
    assert not told_apart(Estimate(0.9), Estimate(0.1, 0.0, 0.2))
    assert not told_apart(Estimate(0.9, 0.8, 1.0), Estimate(0.1))
    assert not told_apart(Estimate(None), Estimate(None))


def test_a_band_is_unknown_where_an_interval_is():
    assert ranked({"a": (0.8, 0.8), "b": (0.1, 0.1)})[0].band is None


def test_a_team_with_two_rows_is_refused():
    rows = [Contestant("x", {}), Contestant("x", {})]
    with pytest.raises(ScoringError, match="more than one row: x"):
        rank_rows(rows, public=["p"], hidden=[])
