"""``auricle check``: is it a valid encoder, how fast, how much memory, what to fix."""

from __future__ import annotations

import typer

from auricle.cli.terminal import make_progress, print_json

_SUITES = ("mini", "track-a")
"""Suites of which it is said how long encoding takes."""


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("check", rich_help_panel="Measure an encoder")(check_command)


def check_command(
    encoder: str = typer.Argument(
        help="As for 'auricle run': file.py, file.py:Class, hf:name, ..."
    ),
    encoder_args: str | None = typer.Option(
        None, "--encoder-args", metavar="JSON", help="Constructor arguments as a JSON object."
    ),
    encoder_python: str | None = typer.Option(
        None, "--encoder-python", metavar="PATH", help="Python that has the encoder's packages."
    ),
    trust_remote_code: bool = typer.Option(
        False, "--trust-remote-code", help="Let an hf: model run the code that comes with it."
    ),
    device: str = typer.Option("auto", "--device", help="auto, cpu, cuda, cuda:1."),
    time_limit: float = typer.Option(
        90.0,
        "--time-limit",
        metavar="SECONDS",
        min=5.0,
        help="For loading it and its first answer, and as much again for the rest.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
    quiet: bool = typer.Option(False, "--quiet", help="Show no progress."),
) -> int:
    """Check an encoder: every problem at once, what was seen, what is expected, how to mend it.

    Exit code 3 if a required check failed or was not reached.
    """
    from auricle.encoder.load import parse_encoder

    spec = parse_encoder(
        encoder,
        arguments=encoder_args,
        python=encoder_python,
        trust_remote_code=trust_remote_code,
    )
    from auricle.catalog.files import open_suite
    from auricle.encoder.checks import check_encoder
    from auricle.job import choose_device

    report = check_encoder(
        spec,
        device=choose_device(device),
        time_limit_s=time_limit,
        progress=make_progress(quiet=quiet or as_json),
        audio_h={name: open_suite(name).audio_h for name in _SUITES},
    )
    if as_json:
        print_json(report.to_json())
    else:
        from auricle.cli.tables import print_check

        print_check(report)
    return 0 if report.passed else 3
