"""Signed receipts: who vouches for a run, and everything that a forger can change about one."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from board_material import make_run, task_entry

from auricle.challenge.receipt import digest_run, make_receipt, sign_receipt
from auricle.challenge.signing import make_keys, read_key, read_trusted
from auricle.challenge.verdicts import judged
from auricle.cli.app import execute
from auricle.errors import UserError
from auricle.files import sha256_json
from auricle.records.receipt import Receipt, RunDigests
from auricle.runs.folder import RunFolder


class Office:
    """Where runs are judged: a pair of keys, and what was signed with them."""

    def __init__(self, folder: Path, name: str = "Challenge 2026") -> None:
        self.private = folder / f"{name}.key"
        self.public = make_keys(self.private, name)

    def judge(self, folder: Path, *, team: str = "Night Owls", score: float = 0.5) -> Path:
        """A run folder as a judged run leaves it."""
        run = RunFolder(make_run(folder, tasks={"esc-50": task_entry(score)}))
        run.predictions_folder.mkdir()
        run.predictions("esc-50").write_text('{"id": "a/0", "prediction": "dog"}\n')
        (folder / "report.pdf").write_bytes(b"%PDF-1.4")
        (folder / "further" / "hidden").mkdir(parents=True)
        manifest = json.loads(run.manifest.read_text())
        (folder / "further" / "hidden" / "manifest.json").write_text(json.dumps(manifest))
        archive = folder.parent / "team.zip"
        archive.write_bytes(b"archive")
        receipt = make_receipt(
            archive,
            [judged("judged", [])],
            team=team,
            locks={"sandbox": "bubblewrap"},
            environment={"sha256": "ab" * 32, "installed": {"numpy": "2"}},
            limits={"memory_bytes": 16, "run_limit_s": 1.5},
            run=digest_run(run),
        )
        signed = sign_receipt(receipt, read_key(self.private))
        (folder / "receipt.json").write_text(json.dumps(signed))
        return folder


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def build(site: Path, *runs: Path, trust: Path | None, only: bool = True) -> int:
    words = ["board", "build", "--no-published", "--out", str(site)]
    words += ["--judged-only"] if only else []
    words += ["--trust", str(trust)] if trust else []
    return execute([*words, *(word for run in runs for word in ("--run", str(run)))])


def rows(site: Path) -> list[dict[str, Any]]:
    return [r for path in site.glob("*.json") for r in json.loads(path.read_text()).get("rows", [])]


def test_a_signed_run_is_published_and_its_signer_named(
    tmp_path: Path, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    run = office.judge(tmp_path / "run")
    assert build(tmp_path / "site", run, trust=office.public) == 0
    assert "entries signed by Challenge 2026: 1" in capsys.readouterr().out
    (row,) = rows(tmp_path / "site")
    assert (row["team"], row["signed_by"]) == ("Night Owls", "Challenge 2026")
    page = next((tmp_path / "site" / "entries").glob("*.html")).read_text()
    assert "<dt>Signed by<dd>Challenge 2026" in page
    assert "unsigned" not in (tmp_path / "site" / "track-a.html").read_text()


def edit(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        text = (run / path).read_text()
        assert old in text
        (run / path).write_text(text.replace(old, new, 1))

    return change


def forge(**fields: Any) -> Callable[[Path], None]:
    """Change fields of a receipt and make its hash fit again, as anybody can."""

    def change(run: Path) -> None:
        receipt = json.loads((run / "receipt.json").read_text()) | fields
        bare = {k: v for k, v in receipt.items() if k not in ("receipt_sha256", "signature")}
        receipt["receipt_sha256"] = sha256_json(bare)
        (run / "receipt.json").write_text(json.dumps(receipt))

    return change


CHANGES = {
    "edited scores": (edit("scores.json", "0.5", "0.9"), "changed since are its scores"),
    "edited predictions": (
        edit("predictions/esc-50.jsonl", "dog", "cat"),
        "changed since are its predictions",
    ),
    "predictions that are gone": (
        lambda run: (run / "predictions" / "esc-50.jsonl").unlink(),
        "changed since are its predictions",
    ),
    "another data lock": (
        edit("manifest.json", '"seed": 42', '"seed": 43'),
        "changed since are its manifests",
    ),
    "another evaluation": (
        edit("further/hidden/manifest.json", '"seed": 42', '"seed": 43'),
        "changed since are its manifests",
    ),
    "added hidden scores": (
        lambda run: (run / "scores").mkdir() or (run / "scores" / "x.json").write_text("{}"),
        "changed since are its scores",
    ),
    "another report": (
        lambda run: (run / "report.pdf").write_bytes(b"%PDF-1.5"),
        "changed since are its reports",
    ),
    "an added declaration": (
        lambda run: (run / "submission.yaml").write_text("team: Other"),
        "changed since are its declaration",
    ),
    "another team": (forge(team="Larks"), "changed after it was signed"),
    "another time": (forge(time="2027-01-01T00:00:00+00:00"), "changed after it was signed"),
    "another environment": (forge(environment_sha256="cd" * 32), "changed after it was signed"),
    "other locks": (forge(locks={"sandbox": "a vault"}), "changed after it was signed"),
    "a field without the hash": (
        edit("receipt.json", "Night Owls", "Larks"),
        "its content has another hash",
    ),
    "no digests": (forge(run=None), "changed after it was signed"),
    "another algorithm": (
        edit("receipt.json", "Ed25519", "none"),
        "changed after it was signed",
    ),
}


@pytest.mark.parametrize("only", [True, False], ids=["judged-only", "all"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_after_signing_is_found(
    name: str, only: bool, tmp_path: Path, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    run = office.judge(tmp_path / "run")
    change, text = CHANGES[name]
    change(run)
    assert build(tmp_path / "site", run, trust=office.public, only=only) == 2
    assert text in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_only_what_a_trusted_key_signed_is_published(
    tmp_path: Path, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    good = office.judge(tmp_path / "a" / "good")
    others = Office(tmp_path, "Others").judge(tmp_path / "b" / "others")
    unsigned = office.judge(tmp_path / "c" / "unsigned")
    receipt = json.loads((unsigned / "receipt.json").read_text())
    del receipt["signature"]
    (unsigned / "receipt.json").write_text(json.dumps(receipt))
    bare = make_run(tmp_path / "d" / "bare")
    examined = office.judge(tmp_path / "e" / "examined")
    receipt = make_receipt(
        tmp_path / "e" / "team.zip", [judged("smoke", [])], team="Owls", locks={}, environment={}
    )
    signed = sign_receipt(receipt, read_key(office.private))
    (examined / "receipt.json").write_text(json.dumps(signed))
    runs = (good, others, unsigned, bare, examined)
    assert build(tmp_path / "site", *runs, trust=office.public) == 3
    assert [row["signed_by"] for row in rows(tmp_path / "site")] == ["Challenge 2026"]
    said = capsys.readouterr().err
    assert f"left out: {others}: its receipt is signed by the key" in said
    assert f"left out: {unsigned}: its receipt is not signed" in said
    assert f"left out: {bare}: it has no receipt" in said
    assert f"left out: {examined}: its receipt is of an examination" in said
    assert build(tmp_path / "none", others, trust=office.public) == 2
    assert "nobody who is trusted vouches for any" in capsys.readouterr().err


def test_a_signature_under_another_key_is_none(tmp_path: Path, office: Office) -> None:
    """The forger signs with a key of their own and names the office's."""
    run = Office(tmp_path, "Others").judge(tmp_path / "run")
    receipt = json.loads((run / "receipt.json").read_text())
    receipt["signature"]["key"] = read_key(office.private).public
    (run / "receipt.json").write_text(json.dumps(receipt))
    assert build(tmp_path / "site", run, trust=office.public) == 2


