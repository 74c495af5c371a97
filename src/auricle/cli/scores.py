"""``auricle score | report | compare``: from stored predictions, without encoder or LALM."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from auricle.cli.terminal import make_progress, one_format, print_json
from auricle.errors import UserError, printable

if TYPE_CHECKING:
    from auricle.metrics.result import MetricOptions
    from auricle.records.scores import Scores
    from auricle.scoring.score_folder import FolderScores

_JSON = typer.Option(False, "--json", help="Print one JSON object.")


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("score", rich_help_panel="Read results")(score_command)
    app.command("report", rich_help_panel="Read results")(report_command)
    app.command("export", rich_help_panel="Read results")(export_command)
    app.command("compare", rich_help_panel="Read results")(compare_command)


def score_command(
    run: Path = typer.Argument(
        help="A run folder, a file of answers (CSV, TSV, JSON lines), or a folder of "
        "predictions_TASK.csv files."
    ),
    metric: str | None = typer.Option(
        None,
        "--metric",
        help="For a file: accuracy, mAP, iWER, iCER, FENSE, DATE or ROUGE-L.",
    ),
    task: str | None = typer.Option(
        None, "--task", help="For a file: score it as this task, e.g. fsd50k, in place of --metric."
    ),
    suite: str | None = typer.Option(
        None,
        "--suite",
        help="For a folder of files: whose tasks they answer, e.g. XARES-LLM's eval.yaml.",
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
        None, "--table", metavar="FORMAT", help="Print as csv, json, markdown or latex."
    ),
    as_json: bool = _JSON,
) -> int:
    """Score a run again from its stored predictions, or files of answers from anywhere.

    No encoder and no language model is run. The exit code is 3 if a task is missing.

    A run:              [bold]auricle score runs/smoke/logmel-0123456789ab[/]

    A file:             [bold]auricle score answers.csv --metric iWER[/]

    ... as a task's:    [bold]auricle score answers.csv --task fsd50k[/]

    XARES-LLM's folder: [bold]auricle score experiments/task1/my_encoder[/]

    ... of own tasks:   [bold]auricle score experiments/mine/my_encoder --suite eval.yaml[/]

    A CSV has the columns predict and labels; JSON lines have prediction and references.
    """
    one_format(table, as_json=as_json)
    if not run.is_file() and not run.is_dir():
        raise UserError(
            f"There is no file or folder {run}. Give the folder of a run, or a file of answers "
            "with --metric."
        )
    from auricle.metrics.result import MetricOptions

    options = MetricOptions(
        num_classes=num_classes,
        separator=separator,
        sentence_model=sentence_model,
        fluency_detector=fluency_detector,
    )
    if run.is_file():
        if suite is not None:
            raise UserError(f"{run} is one file: name its task with --task, in place of --suite.")
        report = _score_file(run, metric, task, options)
        return _print_metric(report, table=table, as_json=as_json)
    if metric is not None or task is not None:
        raise UserError(
            f"{run} is a folder, whose tasks say their metrics: leave --metric and --task out."
        )
    return _score_folder(run, options, suite=suite, table=table, as_json=as_json)


def _score_folder(
    path: Path, options: MetricOptions, *, suite: str | None, table: str | None, as_json: bool
) -> int:
    """A run's folder, or one with a file of answers per task."""
    from auricle.runs.folder import RunFolder
    from auricle.runs.rescore import score_further, score_run
    from auricle.scoring.score_folder import is_answers_folder, score_folder, unknown_lines

    scores: Scores | FolderScores
    further: dict[str, Scores] = {}
    unknown: dict[str, list[str]] = {}
    if not RunFolder(path).manifest.is_file():
        if not is_answers_folder(path):
            raise UserError(
                f"{path} is no run folder (it has no manifest.json) and holds no "
                "predictions_TASK.csv. Give the folder that 'auricle run' printed, or one with a "
                "file of answers per task, such as XARES-LLM's predictions_eval_esc-50.csv."
            )
        tasks = None
        if suite is not None:
            from auricle.catalog.files import open_suite

            tasks = [task for task in open_suite(suite).tasks if task.test_shards]
        scores = found = score_folder(path, options=options, tasks=tasks)
        unknown = found.unknown
        title = f"answers in {path}"
        result: dict[str, Any] = {"folder": str(path), "scores": scores.to_json()}
    elif suite is not None:
        raise UserError(f"{path} is a run, which says its tasks itself: leave --suite out.")
    else:
        folder = RunFolder.open(path)
        scores = own = score_run(folder, models=options)
        further = score_further(folder, models=options)
        title = f"{folder.path.name} on {own.suite}"
        asked = {suite: each.to_json() for suite, each in further.items()}
        result = {"run": str(folder.path), "scores": scores.to_json(), "further": asked}
    if as_json:
        print_json(result)
    elif table is not None:
        from auricle.scoring.tables import scores_table

        print(scores_table(scores).render(table), end="")
    else:
        from auricle.cli.tables import print_scores

        print_scores(scores, title=title)
        for asked_as, each in further.items():
            print_scores(each, title=f"{path.name} on {asked_as}")
    if unknown:
        print(f"not scored, named after no task: {len(unknown)}", file=sys.stderr)
        for line in unknown_lines(unknown):
            print(printable(f"  {line}"), file=sys.stderr)
        if suite is None:
            line = f"auricle score {path} --suite eval.yaml"
            print(printable(f"tasks of your own are those of their file: {line}"), file=sys.stderr)
    measured = [scores, *further.values()]
    failed = any(task.failure for each in measured for task in each.tasks.values())
    return 3 if failed or unknown else 0


