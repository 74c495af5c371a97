"""Fetching from a hub on this machine that drops, lies, refuses and dawdles."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import close_session

from auricle.catalog.spec import Task
from auricle.data.download import Patience
from auricle.data.fetch import fetch
from auricle.data.inventory import list_data, verify_data
from auricle.data.places import locked_commit, shard_folder
from auricle.data.shards import prepare_shards
from auricle.errors import DataError, OutputError
from auricle.progress import SilentProgress
from local_hub import LocalHub
from making import write_tar

REPOSITORY = "owner/data"
NAMES = ["x/train_0.tar.gz", "x/train_1.tar.gz", "x/test_0.tar.gz"]


@pytest.fixture
def contents(tmp_path: Path) -> dict[str, bytes]:
    """The plain tars behind the published files."""
    made = {}
    for j, name in enumerate(NAMES):
        members = [(f"{k}.json", os.urandom(3000)) for k in range(20 + j)]
        made[name] = write_tar(tmp_path / "made.tar", members).read_bytes()
    return made


@pytest.fixture
def hub(
    contents: dict[str, bytes], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalHub]:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    packed = {name: gzip.compress(data, mtime=0) for name, data in contents.items()}
    with LocalHub({REPOSITORY: packed}).running() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def task(**changes: Any) -> Task:
    known = {"name": "mine", "track": "a", "domain": "sound", "prompt": "?", "metric": "accuracy"}
    known |= {"repository": REPOSITORY}
    shards = {"train_shards": ["x/train_{0..1}.tar.gz"], "test_shards": ["x/test_0.tar.gz"]}
    return Task(**{**known, **shards, **changes})


def fetched(home: Path, *tasks: Task, **options: Any) -> list[dict[str, Any]]:
    options = {"retry_wait_s": 0.01, "progress": SilentProgress(), **options}
    return fetch(tasks or (task(),), home=home, **options)


def files_of(home: Path, one: Task) -> dict[str, bytes]:
    return {
        shard.name: shard.tar.read_bytes()
        for side in ("train", "test")
        for shard in prepare_shards(one, side, home=home, progress=SilentProgress())
    }


class Bar(SilentProgress):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.total = self.done = 0.0
        self.lines: list[str] = []

    def stage(self, name: str, total: float, unit: str, *, done: float = 0) -> Any:
        if name == "fetch":
            self.total, self.done = total, done
        return super().stage(name, total, unit, done=done) if name != "fetch" else _Bar(self)

    def message(self, text: str) -> None:
        self.lines.append(text)


class _Bar:
    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def advance(self, amount: float = 1) -> None:
        self._bar.done += amount

    def note(self, text: str) -> None:
        pass


def test_a_fetch_brings_every_shard_locks_the_commit_and_keeps_plain_tars(
    hub: LocalHub, home: Path, contents: dict[str, bytes]
) -> None:
    bar = Bar()
    (record,) = fetched(home, progress=bar)
    size = sum(len(data) for data in hub.files[REPOSITORY].values())
    assert record == {
        **{"task": "mine", "repository": REPOSITORY, "commit": hub.commit},
        **{"shards": 3, "fetched": 3, "bytes": size},
    }
    assert files_of(home, task()) == contents
    assert locked_commit(home, REPOSITORY, "main") == hub.commit
    assert bar.done == pytest.approx(bar.total) == pytest.approx(size / 1e6)
    assert "'main' is locked to commit aaaaaaaaaaaa" in bar.lines[0]
    kept = {p.name for p in shard_folder(home, REPOSITORY, hub.commit).rglob("*") if p.is_file()}
    assert kept == {f"{n.split('/')[1][:-3]}{s}" for n in NAMES for s in ("", ".json")}
    (shard,) = prepare_shards(task(), "test", home=home, progress=SilentProgress())
    assert shard.commit == hub.commit
    packed = hub.files[REPOSITORY]["x/test_0.tar.gz"]
    assert shard.download_sha256 == hashlib.sha256(packed).hexdigest()


def test_a_second_fetch_asks_nothing_of_the_network(hub: LocalHub, home: Path) -> None:
    fetched(home)
    hub.requests.clear()
    assert fetched(home)[0]["fetched"] == 0
    assert hub.requests == []


def test_a_locked_revision_stays_when_the_branch_moves(hub: LocalHub, home: Path) -> None:
    fetched(home, task(test_shards=[]))
    first, hub.commit = hub.commit, "b" * 40
    with pytest.raises(DataError, match="404"):  # the old commit is asked for, and it is gone
        fetched(home)
    assert locked_commit(home, REPOSITORY, "main") == first


def test_a_dropped_connection_is_continued_where_it_broke(
    hub: LocalHub, home: Path, contents: dict[str, bytes]
) -> None:
    hub.faults[NAMES[0]] = ["drop:10000", "drop:10000", "drop:0", "drop:5000"]
    bar = Bar()
    fetched(home, progress=bar)
    assert [r.range for r in hub.asked(NAMES[0])] == [
        *(None, "bytes=10000-", "bytes=20000-", "bytes=20000-", "bytes=25000-")
    ]
    assert files_of(home, task()) == contents
    assert bar.done == pytest.approx(bar.total)


def test_a_server_that_ignores_ranges_is_taken_from_the_start(
    hub: LocalHub, home: Path, contents: dict[str, bytes]
) -> None:
    hub.faults[NAMES[0]] = ["drop:10000", "whole"]
    bar = Bar()
    fetched(home, progress=bar)
    assert files_of(home, task()) == contents
    assert bar.done == pytest.approx(bar.total)


def test_a_range_that_is_refused_starts_the_file_again(
    hub: LocalHub, home: Path, contents: dict[str, bytes]
) -> None:
    hub.faults[NAMES[0]] = ["drop:10000", "416"]
    fetched(home)
    assert files_of(home, task()) == contents


@pytest.mark.parametrize("fault", ["429", "500", "503", "slow"])
def test_a_busy_or_slow_server_is_asked_again_or_waited_for(
    hub: LocalHub, home: Path, contents: dict[str, bytes], fault: str
) -> None:
    hub.faults[NAMES[1]] = [fault, fault]
    hub.faults["api"] = ["429", "503"]
    fetched(home)
    assert files_of(home, task()) == contents


def test_wrong_bytes_are_fetched_again_and_never_kept(
    hub: LocalHub, home: Path, contents: dict[str, bytes]
) -> None:
    hub.faults[NAMES[0]] = ["wrong"]
    bar = Bar()
    fetched(home, progress=bar)
    assert len(hub.asked(NAMES[0])) == 2
    assert files_of(home, task()) == contents
    assert bar.done == pytest.approx(bar.total)


@pytest.mark.parametrize("git", [False, True])
def test_bytes_that_stay_wrong_are_refused_and_the_others_kept(
    hub: LocalHub, home: Path, git: bool
) -> None:
    hub.git_files = set(NAMES) if git else set()
    hub.faults[NAMES[0]] = ["wrong", "wrong"]
    kind = "git hash" if git else "sha256"
    expected = rf"train_0.tar.gz arrived twice with other bytes than promised \({kind} .*expected"
    with pytest.raises(DataError, match=expected):
        fetched(home)
    (train, test) = list_data([task()], home=home)
    assert (train["present"], train["missing"], test["present"]) == (1, [NAMES[0]], 1)
    assert fetched(home)[0]["fetched"] == 1


def test_a_mirror_without_the_api_is_asked_file_by_file(
    hub: LocalHub, home: Path, contents: dict[str, bytes]
) -> None:
    hub.api = False
    hub.git_files = {NAMES[2]}
    hub.faults[NAMES[0]] = ["wrong"]
    fetched(home)
    assert files_of(home, task()) == contents
    assert locked_commit(home, REPOSITORY, "main") == hub.commit


def test_files_that_the_repository_lacks_are_named(hub: LocalHub, home: Path) -> None:
    one = task(train_shards=["x/train_{0..6}.tar.gz"])
    expected = (
        r"owner/data has no x/train_2.tar.gz, x/train_3.tar.gz, x/train_4.tar.gz and 2 more at "
        r"commit aaaaaaaaaaaa. Correct the shard names or the revision"
    )
    with pytest.raises(DataError, match=expected):
        fetched(home, one)
    hub.api = False
    with pytest.raises(DataError, match=r"resolve/a+/x/train_\d.tar.gz: not found .*404"):
        fetched(home, one)


def test_an_unknown_repository_or_revision_is_named(hub: LocalHub, home: Path) -> None:
    with pytest.raises(DataError, match=r"datasets/owner/no at 'main': not found"):
        fetched(home, task(repository="owner/no"))
    with pytest.raises(DataError, match=r"datasets/owner/data at 'v9': not found"):
        fetched(home, task(revision="v9"))


def test_a_token_is_sent_to_the_hub_and_not_to_its_cdn(
    hub: LocalHub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "secret"
    with pytest.raises(DataError, match=r"access refused \(401\). Set HF_TOKEN"):
        fetched(home)
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub.requests.clear()
    fetched(home)
    assert {r.token for r in hub.requests if not r.path.startswith("/cdn/")} == {"secret"}
    assert {r.token for r in hub.requests if r.path.startswith("/cdn/")} == {None}


def test_a_token_is_not_sent_to_a_host_whose_name_begins_like_the_hubs(
    hub: LocalHub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("HF_ENDPOINT", hub.url[:-1])  # http://127.0.0.1:1234 for ...:12345
    urls = [f"{hub.url}/cdn/x/train_0.tar.gz"]
    fetched(home, task(repository=None, train_shards=urls, test_shards=[]))
    assert [r.token for r in hub.requests] == [None]


def test_a_proxy_is_used(hub: LocalHub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    close_session()  # a session reads its proxies once
    try:
        assert fetched(home)[0]["fetched"] == 3
    finally:
        close_session()
    assert {r.host for r in hub.requests} == {"hub.invalid", "localhost"}


class _Waits(threading.Event):
    """Says how long it was asked to wait, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout)
        return False