def test_rows_that_nobody_vouches_for_are_marked(tmp_path: Path, office: Office) -> None:
    run = office.judge(tmp_path / "run")
    results = tmp_path / "others.csv"
    results.write_text("team,esc-50\nLarks,0.4\n")
    assert build(tmp_path / "site", run, trust=None, only=False) == 0
    assert "unsigned</span>" in (tmp_path / "site" / "track-a.html").read_text()
    assert rows(tmp_path / "site")[0]["signed_by"] is None
    words = ["board", "build", "--results", str(results), "--out", str(tmp_path / "more")]
    assert execute(words) == 0
    pages = "".join(path.read_text() for path in (tmp_path / "more").glob("*track*.html"))
    assert pages.count("unsigned</span>") == 1  # and none of the published rows


def test_without_a_list_nothing_is_published(
    tmp_path: Path, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    run = office.judge(tmp_path / "run")
    assert build(tmp_path / "site", run, trust=None) == 2
    assert "--judged-only needs --trust" in capsys.readouterr().err
    for text, seen in (
        ("", "it holds no key"),
        ("# nobody\n", "it holds no key"),
        ("ed25519 c2hvcnQ= Short", "line 1 is 'ed25519 c2hvcnQ= Short'"),
        ("ssh-rsa AAAA me", "line 1 is 'ssh-rsa AAAA me'"),
        (office.public.read_text() * 2, "line 2 repeats the key of 'Challenge 2026'"),
        (office.private.read_text(), "line 1 is '-----BEGIN PRIVATE KEY-----'"),
    ):
        (tmp_path / "list").write_text(text)
        assert build(tmp_path / "site", run, trust=tmp_path / "list") == 2
        assert seen in capsys.readouterr().err
    (tmp_path / "list").write_bytes(b"\xff\xfe")
    assert build(tmp_path / "site", run, trust=tmp_path / "list") == 2
    assert build(tmp_path / "site", run, trust=tmp_path / "gone") == 2
    assert "cannot be read (No such file" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_keys_are_made_once_and_for_their_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AURICLE_HOME", str(tmp_path / "home"))
    assert execute(["challenge", "keys", "Challenge 2026", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    private, public = Path(said["private"]), Path(said["public"])
    assert private == tmp_path / "home" / "keys" / "receipts.key"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    (name,) = read_trusted(public).values()
    assert name == "Challenge 2026"
    before = private.read_bytes()
    assert execute(["challenge", "keys", "Again"]) == 2
    assert "a key is never written over" in capsys.readouterr().err
    assert private.read_bytes() == before
    assert execute(["challenge", "keys", "two\nlines", "--out", str(tmp_path / "x.key")]) == 2
    assert not (tmp_path / "x.key").exists()


def test_a_key_that_cannot_be_used_is_one_sentence(tmp_path: Path, office: Office) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(No such file"):
        read_key(tmp_path / "gone.key")
    office.private.chmod(0o640)
    with pytest.raises(UserError, match=r"open to other users \(mode 640\)"):
        read_key(office.private)
    office.private.chmod(0o600)
    whole = office.private.read_bytes()
    for damaged in (b"", whole[:60], whole.replace(b"M", b"N"), b"\0" * 100):
        office.private.write_bytes(damaged)
        with pytest.raises(UserError, match="is damaged or no private key"):
            read_key(office.private)
    with pytest.raises(UserError, match="damaged or no private key"):
        read_key(tmp_path.chmod(0o700) or tmp_path)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "rsa.key"
    words = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    try:
        subprocess.run([*words, "-out", other], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    other.chmod(0o600)
    with pytest.raises(UserError, match="of another kind"):
        read_key(other)


def test_openssl_agrees_with_a_signature(tmp_path: Path, office: Office) -> None:
    run = office.judge(tmp_path / "run")
    receipt = json.loads((run / "receipt.json").read_text())
    signature = receipt.pop("signature")
    text = json.dumps(receipt, sort_keys=True, separators=(",", ":"))
    (tmp_path / "data").write_bytes(b"auricle receipt 1\n" + text.encode())
    (tmp_path / "value").write_bytes(base64.b64decode(signature["value"]))
    words = ["openssl", "pkeyutl", "-verify", "-inkey", str(office.private), "-rawin"]
    words += ["-in", str(tmp_path / "data"), "-sigfile", str(tmp_path / "value")]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert "Verified Successfully" in done.stdout, done.stderr


def test_a_digest_is_over_names_and_bytes(tmp_path: Path, office: Office) -> None:
    run = RunFolder(office.judge(tmp_path / "run"))
    digest = hashlib.sha256(run.predictions("esc-50").read_bytes()).hexdigest()
    text = f'{{"predictions/esc-50.jsonl":"{digest}"}}'
    found = digest_run(run)
    assert found.predictions == hashlib.sha256(text.encode()).hexdigest()
    receipt = Receipt.from_json(json.loads((run.path / "receipt.json").read_text()), "receipt")
    assert receipt.run == found
    assert "esc-50" not in json.dumps(receipt.to_json())
    assert set(found.to_json()) == set(RunDigests.model_fields)


def test_a_damaged_receipt_is_one_sentence(
    tmp_path: Path, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    run = office.judge(tmp_path / "run")
    for text, seen in (
        ("[]", "holds a list"),
        ("{", "cannot be read as JSON"),
        ('{"schema_version": 1}', "is damaged: it has no archive_sha256"),
        (json.dumps({"signature": [1], "schema_version": "1"}), "is damaged"),
    ):
        (run / "receipt.json").write_text(text)
        assert build(tmp_path / "site", run, trust=office.public) == 2
        assert seen in capsys.readouterr().err


def test_code_without_locks_is_never_near_the_key(
    tmp_path: Path, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "team.zip").write_text("no ZIP")
    words = ["verify", str(tmp_path / "team.zip"), "--unsafe-no-sandbox"]
    assert execute([*words, "--key", str(office.private)]) == 2
    assert "is not signed: code without locks could read the key" in capsys.readouterr().err
