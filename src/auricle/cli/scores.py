"""``auricle score``: scores again, from stored predictions."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from auricle.cli.terminal import print_json


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("score")(score_command)


def score_command(
    run: Path = typer.Argument(help="A run folder."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> int:
    """Score a run again from its stored predictions; needs neither encoder nor LALM."""
    from auricle.cli.tables import print_scores
    from auricle.runs.folder import RunFolder
    from auricle.runs.rescore import score_run

    folder = RunFolder.open(run)
    scores = score_run(folder)
    if as_json:
        print_json(json.dumps({"run": str(folder.path), "scores": scores}))
    else:
        print_scores(scores, title=f"{folder.path.name} on {scores['suite']}")
    return 3 if any(task["failure"] for task in scores["tasks"].values()) else 0