def test_a_server_that_says_when_to_come_back_is_obeyed_within_reason() -> None:
    waits = _Waits()
    patience = Patience(waits, 1.0)
    for attempt, said in enumerate([None, "7", "0", "3600", "soon"]):
        error = OSError()
        error.response = SimpleNamespace(  # type: ignore[attr-defined]
            status_code=429, headers={} if said is None else {"Retry-After": said}
        )
        patience.wait(attempt, error)
    assert waits.asked == [1.0, 7.0, 0.0, 60.0, 16.0]


def test_offline_with_data_missing_says_which_from_where_and_how(
    hub: LocalHub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    expected = (
        r"^Shards that are missing \(3\): x/train_0.tar.gz, x/train_1.tar.gz, x/test_0.tar.gz. "
        r"Unset HF_HUB_OFFLINE, which forbids the network, or bring them by hand from "
        r"http://127.0.0.1:\d+/datasets/owner/data to xares_data/<path> or .*/main/<path>. "
        r"All names: auricle data list SUITE --json$"
    )
    with pytest.raises(DataError, match=expected):
        fetched(home)
    assert hub.requests == []


def test_offline_with_everything_there_is_fine(
    hub: LocalHub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched(home)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetched(home)[0]["fetched"] == 0


def test_an_unreachable_hub_is_given_up_once_for_all_files(
    hub: LocalHub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"5 attempts failed, the last with: .*refused") as caught:
        fetched(home)
    assert str(caught.value).count("attempts failed") == 1
    expected = (
        r"HF_ENDPOINT.\nShards that are missing \(3\): x/train_0.tar.gz, .*. Give the same command "
        r"again, which continues, or bring them by hand from http://127.0.0.1:9/datasets/owner/"
        r"data to xares_data/<path> or .*/main/<path>. All names: auricle data list SUITE --json$"
    )
    assert re.search(expected, str(caught.value))


def test_an_address_that_is_none_is_refused_before_the_first_attempt(
    hub: LocalHub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = task(repository=None, train_shards=["ftp://there.org/a.tar"], test_shards=[])
    with pytest.raises(
        DataError, match=r"ftp://there.org/a.tar cannot be fetched; expected an addr"
    ):
        fetched(home, other, retry_wait_s=60)
    monkeypatch.setenv("HF_ENDPOINT", "notaurl")
    with pytest.raises(DataError, match=r"HF_ENDPOINT is 'notaurl', .*; expected .*https://hugg"):
        fetched(home, retry_wait_s=60)


def test_a_cdn_that_fails_for_good_ends_the_whole_fetch(hub: LocalHub, home: Path) -> None:
    hub.faults[NAMES[0]] = ["503"] * 9
    expected = (
        r"5 attempts failed, the last with: status 503.*\n.*is kept.\nShards that are missing \(3\)"
    )
    with pytest.raises(DataError, match=expected):
        fetched(home, workers=1)
    assert hub.asked(NAMES[1]) == []


def test_a_shard_that_is_published_broken_is_named(hub: LocalHub, home: Path) -> None:
    hub.files[REPOSITORY][NAMES[0]] = gzip.compress(b"no tar" * 1000)
    hub.files[REPOSITORY][NAMES[1]] = b""
    expected = r"train_0.tar.gz, as it is published, is no complete tar(.|\n)*train_1.*, is empty"
    with pytest.raises(DataError, match=expected):
        fetched(home)


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_fetched(
    hub: LocalHub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(OutputError, match=r"3 shards needs about \d+\.\d kB .* 9 B are free"):
        fetched(home)
    assert hub.asked(NAMES[0]) == []


def test_shards_in_place_are_not_fetched(
    hub: LocalHub, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "xares"
    monkeypatch.setenv("XARES_DATA_HOME", str(folder))
    (folder / "x").mkdir(parents=True)
    (folder / NAMES[0]).write_bytes(hub.files[REPOSITORY][NAMES[0]])
    assert fetched(home)[0]["fetched"] == 2
    (train, test) = list_data([task()], home=home)
    assert (train["place"], test["place"]) == ("mixed", "home")


def test_plain_tars_and_addresses_are_fetched_too(
    hub: LocalHub, home: Path, contents: dict[str, bytes]
) -> None:
    hub.files[REPOSITORY]["x/plain.tar"] = contents[NAMES[0]]
    one = task(train_shards=["x/plain.tar"], test_shards=[])
    urls = [f"{hub.url}/cdn/x/train_{{0..1}}.tar.gz"]
    two = task(name="two", repository=None, train_shards=urls, test_shards=[])
    assert [r["fetched"] for r in fetched(home, one, two)] == [1, 2]
    assert list(files_of(home, one.model_copy(update={"test_shards": one.train_shards})).values())
    shards = prepare_shards(two, "train", home=home, progress=SilentProgress())
    assert [s.tar.read_bytes() for s in shards] == [contents[n] for n in NAMES[:2]]
    assert {s.repository for s in shards} == {"url"}


@pytest.mark.parametrize("kills", [1, 3])
def test_a_killed_fetch_continues_inside_the_file(
    hub: LocalHub, home: Path, contents: dict[str, bytes], kills: int
) -> None:
    code = (
        "from auricle.data.fetch import fetch; from auricle.progress import SilentProgress\n"
        "from auricle.catalog.spec import Task; from pathlib import Path; import sys\n"
        "fetch([Task.model_validate_json(sys.argv[1])], home=Path(sys.argv[2]), workers=1,\n"
        "      progress=SilentProgress())"
    )
    hub.faults[NAMES[0]] = ["slow"] * 9
    for _ in range(kills):
        arguments = [sys.executable, "-c", code, task().model_dump_json(), str(home)]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE) as process:
            parts = _wait_for_part(home, process)
            process.send_signal(signal.SIGKILL)
        assert parts
    kept = next(iter(home.rglob("*.part"))).stat().st_size
    fetched(home)
    assert hub.asked(NAMES[0])[-1].range == f"bytes={kept}-"
    assert files_of(home, task()) == contents


def _wait_for_part(home: Path, process: subprocess.Popen[bytes]) -> list[Path]:
    before = sum(p.stat().st_size for p in home.rglob("*.part"))
    for _ in range(3000):
        parts = [p for p in home.rglob("*.part") if p.stat().st_size > before]
        if parts or process.poll() is not None:
            return parts
        time.sleep(0.01)
    return []


def test_verify_finds_what_has_changed_and_says_how_to_mend_it(hub: LocalHub, home: Path) -> None:
    fetched(home)
    records = verify_data([task()], home=home, progress=SilentProgress())
    assert [r["state"] for r in records] == ["good"] * 3
    folder = shard_folder(home, REPOSITORY, hub.commit)
    damaged = folder / "x/train_1.tar"
    data = bytearray(damaged.read_bytes())
    data[700] ^= 1
    damaged.write_bytes(bytes(data))
    (folder / "x/test_0.tar").unlink()
    records = verify_data([task()], home=home, progress=SilentProgress())
    assert [r["state"] for r in records] == ["good", "damaged", "missing"]
    assert (
        "has changed since it was locked. Remove it. Fetch it again: auricle data fetch mine"
        in (records[1]["message"])
    )
    damaged.unlink()
    assert fetched(home)[0]["fetched"] == 2


def test_verify_reads_shards_in_place(
    hub: LocalHub, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XARES_DATA_HOME", str(tmp_path / "xares"))
    one = task(test_shards=[])
    for name in NAMES[:2]:
        path = tmp_path / "xares" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hub.files[REPOSITORY][name])
    (tmp_path / "xares" / NAMES[1]).write_bytes(b"junk")
    states = [r["state"] for r in verify_data([one], home=home, progress=SilentProgress())]
    assert states == ["good", "damaged"]
    (tmp_path / "xares" / NAMES[0]).write_bytes(hub.files[REPOSITORY][NAMES[1]])
    (first, _) = verify_data([one], home=home, progress=SilentProgress())
    assert "has changed since it was unpacked" in first["message"]


def test_a_list_says_what_is_missing(hub: LocalHub, home: Path) -> None:
    (train, test) = list_data([task()], home=home)
    assert (train["shards"], train["present"], train["bytes"]) == (2, 0, 0)
    assert (train["place"], train["commit"], test["missing"]) == (None, None, [NAMES[2]])