def _score_file(
    path: Path, metric: str | None, task: str | None, options: MetricOptions
) -> dict[str, Any]:
    from auricle.scoring.score_file import score_file

    if task is not None and metric is not None:
        raise UserError("Both --task and --metric were given; the task says its metric itself.")
    expected = None
    if task is not None:
        from auricle.catalog.load import get_task

        known = get_task(task)
        metric = known.metric
        options = replace(options, num_classes=known.num_classes, separator=known.separator)
        expected = known.test_clips
    if metric is None:
        raise UserError(
            f"{path} is a file of answers: say how to score it, e.g. --metric iWER or "
            "--task esc-50."
        )
    return score_file(path, metric, options=options, expected=expected)


def _print_metric(report: dict[str, Any], *, table: str | None, as_json: bool) -> int:
    code = 3 if report["score"] is None or report["failure"] else 0
    progress = make_progress(quiet=True)
    if report["failure"]:
        progress.warn(f"{report['failure']}, so this is no score of the task.")
    if rows := report["empty_rows"]:
        progress.warn(f"{rows} rows without any value are no clips.")
    if as_json:
        print_json(report)
        return code
    from auricle.scoring.tables import metric_table

    found = metric_table(report)
    if table is not None:
        print(found.render(table), end="")
        return code
    from auricle.cli.tables import print_rows

    print_rows(found.columns, [[str(row[name]) for name in found.columns] for row in found.rows])
    return code


def report_command(
    run: Path = typer.Argument(help="A run folder."),
    share: bool = typer.Option(
        False,
        "--share",
        help="Leave out audio and references that may not be handed on, and folders' names.",
    ),
    as_json: bool = _JSON,
) -> None:
    """Write a run's report.html again, from its folder alone; it is the same on any machine."""
    from auricle.data.recall import LockedAudio
    from auricle.files import data_home, write_text
    from auricle.runs.export import page_to_share
    from auricle.runs.folder import RunFolder
    from auricle.runs.report import write_report
    from auricle.runs.report_floor import find_floor

    folder = RunFolder.open(run)
    for each in (*folder.all_further(), folder):
        audio = LockedAudio(each.read_manifest().test, home=data_home())
        path = write_report(each, audio=audio, floor=find_floor(each))
        if share:
            write_text(path, page_to_share(each).decode())
    if as_json:
        print_json({"report": str(path)})
    else:
        print(path)


def export_command(
    run: Path = typer.Argument(help="A run folder."),
    out: Path = typer.Option(..., "--out", help="New folder for what may be handed on."),
    review: bool = typer.Option(
        False, "--review", help="For double-blind review: without names of encoder and files."
    ),
    as_json: bool = _JSON,
) -> None:
    """Write what of a run may be handed on: page, scores and predictions, without checkpoints.

    Audio and references of tasks whose licences do not allow it are left out; whom to name for the
    others stands on the page and in credits.txt.

    [bold]auricle export runs/smoke/mine-0123456789ab --review --out for-review[/]
    """
    from auricle.runs.export import export_run
    from auricle.runs.folder import RunFolder

    made = export_run(RunFolder.open(run), out, review=review)
    if as_json:
        print_json({"export": str(made.path), "report": str(made.report)})
    else:
        print(made.path)


def compare_command(
    runs: list[Path] = typer.Argument(help="Two run folders or more."),
    page: Path | None = typer.Option(
        None, "--page", help="Also write this HTML file, the runs side by side."
    ),
    table: str | None = typer.Option(
        None, "--table", metavar="FORMAT", help="Print as csv, json, markdown or latex."
    ),
    as_json: bool = _JSON,
) -> int:
    """Compare runs on the clips they share: better, worse, or cannot tell.

    Better or worse are said where p, corrected over all tasks, is at most .05.

    [bold]auricle compare runs/smoke/logmel-* runs/smoke/mine-*[/]

    Runs that differ in their seed alone are one encoder, and encoders are compared over seeds.

    Further evaluations that two runs share are compared too. The exit code is 3 if a task of a
    run is missing, and 2 if nothing could be compared.
    """
    one_format(table, as_json=as_json)
    from auricle.runs.compare import compare_read, read_all
    from auricle.runs.folder import RunFolder

    read = read_all([RunFolder.open(path) for path in runs])
    found = compare_read(read)
    if page is not None:
        from auricle.runs.compare_page import write_page

        write_page(read, found, page)
    if as_json:
        print_json(found.to_json() | {"page": str(page) if page else None})
    elif table is not None:
        from auricle.scoring.tables import comparison_table

        print(comparison_table(found).render(table), end="")
    else:
        from auricle.cli.tables import print_comparison

        print_comparison(found)
        if page is not None:
            print(f"page: {page}")
    return 0 if found.complete else 3
