"""Any bytes at the doors of a data set: names in a tar, the JSON of a clip, files of our own."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auricle.data.clips import ClipTable
from auricle.data.index import open_indexes
from auricle.errors import DamagedFileError, DataError, UserError
from auricle.progress import SilentProgress
from auricle.records.manifest import Manifest
from auricle.records.plan import Plan
from auricle.records.receipt import Receipt
from auricle.records.record import Record
from auricle.records.scores import Scores
from making import audio_bytes, locked, tone

AUDIO = audio_bytes(tone(300, 0.05))
STEMS = st.binary(min_size=1, max_size=12).filter(lambda b: not set(b) & set(b"\0./ "))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(categories=["L", "N", "Cs", "Cc"]), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


def table_of(folder: Path, clips: list[tuple[bytes, bytes]]) -> ClipTable:
    path = folder / "shard.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
        for stem, text in clips:
            for suffix, data in ((".flac", AUDIO), (".json", text)):
                info = tarfile.TarInfo((stem + suffix.encode()).decode("utf-8", "surrogateescape"))
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    shard = locked(path)
    indexes = open_indexes([shard], home=folder / "home", workers=1, progress=SilentProgress())
    return ClipTable([shard], indexes)


@settings(max_examples=60, deadline=None)
@given(stems=st.lists(STEMS, min_size=1, max_size=6, unique=True))
def test_any_names_are_as_many_keys_that_can_be_shown_and_stored(
    stems: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = table_of(tmp_path_factory.mktemp("names"), [(stem, b"{}") for stem in stems])
    ids = [table.clip_id(clip) for clip in range(len(table))]
    assert len(set(ids)) == len(ids) == len(stems)
    for clip_id in ids:
        clip_id.encode()  # no lone surrogate
        assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in clip_id), clip_id


@settings(max_examples=80, deadline=None)
@given(text=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_json_of_a_clip_is_its_fields_or_one_sentence(
    text: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = table_of(tmp_path_factory.mktemp("json"), [(b"a", text)])
    try:
        assert isinstance(table.fields(0), dict)
    except DataError as error:
        assert "shard/a" in str(error)


@pytest.mark.parametrize("record", [Manifest, Scores, Plan, Receipt])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_json_is_a_record_or_names_its_place(record: type[Record], data: st.DataObject) -> None:
    fields = st.dictionaries(st.sampled_from(list(record.model_fields)), JSON, max_size=6)
    value = data.draw(JSON | fields)
    try:
        assert set(record.from_json(value, "here.json").to_json()) == set(value)
    except DamagedFileError as error:
        assert str(error).startswith("here.json is damaged: ")


@settings(max_examples=60, deadline=None)
@given(text=st.binary(max_size=80))
def test_any_bytes_as_scores_are_one_sentence(
    text: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("scores") / "scores.json"
    path.write_bytes(text)
    with pytest.raises(UserError, match=r"scores\.json is damaged"):
        Scores.read(path)
