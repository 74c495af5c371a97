"""Folders of audio become shards that a run can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import webdataset

from auricle.catalog.files import load_suite_file
from auricle.data.importing import ImportPlan, import_folder
from auricle.data.tables import open_tables
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


def test_a_folder_becomes_shards_and_a_task_that_opens(
    tmp_path: Path, folder: Path, home: Path
) -> None:
    record = imported(tmp_path, folder, clips_per_shard=2)
    assert record == {
        **{"task": "pets", "file": str(tmp_path / "out/pets.yaml"), "num_classes": 3},
        **{"train_clips": 3, "test_clips": 1, "train_shards": 2, "test_shards": 1},
        "unlisted": ["deep/clip.4 é.flac"],
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
        rows = TABLE.splitlines()
        text = "\n".join([rows[0], *rows[1:][::order]]) + "\n"
        out = tmp_path / f"out{order}"
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        how = plan(split_column=None, test_share=0.5)
        progress = SilentProgress()
        import_folder(folder, tmp_path / "t.csv", out=out, plan=how, progress=progress)
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
        ("clip.0 é.wav", "no.wav", r"line 2: no.wav is not there.*nothing was written"),
        ("clip.0 é.wav", "../t.csv", r"line 2: '../t.csv' is no file below"),
        (",dog,,", ",,,", r"line 4: deep/clip.2 é.ogg has an empty label"),
        (",test", ",dev", r"line 4: 'split' is 'dev', expected train or test"),
        (",test", ",train", r"leaves no clip for test. Give both sides clips"),
        ("deep/clip.1 é.flac", "clip.0 é.wav", r"line 3: clip.0 é.wav was named in line 2 already"),
        ("file,", "path,", r"has the columns path, label, note, split; expected also file"),
        (",cow,,Train", ",cow", r"line 5: expected 4 columns as in the header"),
        ("split\n", "split\nx.txt,a,b,train\n", r"line 2: x.txt is no audio; expected aac, aif"),
        ("split\n", "split\nbad.wav,a,b,train\n", r"line 2: no readable wav audio"),
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
    with pytest.raises(DataError, match=r"line 2: .*line 3: .*line 4: .*and 1 problems more"):
        imported(tmp_path, folder, TABLE.replace(".", "_") + "z,1,2,train\nq,1,2,train\n")


def test_a_wrong_metric_or_name_is_refused_before_anything_is_written(
    tmp_path: Path, folder: Path
) -> None:
    with pytest.raises(CatalogError, match="'metric' is 'BLEU'"):
        imported(tmp_path, folder, metric="BLEU")
    with pytest.raises(CatalogError, match="'name' is 'my pets'"):
        imported(tmp_path, folder, task_name="my pets")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").touch()
    with pytest.raises(OutputError, match=r"is not empty. Name a new folder with --out"):
        imported(tmp_path, folder)
