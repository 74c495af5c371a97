"""``auricle board``: ranks, and the public page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from auricle.cli.terminal import one_format, print_json
from auricle.errors import UserError, printable

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Rank encoders and build the public page.\n\n"
        "A table of scores:   [bold]auricle board rank scores.csv[/]\n\n"
        "Runs as a web page:  [bold]auricle board build --run runs/track-a/mine-0123456789ab[/]"
    ),
)

_JSON = typer.Option(False, "--json", help="Print one JSON object.")


@app.command("rank")
def rank_command(
    files: list[Path] = typer.Argument(help="CSV files, one row per team, or run folders."),
    table: str | None = typer.Option(
        None, "--table", metavar="FORMAT", help="Print as csv, json, markdown or latex."
    ),
    health: bool = typer.Option(
        False, "--health", help="Also say how well each task tells the teams apart."
    ),
    as_json: bool = _JSON,
) -> int:
    """Rank teams: public, hidden and overall recomputed, ties only where nothing differs.

    A team that lacks a task has no rank; the table is printed all the same, and the exit code is 3.

    Columns are team, tasks by name, and hidden tasks, which end in *; scores go from 0 to 1:

        team,esc-50,gtzan,tacos*

        Night Owls,.71,.64,.38

    [bold]auricle board rank scores.csv --table latex[/]

    Runs know their intervals, which give bands: the places that they leave open.

    [bold]auricle board rank runs/smoke/*[/]
    """
    one_format(table, as_json=as_json)
    from auricle.catalog.load import list_tasks
    from auricle.cli.tables import print_rows
    from auricle.scoring.board_csv import rank_board
    from auricle.scoring.tables import board_table

    board = rank_board(files, known_tasks=list_tasks())
    unranked = [
        f"{row['team']} has no rank: {row['reason'] or 'missing ' + ', '.join(row['missing'])}"
        for row in board["rows"]
        if row["missing"] or row["reason"]
    ]
    unranked += [f"{path} is not scored yet and has no row" for path in board["unscored"]]
    code = 3 if unranked else 0
    if as_json:
        print_json(board)
        return code
    if table is not None:
        print(board_table(board).render(table), end="")
        for line in unranked:
            print(_one_line(line), file=sys.stderr)
        return code
    rows = []
    for row in board["rows"]:
        band = "" if row["band"] is None else f"{row['band'][0]} to {row['band'][1]}"
        means = ["" if row[n] is None else f"{row[n]:.4f}" for n in ("overall", "public", "hidden")]
        rows.append([str(row["rank"] or "-"), band, _one_line(row["team"]), *means])
    print_rows(["rank", "band", "team", "overall", "public", "hidden"], rows)
    for line in [*unranked, *board["differences"], *board["notes"]]:
        print(_one_line(line))
    if health:
        _print_health(board["health"])
    return code


def _one_line(text: str) -> str:
    """A text with strangers' names in it, which may hold line ends."""
    return printable(" ".join(text.split()))


def _print_health(tasks: list[dict[str, Any]]) -> None:
    from auricle.cli.tables import print_rows

    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    rows = [
        [
            task["task"],
            shown(task["mean"], ".3f"),
            shown(task["spread"], ".3f"),
            *(shown(task[name], ".0%") for name in ("at_ceiling", "at_floor", "tied")),
            shown(task["agreement"], "+.2f"),
            task["verdict"],
        ]
        for task in tasks
    ]
    columns = ["task", "mean", "spread", "at ceiling", "at floor", "pairs tied", "agreement"]
    print_rows([*columns, "verdict"], rows, title="health of the tasks, hidden ones first")


@app.command("build")
def build_command(
    out: Path = typer.Option(Path("site"), "--out", help="Folder of the site."),
    runs: list[Path] = typer.Option([], "--run", help="A run folder; repeat for more."),
    results: list[Path] = typer.Option(
        [], "--results", help="A CSV as for 'board rank', or a scores.json; repeat for more."
    ),
    published: bool = typer.Option(
        True, "--published/--no-published", help="Show the published results of 2026."
    ),
    released: bool = typer.Option(
        False, "--released", help="Hidden scores of these runs may be shown."
    ),
    with_reports: bool = typer.Option(False, "--with-reports", help="Copy the runs' reports."),
    title: str = typer.Option("auricle board", "--title", help="Name of the site."),
    judged_only: bool = typer.Option(
        False, "--judged-only", help="Show those judged runs alone that a trusted key signed."
    ),
    trust: Path | None = typer.Option(
        None, "--trust", metavar="KEYS", help="List of public keys whose receipts are believed."
    ),
    as_json: bool = _JSON,
) -> int:
    """Build the static site; it needs no server and no network.

    [bold]auricle board build --run judged/owls --run judged/larks --results others.csv[/]

    What may be published as judged: receipts that a key of the list signed.

    [bold]auricle board build --run judged/owls --judged-only --trust organisers.pub[/]

    The exit code is 3 if --judged-only left something out.
    """
    from auricle.board.from_runs import Trust
    from auricle.board.site import BoardOptions, build_board

    if judged_only and trust is None:
        raise UserError(
            "--judged-only needs --trust with the public keys of those who judge: the .pub files "
            "of 'auricle challenge keys'. Nothing was published."
        )
    keys = {}
    if trust is not None:
        from auricle.challenge.signing import read_trusted

        keys = read_trusted(trust)
    summary = build_board(
        out=out,
        runs=runs,
        results=results,
        published=published,
        options=BoardOptions(
            released=released,
            with_reports=with_reports,
            title=title,
            trust=Trust(keys, alone=judged_only),
        ),
    )
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for reason in summary.left_out:
        print(f"left out: {_one_line(reason)}", file=sys.stderr)
    code = 3 if summary.left_out else 0
    if as_json:
        facts = {"out": str(summary.out), "tables": summary.tables, "entries": summary.entries}
        facts |= {"files": summary.files, "bytes": summary.bytes_written}
        facts |= {"warnings": summary.warnings, "left_out": summary.left_out}
        facts |= {"signed_by": summary.signers}
        print_json(facts)
        return code
    tables = ", ".join(f"{name} {rows}" for name, rows in summary.tables.items())
    print(
        f"{summary.out / 'index.html'}: rows {tables}; {summary.files} files, "
        f"{summary.bytes_written / 1000:.0f} kB"
    )
    for name, count in summary.signers.items():
        print(f"entries signed by {_one_line(name)}: {count}")
    return code
