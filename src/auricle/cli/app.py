"""The command line: parse, call, print.

Heavy rooms are imported inside the commands, so that ``auricle --help`` loads neither torch nor
numpy (law 8). Every command prints its result on standard output, or one JSON object with
``--json``, and everything else on standard error.
"""

from __future__ import annotations

import errno
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import typer

from auricle import __version__
from auricle.cli import board as board_commands
from auricle.cli import catalog as catalog_commands
from auricle.cli import challenge as challenge_commands
from auricle.cli import check as check_commands
from auricle.cli import data as data_commands
from auricle.cli import run as run_commands
from auricle.cli import scores as score_commands
from auricle.cli.terminal import PlainConsole, begin_output, print_json
from auricle.errors import AuricleError, EncoderError
from auricle.files import DISK_FULL, write_failure

_INTERRUPTED = 130

app = typer.Typer(
    name="auricle",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=(
        "Measure how much a language model can hear through an audio encoder.\n\n"
        "auricle trains a small audio language model on top of your frozen encoder, lets it "
        "answer in free text, and scores the answers.\n\n"
        "Start here:  [bold]auricle run logmel --suite smoke[/]   (no network, a few minutes)\n\n"
        "Your own:    [bold]auricle check my_encoder.py[/]\n\n"
        "             [bold]auricle run my_encoder.py --suite smoke[/]\n\n"
        "Then:        [bold]auricle compare runs/smoke/*[/]"
    ),
    epilog=(
        "Exit codes: 0 good, 2 a mistake that the text says how to mend, 3 the answer is no, "
        "130 interrupted (the same command continues)."
    ),
)
run_commands.register(app)
check_commands.register(app)
score_commands.register(app)
catalog_commands.register(app)
app.add_typer(data_commands.app, name="data", rich_help_panel="What can be measured")
challenge_commands.register(app)
app.add_typer(board_commands.app, name="board", rich_help_panel="The challenge")


def _show_version(value: bool) -> None:
    if value:
        print(f"auricle {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def execute(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Exit codes: 0 good, 2 the user's mistake, 3 the answer is no, 130 interrupted, 1 our bug.
    """
    logging.getLogger("auricle").addHandler(logging.NullHandler())
    # Our own sentence says what could not be fetched; each attempt's line would only hide it.
    logging.getLogger("huggingface_hub.utils._http").setLevel(logging.ERROR)
    begin_output()
    console = PlainConsole(stderr=True, soft_wrap=True)
    try:
        code = int(app(list(arguments), standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except typer.TyperException as error:  # a wrong option or argument
        if text := _text_of(error):
            console.print(f"error: {text}", style="red")
        return 2
    except AuricleError as error:
        if "--json" in arguments:
            print_json({"error": _record(error)})
        console.print(f"error: {error}", style="red")
        if isinstance(error, EncoderError) and error.quoted:
            console.print(error.quoted.rstrip(), style="dim")
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (*DISK_FULL, errno.EROFS):
            # A library of others wrote: ours have said so above.
            sentence = write_failure(Path(error.filename or Path.cwd()), error)
            console.print(f"error: {sentence}", style="red")
            return sentence.exit_code
        traceback.print_exc()
        console.print("This is a bug in auricle. Please report it with the lines above.")
        return 1
    if code == _INTERRUPTED:  # newer versions of typer turn the interrupt itself into this code
        console.print("interrupted; nothing is lost. Give the same command again to continue.")
    return code


def _record(error: AuricleError) -> dict[str, str]:
    """An error for programs; ``quoted`` is the encoder's own output."""
    quoted = error.quoted if isinstance(error, EncoderError) else ""
    return {"type": type(error).__name__, "message": str(error), "quoted": quoted}


def _text_of(error: typer.TyperException) -> str:
    format_message = getattr(error, "format_message", None)
    text = str(format_message() if format_message else error)
    if not text:  # no command was named: the help has been printed
        return ""
    return f"{text if text.endswith(('.', '?')) else text + '.'} See --help."
