"""``auricle score | report | compare``: from stored predictions, without encoder or LALM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from auricle.cli.terminal import print_json
from auricle.errors import UserError

if TYPE_CHECKING:
    from auricle.runs.folder import RunFolder

_JSON = typer.Option(False, "--json", help="Print one JSON object.")


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("score")(score_command)
    app.command("report")(report_command)
    app.command("compare")(compare_command)


def score_command(
    run: Path = typer.Argument(help="A run folder, or a file of answers (CSV, TSV, JSON lines)."),
    metric: str | None = typer.Option(
        None, "--metric", help="For a file: accuracy, mAP, iWER, ..."
    ),
    num_classes: int | None = typer.Option(None, "--num-classes", help="For mAP."),
    separator: str = typer.Option(";", "--separator", help="Between labels, for mAP."),
    sentence_model: str | None = typer.Option(
        None, "--sentence-model", help="Path or name of the sentence model, for FENSE and DATE."
    ),
    fluency_detector: str | None = typer.Option(
        None, "--fluency-detector", help="Path of the fluency detector, for FENSE and DATE."
    ),
    table: str | None = typer.Option(
        None, "--table", metavar="FORMAT", help="Print as csv, markdown or latex."
    ),
    as_json: bool = _JSON,
) -> int:
    """Score a run again from its stored predictions, or a file of answers.

    [bold]auricle score runs/smoke/logmel-0123456789ab[/]

    [bold]auricle score answers.csv --metric iWER[/]
    """
    if run.is_file():
        if metric is None:
            raise UserError(f"{run} is a file of answers: say how to score it, e.g. --metric iWER.")
        from auricle.metrics.result import MetricOptions
        from auricle.scoring.score_file import score_file

        options = MetricOptions(
            num_classes=num_classes,
            separator=separator,
            sentence_model=sentence_model,
            fluency_detector=fluency_detector,
        )
        return _print_metric(score_file(run, metric, options=options), as_json=as_json)
    from auricle.metrics.result import MetricOptions
    from auricle.runs.folder import RunFolder
    from auricle.runs.rescore import score_run

    folder = RunFolder.open(run)
    models = MetricOptions(sentence_model=sentence_model, fluency_detector=fluency_detector)
    scores = score_run(folder, models=models)
    if as_json:
        print_json(json.dumps({"run": str(folder.path), "scores": scores}))
    elif table is not None:
        from auricle.scoring.tables import scores_table

        print(scores_table(scores).render(table), end="")
    else:
        from auricle.cli.tables import print_scores

        print_scores(scores, title=f"{folder.path.name} on {scores['suite']}")
    return 3 if any(task["failure"] for task in scores["tasks"].values()) else 0


def _print_metric(report: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        print_json(json.dumps(report, ensure_ascii=False))
        return 0
    from auricle.cli.tables import print_rows

    shown = ("metric", "score", "raw", "reason", "num_clips", "num_samples")
    rows = [[name, "" if report[name] is None else str(report[name])] for name in shown]
    rows += [[f"corrected: {name}", str(v)] for name, v in (report["corrected"] or {}).items()]
    print_rows(["field", "value"], rows)
    return 0


def report_command(run: Path = typer.Argument(help="A run folder."), as_json: bool = _JSON) -> None:
    """Write a run's report.html again."""
    from auricle.data.recall import LockedAudio
    from auricle.files import data_home
    from auricle.runs.folder import RunFolder
    from auricle.runs.report import write_report
    from auricle.runs.report_floor import find_floor

    folder = RunFolder.open(run)
    audio = LockedAudio(folder.read_manifest()["test"], home=data_home())
    path = write_report(folder, audio=audio, floor=find_floor(folder))
    if as_json:
        print_json(json.dumps({"report": str(path)}))
    else:
        print(path)


def compare_command(
    runs: list[Path] = typer.Argument(help="Two run folders or more."),
    page: Path | None = typer.Option(None, "--page", help="Also write a page side by side."),
    as_json: bool = _JSON,
) -> None:
    """Compare runs on the clips they share: better, worse, or cannot tell."""
    from auricle.runs.compare import labels_of, write_comparison
    from auricle.runs.folder import RunFolder
    from auricle.runs.report_facts import read_run
    from auricle.scoring.compare import compare_runs

    folders = [RunFolder.open(path) for path in runs]
    names = labels_of([read_run(folder) for folder in folders])
    found = compare_runs([_answers(f, n) for f, n in zip(folders, names, strict=True)])
    if page is not None:
        write_comparison(folders, page)
    if as_json:
        print_json(json.dumps(found | {"page": str(page) if page else None}))
        return
    from auricle.cli.tables import print_comparison

    print_comparison(found)
    if page is not None:
        print(f"page: {page}")


def _answers(folder: RunFolder, name: str) -> Any:
    """One run's answers as `compare_runs` takes them."""
    from auricle.runs.rescore import answered_clips, metric_options
    from auricle.scoring.compare import RunAnswers, TaskAnswers

    manifest = folder.read_manifest()
    tasks = {
        task: TaskAnswers(
            metric=facts["metric"],
            track=facts["track"],
            clips=answered_clips(folder, task),
            options=metric_options(folder, task, facts),
            failure=manifest["failures"].get(task),
        )
        for task, facts in manifest["test"].items()
    }
    return RunAnswers(name, tasks)
