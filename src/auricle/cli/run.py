"""``auricle run``: the main job; ``auricle plan``: what it will cost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from auricle.cli.terminal import log_to, make_progress, print_json
from auricle.errors import UserError
from auricle.progress import duration_text

if TYPE_CHECKING:
    from auricle.job import RunOptions
    from auricle.records.scores import Scores

_ENCODER = typer.Argument(
    help="file.py, file.py:Class, package.module:Class, hf:owner/model, a folder with a submission "
    "or a model, or a built-in: logmel, noise."
)


_CONFIGS = typer.Argument(None, hidden=True)
_SUITE = typer.Option(
    "smoke", "--suite", help="A suite, a task, or a YAML file; see 'auricle suites'."
)
_EVALUATIONS = typer.Option(
    [], "--eval", metavar="SUITE", help="A further suite or YAML file, e.g. hidden tasks."
)
RECIPE = typer.Option(
    None, "--recipe", help="mini (needs no network) or official; default: the suite's own."
)
_OUT = typer.Option(Path("runs"), "--out", help="Folder of all runs.")
_SEED = typer.Option(None, "--seed", help="Seed of the draws and the initial weights; default: 42.")
_SETTINGS = typer.Option(
    [], "--set", metavar="NAME=VALUE", help="Override a recipe field, e.g. train.steps=500."
)
_ENCODER_ARGS = typer.Option(
    None, "--encoder-args", metavar="JSON", help="Constructor arguments as a JSON object."
)
_ENCODER_PYTHON = typer.Option(
    None, "--encoder-python", metavar="PATH", help="Python that has the encoder's packages."
)
_TRUST_REMOTE_CODE = typer.Option(
    False, "--trust-remote-code", help="Let an hf: model run the code that comes with it."
)
_PRECISION = typer.Option(None, "--precision", help="float32 (reference mode) or bf16 (fast mode).")
_DEVICE = typer.Option("auto", "--device", help="auto, cpu, cuda, cuda:1.")
_WORKERS = typer.Option(
    None, "--workers", help="Threads that decode and compute; 0 = one; default: all cores."
)
_ENCODE_BUDGET = typer.Option(
    None, "--encode-budget", metavar="SECONDS", help="Padded audio in one encode batch."
)
_DISK_BUDGET = typer.Option(
    None, "--disk-budget", metavar="SIZE", help="Features on disk at a time, e.g. 200GB."
)
_BATCH_TIMEOUT = typer.Option(
    300.0, "--batch-timeout", metavar="SECONDS", help="Limit for one encode batch."
)
SENTENCE_MODEL = typer.Option(
    None, "--sentence-model", metavar="PATH", help="For FENSE and DATE; default: the official one."
)
FLUENCY_DETECTOR = typer.Option(
    None, "--fluency-detector", metavar="PATH", help="For FENSE and DATE; default: the official."
)
_CALIBRATION = typer.Option(
    60.0, "--time-limit", metavar="SECONDS", min=0.0, help="For the calibration, about."
)
_AS_JSON = typer.Option(False, "--json", help="Print one JSON object.")
_QUIET = typer.Option(False, "--quiet", help="Show no progress.")

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_size(text: str, option: str) -> float:
    """Bytes of a size such as ``200GB``, ``1.5T`` or ``800MiB``, as an option was given it.

    Raises:
        UserError: It is no size.
    """
    found = re.fullmatch(r"([0-9.]+)\s*([KMGT]?)(I?)B?", text.strip().upper())
    try:
        number = float(found[1]) if found else 0.0
    except ValueError:
        number = 0.0
    if not found or not 0 < number < 1e18:
        raise UserError(f"{option}: '{text}' is no size; expected e.g. 200GB, 1.5TB or 800MB.")
    scale = _UNITS[found[2]]
    return number * (1024 ** "KMGT".index(found[2]) * 1024 if found[3] and found[2] else scale)


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("run", rich_help_panel="Measure an encoder")(run_command)
    app.command("plan", rich_help_panel="Measure an encoder")(plan_command)


def run_command(
    encoder: str = _ENCODER,
    configs: list[str] | None = _CONFIGS,
    suite: str = _SUITE,
    evaluations: list[str] = _EVALUATIONS,
    recipe: str | None = RECIPE,
    out: Path = _OUT,
    seed: int | None = _SEED,
    settings: list[str] = _SETTINGS,
    encoder_args: str | None = _ENCODER_ARGS,
    encoder_python: str | None = _ENCODER_PYTHON,
    trust_remote_code: bool = _TRUST_REMOTE_CODE,
    precision: str | None = _PRECISION,
    device: str = _DEVICE,
    workers: int | None = _WORKERS,
    encode_budget: float | None = _ENCODE_BUDGET,
    disk_budget: str | None = _DISK_BUDGET,
    batch_timeout: float = _BATCH_TIMEOUT,
    sentence_model: str | None = SENTENCE_MODEL,
    fluency_detector: str | None = FLUENCY_DETECTOR,
    as_json: bool = _AS_JSON,
    quiet: bool = _QUIET,
) -> int:
    """Measure an encoder: encode, train, answer, score.

    Continues by itself after an interruption: give the same command again.

    [bold]auricle run logmel --suite smoke[/]

    [bold]auricle run my_encoder.py:MyEncoder --suite mini --seed 1[/]

    [bold]auricle run my_encoder.py --suite birds/birds.yaml --recipe mini[/]
    """
    given = dict(locals())
    import time

    started = time.monotonic()
    _refuse_configs("run", encoder, given.pop("configs"))
    options = _options(**given, on_folder=lambda folder: log_to(folder.log))
    from auricle.benchmark import run

    result = run(encoder, suite, options=options, progress=make_progress(quiet=quiet))
    from auricle.records.scores import Scores

    own = Scores.from_json(result.scores, result.folder.scores)
    further = {
        name: Scores.from_json(stored, result.folder.further_scores(name))
        for name, stored in result.further.items()
    }
    if as_json:
        shown = {"run": str(result.folder.path), "scores": result.scores}
        print_json(shown | {"further": result.further})
    else:
        from auricle.cli.tables import print_scores

        print_scores(own, title=f"{result.folder.path.name} on {own.suite}")
        _print_standing(own)
        for name, scores in further.items():
            print_scores(scores, title=f"{result.folder.path.name} on {name}")
        print(f"run: {result.folder.path}   ({duration_text(time.monotonic() - started)})")
        print(f"page: {result.folder.report}")
    return 0 if all(scores.complete for scores in (own, *further.values())) else 3


def plan_command(
    encoder: str = _ENCODER,
    configs: list[str] | None = _CONFIGS,
    suite: str = _SUITE,
    evaluations: list[str] = _EVALUATIONS,
    recipe: str | None = RECIPE,
    out: Path = _OUT,
    seed: int | None = _SEED,
    settings: list[str] = _SETTINGS,
    encoder_args: str | None = _ENCODER_ARGS,
    encoder_python: str | None = _ENCODER_PYTHON,
    trust_remote_code: bool = _TRUST_REMOTE_CODE,
    precision: str | None = _PRECISION,
    device: str = _DEVICE,
    workers: int | None = _WORKERS,
    encode_budget: float | None = _ENCODE_BUDGET,
    disk_budget: str | None = _DISK_BUDGET,
    batch_timeout: float = _BATCH_TIMEOUT,
    sentence_model: str | None = SENTENCE_MODEL,
    fluency_detector: str | None = FLUENCY_DETECTOR,
    time_limit: float = _CALIBRATION,
    as_json: bool = _AS_JSON,
    quiet: bool = _QUIET,
) -> int:
    """Say what a run will cost: clips, download, disk, GPU memory, hours per stage.

    Takes the options of 'auricle run' and starts nothing.

    The hours come from a short calibration: a few batches, training steps and answers.

    Without the data it says what the catalog knows.

    [bold]auricle plan my_encoder.py --suite track-a --disk-budget 200GB[/]
    """
    given = dict(locals())
    del given["time_limit"]
    _refuse_configs("plan", encoder, given.pop("configs"))
    options = _options(**given)
    from auricle.plan.make import make_plan

    progress = make_progress(quiet=quiet or as_json)
    plan = make_plan(encoder, suite, options=options, progress=progress, calibration_s=time_limit)
    if as_json:
        print_json(plan.to_json())
    else:
        from auricle.cli.plan_tables import print_plan

        print_plan(plan)
    return 130 if plan.interrupted else 0


def _refuse_configs(command: str, encoder: str, configs: Sequence[str] | None) -> None:
    """Say the line to type instead of XARES-LLM's, which takes its two files by their places.

    Raises:
        UserError: There are words behind the encoder.
    """
    if not configs:
        return
    import shlex

    words = ["auricle", command, encoder, "--suite", configs[0]]
    words += [word for each in configs[1:] if each != configs[0] for word in ("--eval", each)]
    raise UserError(
        f"'auricle {command}' takes one encoder alone, and the suite and further questions as "
        f"options, but got {' '.join(configs)} behind it. Type: {shlex.join(words)}"
    )


def _options(
    encoder: str,
    suite: str,
    *,
    evaluations: list[str],
    settings: list[str],
    encode_budget: float | None,
    disk_budget: str | None,
    batch_timeout: float,
    as_json: bool,
    quiet: bool,
    **same: Any,
) -> RunOptions:
    """The options of a run whose names are all known: they are looked at before torch is imported.

    Raises:
        UserError: A name or value is not known.
    """
    from auricle.encoder.load import parse_encoder

    parse_encoder(
        encoder,
        arguments=same["encoder_args"],
        python=same["encoder_python"],
        trust_remote_code=same["trust_remote_code"],
    )
    from auricle.catalog.files import open_suite

    if not suite:
        raise UserError("--suite is empty; 'auricle suites' lists the names.")
    for name in (suite, *evaluations):
        open_suite(name, recipe=same["recipe"])
    from auricle.job import RunOptions, resolve

    options = RunOptions(
        evaluations=tuple(evaluations),
        settings=tuple(settings),
        encode_budget_s=encode_budget,
        disk_budget=None if disk_budget is None else parse_size(disk_budget, "--disk-budget"),
        batch_timeout_s=batch_timeout,
        **same,
    )
    resolve(encoder, suite, options)
    return options


def _print_standing(scores: Scores) -> None:
    """Where an official result would have stood in the challenge of 2026."""
    if not scores.official or scores.suite not in ("track-a", "track-b", "all"):
        return
    from auricle.scoring.published import standing_sentence

    for track, mean in scores.tracks.items():
        if mean.mean is not None:
            print(standing_sentence(track, mean.mean))
