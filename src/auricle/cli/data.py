"""``auricle data``: shards on this machine."""

from __future__ import annotations

import os

import typer

from auricle.cli.terminal import make_progress

app = typer.Typer(no_args_is_help=True, help="Make, fetch, verify and list the data.")


@app.command("make")
def make_command(
    suite: str = typer.Argument("smoke", help="A suite or task with synthetic data."),
    workers: int | None = typer.Option(None, "--workers", help="Processes; default: all cores."),
    quiet: bool = typer.Option(False, "--quiet", help="Show no progress."),
) -> None:
    """Make the shards of the synthetic tasks; 'auricle run' also does so by itself."""
    from auricle.catalog.load import get_suite, get_task
    from auricle.errors import UserError
    from auricle.files import data_home
    from auricle.synth.make import make_shards

    tasks = [get_task(name) for name in get_suite(suite).shares]
    synthetic = [task for task in tasks if task.synthetic is not None]
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
    print(f"{len(synthetic)} synthetic tasks are ready below {data_home() / 'shards'}")
