"""``auricle new | pack | verify`` and ``auricle challenge``: submissions, from both sides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auricle.challenge.limits import JUDGED_RUN_S, FetchLimits, TrialLimits
from auricle.cli.run import FLUENCY_DETECTOR, SENTENCE_MODEL, parse_size
from auricle.cli.terminal import make_progress, print_json
from auricle.errors import UserError
from auricle.sandbox.policy import GIBI

if TYPE_CHECKING:
    from auricle.challenge.signing import SigningKey
    from auricle.challenge.stages import Settings
    from auricle.challenge.verdicts import Stage

_JSON = typer.Option(False, "--json", help="Print one JSON object.")
_QUIET = typer.Option(False, "--quiet", help="Show no progress.")
_UNSAFE = typer.Option(
    False, "--unsafe-no-sandbox", help="Run strangers' code without locks; the receipt says so."
)
_GPU = typer.Option(
    False, "--gpu", help="Let the encoder's locks pass a GPU (see docs/security.md)."
)
_TEAMS = typer.Option(
    None, "--teams", metavar="FILE", help="The table of teams: the submission's must be in it."
)

_OWN = TrialLimits()


def _gib(size: int) -> str:
    return f"{size // GIBI}GiB"


_PANEL_OF_LIMITS = "What a submission may take"


def _limit(option: str, unit: str, what: str) -> Any:
    return typer.Option(option, metavar=unit, rich_help_panel=_PANEL_OF_LIMITS, help=what)


_Memory = Annotated[str, _limit("--memory", "SIZE", "Main memory of the encoder.")]
_Disk = Annotated[str, _limit("--disk", "SIZE", "Disk that one run may fill.")]
_Check = Annotated[float, _limit("--check-limit", "SECONDS", "Time for the check of the contract.")]
_Batch = Annotated[float, _limit("--batch-limit", "SECONDS", "Time for one batch.")]
_Smoke = Annotated[float, _limit("--smoke-limit", "SECONDS", "Time for the smoke run.")]
_Run = Annotated[float, _limit("--run-limit", "HOURS", "Time for the judged run.")]
_Install = Annotated[
    float, _limit("--install-limit", "SECONDS", "Time for pip to install the requirements.")
]
_Construct = Annotated[
    float,
    _limit(
        "--construct-limit",
        "SECONDS",
        "Time for the encoder's first construction, downloads included.",
    ),
]
_FetchMemory = Annotated[
    str, _limit("--fetch-memory", "SIZE", "Main memory of installation and first construction.")
]
_FetchDisk = Annotated[str, _limit("--fetch-disk", "SIZE", "Disk that the environment may fill.")]

_Key = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        help="Private key that signs the receipt; default: keys/receipts.key of the data home, "
        "where it exists.",
    ),
]

_PANEL = "The challenge"

challenge_app = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("new", rich_help_panel=_PANEL)(new_command)
    app.command("pack", rich_help_panel=_PANEL)(pack_command)
    app.command("verify", rich_help_panel=_PANEL)(verify_command)
    challenge_app.command("register")(register_command)
    challenge_app.command("judge")(judge_command)
    challenge_app.command("keys")(keys_command)
    app.add_typer(challenge_app, name="challenge", rich_help_panel=_PANEL)


@challenge_app.callback()
def _challenge() -> None:
    """The organiser's side: register teams, judge submissions.

    Register teams: [bold]auricle challenge register inbox/*.yaml[/]

    Examine a ZIP:  [bold]auricle verify owls.zip --receipt owls.json[/]

    A key, once:    [bold]auricle challenge keys 'Challenge 2026'[/]

    Measure it:     [bold]auricle challenge judge owls.zip --suite all --out judged/owls[/]

    Show results:   [bold]auricle board build --run judged/owls --judged-only --trust KEYS[/]

    The participant's side is 'auricle new' and 'auricle pack'.
    """


def new_command(
    name: str = typer.Argument(metavar="FOLDER", help="A new folder."),
    source: str | None = typer.Option(
        None, "--from", help="hf:owner/model, or a model's folder, fills the encoder in."
    ),
    adopt: bool = typer.Option(
        False, "--adopt", help="The folder is an existing repository: write what it lacks."
    ),
    as_json: bool = _JSON,
) -> None:
    """Start a submission: a template that passes 'check' as it is; 'pack' says what to fill in."""
    if not name.strip() or not name.isprintable():
        raise UserError(f"FOLDER is {name!r}; the name of a new folder is expected, e.g. owls.")
    folder = Path(name)
    if adopt:
        from auricle.challenge.adopt import adopt_repository

        written = adopt_repository(folder)[1]
    else:
        from auricle.challenge.new import create_submission

        written = create_submission(folder, source=source)
    if as_json:
        print_json({"written": [str(path) for path in written]})
        return
    for path in written:
        print(path)
    if source is not None:
        print(f"Try it: auricle check {folder}")
    elif not adopt:
        print(f"Put your model into {folder / 'encoder.py'}, then: auricle check {folder}")
    print(f"Fill in {folder / 'submission.yaml'}, then: auricle pack {folder}")


def pack_command(
    folder: Path = typer.Argument(help="The submission's folder."),
    out: Path | None = typer.Option(None, "--out", help="The ZIP to write."),
    as_json: bool = _JSON,
    quiet: bool = _QUIET,
) -> int:
    """Validate a submission and pack it: the same input gives the same bytes."""
    from auricle.challenge.pack import pack

    packed = pack(folder, out=out, progress=make_progress(quiet=quiet))
    if as_json:
        print_json(packed.record())
    else:
        _print_stages(packed.stages)
        if packed.left_out:
            print(f"left out: {', '.join(packed.left_out)}")
        if packed.archive:
            print(f"{packed.archive}   sha256 {packed.sha256}")
            print("Hand this file in. What its judges will see: auricle verify, with its name.")
        else:
            print("not packed: mend what is named above, then give the same command again")
    return 0 if packed.archive else 3


def verify_command(
    archive: Path = typer.Argument(help="A submission's ZIP."),
    unsafe: bool = _UNSAFE,
    gpu: bool = _GPU,
    teams: Path | None = _TEAMS,
    key: _Key = None,
    receipt: Path | None = typer.Option(None, "--receipt", help="Write the receipt to this file."),
    memory: _Memory = _gib(_OWN.memory_bytes),
    disk: _Disk = _gib(_OWN.disk_bytes),
    check_limit: _Check = _OWN.check_limit_s,
    batch_limit: _Batch = _OWN.batch_limit_s,
    smoke_limit: _Smoke = _OWN.smoke_limit_s,
    install_limit: _Install = _OWN.fetch.install_s,
    construct_limit: _Construct = _OWN.fetch.construct_s,
    fetch_memory: _FetchMemory = _gib(_OWN.fetch.memory_bytes),
    fetch_disk: _FetchDisk = _gib(_OWN.fetch.disk_bytes),
    as_json: bool = _JSON,
    quiet: bool = _QUIET,
) -> int:
    """Examine a stranger's submission, stage by stage, behind locks (exit code 3 if refused)."""
    given = dict(locals())
    from auricle.challenge.verify import VerifyOptions, verify
    from auricle.files import write_json

    if receipt is not None and receipt.is_dir():
        raise UserError(f"{receipt} is a folder; --receipt names the file to write.")
    settings = _settings(given)
    signer = _signer(key, unsafe=unsafe)
    options = VerifyOptions(sandbox=not unsafe, teams=teams, key=signer, settings=settings)
    found = verify(archive, options=options, progress=make_progress(quiet=quiet))
    if receipt is not None:
        write_json(receipt, found.receipt)
    if as_json:
        print_json(found.record())
    else:
        _print_stages(found.stages)
        _print_receipt(found.receipt)
    return 0 if found.accepted else 3


def register_command(
    files: list[Path] = typer.Argument(
        help="A YAML file per team: team, members, contact, tracks."
    ),
    teams: Path = typer.Option(Path("teams.json"), "--teams", help="The table of teams."),
    last_day: datetime | None = typer.Option(
        None,
        "--deadline",
        formats=["%Y-%m-%d"],
        metavar="YYYY-MM-DD",
        help="Refuse what comes after this day, 23:59 anywhere on Earth.",
    ),
    as_json: bool = _JSON,
) -> int:
    """Check teams' registrations and keep the table of teams (exit code 3 if one is refused).

    [bold]auricle challenge register inbox/*.yaml --deadline 2026-01-31[/]
    """
    from auricle.challenge.registration import register_teams

    day = last_day.date() if last_day is not None else None
    found, table = register_teams(files, teams, now=datetime.now(UTC), last_day=day)
    refused = [each for each in found if each.problems]
    if as_json:
        print_json({"files": [f.record() for f in found], "teams": table})
        return 3 if refused else 0
    from auricle.cli.tables import print_rows

    rows = [
        [
            str(each.file),
            each.team or "",
            "\n".join([p.message for p in each.problems] or [each.note, *each.hints]),
        ]
        for each in found
    ]
    print_rows(["file", "team", "what was found, what to do"], rows)
    tracks = ", ".join(
        f"in track {track.upper()} {sum(track in team['tracks'] for team in table)}"
        for track in "ab"
    )
    print(f"{teams}: teams {len(table)}, {tracks}; refused now: {len(refused)}")
    return 3 if refused else 0


def keys_command(
    name: str = typer.Argument(metavar="NAME", help="Who signs with it, e.g. 'Challenge 2026'."),
    out: Path | None = typer.Option(
        None, "--out", metavar="FILE", help="Default: keys/receipts.key of the data home."
    ),
    as_json: bool = _JSON,
) -> None:
    """Make the pair of keys that receipts are signed and checked with.

    The private one stays here (mode 600); 'judge' and 'verify' sign with it. The public one, a line
    of text, goes to whoever builds a board.
    """
    from auricle.challenge.receipt import default_key
    from auricle.challenge.signing import make_keys

    private = out or default_key()
    public = make_keys(private, name)
    if as_json:
        print_json({"private": str(private), "public": str(public)})
        return
    print(f"{private}: the private key; keep it here, and a copy where nobody else can read it")
    print(f"{public}: the public key, for 'auricle board build --trust'")


def judge_command(
    archive: Path = typer.Argument(help="A submission's ZIP."),
    suite: str = typer.Option(..., "--suite", help="A suite, a task, or a YAML file."),
    out: Path = typer.Option(..., "--out", help="New folder for the judged run."),
    evaluations: list[str] = typer.Option(
        [], "--eval", metavar="SUITE", help="A further suite or YAML file, e.g. hidden tasks."
    ),
    seed: int = typer.Option(42, "--seed", help="Seed of the run."),
    overrides: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="Override a recipe field; the run is then custom."
    ),
    teams: Path | None = _TEAMS,
    key: _Key = None,
    unsafe: bool = _UNSAFE,
    gpu: bool = _GPU,
    sentence_model: str | None = SENTENCE_MODEL,
    fluency_detector: str | None = FLUENCY_DETECTOR,
    run_limit: _Run = JUDGED_RUN_S / 3600,
    memory: _Memory = _gib(_OWN.memory_bytes),
    disk: _Disk = _gib(_OWN.disk_bytes),
    check_limit: _Check = _OWN.check_limit_s,
    batch_limit: _Batch = _OWN.batch_limit_s,
    smoke_limit: _Smoke = _OWN.smoke_limit_s,
    install_limit: _Install = _OWN.fetch.install_s,
    construct_limit: _Construct = _OWN.fetch.construct_s,
    fetch_memory: _FetchMemory = _gib(_OWN.fetch.memory_bytes),
    fetch_disk: _FetchDisk = _gib(_OWN.fetch.disk_bytes),
    as_json: bool = _JSON,
    quiet: bool = _QUIET,
) -> int:
    """Examine a submission, then run it on a suite from an empty scratch, behind locks.

    [bold]auricle challenge judge owls.zip --suite all --out judged/owls[/]

    The exit code is 3 if it is refused or a task is missing.
    """
    given = dict(locals())
    from auricle.challenge.judge import JudgeOptions, judge
    from auricle.challenge.verify import VerifyOptions

    settings = _settings(given)
    options = JudgeOptions(
        suite=suite,
        out=out,
        evaluations=tuple(evaluations),
        settings=tuple(overrides),
        seed=seed,
        limit_s=_time("--run-limit", run_limit, "hours", JUDGED_RUN_S / 3600) * 3600,
        models=_models(sentence_model, fluency_detector),
        verify=VerifyOptions(
            sandbox=not unsafe, teams=teams, key=_signer(key, unsafe=unsafe), settings=settings
        ),
    )
    found = judge(archive, options=options, progress=make_progress(quiet=quiet))
    if as_json:
        print_json(found.record())
        return 0 if found.accepted else 3
    _print_stages(found.stages)
    if found.scores is not None:
        from auricle.cli.tables import print_scores
        from auricle.records.scores import Scores

        for name, stored in {suite: found.scores, **found.further}.items():
            scores = Scores.from_json(stored, "what the run printed")
            print_scores(scores, title=f"{archive.name} on {name}")
    _print_receipt(found.receipt)
    if found.run is not None:
        print(f"kept with its receipt: {found.run}")
    if found.refused is not None:
        print(f"receipt and logs, for the organiser alone: {found.refused}")
    return 0 if found.accepted else 3


def _settings(given: Mapping[str, Any]) -> Settings:
    """How an encoder is tried, from a command's arguments."""
    from auricle.challenge.stages import Settings

    def size(name: str) -> int:
        return _size(f"--{name.replace('_', '-')}", given[name])

    def seconds(name: str) -> float:
        return _time(f"--{name.replace('_', '-')}", given[name], "seconds", _OWN.check_limit_s)

    return Settings(
        gpu=given["gpu"],
        memory_bytes=size("memory"),
        disk_bytes=size("disk"),
        check_limit_s=seconds("check_limit"),
        batch_limit_s=seconds("batch_limit"),
        smoke_limit_s=seconds("smoke_limit"),
        fetch=FetchLimits(
            seconds("install_limit"),
            seconds("construct_limit"),
            disk_bytes=size("fetch_disk"),
            memory_bytes=size("fetch_memory"),
        ),
    )


_LEAST_BYTES, _MOST_BYTES = 10**9, 10**15


def _size(option: str, text: str) -> int:
    size = parse_size(text, option)
    if not _LEAST_BYTES <= size <= _MOST_BYTES:
        raise UserError(f"{option} is '{text}'; a size from 1GB to 1000TB is expected.")
    return int(size)


def _time(option: str, value: float, unit: str, example: float) -> float:
    least = 5.0 if unit == "seconds" else 0.01
    if not (math.isfinite(value) and least <= value <= 1e7):
        raise UserError(
            f"{option} is {value:g}; a number of {unit} from {least:g} to 10000000 is expected, "
            f"e.g. {example:g}."
        )
    return value


def _signer(given: Path | None, *, unsafe: bool) -> SigningKey | None:
    """The key that was named, or that of the data home; none is looked for without locks."""
    from auricle.challenge.receipt import default_key

    if given is None and (unsafe or not default_key().exists()):
        return None
    from auricle.challenge.signing import read_key

    return read_key(given or default_key())


def _models(sentence_model: str | None, fluency_detector: str | None) -> tuple[str, ...]:
    """Words for the judged run, which starts in another folder; what lies here must be there."""
    from auricle.files import user_path
    from auricle.metrics.caption_models import require_given_models
    from auricle.metrics.result import MetricOptions

    require_given_models(
        MetricOptions(sentence_model=sentence_model, fluency_detector=fluency_detector)
    )
    given = {"--sentence-model": sentence_model, "--fluency-detector": fluency_detector}
    words: list[str] = []
    for option, name in given.items():
        if name:
            path = user_path(name)
            words += [option, str(path.absolute()) if path.exists() else name]
    return tuple(words)


def _print_stages(stages: Sequence[Stage]) -> None:
    from auricle.cli.tables import print_rows

    rows = [[stage.name, str(stage.verdict), stage.message] for stage in stages]
    print_rows(["stage", "verdict", "what was found, what to do"], rows)


def _print_receipt(receipt: Mapping[str, Any]) -> None:
    locks = receipt["locks"]
    print(f"sha256 {receipt['archive_sha256']}, examined {receipt['time']}")
    if locks:
        print(
            f"locks: {locks['sandbox']}; limits: {locks['limits']}; "
            f"system calls: {locks['system_calls']}"
        )
    signature = receipt.get("signature")
    said = f"signed by the key {signature['key'][:12]}..." if signature else "not signed"
    print(f"receipt: {said}")
    print("accepted" if receipt["accepted"] else "refused")
