"""Folders of audio become shards that a run can read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset

from auricle.catalog.files import load_suite_file
from auricle.cli.app import execute
from auricle.data.import_table import ImportPlan
from auricle.data.importing import import_folder
from auricle.data.tables import collect_asked_clips, open_tables
from auricle.errors import CatalogError, DataError, OutputError
from auricle.progress import SilentProgress
from making import audio_bytes, tone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "audio"
    for j, kind in enumerate(["wav", "flac", "ogg", "wav", "flac"]):
        path = made / ("deep" if j else "") / f"clip.{j} é.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(audio_bytes(tone(300 + j, 0.2), kind=kind))
    return made


TABLE = """file,label,note,split
clip.0 é.wav,dog,"a, b",train
deep/clip.1 é.flac,cat,,train
deep/clip.2 é.ogg,dog,,test
deep/clip.3 é.wav,cow,,Train
"""


def plan(**changes: Any) -> ImportPlan:
    known = {"name": "pets", "prompt": "Which?", "metric": "accuracy", "label_columns": ("label",)}
    return ImportPlan(**{**known, **changes})


def imported(
    tmp_path: Path, folder: Path, text: str = TABLE, name: str = "t.csv", **changes: Any
) -> dict[str, Any]:
    table = tmp_path / name
    table.write_text(text, encoding="utf-8")
    how = plan(**{"name" if key == "task_name" else key: v for key, v in changes.items()})
    return import_folder(folder, table, out=tmp_path / "out", plan=how, progress=SilentProgress())


def test_files_that_are_heard_otherwise_than_one_may_think_are_listed(
    tmp_path: Path, folder: Path
) -> None:
    whole = audio_bytes(np.random.default_rng(0).normal(0, 0.1, 32_000).astype("f4"))
    (folder / "cut.flac").write_bytes(whole[: len(whole) // 2])
    spike = np.concatenate([tone(300, 1), [1e29]]).astype("f4")
    (folder / "spike.wav").write_bytes(audio_bytes(spike, kind="wav"))
    more = "cut.flac,dog,,train\nspike.wav,cat,,test\n"
    record = imported(tmp_path, folder, TABLE + more)
    assert record["shorter"] == ["cut.flac"]
    assert record["silenced"] == ["spike.wav"]
    assert record["longer"] == []


def test_a_folder_becomes_shards_and_a_task_that_opens(
    tmp_path: Path, folder: Path, home: Path
) -> None:
    record = imported(tmp_path, folder, clips_per_shard=2)
    assert record == {
        **{"task": "pets", "file": str(tmp_path / "out/pets.yaml"), "num_classes": 3},
        **{"train_clips": 3, "test_clips": 1, "train_shards": 2, "test_shards": 1},
        "split": "split",
        "unlisted": ["deep/clip.4 é.flac"],
        **{"shorter": [], "longer": [], "silenced": []},
    }
    (task,) = load_suite_file(Path(record["file"])).tasks
    opened = open_tables([task], "train", home=home, workers=1, progress=SilentProgress())
    table = opened["pets"]
    assert [table.clip_id(j) for j in range(3)] == [
        *("train_0000/000002_clip_0_", "train_0000/000003_clip_1_", "train_0001/000005_clip_3_")
    ]
    assert [task.texts(table.fields(j), "train") for j in range(3)] == [["dog"], ["cat"], ["cow"]]
    assert table.fields(0)["note"] == "a, b"
    assert all(table.readable(j) for j in range(3))


def test_audio_is_copied_as_it_is_and_any_webdataset_reader_reads_it(
    tmp_path: Path, folder: Path
) -> None:
    imported(tmp_path, folder)
    samples = list(
        webdataset.WebDataset(str(tmp_path / "out/test_0000.tar.gz"), shardshuffle=False)
    )
    assert [s["ogg"] for s in samples] == [(folder / "deep/clip.2 é.ogg").read_bytes()]


def test_several_label_columns_are_references_of_one_clip(
    tmp_path: Path, folder: Path, home: Path
) -> None:
    text = "file\tone\ttwo\tsplit\nclip.0 é.wav\ta\tb\ttrain\ndeep/clip.1 é.flac\tc\t\ttest\n"
    record = imported(
        tmp_path, folder, text, name="t.tsv", label_columns=("one", "two"), metric="ROUGE-L"
    )
    (task,) = load_suite_file(Path(record["file"])).tasks
    assert (task.track, record["num_classes"]) == ("b", None)
    texts = []
    for side in ("train", "test"):
        table = open_tables([task], side, home=home, workers=1, progress=SilentProgress())["pets"]
        texts.append(task.texts(table.fields(0), side))
    assert texts == [["a", "b"], ["c"]]


def test_multi_label_classes_are_counted_by_the_separator(tmp_path: Path, folder: Path) -> None:
    text = TABLE.replace("dog", "dog|wolf")
    assert imported(tmp_path, folder, text, metric="mAP", separator="|")["num_classes"] == 4


def test_without_a_split_column_a_hash_of_the_name_decides(tmp_path: Path, folder: Path) -> None:
    sides = []
    for order in (1, -1):
        rows = [line.rpartition(",")[0] for line in TABLE.splitlines()]
        text = "\n".join([rows[0], *rows[1:][::order]]) + "\n"
        out = tmp_path / f"out{order}"
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        how, progress = plan(test_share=0.5), SilentProgress()
        record = import_folder(folder, tmp_path / "t.csv", out=out, plan=how, progress=progress)
        assert record["split"] is None
        sides.append(
            {
                s["__key__"].split("_", 1)[1]
                for s in webdataset.WebDataset(str(out / "test_0000.tar.gz"), shardshuffle=False)
            }
        )
    assert sides[0] == sides[1]
    assert 0 < len(sides[0]) < 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clip.0 é.wav", "no.wav", r"nothing was written:\nline 2: no.wav is not there"),
        ("clip.0 é.wav", "../t.csv", r"line 2: '../t.csv' is no file below"),
        (",dog,,", ",,,", r"line 4: deep/clip.2 é.ogg has an empty label"),
        (",test", ",dev", r"line 4: 'split' is 'dev', expected train or test"),
        (",test", ",train", r"leaves no clip for test. Give both sides clips"),
        ("deep/clip.1 é.flac", "clip.0 é.wav", r"line 3: clip.0 é.wav was named in line 2 already"),
        ("file,", "path,", r"has the columns path, label, note, split; expected also file"),
        (",cow,,Train", ",cow", r"line 5: expected 4 columns as in the header"),
        ("split\n", "split\nx.txt,a,b,train\n", r"line 2: x.txt is no audio; expected aac, aif"),
        (
            "split\n",
            "split\nbad.wav,a,b,train\n",
            r"line 2: bad.wav: no decodable wav audio \(Format not recognised\)",
        ),
        ("deep/clip.1", "./clip.0 é.wav,d,,test\nx/clip.1", r"line 3: ./clip.0 é.wav was named in"),
        ("deep/clip.1", "deep/../clip.0 é.wav,d,,test\nx", r"line 3: deep/../clip.0 é.wav was nam"),
        ("clip.0 é.wav", "cl\0p.wav", r"line 2: 'cl\\x00p.wav' is no file below"),
        (
            "clip.0 é.wav",
            f"{'long' * 99}.wav",
            r"line 2: long.*cannot be read \(File name too",
        ),
        ("split\n", "Split\n", r"a column 'Split', which may mean 'split'.*--split-column 'Split'"),
        ("split\n", "splits\n", r"a column 'splits', which may mean 'split'"),
        ("note", "label", r"several columns named label. Rename all but one"),
    ],
)
def test_a_mistake_in_the_table_is_named(
    tmp_path: Path, folder: Path, old: str, new: str, message: str
) -> None:
    (folder / "x.txt").write_text("no audio")
    (folder / "bad.wav").write_text("no audio")
    with pytest.raises(DataError, match=message):
        imported(tmp_path, folder, TABLE.replace(old, new, 1))
    assert not (tmp_path / "out").exists()


def test_all_mistakes_are_listed_together(tmp_path: Path, folder: Path) -> None:
    lines = [f"z{j},1,2,train" if j % 2 else f"z{j},1,2" for j in range(9)]
    with pytest.raises(DataError) as caught:
        imported(tmp_path, folder, TABLE + "\n".join(lines))
    for j in range(9):
        seen = f"z{j} is not there" if j % 2 else "expected 4 columns as in the header"
        assert f"line {j + 6}: {seen}" in str(caught.value)
    first, *each = str(caught.value).splitlines()
    assert "correct the table or the folder, nothing was written:" in first
    assert [line.partition(":")[0] for line in each] == [f"line {j + 6}" for j in range(9)]
    with pytest.raises(DataError, match=r"\nand 5 more$"):
        imported(tmp_path, folder, TABLE + "z,1,2,train\n" * 55)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_share": 5.0}, "The test share is 5; expected a number between 0 and 1"),
        ({"test_share": float("nan")}, "The test share is nan; expected a number between 0 and 1"),
        ({"separator": ""}, "The separator is empty"),
        ({"prompt": ""}, "expected also prompt.*An empty --prompt takes each clip's own"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(
    tmp_path: Path, folder: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        imported(tmp_path, folder, **changes)
    assert not (tmp_path / "out").exists()


def test_one_label_for_all_clips_is_told_as_such(tmp_path: Path, folder: Path) -> None:
    text = TABLE.replace("cat", "dog").replace("cow", "dog")
    with pytest.raises(DataError, match="Every clip has the label 'dog'; accuracy needs at least"):
        imported(tmp_path, folder, text)


def test_each_clip_may_bring_its_own_prompt(tmp_path: Path, folder: Path, home: Path) -> None:
    text = TABLE.replace("note", "prompt").replace(",,", ",What now?,")
    record = imported(tmp_path, folder, text, prompt="")
    (task,) = load_suite_file(Path(record["file"])).tasks
    opened = open_tables([task], "test", home=home, workers=1, progress=SilentProgress())
    (asked,) = collect_asked_clips(task, opened["pets"])
    assert asked.prompt == "What now?"
    with pytest.raises(DataError, match=r"line 3: deep/clip.1 é.flac has an empty prompt"):
        imported(tmp_path / "audio", folder, TABLE.replace("note", "prompt"), prompt="")


def test_a_folder_of_audio_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^There is no folder .*nowhere. Give the audio's folder"):
        imported(tmp_path, tmp_path / "nowhere")


def test_a_wrong_metric_or_name_is_refused_before_anything_is_written(
    tmp_path: Path, folder: Path
) -> None:
    with pytest.raises(CatalogError, match="'metric' is 'BLEU'"):
        imported(tmp_path, folder, metric="BLEU")
    with pytest.raises(CatalogError, match=r"'name' is 'my pets': expected at most 100 letters"):
        imported(tmp_path, folder, task_name="my pets")
    for taken in ("esc-50", "smoke"):
        with pytest.raises(CatalogError, match=f"the name '{taken}' belongs to the catalog"):
            imported(tmp_path, folder, task_name=taken)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").touch()
    with pytest.raises(OutputError, match=r"is not empty. Name a new folder with --out"):
        imported(tmp_path, folder)
    with pytest.raises(OutputError, match=r"mine.txt is a file; expected a new folder"):
        import_folder(
            *(folder, tmp_path / "t.csv"),
            **{"out": tmp_path / "out/mine.txt", "plan": plan(), "progress": SilentProgress()},
        )


class Killed(BaseException):
    """Stands for a kill: nothing of ours handles it."""


class KilledAfter(SilentProgress):
    """Stops an import at its n-th report."""

    def __init__(self, reports: int) -> None:
        self.left = reports

    @contextlib.contextmanager
    def stage(self, *_: Any, **__: Any) -> Iterator[Any]:
        yield self

    def advance(self, amount: float = 1) -> None:
        self.left -= 1
        if not self.left:
            raise Killed

    def note(self, text: str) -> None:
        pass


def test_a_killed_import_continues_with_the_same_command(tmp_path: Path, folder: Path) -> None:
    imported(tmp_path, folder, clips_per_shard=1)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    out, table = tmp_path / "again", tmp_path / "t.csv"
    how = plan(clips_per_shard=1)
    with pytest.raises(Killed):
        import_folder(folder, table, out=out, plan=how, progress=KilledAfter(2))
    (out / ".tmp-1-test_0000.tar.gz").write_bytes(b"half")
    written = (out / "train_0000.tar.gz").stat().st_mtime_ns
    with pytest.raises(OutputError, match="holds an unfinished import of another table"):
        other = plan(clips_per_shard=1, prompt="Other?")
        import_folder(folder, table, out=out, plan=other, progress=SilentProgress())
    import_folder(folder, table, out=out, plan=how, progress=SilentProgress())
    assert (out / "train_0000.tar.gz").stat().st_mtime_ns == written
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole
    assert set(whole) == {
        *("pets.yaml", "test_0000.tar.gz"),
        *(f"train_000{j}.tar.gz" for j in range(3)),
    }


@pytest.mark.parametrize("split", ["split", None])
def test_the_command_takes_the_split_column_and_says_what_decided(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], split: str | None
) -> None:
    rows = ["clip.0 é.wav,dog,train\n"] + [
        f"deep/clip.{j} é.{kind},cat,{'test' if j > 1 else 'train'}\n"
        for j, kind in enumerate(["flac", "ogg", "wav", "flac"], start=1)
    ]
    if split is None:
        rows = [row.rpartition(",")[0] + "\n" for row in rows]
    table = tmp_path / "t.csv"
    table.write_text("file,label" + (f",{split}" if split else "") + "\n" + "".join(rows))
    arguments = [
        *("data", "import", str(folder), str(table), "--out", str(tmp_path / "out"), "--quiet"),
        *("--name", "pets", "--prompt", "Which?", "--test-share", "0.5"),
    ]
    assert execute(arguments) == 0
    printed = capsys.readouterr().out
    if split is None:
        assert "no column 'split': a hash of each file's name held 0.5 of them out" in printed
    else:
        assert "2 training and 3 test clips" in printed
        assert "the column 'split' said which" in printed
