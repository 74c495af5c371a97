"""``auricle data``: shards on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from auricle.cli.run import RECIPE
from auricle.cli.terminal import make_progress, print_json
from auricle.errors import UserError
from auricle.progress import bytes_text

app = typer.Typer(no_args_is_help=True, help="Make, fetch, verify, list and import data.")

_SUITE = typer.Argument(help="A suite, a task, or a suite's YAML file.")
_JSON = typer.Option(False, "--json", help="Print one JSON object.")
_QUIET = typer.Option(False, "--quiet", help="Show no progress.")


@app.command("make")
def make_command(
    suite: str = typer.Argument("smoke", help="A suite or task with synthetic data."),
    workers: int | None = typer.Option(
        None, "--workers", min=1, help="Processes; default: all cores."
    ),
    as_json: bool = _JSON,
    quiet: bool = _QUIET,
) -> None:
    """Make the shards of the synthetic tasks; 'auricle run' also does so by itself."""
    from auricle.catalog.files import open_suite
    from auricle.files import data_home
    from auricle.synth.make import make_shards

    synthetic = [task for task in open_suite(suite).tasks if task.synthetic is not None]
    if not synthetic:
        raise UserError(
            f"No task of '{suite}' is synthetic, so there is nothing to make; "
            f"real data is fetched: auricle data fetch {suite}"
        )
    make_shards(
        synthetic,
        home=data_home(),
        workers=workers or os.cpu_count() or 1,
        progress=make_progress(quiet=quiet),
    )
    place = data_home() / "shards"
    if as_json:
        print_json({"tasks": [task.name for task in synthetic], "folder": str(place)})
    else:
        print(f"synthetic tasks that are ready below {place}: {len(synthetic)}")


@app.command("fetch")
def fetch_command(
    suite: str = _SUITE,
    workers: int = typer.Option(8, "--workers", min=1, help="Files at once."),
    as_json: bool = _JSON,
    quiet: bool = _QUIET,
) -> None:
    """Fetch the shards of real tasks from the Hugging Face hub.

    A broken fetch continues where it stopped; every file is verified before it is used.

    'auricle run' also fetches by itself. Honours HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN and proxies.
    """
    from auricle.catalog.files import open_suite
    from auricle.cli.tables import print_rows
    from auricle.data.fetch import fetch
    from auricle.files import data_home

    tasks = open_suite(suite).tasks
    if all(task.synthetic is not None for task in tasks):
        raise UserError(
            f"Every task of '{suite}' is synthetic, so there is nothing to fetch; "
            f"synthetic data is made: auricle data make {suite}"
        )
    progress = make_progress(quiet=quiet)
    records = fetch(tasks, home=data_home(), progress=progress, workers=workers)
    if as_json:
        print_json({"tasks": records})
        return
    rows = [
        [
            r["task"],
            str(r["commit"])[:12],
            str(r["shards"]),
            str(r["fetched"]),
            bytes_text(r["bytes"]),
        ]
        for r in records
    ]
    print_rows(["task", "commit", "shards", "fetched", "downloaded"], rows)


@app.command("check")
def check_command(
    suite: str = _SUITE,
    evaluations: list[str] = typer.Option(
        [], "--eval", metavar="SUITE", help="A further suite or YAML file, as for 'auricle run'."
    ),
    recipe: str | None = RECIPE,
    as_json: bool = _JSON,
    quiet: bool = _QUIET,
) -> None:
    """Make, fetch and open all data of a run, and read every label: what 'auricle run' would meet.

    [bold]auricle data check track-a --eval hidden.yaml[/]
    """
    from auricle.benchmark import check_data
    from auricle.cli.tables import print_rows
    from auricle.job import RunOptions

    options = RunOptions(evaluations=tuple(evaluations), recipe=recipe)
    found = check_data(suite, options=options, progress=make_progress(quiet=quiet))
    if as_json:
        print_json({"tasks": {k: {"train": a, "test": b} for k, (a, b) in found.items()}})
        return
    rows = [[name, str(train), str(test)] for name, (train, test) in found.items()]
    print_rows(["task", "training clips", "test clips asked"], rows)


@app.command("list")
def list_command(suite: str = _SUITE, as_json: bool = _JSON) -> int:
    """Show what is on this machine and what is missing (exit code 3 if anything is)."""
    from auricle.catalog.files import open_suite
    from auricle.cli.tables import print_rows
    from auricle.data.inventory import list_data
    from auricle.files import data_home

    tasks = open_suite(suite).tasks
    records = list_data(tasks, home=data_home())
    if as_json:
        print_json({"tasks": records})
    else:
        rows = [
            [
                r["task"],
                r["side"],
                r["place"] or "-",
                f"{r['present']}/{r['shards']}",
                bytes_text(r["bytes"]),
                r["problem"] or "",
            ]
            for r in records
        ]
        print_rows(["task", "side", "place", "shards", "size", "problem"], rows)
        lacking = {r["task"] for r in records if r["missing"]}
        kinds = {task.synthetic is not None for task in tasks if task.name in lacking}
        for verb in [
            verb for synthetic, verb in ((False, "fetch"), (True, "make")) if synthetic in kinds
        ]:
            print(f"what is missing: auricle data {verb} {suite}")
    return 3 if any(r["missing"] or r["problem"] for r in records) else 0


@app.command("verify")
def verify_command(suite: str = _SUITE, as_json: bool = _JSON, quiet: bool = _QUIET) -> int:
    """Read every byte again and compare it with what is on record (exit code 3 on damage)."""
    from auricle.catalog.files import open_suite
    from auricle.cli.tables import print_rows
    from auricle.data.inventory import verify_data
    from auricle.files import data_home

    progress = make_progress(quiet=quiet)
    records = verify_data(open_suite(suite).tasks, home=data_home(), progress=progress)
    bad = [r for r in records if r["state"] != "good"]
    if as_json:
        print_json({"shards": records})
    else:
        if bad:
            rows = [[r["task"], r["shard"], r["state"], r["message"]] for r in bad]
            print_rows(["task", "shard", "state", "what to do"], rows)
        print(f"{len(records) - len(bad)} of {len(records)} shards are good")
    return 3 if bad else 0


@app.command("import")
def import_command(
    audio: Path = typer.Argument(help="Folder of audio files."),
    table: Path = typer.Argument(help="CSV or TSV with a header: file, label, split, ..."),
    name: str = typer.Option(..., "--name", help="Name of the new task."),
    prompt: str = typer.Option(
        ..., "--prompt", help="The question; '' = each clip's own, from the column 'prompt'."
    ),
    metric: str = typer.Option("accuracy", "--metric", help="accuracy, mAP, iWER, iCER, ..."),
    out: Path = typer.Option(..., "--out", help="New folder for the shards and the task's file."),
    label: list[str] = typer.Option(["label"], "--label", help="Label column; repeat for more."),
    file_column: str = typer.Option("file", "--file-column", help="Column of the audio path."),
    split_column: str | None = typer.Option(
        None, "--split-column", help="Says train or test; default: 'split' where there is one."
    ),
    test_share: float = typer.Option(0.2, "--test-share", help="Held out without a split column."),
    separator: str = typer.Option(";", "--separator", help="Between a clip's labels (mAP)."),
    as_json: bool = _JSON,
    quiet: bool = _QUIET,
) -> None:
    """Make shards and a task from a folder of audio and a table of labels."""
    from auricle.data.import_table import ImportPlan
    from auricle.data.importing import import_folder

    plan = ImportPlan(
        name=name,
        prompt=prompt,
        metric=metric,
        label_columns=tuple(label),
        file_column=file_column,
        split_column=split_column,
        test_share=test_share,
        separator=separator,
    )
    made = import_folder(audio, table, out=out, plan=plan, progress=make_progress(quiet=quiet))
    if as_json:
        print_json(made)
        return
    print(
        f"{made['file']}: {made['train_clips']} training and {made['test_clips']} test clips in "
        f"{made['train_shards']} + {made['test_shards']} shards"
    )
    if made["split"] is None:
        print(f"no column 'split': a hash of each file's name held {test_share:g} of them out")
    else:
        print(f"the column '{made['split']}' said which are for training and which for test")
    if made["unlisted"]:
        shown, count = ", ".join(made["unlisted"][:3]), len(made["unlisted"])
        more = f" and {count - 3} more" if count > 3 else ""
        print(f"audio files that are not in the table ({count}): {shown}{more}")
    print(f"next: auricle run ENCODER --suite {made['file']}")
    print(f"without a network: auricle run ENCODER --suite {made['file']} --recipe mini")
    print(f"with other tasks: auricle data join {made['file']} OTHER.yaml --out joined.yaml")


@app.command("join")
def join_command(
    files: list[str] = typer.Argument(
        help="Suites, tasks and YAML files, e.g. of 'auricle data import'."
    ),
    out: Path = typer.Option(..., "--out", help="The suite's file to write, e.g. mine.yaml."),
    recipe: str | None = RECIPE,
    as_json: bool = _JSON,
) -> None:
    """Write a suite whose tasks are those of several suites, tasks or files.

    [bold]auricle data join birds/birds.yaml frogs/frogs.yaml --out both.yaml[/]
    """
    from auricle.catalog.join import join_suites

    made = join_suites(files, out=out, recipe=recipe)
    if as_json:
        print_json(made)
        return
    print(f"{made['file']}: {', '.join(made['tasks'])}")
    print(f"next: auricle run ENCODER --suite {made['file']}")
