"""Runs and encoders compared, as the command line prints them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from auricle.cli.app import execute
from auricle.errors import ScoringError
from auricle.files import read_json, write_json
from auricle.runs.compare import compare
from auricle.runs.folder import RunFolder
from report_material import ask_further, make_run


@pytest.fixture
def seeds(tmp_path: Path) -> list[RunFolder]:
    """Two seeds of an encoder that hears and two of one that hears less."""
    return [
        make_run(
            tmp_path / f"{name}{seed}",
            tasks=("words", "digits"),
            clips=40,
            encoder=name,
            seed=seed,
            hearing=hearing,
        )
        for name, hearing in (("logmel", 0.9), ("deaf", 0.1))
        for seed in (1, 2)
    ]


def test_runs_that_differ_in_their_seed_alone_are_one_encoder(seeds: list[RunFolder]) -> None:
    found = compare(seeds)
    assert len(found["pairs"]) == 6
    measured = found["encoders"]["measured"]
    assert [(m["name"], m["seeds"]) for m in measured] == [("logmel", 2), ("deaf", 2)]
    (pair,) = found["encoders"]["pairs"]
    assert (pair["left"], pair["right"]) == ("logmel", "deaf")
    assert pair["tasks"]["words"]["difference"] > 0.5
    assert found["differences"] == []
    # Runs alone are compared where an encoder has no second seed, and there a seed is a difference.
    assert [d["name"] for d in compare(seeds[1:])["differences"]] == ["seed"]
    json.dumps(found, allow_nan=False)


def test_one_seed_each_are_runs_alone(seeds: list[RunFolder]) -> None:
    assert compare([seeds[0], seeds[2]])["encoders"] is None


def test_the_same_seed_twice_is_no_second_seed(seeds: list[RunFolder], tmp_path: Path) -> None:
    again = make_run(tmp_path / "again", tasks=("words", "digits"), clips=40, seed=1, hearing=0.9)
    assert compare([seeds[0], again])["encoders"] is None


def test_the_terminal_shows_seeds_and_verdicts(
    seeds: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["compare", *(str(run.path) for run in seeds)]) == 0
    out = capsys.readouterr().out
    assert "each encoder over its seeds" in out
    assert "logmel against deaf" in out
    assert "better" in out
    assert "the runs differ" not in out

    assert execute(["compare", str(seeds[0].path), str(seeds[2].path), "--table", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("run,against,task,left,right,difference,low,high")
    assert [line.split(",")[2] for line in lines[1:]] == ["digits", "words", "track A", "track B"]


def test_the_page_has_the_encoders_over_their_seeds_too(
    seeds: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert execute(["compare", *(str(run.path) for run in seeds), "--page", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "Each encoder over its seeds" in text
    (pair,) = compare(seeds)["encoders"]["pairs"]
    rows = text.split('aria-label="Encoders compared, clips and seeds together"')[1].split(
        "</table>"
    )[0]
    assert rows.count("<tr>") == 1 + len(pair["tasks"]) + len(pair["tracks"])
    assert f"{pair['tracks']['a']['difference']:.3f}" in rows
    assert "differ in more" not in text
    assert execute(["compare", *(str(run.path) for run in seeds[::2]), "--page", str(page)]) == 0
    assert "over its seeds" not in page.read_text(encoding="utf-8")


@pytest.fixture
def asked_further(tmp_path: Path) -> list[RunFolder]:
    """Two runs without test tasks of their own, as from a YAML of training data, asked further."""
    runs = []
    for name, hearing in (("logmel", 0.9), ("deaf", 0.1)):
        run = make_run(tmp_path / name, tasks=(), encoder=name)
        ask_further(run, "hidden-a", tasks=("words",), clips=80, hearing=hearing)
        runs.append(run)
    ask_further(runs[0], "mine alone", tasks=("digits",), clips=10)
    return runs


def test_further_suites_that_runs_share_are_compared(
    asked_further: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compare(asked_further)
    assert list(found["further"]) == ["hidden-a"]
    (pair,) = found["further"]["hidden-a"]["pairs"]
    assert (pair["left"], pair["right"]) == ("logmel", "deaf")
    assert pair["tasks"]["words"]["verdict"] == "better"
    page = tmp_path / "page.html"
    paths = [str(run.path) for run in asked_further]
    assert execute(["compare", *paths, "--page", str(page)]) == 0
    out = capsys.readouterr().out
    assert "logmel against deaf on hidden-a" in out
    assert out.count(" against ") == 1  # no table of nothing
    text = page.read_text(encoding="utf-8")
    assert re.search(r"hidden-(<wbr>)?a · Track A", text)
    assert "worse by 0.7" in text or "worse by 0.8" in text
    assert execute(["compare", *paths, "--table", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("suite,run,against,task,left,right,difference")
    assert lines[1].startswith("hidden-a,logmel,deaf,words,")


def test_seeds_are_combined_on_further_suites_too(seeds: list[RunFolder]) -> None:
    for run in seeds:
        heard = 0.9 if run.path.name.startswith("logmel") else 0.1
        ask_further(run, "more", tasks=("counting",), clips=40, hearing=heard)
    found = compare(seeds)
    (pair,) = found["further"]["more"]["encoders"]["pairs"]
    assert pair["tasks"]["counting"]["verdict"] == "better"
    assert found["further"]["more"]["encoders"]["measured"][0]["seeds"] == 2


def test_seeds_that_two_files_name_are_seeds(seeds: list[RunFolder]) -> None:
    for run in seeds[:2]:  # one file per seed, as XARES-LLM's users keep them
        manifest = read_json(run.manifest)
        name = f"train-seed-{manifest['seed']}"
        manifest |= {"suite": name, "recipe": manifest["recipe"] | {"name": name}}
        write_json(run.manifest, manifest)
    found = compare(seeds[:2])
    assert [(m["name"], m["seeds"]) for m in found["encoders"]["measured"]] == [("logmel", 2)]


def test_runs_that_share_nothing_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = make_run(tmp_path / "a", tasks=("words",), clips=12)
    other = make_run(tmp_path / "b", tasks=("digits",), clips=12, encoder="other")
    assert execute(["compare", str(one.path), str(other.path), "--json"]) == 2
    assert "Nothing could be compared" in capsys.readouterr().err
    empty = [make_run(tmp_path / n, tasks=(), encoder=n) for n in ("c", "d")]
    with pytest.raises(ScoringError, match="share no task that both answered"):
        compare(empty)


def test_an_unfinished_run_is_no_table_of_gaps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = make_run(tmp_path / "a", tasks=("words", "digits"), clips=12)
    other = make_run(
        *(tmp_path / "b",), tasks=("words", "digits"), clips=12, encoder="other",
        missing={"words": "not answered yet", "digits": "not answered yet"},
    )  # fmt: skip
    assert execute(["compare", str(one.path), str(other.path)]) == 2
    said = capsys.readouterr()
    assert "other: not answered yet" in said.err
    assert "Let unfinished runs finish" in said.err
    assert said.out == ""
    some = make_run(
        *(tmp_path / "c",), tasks=("words", "digits"), clips=12, encoder="some",
        missing={"words": "it died"},
    )  # fmt: skip
    assert execute(["compare", str(one.path), str(some.path)]) == 3
    assert "some: it died" in capsys.readouterr().out


def test_a_run_is_not_compared_with_itself(
    seeds: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    path = seeds[0].path
    assert execute(["compare", str(path), str(path.parent / "." / path.name)]) == 2
    assert "was given twice; a run cannot be compared with itself" in capsys.readouterr().err


def test_a_printed_comparison_has_the_columns_that_people_read(
    seeds: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(run.path) for run in seeds]
    assert execute(["compare", *paths[::2], "--table", "latex"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == (
        "task & logmel & deaf & difference & low & high & p (Holm) & logmel is " + r"\\"
    )
    assert execute(["compare", *paths[1:], "--table", "markdown"]) == 0
    head = capsys.readouterr().out.splitlines()[0]
    assert head.startswith("| run | against | task | run's | other's | difference |")


def test_one_encoders_seeds_alone_are_a_table_too(
    seeds: list[RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["compare", *(str(run.path) for run in seeds[:2]), "--table", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| encoder | task | mean | low | high | seed sd | seeds |"
    assert len(lines) == 2 + 4


def test_captions_are_compared_by_what_the_models_said_before(tmp_path: Path) -> None:
    """No caption model is here: the evidence beside the predictions is all that is needed."""
    from auricle.metrics.compute import prepare
    from auricle.metrics.evidence import CaptionEvidence, texts_hash
    from auricle.runs.compare_page import write_comparison
    from auricle.runs.rescore import answered_clips, score_run

    runs = []
    for name, similarity in (("a", 0.9), ("b", 0.4)):
        run = make_run(tmp_path / name, tasks=("captions",), clips=20, encoder=name)
        manifest = read_json(run.manifest)
        manifest["test"]["captions"]["metric"] = "FENSE"
        write_json(run.manifest, manifest)
        clips = answered_clips(run, "captions")
        samples = prepare("FENSE", [c.prediction for c in clips], [c.references for c in clips])
        values = [similarity + 0.001 * (i % 7) for i in range(samples.num_samples)]
        said = CaptionEvidence(
            *("FENSE", texts_hash(samples), {}, [1.0] * samples.num_clips, values),
            *([], [], [], None, 0.3, "a", 0.2),
        )
        write_json(run.evidence("captions"), said.to_json())
        score_run(run)
        runs.append(run)
    entry = compare(runs)["pairs"][0]["tasks"]["captions"]
    assert entry["verdict"] == "better"
    assert entry["difference"] == pytest.approx(0.5, abs=1e-3)
    page = write_comparison(runs, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "worse by 0.5" in page


def test_runs_of_a_larger_and_a_smaller_suite_say_what_they_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = make_run(tmp_path / "a", tasks=("words",), clips=60, hearing=0.9)
    names = ("words", "events", "counting", "digits")
    large = make_run(tmp_path / "b", tasks=names, clips=60, encoder="other", hearing=0.1)
    assert execute(["compare", str(small.path), str(large.path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("this run of logmel is better than this run of other, words: +0.")
    assert "counting, digits, events: logmel has no answers to it" in out
    assert [line.split()[0] for line in out.splitlines() if " missing" in line] == [
        "track",
        "track",
    ]


def test_a_p_value_is_never_zero(
    seeds: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    paths = [str(run.path) for run in seeds]
    assert execute(["compare", *paths, "--table", "markdown", "--page", str(page)]) == 0
    assert "<0.0001" in capsys.readouterr().out
    rows = page.read_text(encoding="utf-8").split("Encoders compared", 1)[1].split("</table>")[0]
    assert "&lt;0.001" in rows
    assert "<bdi>0.000</bdi>" not in rows
