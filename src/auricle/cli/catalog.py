"""``auricle suites`` and ``auricle tasks``: what can be measured."""

from __future__ import annotations

import typer

from auricle.cli.terminal import print_json


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("suites", rich_help_panel="What can be measured")(suites_command)
    app.command("tasks", rich_help_panel="What can be measured")(tasks_command)


def suites_command(
    name: str | None = typer.Argument(None, help="Show the tasks of one suite."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """List the suites: what an encoder can be measured on."""
    from auricle.catalog.load import get_suite, list_suites
    from auricle.catalog.records import suite_record
    from auricle.cli.tables import print_rows

    suites = [get_suite(name)] if name else [get_suite(each) for each in list_suites()]
    records = [suite_record(suite) for suite in suites]
    if as_json:
        print_json({"suites": records})
    elif name:
        rows = [[task, f"{share:.4f}"] for task, share in records[0]["tasks"].items()]
        print_rows(["task", "share of draws"], rows, title=f"{name}: {suites[0].description}")
        print(f"steps: {records[0]['steps']}   batch size: {records[0]['batch_size']}")
    else:
        rows = [
            [r["name"], str(len(r["tasks"])), str(r["steps"]), str(r["batch_size"]), s.description]
            for r, s in zip(records, suites, strict=True)
        ]
        print_rows(["suite", "tasks", "steps", "batch", "what it is"], rows)
        print("Any task name is a suite of its own: auricle tasks")


def tasks_command(
    name: str | None = typer.Argument(None, help="Show one task in full."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """List the tasks, or show one: prompt, metric, shards, licence."""
    from auricle.catalog.load import get_task, list_tasks
    from auricle.catalog.records import task_record
    from auricle.cli.tables import print_rows

    tasks = [get_task(name)] if name else [get_task(each) for each in list_tasks()]
    records = [task_record(task) for task in tasks]
    if as_json:
        print_json({"tasks": records})
    elif name:
        rows = [[key, _cell(value)] for key, value in records[0].items()]
        print_rows(["field", "value"], rows, title=name)
    else:
        rows = [
            [r["name"], r["track"].upper(), r["domain"], r["metric"], str(r["num_classes"] or "")]
            for r in records
        ]
        print_rows(["task", "track", "domain", "metric", "classes"], rows)
        print("One task in full: auricle tasks NAME")


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        shown = [str(v) for v in value]
        middle = [f"... {len(shown) - 2} more ..."] if len(shown) > 3 else shown[1:-1]
        return "\n".join([shown[0], *middle, shown[-1]] if len(shown) > 1 else shown)
    return "" if value is None else str(value)
